"""Limits and trouble on demand"""

import time
from collections.abc import Iterator

import httpx
import pytest
from github import Auth, Github, RateLimitExceededException

from tests.simulator import OpenedPullRequest, Simulator, faults


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture
def pull(github: Simulator) -> OpenedPullRequest:
    return github.repository("octo-org/train").open_pull_request({"a.py": "1\n"})


@pytest.fixture
def client(github: Simulator, pull: OpenedPullRequest) -> Iterator[httpx.Client]:
    with github.installation_on("octo-org").client() as made:
        yield made


def say(client: httpx.Client, pull: OpenedPullRequest) -> httpx.Response:
    return client.post(f"{pull.path.replace('/pulls/', '/issues/')}/comments", json={"body": "hello"})


def test_every_answer_says_what_is_left(client: httpx.Client, pull: OpenedPullRequest) -> None:
    first, second = client.get(pull.path), client.get(pull.path)
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("5000", "4999")
    assert second.headers["x-ratelimit-remaining"] == "4998"
    assert 0 < int(first.headers["x-ratelimit-reset"]) - time.time() <= 3600
    assert client.get("/rate_limit").json()["rate"]["used"] == 2


def test_a_used_up_limit_is_403_until_the_hour_is_over(
    github: Simulator, client: httpx.Client, pull: OpenedPullRequest
) -> None:
    github.limits.primary = 2
    codes = [client.get(pull.path).status_code for _ in range(4)]
    refused = client.get(pull.path)
    assert codes == [200, 200, 403, 403]
    assert (refused.headers["x-ratelimit-remaining"], refused.json()["message"][:23]) == (
        "0",
        "API rate limit exceeded",
    )
    github.clock.advance(3601)
    with github.installation_on("octo-org").client() as later:
        assert later.get(pull.path).status_code == 200


def test_each_installation_has_its_own_limit(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.repository("other-org/train")
    github.limits.primary = 1
    assert [client.get(pull.path).status_code for _ in range(2)] == [200, 403]
    with github.installation_on("other-org").client() as other:
        assert other.get("/repos/other-org/train").status_code == 200


@pytest.mark.parametrize("status", [403, 429])
def test_too_much_content_meets_the_secondary_limit(
    github: Simulator, client: httpx.Client, pull: OpenedPullRequest, status: int
) -> None:
    github.limits.content_per_minute, github.limits.secondary_status = 2, status
    answers = [say(client, pull) for _ in range(3)]
    assert [each.status_code for each in answers] == [201, 201, status]
    assert answers[2].headers["retry-after"] == "60"
    assert answers[2].json()["message"].startswith("You have exceeded a secondary rate limit")
    assert client.get(pull.path).status_code == 200
    assert len(pull.state()["conversation"]) == 2
    github.clock.advance(61)
    assert say(client, pull).status_code == 201


def test_writes_count_five_points(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.limits.points_per_minute, github.limits.retry_after = 7, None
    assert [say(client, pull).status_code, client.get(pull.path).status_code] == [201, 200]
    refused = say(client, pull)
    assert refused.status_code == 403
    assert "retry-after" not in refused.headers


def test_pygithub_understands_the_limits(github: Simulator, pull: OpenedPullRequest) -> None:
    token = Auth.Token(github.installation_on("octo-org").token())
    with Github(auth=token, base_url=github.url, retry=None) as api:
        github.faults.script("GET", "/pulls/1$", faults.primary_limit())
        with pytest.raises(RateLimitExceededException):
            api.get_repo("octo-org/train").get_pull(1)


def test_scripts_befall_a_route_in_order(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/1$", faults.server_error(500), None, faults.secondary_limit(429, 7))
    answers = [client.get(pull.path) for _ in range(4)]
    assert [each.status_code for each in answers] == [500, 200, 429, 200]
    assert answers[2].headers["retry-after"] == "7"
    assert client.get("/repos/octo-org/train").status_code == 200
    assert [fault.status for _, _, fault in github.faults.happened] == [500, 429]


@pytest.mark.parametrize("after_write", [False, True])
def test_a_reset_connection_may_hide_a_write(
    github: Simulator, client: httpx.Client, pull: OpenedPullRequest, after_write: bool
) -> None:
    github.faults.script("POST", "/comments$", faults.reset(after_write=after_write))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        say(client, pull)
    assert len(pull.state()["conversation"]) == after_write
    assert say(client, pull).status_code == 201


@pytest.mark.parametrize("after_write", [False, True])
def test_a_bad_gateway_may_hide_a_write(
    github: Simulator, client: httpx.Client, pull: OpenedPullRequest, after_write: bool
) -> None:
    github.faults.script("POST", "/reviews$", faults.server_error(502, after_write=after_write))
    answer = client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT"})
    assert answer.status_code == 502
    assert len(pull.state()["reviews"]) == after_write


def test_a_timeout_gives_no_answer(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/1$", faults.timeout(5))
    with pytest.raises(httpx.ReadTimeout):
        client.get(pull.path, timeout=0.1)
    started = time.monotonic()
    assert client.get(pull.path).status_code == 200
    assert time.monotonic() - started < 2


def test_a_slow_body_is_whole_in_the_end(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/1$", faults.slow_body(0.2))
    started = time.monotonic()
    assert client.get(pull.path).json()["number"] == 1
    assert time.monotonic() - started >= 0.2


def test_random_faults_are_a_share_and_repeat_with_their_seed() -> None:
    def storm(seed: int) -> list[int]:
        with Simulator() as github:
            pull = github.repository("octo-org/train").open_pull_request({"a.py": "1\n"})
            github.faults.at_random(0.2, seed=seed, kinds=[faults.server_error(500), faults.server_error(502)])
            with github.installation_on("octo-org").client() as client:
                return [client.get(pull.path).status_code for _ in range(150)]

    first = storm(7)
    assert 15 <= sum(code >= 500 for code in first) <= 45
    assert {200, 500, 502} == set(first)
    assert storm(7) == first
    assert storm(8) != first


def test_calls_are_kept_for_counting(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/1$", faults.reset())
    with pytest.raises(httpx.HTTPError):
        client.get(pull.path)
    say(client, pull)
    broken, said = github.calls
    assert (broken.status, broken.fault, broken.response) == (599, "reset", None)
    assert (said.method, said.status, said.request, said.fault) == ("POST", 201, {"body": "hello"}, None)
    assert said.response["body"] == "hello"
    assert said.caller == f"installation {github.installation_on('octo-org').id}"


def test_a_call_without_git_is_quick(client: httpx.Client, pull: OpenedPullRequest) -> None:
    client.get("/repos/octo-org/train")
    started = time.perf_counter()
    for _ in range(100):
        assert client.get("/repos/octo-org/train").status_code == 200
    assert time.perf_counter() - started < 2


def test_a_refused_review_may_leave_an_orphan(github: Simulator, client: httpx.Client, pull: OpenedPullRequest) -> None:
    comment = {"path": "a.py", "line": 99, "body": "off the diff"}
    github.faults.script("POST", "/reviews$", faults.orphan())
    first = client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT", "comments": [comment]})
    second = client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT"})
    assert (first.status_code, second.status_code) == (422, 422)
    assert second.json()["errors"] == ["User can only have one pending review per pull request"]
    (orphan,) = client.get(f"{pull.path}/reviews").json()
    assert (orphan["state"], orphan["body"]) == ("PENDING", "")
    assert client.delete(f"{pull.path}/reviews/{orphan['id']}").status_code == 200
    assert client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT"}).status_code == 200
