"""Unified diffs as values: `parse` reads one, `with_texts` gives a file its two texts.

The merge-base text of a file is never downloaded: it is the diff applied backwards to the head text. Lines
end at `\\n` and nowhere else, as for git and GitHub: a form feed or U+2028 inside a line does not end it.
https://git-scm.com/docs/diff-format#generate_patch_text_with_p
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from app.diff_names import names_of_header, plain_name, unprefixed
from app.pull_request import ChangedFile, DiffLine, Hunk, Side, Status

_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@")
_MODE = re.compile(r"(?:index [0-9a-f]+\.\.[0-9a-f]+|(?:new|deleted|new file|deleted file) mode) ([0-7]{6})$")
_SPECIAL_MODES = {"160000": "a submodule", "120000": "a symbolic link"}
_SECTION = ("diff --git ", "diff --cc ", "diff --combined ")
_NOT_PRINTABLE_ASCII = re.compile(r"[^\x20-\x7e]")


class BrokenDiff(ValueError):
    """A hunk that does not hold what its header promises, or does not fit the text."""


@dataclass(frozen=True, slots=True)
class BareLine(DiffLine):
    """A line without a newline at its end: the last of its file (`\\ No newline at end of file`)."""


@dataclass(slots=True)
class _Section:
    """What is known so far of the file that is being read."""

    old: str | None = None
    new: str | None = None
    status: Status = Status.MODIFIED
    unread: str = ""
    hunks: list[Hunk] = field(default_factory=list)
    crlf: bool = False
    is_git: bool = False
    has_names: bool = False
    is_broken: bool = False

    def file(self) -> ChangedFile | None:
        """The value; None where not even a name was found."""
        path = self.old if self.status is Status.REMOVED else self.new
        if not path:
            return None
        moved = self.status is Status.RENAMED
        hunks = () if self.unread else tuple(hunk for hunk in self.hunks if hunk.lines)
        return ChangedFile(path, self.old if moved else None, self.status, hunks, unread=self.unread)


def split_lines(text: str) -> list[str]:
    """The lines of a text without their `\\n`; a last newline ends a line and starts none."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def parse(diff_text: str) -> tuple[ChangedFile, ...]:
    """The files of a diff by git or `diff -u`, without their texts.

    Never raises: a file whose hunks are broken, and a binary, submodule, symbolic link or combined diff, has
    no hunks and says so in `unread`; the others are kept.
    """
    return tuple(_Reader(split_lines(diff_text)).files())


def parse_patch(patch: str) -> tuple[Hunk, ...]:
    """The hunks of one file's `patch`, as GitHub's list of a pull request's files gives it.

    Raises:
        BrokenDiff: the patch is not whole.
    """
    reader = _Reader(split_lines(patch))
    hunks = []
    while not reader.is_at_end:
        hunks.append(reader.hunk(crlf=False))
    return tuple(hunks)


