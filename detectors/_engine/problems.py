"""Problems: what a detector yields, with the lines it shows as they are and as they should be."""

import ast
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detectors._engine.finding import Finding, Related, Tier
from detectors._engine.mend import Change, Source
from detectors._engine.tree import Tree

EXCERPT = 12
"""The most lines that are shown."""


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
    """Which lines of a file a problem shows."""

    def __init__(self, tree: Tree, source: Source) -> None:
        self._tree, self._source = tree, source

    def shown(self, node: ast.AST) -> tuple[int, int]:
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

    def around(self, shown: tuple[int, int], changes: Sequence[Change], also: Iterable[ast.AST]) -> tuple[int, int]:
        """The lines of the ❌ block: the statement, what is changed and what belongs to it, where that is near."""
        first = min([shown[0], *(each.line for each in changes)])
        last = max([shown[1], *(each.end_line - (each.end_column == 0) for each in changes)])
        for node in also:
            line, end_line = self.shown(node)
            if max(last, end_line) - min(first, line) < EXCERPT:
                first, last = min(first, line), max(last, end_line)
        if last - first < EXCERPT:
            return first, last
        return shown[0], min(shown[1], shown[0] + EXCERPT)

    def mended(self, first: int, last: int, changes: Sequence[Change]) -> str:
        """The lines of the ❌ block with the changes; the place of the changes, where they are further off."""
        mended = dedented(self._source.changed(first, last, changes).split("\n"))
        if mended != dedented(self._source.lines[first - 1 : last]):
            return mended
        first = min(each.line for each in changes)
        last = min(max(each.end_line for each in changes), first + EXCERPT)
        return dedented(self._source.changed(first, last, changes).split("\n"))


def dedented(lines: list[str]) -> str:
    """The lines as one text, without the indentation they share."""
    return textwrap.dedent("\n".join(each.rstrip("\r") for each in lines)).strip("\n")
