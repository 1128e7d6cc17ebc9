"""What we know of a pull request: frozen values, no I/O.

Everything between fetching and publishing is a function of these. Line numbers are 1-based, as on GitHub;
`side` is GitHub's word: LEFT is the merge base, RIGHT is the head.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """Which version of the file a line number counts in."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


class Status(StrEnum):
    """What happened to a file between merge base and head."""

    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a hunk: context has both numbers, an addition only `new`, a deletion only `old`.

    `text` is without the marker and without the newline; a carriage return of a CRLF file is kept.
    """

    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """The lines of one `@@` section. A multi-line comment must stay inside one hunk (GitHub's rule)."""

    lines: tuple[DiffLine, ...]

    def holds(self, line: int, side: Side = Side.RIGHT) -> bool:
        """Whether GitHub accepts a comment on this line."""
        return any((each.new if side is Side.RIGHT else each.old) == line for each in self.lines)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file of the pull request. `head`/`base` are None where the text is absent, binary or was not read;
    `unread` then says why, in words for the review's summary (empty when nothing is missing)."""

    path: str
    previous_path: str | None
    status: Status
    hunks: tuple[Hunk, ...]
    head: str | None = None
    base: str | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """Where a pull request is; enough to read it again at any time."""

    installation_id: int
    repository_id: int
    repository: str
    number: int


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment of ours that is on the pull request already, with what happened to it since."""

    thread_id: str
    comment_id: int
    comment_node_id: str
    body: str
    path: str
    line: int | None
    is_resolved: bool
    is_minimized: bool
    replied: bool
    downvoted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration as it was read, and what it is called in messages; `problem` says why it was not."""

    path: str
    text: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One head of a pull request, as read from GitHub: a snapshot that is never written to.

    `around` are texts of files that it does not change, by path: manifests, and modules that its files import.
    """

    ref: PullRequestRef
    title: str
    body: str
    author: str
    author_is_bot: bool
    is_draft: bool
    is_open: bool
    labels: tuple[str, ...]
    base_branch: str
    base_sha: str
    head_sha: str
    files: tuple[ChangedFile, ...]
    config_files: tuple[ConfigFile, ...] = ()
    threads: tuple[Thread, ...] = ()
    reviewed_heads: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    around: Mapping[str, str] = field(default_factory=dict)
