"""Problems: what a detector yields, with the lines it shows as they are and as they should be."""

import ast
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.source.finding import Finding, Related, Tier
from detectors._engine.source.mend import Change, Source
from detectors._engine.source.tree import Tree

EXCERPT = 12
"""The most lines that are shown."""
LEFT_OUT = 2
"""No dots for fewer lines than these."""
Lines = tuple[int, int]
"""The first line and the last."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a detector yields: a finding without the detector's own name and page."""

    line: int
    end_line: int
    message: str
    bad: str
    good: str
    definition: str
    text: str
    fix: tuple[Change, ...]
    related: tuple[Related, ...]
    tier: Tier | None
    source: Source

    def found_by(self, rule: str, tier: Tier, good: str) -> Finding:
        """The finding, with the page's ✅ example where there is no mended code."""
        return Finding(
            rule=rule,
            tier=self.tier or tier,
            line=self.line,
            end_line=self.end_line,
            message=self.message,
            bad=self.bad,
            good=self.good or good.rstrip("\n"),
            definition=self.definition,
            text=self.text,
            fix=self.source.edits(self.fix) if self.fix else (),
            related=self.related,
        )


class Excerpts:
    """Which lines of a file a problem shows, in its ❌ block as they are and in its ✅ block with the changes."""

    def __init__(self, tree: Tree, source: Source) -> None:
        self._tree, self._source = tree, source

    def shown(self, node: ast.AST) -> Lines:
        """First and last line of the smallest statement around the node; of a compound statement its header."""
        statement = self._tree.statement(node)
        body = getattr(statement, "body", None)
        first = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", []))])
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            return first, max(
                statement.lineno,
                body[0].lineno - 1,
                getattr(node, "end_lineno", 0) if node is not statement else 0,
            )
        return first, statement.end_lineno or statement.lineno

    def around(self, shown: Lines, changes: Sequence[Change], also: Iterable[ast.AST]) -> list[Lines]:
        """The lines of the blocks, in order: the statement, what is changed, and what belongs to it while there is
        room. At least one change is among them, or the blocks would be alike."""
        spans = _joined([_cut(shown)])
        for position, change in enumerate(changes):
            wider = _joined([*spans, _cut(self._of(change))])
            if not position or _size(wider) <= EXCERPT:
                spans = wider
        for node in also:
            wider = _joined([*spans, self.shown(node)])
            if _size(wider) <= EXCERPT:
                spans = wider
        return spans

    def _of(self, change: Change) -> Lines:
        """The lines of a change; of one above a definition, its whole header."""
        last = change.end_line - (change.end_column == 0 and change.end_line > change.line)
        return change.line, max(last, self._headers.get(change.line, 0))

    @cached_property
    def _headers(self) -> dict[int, int]:
        """The last line of each definition's header, by its first: asked once for the many changes of a block."""
        return dict(map(self.shown, self._tree.all(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)))

    def written(self, spans: Iterable[Lines], changes: Sequence[Change] = ()) -> str:
        """These lines with the changes; dots where lines are left out."""
        texts: list[str] = []
        above = ""
        for first, last in spans:
            if texts:
                texts.append(min(self._source.indent(first), above + "    ", key=len) + "...")
            texts += self._source.changed(first, last, changes).split("\n")
            above = min(self._source.indent(first), self._source.indent(last), key=len)
        return _dedented(texts)


def _cut(span: Lines) -> Lines:
    return span[0], min(span[1], span[0] + EXCERPT - 1)


def _size(spans: list[Lines]) -> int:
    return sum(last - first + 1 for first, last in spans)


def _joined(spans: list[Lines]) -> list[Lines]:
    """In order, as one where little would be left out between them, or where all of it fits."""
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    if last - first < EXCERPT:
        return [(first, last)]
    joined: list[Lines] = []
    for first, last in sorted(spans):
        if joined and first - joined[-1][1] <= LEFT_OUT:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined


def _dedented(lines: list[str]) -> str:
    """The lines as one text, without the indentation they share."""
    return textwrap.dedent("\n".join(each.rstrip("\r") for each in lines)).strip("\n")
