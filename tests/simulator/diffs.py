"""Files, hunks and lines of a diff, and where a comment may stand on them

A line of a diff is named by its side (LEFT the old file, RIGHT the new one) and its number there:
https://docs.github.com/rest/pulls/comments#create-a-review-comment-for-a-pull-request
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

Side = Literal["LEFT", "RIGHT"]
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


class RawEntry(NamedTuple):
    """One record of `git diff-tree --raw`."""

    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str
    status: str
    old_path: str
    new_path: str


class Line(NamedTuple):
    """One line of a hunk: its mark (` `, `+`, `-`, `\\`), its number on each side, its place below the first @@."""

    mark: str
    old: int | None
    new: int | None
    position: int
    text: str


@dataclass(frozen=True)
class Hunk:
    """A hunk; counts are those of its header."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    header: str
    lines: tuple[Line, ...]

    def find(self, side: Side, number: int) -> Line | None:
        """The line with this number on this side."""
        for line in self.lines:
            if number == (line.new if side == "RIGHT" else line.old):
                return line
        return None

    def until(self, line: Line) -> str:
        """The hunk down to a line: what GitHub shows above a comment as `diff_hunk`."""
        shown = [each.mark + each.text for each in self.lines if each.position <= line.position]
        return "\n".join([self.header, *shown])


@dataclass(frozen=True)
class FileDiff:
    """One file of a diff; `patch` is the text from its first @@ on, empty when there is none."""

    path: str
    previous_path: str | None
    status: str
    old_sha: str
    new_sha: str
    header: bytes
    body: bytes = field(repr=False)
    binary: bool

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        """The hunks, in order."""
        return tuple(_hunks(self.body))

    @cached_property
    def additions(self) -> int:
        """Lines with a plus."""
        return sum(line.mark == "+" for hunk in self.hunks for line in hunk.lines)

    @cached_property
    def deletions(self) -> int:
        """Lines with a minus."""
        return sum(line.mark == "-" for hunk in self.hunks for line in hunk.lines)

    @property
    def patch(self) -> str:
        """The hunks as text, without the last newline, as the API gives it."""
        return self.body.decode("utf-8", "replace").removesuffix("\n")

    def find(self, side: Side, number: int) -> tuple[Hunk, Line] | None:
        """The hunk and the line with this number on this side, if the diff shows it."""
        for hunk in self.hunks:
            line = hunk.find(side, number)
            if line is not None:
                return hunk, line
        return None

    def at_position(self, position: int) -> tuple[Hunk, Line] | None:
        """The line so many lines below the first @@."""
        for hunk in self.hunks:
            for line in hunk.lines:
                if line.position == position and line.mark != "\\":
                    return hunk, line
        return None

    def moved(self, number: int) -> int | None:
        """Where a line of the old file is in the new one; `None` when it was changed or removed."""
        offset = 0
        for hunk in self.hunks:
            if number < hunk.old_start + (hunk.old_count == 0):
                break
            if number < hunk.old_start + hunk.old_count:
                line = hunk.find("LEFT", number)
                return line.new if line is not None else None
            offset += hunk.new_count - hunk.old_count
        return number + offset


@dataclass(frozen=True)
class Diff:
    """The files of a diff in git's order, and its whole text."""

    files: tuple[FileDiff, ...]
    text: bytes = field(repr=False)

    @cached_property
    def by_path(self) -> dict[str, FileDiff]:
        """Files by their path in the new tree (in the old one where removed)."""
        return {file.path: file for file in self.files}

    @cached_property
    def by_old_path(self) -> dict[str, FileDiff]:
        """Files by their path in the old tree."""
        return {file.previous_path or file.path: file for file in self.files if file.status != "added"}

    @cached_property
    def lines(self) -> int:
        """Lines of the whole text."""
        return self.text.count(b"\n")


def parse_raw(out: bytes) -> list[RawEntry]:
    """Records of `git diff-tree -r --raw`."""
    entries = []
    for line in out.splitlines() if out.startswith(b":") else ():
        head, *names = line.split(b"\t")
        old_mode, new_mode, old_sha, new_sha, status = head.decode().lstrip(":").split()
        paths = [_unquoted(name) for name in names]
        entries.append(RawEntry(old_mode, new_mode, old_sha, new_sha, status[0], paths[0], paths[-1]))
    return entries


def _unquoted(name: bytes) -> str:
    """A path as git writes it: in quotes, with escapes and octal bytes, when it is not plain ASCII."""
    if name.startswith(b'"'):
        inner = re.sub(rb"\\([0-7]{3}|.)", lambda match: _ESCAPES.get(match[1]) or _octal(match[1]), name[1:-1])
        return inner.decode("utf-8", "replace")
    return name.decode()


def _octal(digits: bytes) -> bytes:
    return bytes([int(digits, 8)]) if len(digits) == 3 else digits


def parse_patch(entries: list[RawEntry], text: bytes) -> Diff:
    """A diff from git's records and its patch text, which list the same files in the same order."""
    sections = _sections(text)
    files = []
    for entry in entries:
        section = next(sections, b"")
        if entry.status == "T":  # a changed type is written as a removal and an addition
            section += next(sections, b"")
        files.append(_file(entry, section))
    return Diff(tuple(files), text)


def _sections(text: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in re.finditer(rb"^diff --git ", text, re.MULTILINE)]
    return (text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=False))


def _file(entry: RawEntry, section: bytes) -> FileDiff:
    start = re.search(rb"^@@ ", section, re.MULTILINE)
    at = start.start() if start else len(section)
    return FileDiff(
        path=entry.new_path,
        previous_path=entry.old_path if entry.status in "RC" else None,
        status=_STATUS[entry.status],
        old_sha=entry.old_sha,
        new_sha=entry.new_sha,
        header=section[:at],
        body=section[at:],
        binary=b"\nBinary files " in section[:at],
    )


def _hunks(body: bytes) -> Iterator[Hunk]:
    position = 0
    for nth, part in enumerate(_hunk_texts(body)):
        header, *rows = part.split(b"\n")[:-1]
        match = _HUNK.match(header)
        assert match is not None
        old, old_count, new, new_count = (1 if group is None else int(group) for group in match.groups())
        position += nth > 0
        lines = tuple(_lines(rows, old, new, position))
        yield Hunk(old, old_count, new, new_count, header.decode("utf-8", "replace"), lines)
        position += len(rows)


def _hunk_texts(body: bytes) -> list[bytes]:
    starts = [match.start() for match in re.finditer(rb"^@@ -", body, re.MULTILINE)]
    ends = [*starts[1:], len(body)]
    return [body[start:end] for start, end in zip(starts, ends, strict=False)]  # no hunks: only an end


def _lines(rows: list[bytes], old: int, new: int, position: int) -> Iterator[Line]:
    for row in rows:
        position += 1
        mark = chr(row[0]) if row else " "
        text = row[1:].decode("utf-8", "replace")
        yield Line(mark, old if mark in " -" else None, new if mark in " +" else None, position, text)
        old += mark in " -"
        new += mark in " +"
