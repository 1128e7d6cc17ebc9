"""What the bot says on GitHub: values, rendered last."""

from dataclasses import dataclass
from enum import StrEnum

from app.pull_request import Side


class Conclusion(StrEnum):
    """How a check run ends (GitHub's words)."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Comment:
    """One inline comment, placed on the diff. `start_line` is None for a single line, else above `line` in the
    same hunk. `body` is Markdown, ≤ 65,536 characters, and carries the hidden fingerprint."""

    path: str
    line: int
    side: Side
    start_line: int | None
    body: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """One line of the check run's list; `level` is failure, warning or notice."""

    path: str
    start_line: int
    end_line: int
    level: str
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class Review:
    """Everything one head is told. With no `comments` and an empty `body` no review is posted, only the check
    run closes. `summary` (≤ 65,535 characters) is the check run's Markdown, `title` its headline."""

    body: str
    comments: tuple[Comment, ...]
    conclusion: Conclusion
    title: str
    summary: str
    annotations: tuple[Annotation, ...]
