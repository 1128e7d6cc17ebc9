"""Deliveries become events: the signature first, then only what asks something of us."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events import (
    ActionRequested,
    CommandGiven,
    Event,
    Ignored,
    MergeGroupRequested,
    Ping,
    ReviewRequested,
)
from app.github.check_run import Memo
from app.pull_request import PullRequestRef
from app.webhook import LOOKED_AT, Malformed, WrongSignature, parse, signature_of

SECRET = "It's a Secret to Everybody"
WHERE = {"installation": {"id": 7}, "repository": {"id": 42, "full_name": "ada/engine"}}
REF = PullRequestRef(7, 42, "ada/engine", 5)
ADA = {"login": "ada", "type": "User"}
BOT = {"login": "mlstaff[bot]", "type": "Bot"}
PULL = {"pull_request": {"number": 5, "user": {"login": "grace", "type": "User"}}}


def event(name: str, payload: object) -> Event:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return parse(
        {
            "x-github-event": name,
            "x-github-delivery": "d1",
            "x-hub-signature-256": signature_of(body, SECRET),
        },
        body,
        secret=SECRET,
    )


def comment(**fields: object) -> dict[str, object]:
    return {"id": 9, "node_id": "N9", "body": "/mlstaff review", "user": ADA, **fields}


def test_the_signature_is_the_one_github_documents() -> None:
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature_of(b"Hello, World!", SECRET) == expected


@pytest.mark.parametrize("signature", [None, "", "sha256=", "sha1=abc", "sha256=" + "0" * 64, "ü"])
def test_a_wrong_or_missing_signature_is_refused_before_the_body_is_read(signature: str | None) -> None:
    headers = {"x-github-event": "ping", "x-github-delivery": "d1"}
    if signature is not None:
        headers["x-hub-signature-256"] = signature
    with pytest.raises(WrongSignature):
        parse(headers, b"this is not JSON", secret=SECRET)


def test_a_body_changed_after_signing_is_refused() -> None:
    headers = {"x-hub-signature-256": signature_of(b"{}", SECRET)}
    with pytest.raises(WrongSignature):
        parse(headers, b"{} ", secret=SECRET)


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("push", b"{", "Invalid JSON"),
        ("push", b"\xff\xfe", "Invalid JSON"),
        ("push", b"[1]", "object"),
        ("push", b"", "Invalid JSON"),
        ("ping", b"payload=%7B%7D", "application/json"),
        ("pull_request", b'{"action": "opened"}', "installation"),
        ("pull_request", json.dumps({"action": "opened", **WHERE}).encode(), "pull_request"),
        ("pull_request", json.dumps({"action": 5}).encode(), "action"),
    ],
)
def test_a_malformed_delivery_is_refused_with_the_place(name: str, body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        event(name, body)


@pytest.mark.parametrize("missing", ["x-github-event", "x-github-delivery"])
def test_a_delivery_without_its_headers_is_refused(missing: str) -> None:
    headers = {
        "x-github-event": "ping",
        "x-github-delivery": "d1",
        "x-hub-signature-256": signature_of(b"{}", SECRET),
    }
    del headers[missing]
    with pytest.raises(Malformed, match="required"):
        parse(headers, b"{}", secret=SECRET)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    with pytest.raises(Malformed) as refusal:
        event("pull_request", {"action": "opened", **WHERE, "pull_request": {"number": "ghs_token"}})
    assert "ghs_token" not in str(refusal.value)


@pytest.mark.parametrize("action", sorted(LOOKED_AT))
def test_a_new_head_is_reviewed(action: str) -> None:
    assert event("pull_request", {"action": action, **WHERE, **PULL}) == ReviewRequested(REF, "d1")


def test_an_edited_base_is_reviewed_and_an_edited_title_is_not() -> None:
    payload = {"action": "edited", **WHERE, **PULL}
    assert event("pull_request", {**payload, "changes": {"base": {"ref": {"from": "main"}}}}) == ReviewRequested(
        REF, "d1"
    )
    assert isinstance(event("pull_request", {**payload, "changes": {"title": {"from": "x"}}}), Ignored)


@pytest.mark.parametrize("action", ["labeled", "unlabeled"])
def test_only_our_label_counts(action: str) -> None:
    payload = {"action": action, **WHERE, **PULL}
    assert event("pull_request", {**payload, "label": {"name": "skip-mlstaff"}}) == ReviewRequested(REF, "d1")
    assert isinstance(event("pull_request", {**payload, "label": {"name": "bug"}}), Ignored)


@pytest.mark.parametrize(
    "name", ["push", "installation", "pull_request.closed", "check_run.created", "issue_comment.edited", "x"]
)
def test_what_is_not_ours_is_ignored_with_its_name(name: str) -> None:
    kind, _, action = name.partition(".")
    answer = event(kind, {"action": action} if action else {})
    assert isinstance(answer, Ignored)
    assert name in answer.reason


def test_a_command_in_the_conversation() -> None:
    issue = {"number": 5, "user": {"login": "grace"}, "pull_request": {"url": "…"}}
    payload = {"action": "created", **WHERE, "issue": issue, "comment": comment()}
    assert event("issue_comment", payload) == CommandGiven(
        REF, "d1", "conversation", 9, "N9", None, "ada", False, "/mlstaff review", "grace"
    )


def test_a_comment_on_an_issue_is_ignored() -> None:
    payload = {"action": "created", **WHERE, "issue": {"number": 5}, "comment": comment()}
    assert isinstance(event("issue_comment", payload), Ignored)


def test_a_command_in_a_thread_knows_the_first_comment_of_the_thread() -> None:
    payload = {"action": "created", **WHERE, **PULL}
    reply = event("pull_request_review_comment", {**payload, "comment": comment(in_reply_to_id=3)})
    first = event("pull_request_review_comment", {**payload, "comment": comment()})
    assert isinstance(reply, CommandGiven)
    assert isinstance(first, CommandGiven)
    assert (reply.place, reply.comment_id, reply.thread_comment_id) == ("thread", 9, 3)
    assert first.thread_comment_id == 9


def test_a_command_in_a_review() -> None:
    answer = event("pull_request_review", {"action": "submitted", **WHERE, **PULL, "review": comment()})
    assert isinstance(answer, CommandGiven)
    assert (answer.place, answer.comment_id, answer.thread_comment_id) == ("review", 9, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"body": "nice work"},
        {"body": None},
        {"body": "/mlstaff review", "user": BOT},
        {"body": "/mlstaff review", "user": None},
    ],
)
def test_a_comment_without_a_command_or_without_a_person_is_ignored(fields: dict[str, object]) -> None:
    payload = {"action": "submitted", **WHERE, **PULL, "review": comment(**fields)}
    assert isinstance(event("pull_request_review", payload), Ignored)


def test_a_check_run_is_of_the_pull_request_of_this_repository() -> None:
    elsewhere = {"number": 1, "base": {"repo": {"id": 999}}}
    here = {"number": 5, "base": {"repo": {"id": 42}}}
    run = {"id": 1, "head_sha": "abc", "pull_requests": [elsewhere, here]}
    payload = {"action": "rerequested", **WHERE, "check_run": run, "sender": ADA}
    assert event("check_run", payload) == ActionRequested(REF, "d1", "rerun", "ada", 1, "abc")


def test_a_bot_that_runs_a_check_again_asks_for_nothing_that_is_skipped() -> None:
    run = {"id": 1, "head_sha": "abc", "pull_requests": [{"number": 5}]}
    payload = {"action": "rerequested", **WHERE, "check_run": run, "sender": {"login": "ci[bot]", "type": "Bot"}}
    assert event("check_run", payload) == ReviewRequested(REF, "d1")


@pytest.mark.parametrize("name", ["5", str(Memo(5, 50, "abc"))])
def test_a_forks_check_run_is_known_by_the_name_we_gave_it(name: str) -> None:
    run = {"id": 1, "pull_requests": [], "external_id": name}
    payload = {"action": "rerequested", **WHERE, "check_run": run, "sender": ADA}
    assert event("check_run", payload) == ActionRequested(REF, "d1", "rerun", "ada", 1, "")


@pytest.mark.parametrize("name", [None, "", "/", "²", "5x", "-5"])
def test_a_check_run_of_nothing_is_ignored(name: str | None) -> None:
    run = {"id": 1, "pull_requests": [], "external_id": name}
    assert isinstance(event("check_run", {"action": "rerequested", **WHERE, "check_run": run, "sender": ADA}), Ignored)


def test_a_button_says_which_and_who() -> None:
    payload = {
        "action": "requested_action",
        **WHERE,
        "check_run": {"id": 3, "head_sha": "abc", "pull_requests": [{"number": 5}]},
        "requested_action": {"identifier": "ignore"},
        "sender": ADA,
    }
    assert event("check_run", payload) == ActionRequested(REF, "d1", "ignore", "ada", 3, "abc")


def test_a_check_suite_is_run_again() -> None:
    suite = {"id": 1, "pull_requests": [{"number": 5}]}
    assert event("check_suite", {"action": "rerequested", **WHERE, "check_suite": suite}) == ReviewRequested(REF, "d1")


def test_a_merge_group_is_answered() -> None:
    payload = {"action": "checks_requested", **WHERE, "merge_group": {"head_sha": "abc"}}
    assert event("merge_group", payload) == MergeGroupRequested(7, 42, "ada/engine", "abc", "d1")


def test_a_ping_is_a_ping() -> None:
    assert event("ping", {"zen": "Design for failure.", "hook_id": 1}) == Ping("Design for failure.")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.sampled_from(["pull_request", "issue_comment", "check_run", "merge_group", "ping"]),
    st.binary() | json_values.map(lambda value: json.dumps(value).encode()),
)
def test_no_signed_body_whatever_is_worse_than_malformed(name: str, body: bytes) -> None:
    with contextlib.suppress(Malformed):
        event(name, body)
