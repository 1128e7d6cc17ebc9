"""What GitHub knows: accounts, repositories, pull requests, reviews, checks

Plain values. The rules are in `reviewing`, `checking` and `conversation`; what the API shows is in `shapes`.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tests.simulator.diffs import Side
from tests.simulator.git import GitRepository

Json = dict[str, Any]
#: Roles from weakest to strongest: https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories
ROLES = ("none", "read", "triage", "write", "maintain", "admin")
AccountType = Literal["User", "Bot", "Organization"]


class Clock:
    """The simulator's time: the machine's, moved forward by `advance`."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass for the simulator only, e.g. until tokens expire or a limit resets."""
        self.offset += seconds

    def stamp(self) -> str:
        """Now, as the API writes it."""
        return iso(self.now())


def iso(seconds: float) -> str:
    """Seconds since 1970 as `2026-01-01T00:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(eq=False)
class Account:
    """A person, a bot or an organisation."""

    id: int
    login: str
    type: AccountType = "User"

    @property
    def is_organization(self) -> bool:
        """Whether repositories are owned in common here."""
        return self.type == "Organization"


@dataclass(eq=False)
class App:
    """The GitHub App under test. `permissions` is what it asks of installations."""

    id: int
    slug: str
    client_id: str
    owner: Account
    bot: Account
    private_key: str
    public_key: str
    webhook_secret: str
    permissions: dict[str, str]
    events: list[str]
    created_at: str
    webhook_url: str | None = None


@dataclass(eq=False)
class Installation:
    """The App on one account. `repositories` is `None` for all of them."""

    id: int
    account: Account
    permissions: dict[str, str]
    created_at: str
    repositories: set[int] | None = None
    suspended_at: str | None = None
    suspended_by: Account | None = None
    deleted: bool = False


@dataclass(eq=False)
class Repository:
    """A repository; a fork has a parent and the parent's git directory."""

    id: int
    owner: Account
    name: str
    git: GitRepository
    created_at: str
    private: bool = True
    default_branch: str = "main"
    parent: "Repository | None" = None
    archived: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, "PullRequest"] = field(default_factory=dict)
    check_runs: dict[int, "CheckRun"] = field(default_factory=dict)
    check_suites: dict[str, "CheckSuite"] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"


@dataclass(eq=False)
class Reaction:
    """One account's reaction; `content` in REST's words (`+1`, `eyes`, …)."""

    id: int
    user: Account
    content: str
    created_at: str


@dataclass(eq=False)
class IssueComment:
    """A comment in a pull request's conversation."""

    id: int
    pull_request: "PullRequest"
    user: Account
    body: str
    created_at: str
    updated_at: str
    reactions: list[Reaction] = field(default_factory=list)
    minimized_reason: str | None = None


@dataclass(frozen=True)
class Anchor:
    """Where a thread was opened: lines of one side of the diff of `commit` against `merge_base`.

    `line` is `None` for a comment on a whole file.
    """

    path: str
    commit: str
    merge_base: str
    side: Side
    line: int | None
    start_side: Side | None = None
    start_line: int | None = None
    position: int | None = None
    diff_hunk: str = ""


@dataclass(frozen=True)
class Placement:
    """Where a thread is now; `line` is `None` when it is outdated."""

    line: int | None
    start_line: int | None
    position: int | None
    commit: str


@dataclass(eq=False)
class Thread:
    """A review thread: one anchor, its comments in order."""

    id: int
    pull_request: "PullRequest"
    anchor: Anchor
    comments: list["ReviewComment"] = field(default_factory=list)
    resolved_by: Account | None = None
    placements: dict[tuple[str, str], Placement] = field(default_factory=dict)


@dataclass(eq=False)
class ReviewComment:
    """A comment in a thread; the first of the thread is what the others reply to."""

    id: int
    thread: Thread
    review: "Review"
    user: Account
    body: str
    created_at: str
    updated_at: str
    reactions: list[Reaction] = field(default_factory=list)
    minimized_reason: str | None = None

    @property
    def reply_to(self) -> "ReviewComment | None":
        """The thread's first comment, for the others."""
        first = self.thread.comments[0]
        return None if first is self else first


@dataclass(eq=False)
class Review:
    """A review; `state` in REST's words. A pending one is seen by its author only."""

    id: int
    pull_request: "PullRequest"
    user: Account
    body: str
    state: str
    commit: str
    created_at: str
    submitted_at: str | None = None
    reactions: list[Reaction] = field(default_factory=list)
    comments: list[ReviewComment] = field(default_factory=list)
    minimized_reason: str | None = None


@dataclass(eq=False)
class PullRequest:
    """A pull request. `heads` are all heads it ever had, the present one last."""

    id: int
    number: int
    repository: Repository
    head_repository: Repository
    head_ref: str
    base_ref: str
    base_sha: str
    heads: list[str]
    author: Account
    title: str
    body: str
    created_at: str
    updated_at: str
    draft: bool = False
    state: str = "open"
    merged_at: str | None = None
    closed_at: str | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[IssueComment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    @property
    def head_sha(self) -> str:
        """The present head."""
        return self.heads[-1]

    @property
    def merge_base(self) -> str:
        """The commit its diff starts from; the base itself when the histories share nothing."""
        return self.repository.git.merge_base(self.base_sha, self.head_sha) or self.base_sha

    @property
    def is_fork(self) -> bool:
        """Whether the head is in another repository."""
        return self.head_repository is not self.repository


@dataclass(eq=False)
class CheckSuite:
    """The App's check runs on one commit."""

    id: int
    repository: Repository
    head_sha: str
    head_branch: str | None
    created_at: str
    updated_at: str
    runs: list["CheckRun"] = field(default_factory=list)


@dataclass(eq=False)
class CheckRun:
    """A check run; `output` holds title, summary and text."""

    id: int
    suite: CheckSuite
    name: str
    status: str
    conclusion: str | None
    started_at: str | None
    completed_at: str | None
    details_url: str | None
    external_id: str
    output: Json = field(default_factory=dict)
    actions: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)


class Ids:
    """Identifiers. Comments, reviews and check runs are past 2^31, as they are on github.com."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._small: Iterator[int] = itertools.count(1_000_001)
        self._large: Iterator[int] = itertools.count(4_300_000_001)

    def small(self) -> int:
        """For accounts, repositories, installations and pull requests."""
        with self._lock:
            return next(self._small)

    def large(self) -> int:
        """For what there is so much of that 32 bits no longer hold it."""
        with self._lock:
            return next(self._large)