class _Reader:
    """Walks the lines once; a hunk is taken by its header's counts, so content never looks like a header."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._lines)

    def files(self) -> Iterator[ChangedFile]:
        """Every file, in order."""
        section = _Section()
        while not self.is_at_end:
            if self._starts_section(section):
                if file := section.file():
                    yield file
                section = _Section()
            self._read_line(section)
        if file := section.file():
            yield file

    def _starts_section(self, section: _Section) -> bool:
        if self._lines[self._at].startswith(_SECTION):
            return True
        return section.has_names and not section.is_git and self._is_at_names()

    def _is_at_names(self) -> bool:
        pair = self._lines[self._at : self._at + 2]
        return len(pair) == 2 and pair[0].startswith("--- ") and pair[1].startswith("+++ ")

    def _read_line(self, section: _Section) -> None:
        line = self._lines[self._at]
        if line.startswith("@@ "):
            self._read_hunk(section)
            return
        if self._is_at_names() and not section.hunks and not section.is_broken:
            section.crlf = line.endswith("\r")
            old, new = (each.removesuffix("\r")[4:] for each in self._lines[self._at : self._at + 2])
            _read_names(section, plain_name(old), plain_name(new))
            self._at += 2
            return
        self._at += 1
        if line.startswith(_SECTION):
            section.is_git = True
        if section.is_git and not section.hunks and not section.is_broken:
            _read_header(section, line.removesuffix("\r"))

    def _read_hunk(self, section: _Section) -> None:
        try:
            section.hunks.append(self.hunk(crlf=section.crlf))
        except BrokenDiff as error:
            section.is_broken = True
            section.unread = section.unread or f"its diff is broken: {error}"

    def hunk(self, *, crlf: bool) -> Hunk:
        """The hunk that starts here; `crlf`: the diff itself has Windows line ends, as pasted from a form.

        Raises:
            BrokenDiff: what is wrong, with the line of the diff; at least one line is consumed.
        """
        header = _HUNK.match(self._lines[self._at])
        self._at += 1
        if header is None:
            raise BrokenDiff(f"line {self._at} is no hunk header")
        old, old_count, new, new_count = (1 if part is None else int(part) for part in header.groups())
        old_end, new_end = old + old_count, new + new_count
        lines: list[DiffLine] = []
        while old < old_end or new < new_end:
            mark, text = self._marked(crlf)
            is_old, is_new = mark in " -", mark in " +"
            lines.append(DiffLine(old if is_old else None, new if is_new else None, text))
            old += is_old
            new += is_new
            if old > old_end or new > new_end:
                raise BrokenDiff(f"the hunk is longer than its header says at line {self._at}")
            self._take_bare(lines)
        return Hunk(tuple(lines))

    def _marked(self, crlf: bool) -> tuple[str, str]:
        if self.is_at_end:
            raise BrokenDiff("it ends inside a hunk")
        line = self._lines[self._at]
        if crlf:
            line = line.removesuffix("\r")
        if line in ("", "\r"):  # an editor or mail program took the blank that marks an empty context line
            line = " " + line
        if line[0] not in " +-":
            raise BrokenDiff(f"line {self._at + 1} belongs to no hunk")
        self._at += 1
        return line[0], line[1:]

    def _take_bare(self, lines: list[DiffLine]) -> None:
        if not self.is_at_end and self._lines[self._at].startswith("\\ "):
            last = lines[-1]
            lines[-1] = BareLine(last.old, last.new, last.text)
            self._at += 1


def _read_header(section: _Section, line: str) -> None:
    keyword, _, rest = line.partition(" ")
    match keyword:
        case "diff" if rest.startswith("--git "):
            section.old, section.new = names_of_header(rest.removeprefix("--git "))
        case "diff" if rest.startswith(("--cc ", "--combined ")):
            section.old = section.new = plain_name(rest.partition(" ")[2])
            section.unread = "a combined diff of a merge, which has no single base"
        case "rename" | "copy" if rest.startswith("from "):
            section.old = plain_name(rest.removeprefix("from "))
            section.status = Status.RENAMED
        case "rename" | "copy" if rest.startswith("to "):
            section.new = plain_name(rest.removeprefix("to "))
        case "Binary" | "GIT" if rest.endswith(" differ") or rest == "binary patch":
            section.unread = section.unread or "a binary file"
        case _:
            _read_mode(section, line)


def _read_mode(section: _Section, line: str) -> None:
    if line.startswith("new file mode "):
        section.status = Status.ADDED
    elif line.startswith("deleted file mode "):
        section.status = Status.REMOVED
    mode = _MODE.match(line)
    if mode and mode[1] in _SPECIAL_MODES:
        section.unread = _SPECIAL_MODES[mode[1]]


def _read_names(section: _Section, old: str, new: str) -> None:
    section.has_names = True
    if old == "/dev/null":
        section.status, old = Status.ADDED, ""
    elif new == "/dev/null":
        section.status, new = Status.REMOVED, ""
    if section.status is Status.RENAMED:
        return
    header = section.old if section.status is Status.REMOVED else section.new
    if not header or not (new or old).endswith(header):
        section.old, section.new = unprefixed(old, new)


def with_texts(file: ChangedFile, head: str | None) -> ChangedFile:
    """The file with its head text and the merge-base text that follows from it.

    `head` is the whole text at the head, None for a removed file or where it could not be read. Where diff
    and text do not fit together (the head moved between two reads), `unread` says so and both stay None.
    """
    if file.unread:
        return file
    if head is None and file.status is not Status.REMOVED:
        return replace(file, unread="its text could not be read")
    try:
        base = _reversed(file.hunks, head or "")
    except BrokenDiff as error:
        return replace(file, unread=str(error))
    return replace(
        file,
        head=None if file.status is Status.REMOVED else head,
        base=None if file.status is Status.ADDED else base,
    )


def _reversed(hunks: Sequence[Hunk], head: str) -> str:
    head_lines = split_lines(head)
    base: list[str] = []
    at = 0
    for hunk in hunks:
        first = hunk.lines[0]
        start = at + (first.old or 0) - 1 - len(base) if first.new is None else first.new - 1
        if start < at:
            raise BrokenDiff("the hunks of its diff are out of order")
        base += head_lines[at:start]
        at = start
        for line in hunk.lines:
            if line.new is not None:
                _expect(head_lines, line)
                at = line.new
            if line.old is not None:
                base.append(line.text if line.new is None else head_lines[line.new - 1])
    base += head_lines[at:]
    if base and _base_ends_in_newline(hunks, head, at >= len(head_lines)):
        base.append("")
    return "\n".join(base)


def _expect(head_lines: Sequence[str], line: DiffLine) -> None:
    number = line.new or 0
    if number > len(head_lines):
        raise BrokenDiff(f"its text ends before line {number}, which the diff shows")
    if not _is_same(head_lines[number - 1], line.text):
        raise BrokenDiff(f"line {number} of its text is not what the diff shows")


def _is_same(text: str, shown: str) -> bool:
    """Equal, or different only where a decoding, a byte-order mark or a carriage return was lost."""
    if text == shown:
        return True
    return _NOT_PRINTABLE_ASCII.sub("", text) == _NOT_PRINTABLE_ASCII.sub("", shown)


def _base_ends_in_newline(hunks: Sequence[Hunk], head: str, reaches_end: bool) -> bool:
    """The diff speaks of the last newline only where its last hunk reaches the end of the file."""
    if hunks and reaches_end:
        last = next((line for line in reversed(hunks[-1].lines) if line.old is not None), None)
        return not isinstance(last, BareLine)
    return head.endswith("\n")


def touched(file: ChangedFile, side: Side = Side.RIGHT) -> frozenset[int]:
    """The added lines (RIGHT, numbers of the head) or the deleted ones (LEFT, numbers of the base)."""
    if side is Side.RIGHT:
        return frozenset(each.new for hunk in file.hunks for each in hunk.lines if each.new and not each.old)
    return frozenset(each.old for hunk in file.hunks for each in hunk.lines if each.old and not each.new)
