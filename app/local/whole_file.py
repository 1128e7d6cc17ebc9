"""Head texts that a diff alone gives away: of new files, and of files that it shows from first to last line."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from app.pull_request import ChangedFile, DiffLine, Hunk, Status

_SURELY_CHOSEN = 25
"""Whoever asks git for more context than this (`-U99999`) wants whole files."""


def context_of(files: Iterable[ChangedFile]) -> int:
    """At least how many lines of context git was asked for when it made this diff."""
    return max((length for file in files for hunk in file.hunks for length in _context(hunk)), default=0)


def head_of(file: ChangedFile, context: int) -> str | None:
    """The text at the head, None where the diff shows only parts of it; `context` is that of the diff.

    A hunk that starts at line 1 holds the whole file where less context follows its last change than git
    adds: the file ended there. How much git adds (`diff.context`, three lines unless told) shows in the
    longest context of the diff; where more follows than anybody sets as a habit, whole files were asked for.
    """
    if file.status is Status.ADDED:
        return _text(file.hunks)
    if len(file.hunks) != 1 or 1 not in (file.hunks[0].lines[0].new, file.hunks[0].lines[0].old):
        return None
    after = _trailing(file.hunks[0])
    return _text(file.hunks) if after < context or after > _SURELY_CHOSEN else None


def _text(hunks: Sequence[Hunk]) -> str:
    return "".join(f"{line.text}\n" for hunk in hunks for line in hunk.lines if line.new is not None)


def _trailing(hunk: Hunk) -> int:
    length = 0
    for line in reversed(hunk.lines):
        if not _is_context(line):
            break
        length += 1
    return length


def _context(hunk: Hunk) -> Iterator[int]:
    """What each run of context in a hunk says of it: between two changes there is room for twice as much."""
    runs = [(is_context, len(list(run))) for is_context, run in groupby(hunk.lines, _is_context)]
    for number, (is_context, length) in enumerate(runs):
        if is_context:
            is_between = 0 < number < len(runs) - 1
            yield (length + 1) // 2 if is_between else length


def _is_context(line: DiffLine) -> bool:
    return line.old is not None and line.new is not None
