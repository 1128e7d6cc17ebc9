"""What GitHub asks of us, as frozen values, and the two ways in which doing it may end early.

`app.webhook` makes these values, `app.queue.jobs` keeps them until they are done, `app.reviewer` does them.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from app.pull_request import PullRequestRef

Place = Literal["conversation", "review", "thread"]
RERUN, IGNORE_THESE = "rerun", "ignore"
"""The identifiers of our buttons, which come back to us as requested actions."""


@dataclass(frozen=True, slots=True)
class ReviewRequested:
    """A pull request has a head, base or label that we have not looked at, or its whole check suite is run again."""

    ref: PullRequestRef
    delivery: str


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """Somebody wrote a comment with `/mlstaff` in it. `body` is the whole comment, unparsed.

    `place` says which API answers: *conversation* is an issue comment, *thread* a comment on the diff
    (`thread_comment_id` is then the first comment of its thread, the one that takes replies), *review* the
    body of a review (`comment_id` is the review's id).
    """

    ref: PullRequestRef
    delivery: str
    place: Place
    comment_id: int
    comment_node_id: str
    thread_comment_id: int | None
    author: str
    author_is_bot: bool
    body: str
    pull_request_author: str = ""


@dataclass(frozen=True, slots=True)
class ActionRequested:
    """Somebody pressed a button of our check run, or GitHub's own *Re-run* beside it, which is `RERUN` as well;
    `identifier` is the one we gave the button."""

    ref: PullRequestRef
    delivery: str
    identifier: str
    author: str
    check_run_id: int
    head_sha: str


@dataclass(frozen=True, slots=True)
class MergeGroupRequested:
    """A merge queue waits for our check on the head of a group; silence stalls the queue.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#merge_group
    """

    installation_id: int
    repository_id: int
    repository: str
    head_sha: str
    delivery: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that asks nothing of us, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """GitHub tries the webhook's address; `zen` is its sentence."""

    zen: str


Request = ReviewRequested | CommandGiven | ActionRequested | MergeGroupRequested
Event = Request | Ignored | Ping


class RetryLater(Exception):
    """What was asked cannot be done now: the job is put back for `seconds`; the worker is free meanwhile."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"to be tried again in {seconds:g} s")
        self.seconds = seconds


class Trouble(RetryLater):
    """It failed for no reason of its own: GitHub, or the way there, is unwell. `seconds` is the shortest pause;
    the queue makes it longer each time the same request meets trouble."""


class GiveUp(Exception):
    """What was asked can never be done (repository gone, installation suspended): the job ends, in words."""


_ADAPTERS: dict[str, TypeAdapter[Request]] = {
    kind.__name__: TypeAdapter(kind) for kind in (ReviewRequested, CommandGiven, ActionRequested, MergeGroupRequested)
}


def kind_of(request: Request) -> str:
    """The request's name in logs, metrics and the store; `load` takes it back."""
    return type(request).__name__


def dump(request: Request) -> dict[str, object]:
    """The request as plain JSON values."""
    plain: dict[str, object] = _ADAPTERS[kind_of(request)].dump_python(request, mode="json")
    return plain


def load(kind: str, plain: object) -> Request:
    """The request that `dump` described.

    Raises:
        KeyError: no request is called `kind` (written by another version of mlstaff).
        pydantic.ValidationError: its fields are not those of this version.
    """
    return _ADAPTERS[kind].validate_python(plain)
