"""Check runs follow GitHub's limits"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.simulator import OpenedPullRequest, Simulator


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        started.repository("octo-org/train")
        yield started


@pytest.fixture
def pull(github: Simulator) -> OpenedPullRequest:
    repository = github.repository(f"octo-org/train-{len(github.world.repositories)}")
    return repository.open_pull_request({"a.py": "1\n"})


@pytest.fixture
def client(github: Simulator) -> Iterator[httpx.Client]:
    with github.installation_on("octo-org").client() as made:
        yield made


def base(pull: OpenedPullRequest) -> str:
    return pull.path.rpartition("/pulls/")[0]


def create(client: httpx.Client, pull: OpenedPullRequest, **more: Any) -> httpx.Response:
    return client.post(f"{base(pull)}/check-runs", json={"name": "mlstaff", "head_sha": pull.head_sha, **more})


def output(**more: Any) -> dict[str, Any]:
    return {"title": "title", "summary": "summary", **more}


def annotations(count: int) -> list[dict[str, Any]]:
    one = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "look"}
    return [one] * count


def test_a_check_run_opens_and_closes(client: httpx.Client, pull: OpenedPullRequest) -> None:
    opened = create(client, pull, status="in_progress")
    assert (opened.status_code, opened.json()["status"], opened.json()["conclusion"]) == (201, "in_progress", None)
    path = f"{base(pull)}/check-runs/{opened.json()['id']}"
    closed = client.patch(path, json={"conclusion": "neutral", "output": output()}).json()
    assert (closed["status"], closed["conclusion"], closed["output"]["summary"]) == ("completed", "neutral", "summary")
    assert closed["completed_at"] is not None
    assert [each["number"] for each in closed["pull_requests"]] == [pull.number]
    shown = pull.state(check="mlstaff")["check_run"]
    assert (shown["id"], shown["conclusion"]) == (closed["id"], "neutral")
    assert pull.state(check="other")["check_run"] is None


def test_pull_requests_of_forks_are_not_listed(github: Simulator, client: httpx.Client) -> None:
    pull = github.repository("octo-org/forked").open_pull_request({"a.py": "2\n"}, author="outsider", fork=True)
    shown = client.get(pull.path).json()
    assert (shown["head"]["repo"]["full_name"], shown["base"]["repo"]["full_name"]) == (
        "outsider/forked",
        "octo-org/forked",
    )
    assert create(client, pull).json()["pull_requests"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"head_sha": "0" * 40},
        {"name": ""},
        {"status": "completed"},
        {"conclusion": "great"},
        {"conclusion": "stale"},
        {"status": "sleeping"},
        {"output": {"title": "no summary"}},
        {"output": output(annotations="x")},
        {"output": output(text=5)},
        {"output": output(annotations=[{**annotations(1)[0], "end_line": "1"}])},
        {"actions": ["Ignore"]},
        {"output": output(annotations=annotations(51))},
        {"output": output(text="x" * 65_536)},
        {"output": output(summary="x" * 65_536)},
        {"output": output(annotations=[{**annotations(1)[0], "start_line": 2}])},
        {"output": output(annotations=[{**annotations(1)[0], "annotation_level": "note"}])},
        {"actions": [{"label": "x", "description": "x", "identifier": "x"}] * 4},
        {"actions": [{"label": "x" * 21, "description": "x", "identifier": "x"}]},
        {"actions": [{"label": "x", "description": "x" * 41, "identifier": "x"}]},
        {"actions": [{"label": "x", "description": "x", "identifier": "x" * 21}]},
    ],
)
def test_what_github_refuses(client: httpx.Client, pull: OpenedPullRequest, wrong: dict[str, Any]) -> None:
    assert create(client, pull, **wrong).status_code == 422
    assert pull.check_runs() == []


def test_what_is_just_allowed(client: httpx.Client, pull: OpenedPullRequest) -> None:
    longest = output(summary="x" * 65_535, text="x" * 65_535, annotations=annotations(50))
    actions = [{"label": "x" * 20, "description": "x" * 40, "identifier": "x" * 20}] * 3
    assert create(client, pull, conclusion="failure", output=longest, actions=actions).status_code == 201


def test_annotations_add_up_over_calls(client: httpx.Client, pull: OpenedPullRequest) -> None:
    run = create(client, pull, output=output(annotations=annotations(50))).json()
    path = f"{base(pull)}/check-runs/{run['id']}"
    updated = client.patch(path, json={"output": {"summary": "more", "annotations": annotations(7)}}).json()
    assert (updated["output"]["annotations_count"], updated["output"]["title"]) == (57, "title")
    assert len(client.get(f"{path}/annotations?per_page=100").json()) == 57


def test_the_latest_run_of_a_name_is_listed(client: httpx.Client, pull: OpenedPullRequest) -> None:
    create(client, pull)
    second, other = create(client, pull).json(), create(client, pull, name="other").json()
    path = f"{base(pull)}/commits/{pull.head_sha}/check-runs"
    assert [each["id"] for each in client.get(path).json()["check_runs"]] == [other["id"], second["id"]]
    assert client.get(f"{path}?filter=all").json()["total_count"] == 3
    assert client.get(f"{path}?check_name=other").json()["total_count"] == 1
    suite = client.get(f"{base(pull)}/check-suites/{second['check_suite']['id']}").json()
    assert (suite["head_sha"], suite["latest_check_runs_count"], suite["status"]) == (pull.head_sha, 3, "in_progress")


def test_a_suite_is_made_once_for_a_commit(client: httpx.Client, github: Simulator) -> None:
    repository = github.repository("octo-org/suites")
    sha = repository.push({"x.py": "1\n"})
    codes = [client.post(f"{repository.path}/check-suites", json={"head_sha": sha}).status_code for _ in range(2)]
    assert codes == [201, 200]


def test_only_an_app_writes_check_runs(github: Simulator, pull: OpenedPullRequest) -> None:
    with github.client(login="maintainer") as person:
        assert create(person, pull).status_code == 403


def test_buttons_come_back_as_events(client: httpx.Client, github: Simulator, pull: OpenedPullRequest) -> None:
    create(client, pull, actions=[{"label": "Ignore", "description": "these", "identifier": "ignore"}])
    run = pull.check_runs()[0]
    with pytest.raises(ValueError, match="no button"):
        pull.press(run, "something")
    before = len(github.deliveries)
    github.webhooks.settle()
    pull.press(run, "ignore", user="maintainer")
    pull.rerequest(run, user="maintainer")
    pull.rerequest_suite(user="maintainer")
    github.webhooks.settle()
    told = [each for each in github.deliveries[before:] if each.action in ("requested_action", "rerequested")]
    assert [(each.event, each.action) for each in told] == [
        ("check_run", "requested_action"),
        ("check_run", "rerequested"),
        ("check_suite", "rerequested"),
    ]
    assert told[0].payload["requested_action"] == {"identifier": "ignore"}
    assert told[0].payload["check_run"]["head_sha"] == pull.head_sha
    assert told[0].payload["sender"]["login"] == "maintainer"
