"""Where on the diff a finding may stand.

GitHub rejects a whole review for one comment whose line is not in a hunk, or whose `start_line` is in another
hunk than its `line`: https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from app.notebooks import notebook
from app.pull_request import ChangedFile, Side
from detectors import Edit, Finding

LONGEST_COMMENT_RANGE = 10
"""A finding over more lines (a whole loop) is shown on its first one."""
LONGEST_SUGGESTION = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the diff; with `start_line` above it in the same hunk, a range."""

    line: int
    side: Side = Side.RIGHT
    start_line: int | None = None


@dataclass(frozen=True, slots=True)
class _Deleted:
    """A deleted line: its number at the base, the number the next line has at the head, its text."""

    old: int
    head_line: int
    text: str


class Placer:
    """Places the findings of one file on the file's hunks."""

    def __init__(self, file: ChangedFile) -> None:
        self._file = file
        self._hunk_of: dict[int, int] = {}
        self._deleted: list[_Deleted] = []
        self._is_notebook = file.path.lower().endswith(notebook.SUFFIX)
        ahead = 0  # lines that the head has more than the base, so far
        for number, hunk in enumerate(file.hunks):
            for line in hunk.lines:
                if line.new is not None:
                    self._hunk_of[line.new] = number
                    ahead = line.new - line.old if line.old is not None else ahead + 1
                elif line.old is not None:
                    text = notebook.plain(line.text) if self._is_notebook else line.text
                    self._deleted.append(_Deleted(line.old, line.old + ahead, text))
                    ahead -= 1

    def place(self, finding: Finding) -> Place | None:
        """On the finding's own lines, else a related one, else the deleted line that caused it, else the
        nearest line of its definition; None where the diff shows nothing of these."""
        own = self._shown(finding.line, finding.end_line)
        if own is not None:
            return own
        for related in finding.related:
            if related.line in self._hunk_of:
                return Place(related.line)
        return self._cause(finding) or self._nearest_in_definition(finding)

    def suggestion(self, finding: Finding) -> Edit | None:
        """The fix as one edit whose lines GitHub lets a suggestion replace: all in one hunk, at the head.

        Several edits close together become one that repeats the lines between them.
        """
        if not finding.fix or self._file.head is None:
            return None
        first, last = finding.fix[0].line, max(edit.end_line for edit in finding.fix)
        hunks = {self._hunk_of.get(line) for line in range(first, min(last, first + LONGEST_SUGGESTION) + 1)}
        if len(hunks) > 1 or None in hunks or last - first >= LONGEST_SUGGESTION:
            return None
        return _joined(finding.fix, self._file.head.split("\n"))

    def _shown(self, line: int, end_line: int) -> Place | None:
        if end_line - line >= LONGEST_COMMENT_RANGE:
            end_line = line
        shown = [each for each in range(line, end_line + 1) if each in self._hunk_of]
        if not shown:
            return None
        last = max(each for each in shown if self._hunk_of[each] == self._hunk_of[shown[0]])
        return Place(last, start_line=shown[0] if shown[0] < last else None)

    def _cause(self, finding: Finding) -> Place | None:
        """A deleted line that the mended code brings back, else the nearest one of the same function."""
        bad = {line.strip() for line in finding.bad.split("\n")}
        mended = {line.strip() for line in finding.good.split("\n")} - bad - {""}
        lines = self._definition_lines(finding)
        deleted = [each for each in self._deleted if lines is None or each.head_line in lines]
        caused = [each for each in deleted if each.text.strip() in mended]
        candidates = caused or ([] if lines is None else [each for each in deleted if each.text.strip()])
        nearest = min(candidates, key=lambda each: abs(each.head_line - finding.line), default=None)
        return Place(nearest.old, Side.LEFT) if nearest else None

    def _nearest_in_definition(self, finding: Finding) -> Place | None:
        lines = self._definition_lines(finding)
        if lines is None:
            return None
        shown = [line for line in lines if line in self._hunk_of]
        nearest = min(shown, key=lambda line: (abs(line - finding.line), line), default=None)
        return None if nearest is None else Place(nearest)

    def _definition_lines(self, finding: Finding) -> range | None:
        """The lines of the definition that holds the finding; None at module level or where it is unknown."""
        around = [lines for lines in self._definitions.get(finding.definition, ()) if finding.line in lines]
        return min(around, key=len, default=None)

    @cached_property
    def _definitions(self) -> dict[str, list[range]]:
        if self._is_notebook:  # its JSON is no Python, and may be long
            return {}
        try:
            tree = ast.parse(self._file.head or "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return {}
        found: dict[str, list[range]] = {}
        for name, lines in _definitions(tree, ""):
            found.setdefault(name, []).append(lines)
        return found


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, range]]:
    pending = [(node, prefix)]
    while pending:
        parent, outer = pending.pop()
        for child in ast.iter_child_nodes(parent):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{outer}.{child.name}" if outer else child.name
                yield name, range(child.lineno, (child.end_lineno or child.lineno) + 1)
            pending.append((child, name))


def _joined(fix: tuple[Edit, ...], head_lines: list[str]) -> Edit:
    """One edit that does what the edits do; they do not overlap and are in order."""
    text: list[str] = []
    at = fix[0].line
    for edit in fix:
        text += head_lines[at - 1 : edit.line - 1]
        if edit.text is not None:
            text.append(edit.text)
        at = edit.end_line + 1
    return Edit(fix[0].line, at - 1, "\n".join(text) if text else None)
