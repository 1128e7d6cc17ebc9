"""What the simulator takes and answers is what GitHub describes"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator import Executable, OpenedPullRequest, Simulator, Submodule

CONTRACT = Path(__file__).parents[2] / "shared" / "tools" / "contract.py"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every described route, once or more, on a pull request that has everything."""
    file = tmp_path_factory.mktemp("recording") / "exchanges.jsonl"
    with Simulator(record=file) as github:
        repository = github.repository(
            "octo-org/train", files={"a.py": "a = 1\nb = 2\n", "old.py": "x\n" * 9, "m": "1\n", "pkg/b.py": "b\n"}
        )
        repository.role("writer", "write")
        pull = repository.open_pull_request(
            {
                "a.py": "a = 2\n",
                "old.py": None,
                "new.py": "x\n" * 9,
                "m": Executable("1\n"),
                "image.png": b"\0\1\2",
                "vendored": Submodule("2" * 40),
            },
            body="Why",
        )
        fork = repository.open_pull_request({"b.py": "b\n"}, author="outsider", fork=True, draft=True)
        pull.label("bug")
        with github.client(github.app_token()) as app, github.installation_on("octo-org").client() as client:
            _as_app(app, github)
            _read(client, pull)
            _review(client, pull)
            _talk(client, pull)
            _check(client, pull, fork)
            _query(client, pull)
    return file


def _as_app(app: httpx.Client, github: Simulator) -> None:
    installation = github.installation_on("octo-org")
    github.webhooks.settle()
    app.get("/app")
    app.get("/app/installations")
    app.get(f"/app/installations/{installation.id}")
    app.post(f"/app/installations/{installation.id}/access_tokens", json={})
    app.get("/app/hook/config")
    deliveries = app.get("/app/hook/deliveries?status=failure").json()
    assert deliveries
    app.get(f"/app/hook/deliveries/{deliveries[0]['id']}")
    app.post(f"/app/hook/deliveries/{deliveries[0]['id']}/attempts")
    app.get("/meta")
    app.post(f"/app-manifests/code-of-{github.app.slug}/conversions")


def _read(client: httpx.Client, pull: OpenedPullRequest) -> None:
    base, diff = "/repos/octo-org/train", {"accept": "application/vnd.github.diff"}
    client.get("/rate_limit")
    client.get("/installation/repositories")
    for path in ("", "/pulls", "/pulls?state=all", "/contents/a.py", "/contents/pkg", "/git/ref/heads/main"):
        client.get(base + path)
    for path in ("", "/files", "/commits"):
        client.get(pull.path + path)
    client.get(pull.path, headers=diff)
    etag = client.get(pull.path).headers["etag"]
    assert client.get(pull.path, headers={"if-none-match": etag}).status_code == 304
    client.get(f"{base}/compare/{pull.base_sha}...{pull.head_sha}")
    client.get(f"{base}/compare/{pull.base_sha}...{pull.head_sha}", headers=diff)
    client.get(f"{base}/git/trees/{pull.head_sha}?recursive=1")
    blob = client.get(f"{base}/contents/a.py?ref={pull.head_sha}").json()["sha"]
    client.get(f"{base}/git/blobs/{blob}")
    client.get(f"{base}/contents/a.py?ref={pull.head_sha}", headers={"accept": "application/vnd.github.raw+json"})
    client.get(f"{base}/issues/{pull.number}")
    client.get(f"{base}/issues/{pull.number}/labels")
    for login in ("maintainer", "writer", "outsider"):
        client.get(f"{base}/collaborators/{login}/permission")


def _review(client: httpx.Client, pull: OpenedPullRequest) -> None:
    comments = [
        {"path": "a.py", "line": 1, "side": "RIGHT", "body": "one"},
        {"path": "a.py", "line": 2, "side": "LEFT", "start_line": 1, "start_side": "LEFT", "body": "two"},
    ]
    given: dict[str, Any] = {"commit_id": pull.head_sha, "event": "COMMENT", "body": "x", "comments": comments}
    review = client.post(f"{pull.path}/reviews", json=given).json()["id"]
    client.get(f"{pull.path}/reviews")
    client.get(f"{pull.path}/reviews/{review}")
    client.put(f"{pull.path}/reviews/{review}", json={"body": "edited"})
    client.get(f"{pull.path}/reviews/{review}/comments")
    first = client.get(f"{pull.path}/comments").json()[0]["id"]
    client.get("/repos/octo-org/train/pulls/comments")
    path = f"/repos/octo-org/train/pulls/comments/{first}"
    client.get(path)
    client.patch(path, json={"body": "edited"})
    _react(client, path)
    client.post(f"{pull.path}/comments/{first}/replies", json={"body": "reply"})
    own = {"commit_id": pull.head_sha, "path": "a.py", "line": 1, "side": "RIGHT", "body": "own"}
    made = client.post(f"{pull.path}/comments", json=own).json()["id"]
    client.delete(f"/repos/octo-org/train/pulls/comments/{made}")
    pending = client.post(f"{pull.path}/reviews", json={"body": "later"}).json()["id"]
    client.get(f"{pull.path}/reviews/{pending}")
    client.post(f"{pull.path}/reviews/{pending}/events", json={"event": "COMMENT"})
    dropped = client.post(f"{pull.path}/reviews", json={"body": "never"}).json()["id"]
    client.delete(f"{pull.path}/reviews/{dropped}")
    pull.push({"a.py": "a = 3\n"})
    assert client.get(f"{pull.path}/comments").json()[0]["line"] is None


