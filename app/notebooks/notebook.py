"""Notebooks as one Python module, and what is found in the module moved to the lines of the notebook's file.

A notebook is JSON, and git and GitHub know the lines of that JSON alone. The scanner is our own: `nbformat`
(and `json`) give the cells without their places, and comments need nothing else. Outputs are never read.
https://nbformat.readthedocs.io/en/latest/format_description.html
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.diff import split_lines
from app.notebooks.cell_source import python_of
from app.notebooks.json_places import Places
from detectors import Analysis, Edit, Finding, Related, Skipped

SUFFIX = ".ipynb"
LARGEST = 50_000_000
"""Characters; what is larger is outputs."""

_CODE_SPAN = re.compile(r"(`[^`\n]+`)")
_LINES = re.compile(r"\blines? (\d+(?:(?:, | and )\d+)*)")
_REASON = re.compile(r"line (\d+): (.*)", re.S)
_STRING_LINE = re.compile(r'\s*("(?:[^"\\]|\\.)*"),?\s*')


class BrokenNotebook(ValueError):
    """There is no Python to read; the message says why, in words for the list of what was skipped."""


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of the module: where it is in the notebook (counted from 1, all cells count) and in its file.

    `layout` is what stands around the string on the JSON line, None where that line holds anything else or
    the string is not exactly this line: then nothing can be written in its place.
    """

    cell: int
    line: int
    json_line: int
    layout: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Notebook:
    """`module` is the Python of all cells in order; `lines` its lines."""

    module: str
    lines: tuple[CodeLine, ...]
    is_ascii: bool

    def moved(self, analysis: Analysis) -> Analysis:
        """What was found in the module, on the lines of the notebook's file."""
        findings = tuple(self._finding(each) for each in analysis.findings)
        return Analysis(findings, tuple(self._skipped(each) for each in analysis.skipped))

    def _finding(self, finding: Finding) -> Finding:
        first, last = self._at(finding.line), self._at(finding.end_line)
        return replace(
            finding,
            line=first.json_line,
            end_line=max(first.json_line, last.json_line),
            message=f"In {_where(first)}: {self._message(finding.message)}",
            fix=self._fix(finding.fix),
            related=tuple(self._related(each) for each in finding.related),
        )

    def _related(self, related: Related) -> Related:
        return Related(self._at(related.line).json_line, self._message(related.message))

    def _skipped(self, skipped: Skipped) -> Skipped:
        found = _REASON.fullmatch(skipped.reason)
        if not found or not self.lines:
            return skipped
        return Skipped(skipped.path, f"{_where(self._at(int(found[1])))}: {found[2]}")

    def _message(self, message: str) -> str:
        """Line numbers outside of code are the module's."""
        parts = _CODE_SPAN.split(message)
        return "".join(part if number % 2 else _LINES.sub(self._named, part) for number, part in enumerate(parts))

    def _named(self, numbers: re.Match[str]) -> str:
        return re.sub(r"\d+", lambda number: _where(self._at(int(number[0]))), numbers[1])

    def _at(self, line: int) -> CodeLine:
        return self.lines[min(max(line, 1), len(self.lines)) - 1]

    # -- fixes --------------------------------------------------------------------------------------------

    def _fix(self, fix: Sequence[Edit]) -> tuple[Edit, ...]:
        """The edits of the file that make the edits of the module; none where one of them cannot be made."""
        moved = [self._edit(edit) for edit in fix]
        return tuple(edit for edit in moved if edit is not None) if None not in moved else ()

    def _edit(self, edit: Edit) -> Edit | None:
        lines = self.lines[edit.line - 1 : edit.end_line]
        if not lines or len(lines) <= edit.end_line - edit.line:
            return None
        layouts = [line.layout for line in lines]
        last = layouts[-1]
        follow = all(line.json_line == lines[0].json_line + number for number, line in enumerate(lines))
        if None in layouts or last is None or not follow or len({line.cell for line in lines}) > 1:
            return None
        is_end = last[1] == ""
        if edit.text is None:
            # The string before would keep a comma that nothing follows.
            return None if is_end else Edit(lines[0].json_line, lines[-1].json_line, None)
        text = "\n".join(self._json_lines(edit.text.split("\n"), last, is_end=is_end))
        return Edit(lines[0].json_line, lines[-1].json_line, text)

    def _json_lines(self, lines: Sequence[str], layout: tuple[str, str], *, is_end: bool) -> Iterator[str]:
        indent, after = layout
        for number, line in enumerate(lines, start=1):
            ends_cell = is_end and number == len(lines)
            literal = json.dumps(line if ends_cell else f"{line}\n", ensure_ascii=self.is_ascii)
            yield f"{indent}{literal}{after if number == len(lines) else ','}"


