"""Bytes and headers of a delivery -> Event: the signature is checked first, and nothing here does I/O.

What is decided here is whether a delivery asks anything of us. What is then done is decided from the pull
request's present state, since deliveries come late and out of order.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from app import payloads
from app.events import (
    RERUN,
    ActionRequested,
    CommandGiven,
    Event,
    Ignored,
    MergeGroupRequested,
    Ping,
    Place,
    ReviewRequested,
)

MAXIMUM_BYTES = 25 * 1024 * 1024
"""GitHub sends no larger payload: https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap"""

COMMAND = "/mlstaff"
SKIP_LABEL = "skip-mlstaff"
LOOKED_AT = frozenset({"opened", "synchronize", "reopened", "ready_for_review"})


class WrongSignature(Exception):
    """The body was not signed with our webhook secret."""


class Malformed(Exception):
    """The delivery is not what GitHub documents; the message says where."""


def signature_of(body: bytes, secret: str) -> str:
    """The value of X-Hub-Signature-256 for exactly these bytes.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def parse(headers: Mapping[str, str], body: bytes, *, secret: str) -> Event:
    """What the delivery asks. `headers` finds lower-case names.

    Raises:
        WrongSignature: the signature is missing or wrong; the body was not looked at.
        Malformed: a header or a field we need is missing, or the body is no JSON object.
    """
    signature = headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(signature_of(body, secret).encode(), signature.encode("utf-8", "replace")):
        raise WrongSignature("X-Hub-Signature-256 is missing or does not match the webhook secret")
    name, delivery = headers.get("x-github-event", ""), headers.get("x-github-delivery", "")
    if not name or not delivery:
        raise Malformed("the headers X-GitHub-Event and X-GitHub-Delivery are required")
    if body.startswith(b"payload="):
        raise Malformed("the webhook's content type must be application/json")
    try:
        action = payloads.Action.model_validate_json(body).action
        reader = _READERS.get(f"{name}.{action}" if action else name)
        if reader is None:
            return Ignored(f"nothing is done on {name}.{action}" if action else f"nothing is done on {name}")
        return reader(body, delivery)
    except ValidationError as error:
        raise Malformed(_in_words(error)) from None


def _in_words(error: ValidationError) -> str:
    """The first mistake, by its place; never the value, which may be anything."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _pull_request(body: bytes, delivery: str) -> Event:
    payload = payloads.PullRequestDelivery.model_validate_json(body)
    return ReviewRequested(payload.ref(payload.pull_request.number), delivery)


def _pull_request_edited(body: bytes, delivery: str) -> Event:
    payload = payloads.PullRequestDelivery.model_validate_json(body)
    if payload.changes.base is None:
        return Ignored("the title or the text was edited, not the base branch")
    return ReviewRequested(payload.ref(payload.pull_request.number), delivery)


def _pull_request_labeled(body: bytes, delivery: str) -> Event:
    payload = payloads.PullRequestDelivery.model_validate_json(body)
    if payload.label.name != SKIP_LABEL:
        return Ignored(f"the label is not {SKIP_LABEL}")
    return ReviewRequested(payload.ref(payload.pull_request.number), delivery)


def _issue_comment(body: bytes, delivery: str) -> Event:
    payload = payloads.IssueCommentDelivery.model_validate_json(body)
    if payload.issue.pull_request is None:
        return Ignored("a comment on an issue, not on a pull request")
    return _command(payload, payload.issue, payload.comment, delivery, "conversation")


def _review_comment(body: bytes, delivery: str) -> Event:
    payload = payloads.ReviewCommentDelivery.model_validate_json(body)
    return _command(payload, payload.pull_request, payload.comment, delivery, "thread")


def _review(body: bytes, delivery: str) -> Event:
    payload = payloads.ReviewDelivery.model_validate_json(body)
    return _command(payload, payload.pull_request, payload.review, delivery, "review")


def _command(
    payload: payloads.Delivery,
    pull_request: payloads.Authored,
    comment: payloads.Comment,
    delivery: str,
    place: Place,
) -> Event:
    if COMMAND not in (comment.body or "").lower():
        return Ignored("a comment without a command")
    if comment.user is None or comment.user.type != "User":
        # Our own answers quote commands: a bot that listens to bots never stops.
        return Ignored("commands are taken from people only")
    return CommandGiven(
        ref=payload.ref(pull_request.number),
        delivery=delivery,
        place=place,
        comment_id=comment.id,
        comment_node_id=comment.node_id,
        thread_comment_id=(comment.in_reply_to_id or comment.id) if place == "thread" else None,
        author=comment.user.login,
        author_is_bot=False,
        body=comment.body or "",
        pull_request_author=pull_request.user.login if pull_request.user else "",
    )


def _pull_request_of(payload: payloads.Delivery, check: payloads.Check) -> int | None:
    """The number of the pull request that a check is of: of this repository, else what we named it by first."""
    for named in check.pull_requests:
        if named.base is None or named.base.repo.id == payload.repository.id:
            return named.number
    own, _, _ = (check.external_id or "").partition("/")
    return int(own) if own.isascii() and own.isdigit() else None


def _check_run(body: bytes, delivery: str) -> Event:
    payload = payloads.CheckRunDelivery.model_validate_json(body)
    number = _pull_request_of(payload, payload.check_run)
    if number is None:
        return Ignored("the check run names no pull request of this repository")
    if payload.requested_action is None and payload.sender.type != "User":
        return ReviewRequested(payload.ref(number), delivery)  # nobody asks for what is skipped
    return ActionRequested(
        ref=payload.ref(number),
        delivery=delivery,
        identifier=payload.requested_action.identifier if payload.requested_action else RERUN,
        author=payload.sender.login,
        check_run_id=payload.check_run.id,
        head_sha=payload.check_run.head_sha,
    )


def _check_suite(body: bytes, delivery: str) -> Event:
    payload = payloads.CheckSuiteDelivery.model_validate_json(body)
    number = _pull_request_of(payload, payload.check_suite)
    if number is None:
        return Ignored("the check suite names no pull request of this repository")
    return ReviewRequested(payload.ref(number), delivery)


def _merge_group(body: bytes, delivery: str) -> Event:
    payload = payloads.MergeGroupDelivery.model_validate_json(body)
    return MergeGroupRequested(
        installation_id=payload.installation.id,
        repository_id=payload.repository.id,
        repository=payload.repository.full_name,
        head_sha=payload.merge_group.head_sha,
        delivery=delivery,
    )


def _ping(body: bytes, delivery: str) -> Event:
    return Ping(payloads.PingDelivery.model_validate_json(body).zen)


_READERS: dict[str, Callable[[bytes, str], Event]] = {
    **{f"pull_request.{action}": _pull_request for action in LOOKED_AT},
    "pull_request.edited": _pull_request_edited,
    "pull_request.labeled": _pull_request_labeled,
    "pull_request.unlabeled": _pull_request_labeled,
    "issue_comment.created": _issue_comment,
    "pull_request_review_comment.created": _review_comment,
    "pull_request_review.submitted": _review,
    "check_run.rerequested": _check_run,
    "check_run.requested_action": _check_run,
    "check_suite.rerequested": _check_suite,
    "merge_group.checks_requested": _merge_group,
    "ping": _ping,
}


def is_acted_on(event: str, action: str | None) -> bool:
    """Whether anything may be done on such a delivery."""
    return event != "ping" and (f"{event}.{action}" if action else event) in _READERS


KNOWN_EVENTS = frozenset(name.partition(".")[0] for name in _READERS)
"""The names that are safe as a label of metrics."""
