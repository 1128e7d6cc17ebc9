"""Row pairs: what a choice along dimension 0 is used with, entry by entry, that has one entry for each row.

A choice that goes together with a count of each row, with the rows themselves or with a like choice made along the row
was meant to be made along the row.
"""

import ast
import re
from collections.abc import Iterator

from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.axes import Axes
from detectors._engine.tensors.reshapes import is_every_row

_REDUCES = frozenset(["any", "all", "sum", "max", "amax", "mean", "count_nonzero"])
_CASTS = frozenset(["int", "long", "float", "bool", "tolist", "numpy", "cpu", "detach", "to", "cuda"])
_FILLED = frozenset(["zeros", "ones", "full", "empty"])
_NUMBER = re.compile(r"-?\b\d+\b")


class RowPairs:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, axes: Axes) -> None:
        self._tree, self._names, self._axes = tree, names, axes

    def of_choice(self, call: ast.Call, operand: ast.expr) -> str | None:
        """What the choice is used with, in words; None where nothing beside it counts the rows."""
        return (
            self._another_run(call, operand)
            or self._like_choice(call, operand)
            or self._beside_reduced(call, operand)
            or self._by_the_same_index(call, operand)
            or self._beside_input(call, operand)
            or self._against_positions(call, operand)
        )

    # -- other choices ------------------------------------------------------------------------------------

    def _another_run(self, call: ast.Call, operand: ast.expr) -> str | None:
        """The same run of the same model, written twice, of which the other choice is made along dimension 1."""
        run = self._run(operand)
        for other in self._argmaxes(call) if run is not None else ():
            its = self._axes.operand(other)
            found = self._run(its) if its is not None and self._axes.dimension(other) in (1, -1) else None
            if run is None or found is None or found[0] is run[0]:
                continue
            if (ast.unparse(found[0]), found[1]) == (ast.unparse(run[0]), run[1]):
                return f"line {other.lineno} chooses from the same along dimension {self._axes.dimension(other)}"
        return None

    def _run(self, node: ast.expr) -> tuple[ast.Call, tuple[int, ...]] | None:
        """The call that gave a value, and which part of its result this is."""
        index: tuple[int, ...] = ()
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
            index, node = (node.slice.value,), node.value
        elif isinstance(node, ast.Name):
            bindings = self._names.reaching(node)
            if len(bindings) != 1 or bindings[0].how not in (Bound.ASSIGNMENT, Bound.PART):
                return None
            index = bindings[0].index if bindings[0].how is Bound.PART else ()
            node = bindings[0].value  # type: ignore[assignment]
        return (node, index) if isinstance(node, ast.Call) and node.args else None

    def _like_choice(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`starts = x[:, :, 0].argmax(0)` beside `ends = x[:, :, 1].argmax(1)`: two slices of one tensor."""
        text, statement = ast.unparse(operand), self._tree.statement(call)
        for other in self._argmaxes(call):
            its = self._axes.operand(other)
            if its is None or self._axes.dimension(other) != 1 or ast.unparse(its) == text:
                continue
            beside = abs(other.lineno - statement.lineno) <= 2 and text.count("[:, ") + text.count("dim=") > 0
            if beside and _NUMBER.search(text) and _NUMBER.sub("", ast.unparse(its)) == _NUMBER.sub("", text):
                return f"line {other.lineno} chooses from its like along dimension 1"
        return None

    def _argmaxes(self, call: ast.Call) -> Iterator[ast.Call]:
        function = self._tree.function(call)
        for other in self._tree.all(ast.Call):
            if other is not call and last_name(other.func) == "argmax" and self._tree.function(other) is function:
                yield other

    # -- what is gone through together --------------------------------------------------------------------

    def _beside_reduced(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`where(found, choice, …)`, `zip(lengths, choice)`: with what is reduced over each row."""
        core = self._core(operand)
        for use in self._uses(call):
            above = self._tree.parents.get(use)
            together = last_name(above.func) if isinstance(above, ast.Call) and use in above.args else ""
            for other in above.args if isinstance(above, ast.Call) and together in ("where", "zip") else ():
                reduced = self._reduced(other) if other is not use else None
                its = self._axes.operand(reduced) if reduced is not None else None
                if reduced is None or its is None or (together == "where" and self._core(its) != core):
                    continue
                return f"line {reduced.lineno} has an entry for each row beside it"
        return None

    def _reduced(self, node: ast.expr) -> ast.Call | None:
        """The reduction over dimension 1 that a value is, under a name or not."""
        written = self._written(node)
        while isinstance(written, ast.Call) and isinstance(written.func, ast.Attribute) and written.func.attr in _CASTS:
            written = written.func.value
        if not isinstance(written, ast.Call) or last_name(written.func) not in _REDUCES:
            return None
        return written if self._axes.dimension(written) == 1 else None

    def _by_the_same_index(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`rows[i, : choice[i]]` for the rows it is a choice of, or `values[arange(n), choice]`."""
        text = ast.unparse(operand)
        for use in self._uses(call):
            above = self._tree.parents.get(use)
            match above:
                case ast.Subscript(value=value, slice=ast.Name(id=index)) if value is use:
                    for row in self._tree.all(ast.Subscript):
                        of_row = isinstance(row.slice, ast.Tuple) and ast.unparse(row.slice.elts[0]) == index
                        if of_row and ast.unparse(row.value) == text and self._tree.inside(use, row):
                            return f"line {row.lineno} takes it for row `{index}` of `{text}`"
                case ast.Tuple(elts=[rows, second, *_]) if second is use and self._is_index(above):
                    if self._goes_through(rows, use):
                        return f"line {above.lineno} takes one entry of each row with it"
        return None

    def _is_index(self, node: ast.AST) -> bool:
        above = self._tree.parents.get(node)
        return isinstance(above, ast.Subscript) and above.slice is node

    def _goes_through(self, rows: ast.expr, use: ast.AST) -> bool:
        """Whether an index has an entry for each row: a range, under a name too, or a condition on the choice."""
        if isinstance(rows, ast.Compare):
            return isinstance(use, ast.Name) and ast.unparse(rows.left) == use.id
        return is_every_row(self._written(rows))

    def _beside_input(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`for one, label in zip(x, choice)` where the choice comes of `x`; `zeros(len(x))` for it otherwise."""
        sources = list(self._sources(operand))
        names = {each.id for each in sources}
        for use in self._uses(call) if sources else ():
            above = self._tree.parents.get(use)
            if isinstance(above, ast.Call) and last_name(above.func) == "zip":
                others = [each for each in above.args if isinstance(each, ast.Name) and each is not use]
                for same in (each for each in others if each.id in names):
                    if any(self._names.reaching(each) == self._names.reaching(same) for each in sources):
                        return f"line {above.lineno} goes through it together with `{same.id}`"
        return self._filled_otherwise(call, names)

    def _filled_otherwise(self, call: ast.Call, names: set[str]) -> str | None:
        """`choice = zeros(len(x))` in the other branch, where the choice comes of `x`."""
        statement = self._tree.statement(call)
        branch: ast.AST = statement
        above = self._tree.parents.get(branch)
        while isinstance(above, ast.With):
            branch, above = above, self._tree.parents.get(above)
        if not isinstance(above, ast.If) or not isinstance(statement, ast.Assign):
            return None
        counts = {each.format(name) for name in names for each in ("{}.shape[0]", "{}.size(0)", "len({})")}
        for other in above.orelse if branch in above.body else above.body:
            if isinstance(other, ast.Assign) and ast.unparse(other.targets[0]) == ast.unparse(statement.targets[0]):
                made = other.value
                while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in _CASTS:
                    made = made.func.value
                filled = isinstance(made, ast.Call) and last_name(made.func) in _FILLED and bool(made.args)
                if filled and ast.unparse(made.args[0]) in counts:  # type: ignore[attr-defined]
                    return f"line {other.lineno} has an entry for each row in its place"
        return None

    def _sources(self, operand: ast.expr) -> Iterator[ast.Name]:
        """The names that an expression is computed from, each the first thing that a call or a subscript is given."""
        node = operand
        for _ in range(8):
            match node:
                case ast.Name():
                    yield node
                    written = self._written(node)
                    if written is node:
                        return
                    node = written
                case ast.Subscript(value=value, slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), *_])):
                    node = value
                case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in (*_CASTS, "squeeze"):
                    node = value
                case ast.Call(args=[first], keywords=[]) if self._names.origin(node.func) is None:
                    node = first
                case _:
                    return

    # -- positions ----------------------------------------------------------------------------------------

    def _against_positions(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`arange(n)[None] < choice[:, None]`, `choice + arange(0, n * k, k)`: a place in each row."""
        for use in self._uses(call):
            above = self._tree.parents.get(use)
            column = self._column(use)
            sides: list[ast.expr] = []
            around = self._tree.parents.get(column) if column is not None else above
            match around:
                case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                    sides = [left, right]
                case ast.Compare(left=left, comparators=[right]):
                    sides = [left, right]
            for other in (self._written(each) for each in sides if each is not use and each is not column):
                while (
                    isinstance(other, (ast.Subscript, ast.Call))
                    and last_name(getattr(other, "func", other)) != "arange"
                ):
                    inner = other.value if isinstance(other, ast.Subscript) else getattr(other.func, "value", None)
                    if not isinstance(inner, ast.expr):
                        break
                    other = inner
                strides = isinstance(other, ast.Call) and len(other.args) == 3
                if (
                    isinstance(other, ast.Call)
                    and last_name(other.func) == "arange"
                    and (column is not None or strides)
                ):
                    return f"line {use.lineno} takes it for a place in each row"  # type: ignore[attr-defined]
        return None

    def _column(self, use: ast.AST) -> ast.AST | None:
        """`choice.unsqueeze(1)`, `choice[:, None]`: an entry for each row, in a column."""
        above = self._tree.parents.get(use)
        match above:
            case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Constant(value=None)])):
                return above
            case ast.Attribute(attr="unsqueeze"):
                made = self._tree.parents.get(above)
                is_last = isinstance(made, ast.Call) and [ast.unparse(each) for each in made.args] in (["1"], ["-1"])
                return made if is_last else None
        return None

    # -- results ------------------------------------------------------------------------------------------

    def _uses(self, call: ast.Call) -> Iterator[ast.AST]:
        """The call, and every use of the name that its result gets, cast or counted from one."""
        yield call
        statement = self._tree.statement(call)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        given: ast.AST | None = statement.value if isinstance(statement, ast.Assign) else None
        while given is not call:
            match given:
                case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in (*_CASTS, "squeeze", "flatten"):
                    given = value
                case ast.BinOp(left=left, right=ast.Constant()):
                    given = left
                case _:
                    return
        if not isinstance(target, ast.Name):
            return
        function = self._tree.function(call)
        for use in self._tree.all(ast.Name):
            is_read = use.id == target.id and isinstance(use.ctx, ast.Load) and self._tree.function(use) is function
            if is_read and any(each.node is statement for each in self._names.reaching(use)):
                yield use

    def _written(self, node: ast.expr) -> ast.expr:
        bindings = self._names.reaching(node) if isinstance(node, ast.Name) else ()
        only = bindings[0] if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT else None
        return only.value if only is not None and only.value is not None else node

    @staticmethod
    def _core(node: ast.expr) -> str:
        """The tensor an expression is about, whatever its type."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CASTS:
            node = node.func.value
        return ast.unparse(node)