def _where(line: CodeLine) -> str:
    return f"cell {line.cell}, line {line.line}"


def is_notebook(path: str) -> bool:
    """Whether a file is a notebook by its name."""
    return path.lower().endswith(SUFFIX)


def module_of(text: str) -> str:
    """The Python of a notebook's cells; empty where it cannot be read."""
    try:
        return read(text).module
    except BrokenNotebook:
        return ""


def plain(line: str) -> str:
    """The source line that a line of a notebook's file holds; a line that holds something else as it is."""
    found = _STRING_LINE.fullmatch(line)
    try:
        return str(json.loads(found[1])).removesuffix("\n") if found else line
    except ValueError:
        return line


def read(text: str) -> Notebook:
    """The notebook in a file's text.

    Raises:
        BrokenNotebook: it is too large, no notebook, too old, or not in Python.
    """
    if len(text) > LARGEST:
        raise BrokenNotebook(f"a notebook larger than {LARGEST // 1_000_000} MB")
    document = _loaded(text)
    _check(document)
    places = Places(text)
    cells = places.items(places.members(places.root)["cells"])
    module: list[str] = []
    lines: list[CodeLine] = []
    for number, (cell, at) in enumerate(zip(document["cells"], cells, strict=True), start=1):
        if _is_code(cell):
            source = _Source(places, places.members(at)["source"], cell["source"])
            python = python_of(source.lines)
            module += python
            lines += source.code_lines(number, python)
    return Notebook("".join(f"{line}\n" for line in module), tuple(lines), text.isascii())


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenNotebook(f"no notebook: line {error.lineno} is no JSON ({error.msg})") from None
    except (ValueError, RecursionError):
        raise BrokenNotebook("no notebook: its JSON is nested too deeply or has numbers too long") from None


def _check(document: Any) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        if isinstance(document, dict) and "worksheets" in document:
            raise BrokenNotebook("a notebook of format 3; `jupyter nbconvert --to notebook` brings it up to date")
        raise BrokenNotebook("no notebook: its JSON has no list of cells")
    for number, cell in enumerate(document["cells"], start=1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if not (
            isinstance(source, str) or (isinstance(source, list) and all(isinstance(each, str) for each in source))
        ):
            raise BrokenNotebook(f"no notebook: cell {number} has no source")
    language = _language(document.get("metadata"))
    if language and "python" not in language.lower():
        raise BrokenNotebook(f"a notebook in {language[:40]}, not in Python")


def _language(metadata: Any) -> str:
    if not isinstance(metadata, dict):
        return ""
    for part, key in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(part)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return ""


def _is_code(cell: dict[str, Any]) -> bool:
    """Editors that mix languages say so in the cell's metadata."""
    metadata = cell.get("metadata")
    editor = metadata.get("vscode") if isinstance(metadata, dict) else None
    language = editor.get("languageId", "python") if isinstance(editor, dict) else "python"
    return cell.get("cell_type") == "code" and language == "python"


class _Source:
    """A cell's source: its lines, and the strings that hold them."""

    def __init__(self, places: Places, at: int, source: str | list[str]) -> None:
        self._places = places
        self._strings = [source] if isinstance(source, str) else source
        self._starts = [at] if isinstance(source, str) else places.items(at)
        self.lines = [line.removesuffix("\r") for line in split_lines("".join(self._strings))]

    def code_lines(self, cell: int, python: Sequence[str]) -> Iterator[CodeLine]:
        """Where each line is; those that were made Python cannot be written to."""
        for number, string in enumerate(self._holders()):
            at = self._starts[string]
            is_whole = self._strings[string].removesuffix("\n") == self.lines[number] == python[number]
            layout = self._layout(at, is_last=string == len(self._strings) - 1) if is_whole else None
            yield CodeLine(cell, number + 1, self._places.line(at), layout)

    def _holders(self) -> Iterator[int]:
        """The number of the string in which each line begins."""
        is_new = True
        for number, string in enumerate(self._strings):
            first, *others = string.split("\n")
            if is_new and (first or others):
                yield number
                is_new = False
            for place, part in enumerate(others, start=1):
                is_new = not part and place == len(others)  # then the line begins in the next string
                if not is_new:
                    yield number

    def _layout(self, at: int, *, is_last: bool) -> tuple[str, str] | None:
        line = self._places.line(at)
        start, end = self._places.line_span(line)
        before, after = self._places.text[start:at], self._places.text[self._places.end(at) : end].rstrip("\r")
        if before.strip() or after.strip() != ("" if is_last else ","):
            return None
        return before, after
