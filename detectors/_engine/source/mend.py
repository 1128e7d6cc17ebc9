"""Mending: changes to the source at character precision, joined into the line edits a suggestion needs.

Positions come from `ast` (UTF-8 columns), so everything outside the change stays as the author wrote it.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detectors._engine.source.finding import Edit
from detectors._engine.source.tree import Tree


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """Replaces the characters from (line, column) up to (end_line, end_column); 1-based lines, 0-based columns."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Source:
    """The lines of a file and the changes that can be made to them."""

    def __init__(self, text: str, tree: Tree) -> None:
        self.lines = text.split("\n")
        self._tree = tree

    def column(self, line: int, offset: int) -> int:
        """A character column from `ast`'s UTF-8 offset."""
        text = self.lines[line - 1]
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="replace"))

    def of(self, node: ast.AST) -> str:
        """The node's source text as written."""
        line, column, end_line, end_column = self._span(node)
        if line == end_line:
            return self.lines[line - 1][column:end_column]
        middle = self.lines[line : end_line - 1]
        return "\n".join([self.lines[line - 1][column:], *middle, self.lines[end_line - 1][:end_column]])

    def _span(self, node: ast.AST) -> tuple[int, int, int, int]:
        end_line: int = node.end_lineno  # type: ignore[attr-defined]
        line: int = node.lineno  # type: ignore[attr-defined]
        start = self.column(line, node.col_offset)  # type: ignore[attr-defined]
        return line, start, end_line, self.column(end_line, node.end_col_offset)  # type: ignore[attr-defined]

    def indent(self, line: int) -> str:
        """The white space a line starts with."""
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    # -- changes ------------------------------------------------------------------------------------------

    def replace(self, node: ast.AST, text: str) -> Change:
        """Puts `text` in the node's place."""
        return Change(*self._span(node), text)

    def insert_before(self, statement: ast.stmt, text: str) -> Change:
        """Puts a statement on its own line above this one (above its decorators), at its indentation."""
        line = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", []))])
        column = len(self.indent(line))
        return Change(line, column, line, column, f"{text}\n{self.indent(line)}")

    def insert_after(self, statement: ast.stmt, text: str) -> Change:
        """Puts a statement on its own line below this one, at its indentation, after a trailing comment."""
        line = statement.end_lineno or statement.lineno
        end = len(self.lines[line - 1].rstrip("\r"))
        return Change(line, end, line, end, f"\n{self.indent(statement.lineno)}{text}")

    def delete(self, statement: ast.stmt) -> Change:
        """Takes the statement's lines out; `pass` stays where it was alone in its block."""
        if len(self._tree.block(statement)) == 1:
            return self.replace(statement, "pass")
        last = statement.end_lineno or statement.lineno
        return Change(statement.lineno, 0, last + 1, 0, "")

    def move_before(self, statement: ast.stmt, anchor: ast.stmt) -> tuple[Change, ...]:
        """Puts a statement, with its comment, above another one of its block; empty where that is no whole edit."""
        text = self._movable(statement, anchor)
        return (self.insert_before(anchor, text), self.delete(statement)) if text else ()

    def move_after(self, statement: ast.stmt, anchor: ast.stmt) -> tuple[Change, ...]:
        """Puts a statement, with its comment, below another one of its block; empty where that is no whole edit."""
        text = self._movable(statement, anchor)
        return (self.delete(statement), self.insert_after(anchor, text)) if text else ()

    def _movable(self, statement: ast.stmt, anchor: ast.stmt) -> str:
        block = self._tree.block(statement)
        lines = self.lines[statement.lineno - 1 : statement.end_lineno]
        shared = [each for each in block if each is not statement and _share_lines(each, statement)]
        whole = block is self._tree.block(anchor) and statement is not anchor and not shared
        return "\n".join(lines).strip() if whole and lines[0][: statement.col_offset].strip() == "" else ""

    def wrap(self, node: ast.AST, before: str, after: str) -> tuple[Change, Change]:
        """Puts text around a node."""
        line, column, end_line, end_column = self._span(node)
        return Change(line, column, line, column, before), Change(end_line, end_column, end_line, end_column, after)

    def set_keyword(self, call: ast.Call, name: str, value: str) -> Change:
        """Gives the call this keyword argument, in place of the one it has; on its own line where the others are."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return self.replace(keyword.value, value)
        given: Sequence[ast.AST] = [*call.args, *call.keywords]
        if given:
            line, column, end_line, end_column = self._span(max(given, key=lambda each: self._span(each)[2:]))
            before = self.lines[line - 1][:column]
            between = f",\n{before}" if not before.strip() else ", "
            return Change(end_line, end_column, end_line, end_column, f"{between}{name}={value}")
        _, _, end_line, end_column = self._span(call)
        return Change(end_line, end_column - 1, end_line, end_column - 1, f"{name}={value}")

    def remove_argument(self, call: ast.Call, name: str) -> Change | None:
        """Takes a keyword argument out, with its comma; None where the call does not have it."""
        given: list[ast.AST] = sorted([*call.args, *call.keywords], key=lambda each: self._span(each)[:2])
        for position, argument in enumerate(given):
            if not isinstance(argument, ast.keyword) or argument.arg != name:
                continue
            line, column, end_line, end_column = self._span(argument)
            if position + 1 < len(given):
                end_line, end_column = self._span(given[position + 1])[:2]
            elif position:
                line, column = self._span(given[position - 1])[2:]
            return Change(line, column, end_line, end_column, "")
        return None

    def indent_block(self, statements: Sequence[ast.stmt], header: str) -> tuple[Change, ...]:
        """Puts consecutive statements under a block header such as `with torch.no_grad():`.

        Lines inside multi-line strings keep their text. Empty where the statements share lines with other code.
        """
        first, last = statements[0].lineno, statements[-1].end_lineno or statements[-1].lineno
        if self.lines[first - 1][: statements[0].col_offset].strip():
            return ()
        kept = {
            line
            for statement in statements
            for node in ast.walk(statement)
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno
            for line in range(node.lineno + 1, node.end_lineno + 1)
        }
        indent = self.indent(first)
        changes = [Change(first, 0, first, 0, f"{indent}{header}\n    ")]
        changes.extend(
            Change(line, 0, line, 0, "    ")
            for line in range(first + 1, last + 1)
            if line not in kept and self.lines[line - 1].strip()
        )
        return tuple(changes)

    # -- from changes to edits ----------------------------------------------------------------------------

    def changed(self, first: int, last: int, changes: Iterable[Change]) -> str:
        """The lines `first..last` with the changes made; changes outside them are left out."""
        lines = [*self.lines[first - 1 : last], ""]
        for change in sorted(changes, reverse=True):
            if not first <= change.line <= change.end_line <= last + 1:
                continue
            start, end = change.line - first, min(change.end_line - first, len(lines) - 1)
            head = lines[start][: change.column]
            tail = lines[end][change.end_column :] if change.end_line <= last else ""
            if change.end_line > last and not change.end_column:
                lines[start : end + 1] = [*(head + change.text).split("\n")][:-1] or [""]
                lines = [*lines, ""] if lines[-1] else lines
            else:
                lines[start : end + 1] = (head + change.text + tail).split("\n")
        return "\n".join(lines[:-1] if lines[-1] == "" else lines)

    def edits(self, changes: Sequence[Change]) -> tuple[Edit, ...]:
        """The changes as edits of whole lines; changes of neighbouring lines become one edit."""
        edits: list[Edit] = []
        groups: list[tuple[int, int, list[Change]]] = []
        for change in sorted(changes):
            last = change.end_line - (1 if change.end_column == 0 and change.end_line > change.line else 0)
            if groups and change.line <= groups[-1][1] + 1:
                first, before, members = groups.pop()
                groups.append((first, max(before, last), [*members, change]))
            else:
                groups.append((change.line, last, [change]))
        for first, last, members in groups:
            whole = all(each.text == "" and each.column == 0 and each.end_column == 0 for each in members)
            text = None if whole and sum(each.end_line - each.line for each in members) == last - first + 1 else ""
            edits.append(Edit(first, last, self.changed(first, last, members) if text is not None else None))
        return tuple(edits)


def _share_lines(one: ast.stmt, other: ast.stmt) -> bool:
    return one.lineno <= (other.end_lineno or other.lineno) and other.lineno <= (one.end_lineno or one.lineno)