def _react(client: httpx.Client, path: str) -> None:
    made = [client.post(f"{path}/reactions", json={"content": "eyes"}) for _ in range(2)]
    assert [each.status_code for each in made] == [201, 200]
    client.get(f"{path}/reactions")
    client.delete(f"{path}/reactions/{made[0].json()['id']}")


def _talk(client: httpx.Client, pull: OpenedPullRequest) -> None:
    issue = f"/repos/octo-org/train/issues/{pull.number}"
    comment = client.post(f"{issue}/comments", json={"body": "hello"}).json()["id"]
    client.get(f"{issue}/comments")
    path = f"/repos/octo-org/train/issues/comments/{comment}"
    client.get(path)
    client.patch(path, json={"body": "edited"})
    _react(client, path)
    _react(client, issue)
    client.delete(path)


def _check(client: httpx.Client, pull: OpenedPullRequest, fork: OpenedPullRequest) -> None:
    base = "/repos/octo-org/train"
    client.post(f"{base}/check-runs", json={"name": "mlstaff", "head_sha": fork.head_sha})
    run = client.post(f"{base}/check-runs", json={"name": "mlstaff", "head_sha": pull.head_sha}).json()
    annotation = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "look"}
    output = {"title": "t", "summary": "s", "text": "x", "annotations": [annotation]}
    action = {"label": "Ignore", "description": "these", "identifier": "ignore"}
    path = f"{base}/check-runs/{run['id']}"
    client.patch(path, json={"conclusion": "neutral", "output": output, "actions": [action]})
    client.get(path)
    client.get(f"{path}/annotations")
    client.post(f"{path}/rerequest")
    suite = f"{base}/check-suites/{run['check_suite']['id']}"
    client.get(suite)
    client.get(f"{suite}/check-runs")
    client.post(f"{suite}/rerequest")
    client.post(f"{base}/check-suites", json={"head_sha": pull.head_sha})


def _query(client: httpx.Client, pull: OpenedPullRequest) -> None:
    query = """query($sha: String!) { repository(owner: "octo-org", name: "train") {
        object(expression: $sha) { ... on Blob { text isTruncated } }
        pullRequest(number: 1) { reviewThreads(first: 5) { nodes { id isResolved } } } } }"""
    client.post("/graphql", json={"query": query, "variables": {"sha": f"{pull.head_sha}:a.py"}})


def test_the_only_violation_of_a_recording_is_the_one_put_there(recording: Path, tmp_path: Path) -> None:
    if not CONTRACT.exists():
        pytest.skip("GitHub's descriptions are not here to compare with")
    exchanges = [json.loads(line) for line in recording.read_text().splitlines()]
    broken = next(each for each in exchanges if each["method"] == "POST" and each["path"].endswith("/reviews"))
    del broken["response"]["state"]
    compared = tmp_path / "compared.jsonl"
    compared.write_text(recording.read_text() + json.dumps(broken) + "\n")
    done = subprocess.run([sys.executable, str(CONTRACT), str(compared)], capture_output=True, text=True, check=False)
    count = len(exchanges) + 1
    assert done.stdout.splitlines() == [
        f'{count}: POST /repos/octo-org/train/pulls/1/reviews: response .: "state" is a required property',
        f"{count} exchanges, 1 violations",
    ]


def test_a_recording_holds_many_routes_and_no_failure(recording: Path) -> None:
    exchanges = [json.loads(line) for line in recording.read_text().splitlines()]
    assert [each for each in exchanges if each["status"] >= 400] == []
    assert len({(each["method"], each["path"].split("/")[-1]) for each in exchanges}) > 40
    assert all({"method", "path", "query", "request", "status", "response"} <= set(each) for each in exchanges)
