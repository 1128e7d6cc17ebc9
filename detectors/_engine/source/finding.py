"""What a detector says: a finding, the lines it stands on, and the edit that mends it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """How much a finding matters; the order of definition is the order of severity."""

    BUG = "bug"
    """Wrong numbers, a crash, a leak or an exploit; shown inline."""
    RISK = "risk"
    """Costs time, memory, money, reproducibility or operability; shown inline."""
    ADVICE = "advice"
    """What a staff engineer would say over coffee; never inline by default."""

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Tier).index(self)


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replaces the whole lines `line..end_line` (1-based, inclusive) with `text`.

    `text` has no trailing newline; an insertion is written by repeating the neighbouring line.
    An empty tuple of lines cannot be expressed: `text=None` deletes the lines.
    """

    line: int
    end_line: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Related:
    """Another line that belongs to the finding: the loop, the missing counterpart, the definition."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place.

    `bad` is the author's own lines, dedented; `good` the same lines mended. `definition` (dotted, "" at
    module level) and `text` (the line, stripped) identify the finding when line numbers move.
    `fix` is empty where no safe edit exists; its edits do not overlap and are in order of line.
    """

    rule: str
    tier: Tier
    line: int
    end_line: int
    message: str
    bad: str
    good: str
    definition: str
    text: str
    fix: tuple[Edit, ...] = ()
    related: tuple[Related, ...] = ()


def introduced(head: Sequence[Finding], base: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of `head` that `base` does not have, in their order.

    Matched by rule, definition and line text, never by line number; what is left over is matched by rule and
    text alone, so that renaming a function brings nothing new.
    """
    left = Counter((each.rule, each.definition, each.text) for each in base)
    unmatched = []
    for finding in head:
        key = (finding.rule, finding.definition, finding.text)
        if left[key] > 0:
            left[key] -= 1
        else:
            unmatched.append(finding)
    moved = Counter[tuple[str, str]]()
    for (rule, _, text), count in left.items():
        moved[rule, text] += count
    new = []
    for finding in unmatched:
        if moved[finding.rule, finding.text] > 0:
            moved[finding.rule, finding.text] -= 1
        else:
            new.append(finding)
    return tuple(new)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits made; line endings of the text are kept.

    Raises:
        ValueError: two edits overlap, or an edit lies outside the text.
    """
    lines = [f"{line}\n" for line in text.split("\n")]  # as git and ast count them
    lines[-1] = lines[-1].removesuffix("\n")
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    below = len(lines) + 1
    for edit in sorted(edits, reverse=True):
        if not 1 <= edit.line <= edit.end_line < below:
            raise ValueError(f"edit of lines {edit.line}-{edit.end_line} overlaps another or is out of range")
        below = edit.line
        mended = [] if edit.text is None else [line + newline for line in edit.text.split("\n")]
        lines[edit.line - 1 : edit.end_line] = mended
    return "".join(lines)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or one detector on a file, that could not be analysed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that was found in one file, and what was left out."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
