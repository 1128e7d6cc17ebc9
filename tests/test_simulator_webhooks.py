"""The App is told of everything, signed, once"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from github import Auth, GithubIntegration

from tests.simulator import HostedRepository, OpenedPullRequest, Simulator


class Receiver:
    """A webhook that keeps what it gets and answers with `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        self.seconds = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers), body))
                time.sleep(receiver.seconds)
                self.send_response(receiver.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def github(receiver: Receiver) -> Iterator[Simulator]:
    with Simulator(webhook_url=receiver.url) as started:
        yield started


@pytest.fixture
def repository(github: Simulator) -> HostedRepository:
    return github.repository("octo-org/train", files={"a.py": "a = 1\n"})


@pytest.fixture
def pull(github: Simulator, repository: HostedRepository, receiver: Receiver) -> OpenedPullRequest:
    opened = repository.open_pull_request({"a.py": "a = 2\n"})
    github.webhooks.settle()
    receiver.got.clear()
    return opened


def told(github: Simulator, receiver: Receiver) -> list[tuple[str, str | None]]:
    github.webhooks.settle()
    return [(headers["X-GitHub-Event"], json.loads(body).get("action")) for headers, body in receiver.got]


def test_deliveries_are_signed_and_say_what_they_are(
    github: Simulator, repository: HostedRepository, receiver: Receiver
) -> None:
    pull = repository.open_pull_request({"a.py": "a = 2\n"}, author="contributor")
    assert told(github, receiver)[1:] == [("pull_request", "opened"), ("check_suite", "requested")]
    headers, body = receiver.got[1]
    digest = hmac.new(github.app.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["Content-Type"] == "application/json"
    payload = json.loads(body)
    assert payload["installation"]["id"] == github.installation_on("octo-org").id
    assert (payload["repository"]["full_name"], payload["sender"]["login"]) == ("octo-org/train", "contributor")
    assert (payload["pull_request"]["head"]["sha"], payload["number"]) == (pull.head_sha, pull.number)
    assert len({headers["X-GitHub-Delivery"] for headers, _ in receiver.got}) == 3


DEEDS: list[tuple[Callable[[OpenedPullRequest], object], list[tuple[str, str]]]] = [
    (lambda pull: pull.push({"a.py": "3\n"}), [("pull_request", "synchronize"), ("check_suite", "requested")]),
    (lambda pull: pull.force_push({"a.py": "3\n"}), [("pull_request", "synchronize"), ("check_suite", "requested")]),
    (lambda pull: pull.close(), [("pull_request", "closed")]),
    (lambda pull: pull.reopen(), [("pull_request", "reopened")]),
    (lambda pull: pull.edit(title="Other"), [("pull_request", "edited")]),
    (lambda pull: pull.retarget("main"), [("pull_request", "edited")]),
    (lambda pull: pull.convert_to_draft(), [("pull_request", "converted_to_draft")]),
    (lambda pull: pull.ready_for_review(), [("pull_request", "ready_for_review")]),
    (lambda pull: pull.label("skip-mlstaff"), [("pull_request", "labeled")]),
    (lambda pull: pull.comment("hello"), [("issue_comment", "created")]),
    (
        lambda pull: pull.edit_comment(pull.comment("x"), "y"),
        [("issue_comment", "created"), ("issue_comment", "edited")],
    ),
    (lambda pull: pull.review_with_body("x", author="maintainer"), [("pull_request_review", "submitted")]),
    (
        lambda pull: pull.comment_on_diff("a.py", 1, "x"),
        [("pull_request_review", "submitted"), ("pull_request_review_comment", "created")],
    ),
]


@pytest.mark.parametrize(("deed", "events"), DEEDS)
def test_each_deed_is_told(
    github: Simulator,
    receiver: Receiver,
    pull: OpenedPullRequest,
    deed: Callable[[OpenedPullRequest], object],
    events: list[tuple[str, str]],
) -> None:
    deed(pull)
    assert told(github, receiver) == events


def test_comments_in_a_thread_and_its_end_are_told(
    github: Simulator, receiver: Receiver, pull: OpenedPullRequest
) -> None:
    comment = pull.comment_on_diff("a.py", 1, "x", author="maintainer")
    pull.comment_in_thread(comment, "/mlstaff ignore", author="contributor")
    pull.resolve_thread(comment, user="maintainer")
    assert told(github, receiver)[2:] == [
        ("pull_request_review", "submitted"),
        ("pull_request_review_comment", "created"),
        ("pull_request_review_thread", "resolved"),
    ]
    reply = json.loads(receiver.got[3][1])
    assert (reply["comment"]["in_reply_to_id"], reply["comment"]["body"]) == (comment.id, "/mlstaff ignore")
    assert reply["pull_request"]["number"] == pull.number


def test_what_the_app_does_comes_back_to_it(github: Simulator, receiver: Receiver, pull: OpenedPullRequest) -> None:
    with github.installation_on("octo-org").client() as client:
        comments = [{"path": "a.py", "line": 1, "body": "look"}]
        client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT", "comments": comments})
        client.post("/repos/octo-org/train/check-runs", json={"name": "mlstaff", "head_sha": pull.head_sha})
    assert told(github, receiver) == [
        ("pull_request_review", "submitted"),
        ("pull_request_review_comment", "created"),
        ("check_run", "created"),
    ]
    senders = {json.loads(body)["sender"]["login"] for _, body in receiver.got}
    assert senders == {"mlstaff[bot]"}
    assert json.loads(receiver.got[0][1])["review"]["state"] == "commented"


def test_a_comment_is_on_an_issue_that_is_a_pull_request(
    github: Simulator, receiver: Receiver, pull: OpenedPullRequest
) -> None:
    pull.comment("/mlstaff help", author="maintainer")
    github.webhooks.settle()
    payload = json.loads(receiver.got[0][1])
    assert payload["issue"]["number"] == pull.number
    assert payload["issue"]["pull_request"]["url"].endswith(pull.path)
    assert payload["comment"]["user"]["login"] == "maintainer"


def test_an_edit_says_what_it_was(github: Simulator, receiver: Receiver, repository: HostedRepository) -> None:
    repository.push({"b.py": "1\n"}, branch="release")
    pull = repository.open_pull_request({"a.py": "2\n"})
    github.webhooks.settle()
    receiver.got.clear()
    pull.retarget("release")
    pull.edit(body="more")
    github.webhooks.settle()
    retargeted, edited = (json.loads(body)["changes"] for _, body in receiver.got)
    assert retargeted["base"]["ref"] == {"from": "main"}
    assert edited == {"body": {"from": ""}}


def test_a_merge_group_asks_for_checks(github: Simulator, receiver: Receiver, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"a.py": "2\n"})
    head = repository.merge_group(pull)
    github.webhooks.settle()
    payload = json.loads(receiver.got[-1][1])
    assert (payload["action"], payload["merge_group"]["head_sha"]) == ("checks_requested", head)
    with github.installation_on("octo-org").client() as client:
        body = {"name": "mlstaff", "head_sha": head, "conclusion": "success"}
        assert client.post(f"{repository.path}/check-runs", json=body).status_code == 201


def test_a_ping_has_no_installation(github: Simulator, receiver: Receiver) -> None:
    github.ping()
    github.webhooks.settle()
    payload = json.loads(receiver.got[-1][1])
    assert payload["hook"]["config"]["url"] == receiver.url
    assert "installation" not in payload


def test_events_not_subscribed_to_are_not_sent(github: Simulator, receiver: Receiver, pull: OpenedPullRequest) -> None:
    github.app.events.remove("issue_comment")
    pull.comment("hello")
    assert told(github, receiver) == []


def test_a_failed_delivery_is_kept_and_sent_again_only_when_asked(
    github: Simulator, receiver: Receiver, pull: OpenedPullRequest
) -> None:
    receiver.status = 500
    pull.comment("hello")
    github.webhooks.settle()
    receiver.status = 202
    integration = GithubIntegration(auth=Auth.AppAuth(github.app.id, github.app.private_key), base_url=github.url)
    assert integration.get_app().id == github.app.id
    with github.client(github.app_token()) as app:
        (failed,) = app.get("/app/hook/deliveries?status=failure").json()
        assert (failed["event"], failed["status_code"], failed["redelivery"]) == ("issue_comment", 500, False)
        full = app.get(f"/app/hook/deliveries/{failed['id']}").json()
        assert full["request"]["payload"]["comment"]["body"] == "hello"
        assert len(receiver.got) == 1
        assert app.post(f"/app/hook/deliveries/{failed['id']}/attempts").status_code == 202
        github.webhooks.settle()
        latest = app.get("/app/hook/deliveries?per_page=1").json()[0]
    assert (latest["guid"], latest["redelivery"], latest["status"]) == (failed["guid"], True, "OK")
    assert latest["id"] != failed["id"]
    first, second = receiver.got
    assert first[1] == second[1]
    assert first[0]["X-GitHub-Delivery"] == second[0]["X-GitHub-Delivery"] == failed["guid"]


def test_a_receiver_that_is_down_loses_nothing_for_good(github: Simulator, repository: HostedRepository) -> None:
    github.connect("http://127.0.0.1:9/webhook")
    repository.open_pull_request({"a.py": "2\n"})
    github.webhooks.settle()
    assert [(each.event, each.status) for each in github.deliveries if each.failed] == [
        ("pull_request", "failed to connect to host"),
        ("check_suite", "failed to connect to host"),
    ]


def test_the_log_is_paged_by_cursor_and_three_days_long(github: Simulator, pull: OpenedPullRequest) -> None:
    for number in range(5):
        pull.comment(f"comment {number}")
    github.webhooks.settle()
    with github.client(github.app_token()) as app:
        seen, url = [], "/app/hook/deliveries?per_page=3"
        while url:
            answer = app.get(url)
            seen += [each["id"] for each in answer.json()]
            url = answer.links.get("next", {}).get("url", "")
        assert seen == sorted((each.id for each in github.deliveries), reverse=True)
        assert len(seen) == 8
        assert app.get("/app/hook/deliveries?cursor=x").status_code == 422
        github.clock.advance(3 * 86_400 + 1)
        with github.client(github.app_token()) as later:
            assert later.get("/app/hook/deliveries").json() == []


def test_deliveries_can_come_late_and_out_of_order(
    github: Simulator, receiver: Receiver, pull: OpenedPullRequest
) -> None:
    github.webhooks.hold()
    for number in range(6):
        pull.comment(str(number))
    assert told(github, receiver) == []
    github.webhooks.release(shuffled_by=1)
    github.webhooks.settle()
    order = [json.loads(body)["comment"]["body"] for _, body in receiver.got]
    assert sorted(order) == list("012345")
    assert order != list("012345")


def test_some_deliveries_can_be_lost(github: Simulator, receiver: Receiver, pull: OpenedPullRequest) -> None:
    github.webhooks.lose(2)
    for number in range(3):
        pull.comment(str(number))
    github.webhooks.settle()
    assert [json.loads(body)["comment"]["body"] for _, body in receiver.got] == ["2"]
    assert sum(each.failed for each in github.deliveries) == 2


def test_an_answer_that_is_late_is_a_failure(github: Simulator, receiver: Receiver, pull: OpenedPullRequest) -> None:
    assert github.webhooks.answer_within == 10
    github.webhooks.answer_within, receiver.seconds = 0.05, 0.3
    pull.comment("hello")
    github.webhooks.settle()
    assert (github.deliveries[-1].status, github.deliveries[-1].status_code) == ("timed out", 504)


def test_a_push_to_a_fork_is_no_push_to_the_repository(
    github: Simulator, receiver: Receiver, repository: HostedRepository
) -> None:
    github.webhooks.settle()
    receiver.got.clear()
    pull = repository.open_pull_request({"a.py": "2\n"}, author="outsider", fork=True)
    pull.push({"a.py": "3\n"})
    assert told(github, receiver) == [("pull_request", "opened"), ("pull_request", "synchronize")]
    head = json.loads(receiver.got[1][1])["pull_request"]["head"]
    assert (head["sha"], head["repo"]["full_name"]) == (pull.head_sha, "outsider/train")
