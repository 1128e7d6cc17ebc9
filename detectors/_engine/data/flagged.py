"""Flagged subsets: rows that a data set takes of everything by a flag that says which part it is.

`data[borders[kind] : ends[kind]]` where `kind = {"train": 0, "test": 1}[flag]`, and the two branches of
`if flag == "train":` that take different rows of one object.
"""

import ast
from collections.abc import Callable, Iterator

from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values

Named = Callable[[str], object]


class Flagged:
    """Answers for one file; `part_named` gives the part that a word means."""

    def __init__(self, tree: Tree, names: Names, values: Values, part_named: Named) -> None:
        self._tree, self._names, self._values, self._part_named = tree, names, values, part_named

    def subsets(self) -> Iterator[ast.Subscript]:
        """The expressions that take the rows of one part or another of an object."""
        for subset in self._tree.all(ast.Subscript):
            if isinstance(subset.ctx, ast.Load) and isinstance(subset.slice, ast.Slice) and self._is_bordered(subset):
                yield subset
        for choice in self._tree.all(ast.If):
            if self._asks_for_part(choice.test):
                yield from self._branches(choice)

    # -- borders by the number of the part ----------------------------------------------------------------

    def _is_bordered(self, subset: ast.Subscript) -> bool:
        bounds = subset.slice
        if not isinstance(bounds, ast.Slice) or bounds.lower is None or bounds.upper is None:
            return False
        kinds = [self._kind_of(each) for each in (bounds.lower, bounds.upper)]
        return kinds[0] is not None and kinds[0] == kinds[1]

    def _kind_of(self, bound: ast.expr) -> str | None:
        """The text of what says which of several borders is taken, where that is the number of a part."""
        taken = self._names.written(bound)
        if not isinstance(taken, ast.Subscript) or not isinstance(taken.slice, (ast.Name, ast.Attribute)):
            return None
        return ast.unparse(taken.slice) if self._numbers_parts(taken.slice) else None

    def _numbers_parts(self, node: ast.expr) -> bool:
        written = [self._names.written(node)]
        if isinstance(node, ast.Attribute):
            owner = self._values.class_held_by(node.value)
            bindings = self._values.classes.attribute_bindings(owner, node.attr) if owner is not None else ()
            written = [each.value for each in bindings if each.how is Bound.ASSIGNMENT and each.value is not None]
        looked_up = [each.value for each in written if isinstance(each, ast.Subscript)]
        return bool(looked_up) and all(self._maps_parts(each) for each in looked_up)

    def _maps_parts(self, node: ast.expr) -> bool:
        made = self._names.written(node)
        keys = made.keys if isinstance(made, ast.Dict) else []
        words = [each.value for each in keys if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        return len({self._part_named(each) for each in words} - {None}) > 1

    # -- branches -----------------------------------------------------------------------------------------

    def _asks_for_part(self, test: ast.expr) -> bool:
        """`self.train`, `not train`, `flag == "train"`, `mode in ("val", "test")`."""
        if isinstance(test, ast.UnaryOp):
            test = test.operand
        if isinstance(test, (ast.Name, ast.Attribute)):
            word = test.id if isinstance(test, ast.Name) else test.attr
            return self._part_named(word) is not None
        words = (each.value for each in ast.walk(test) if isinstance(each, ast.Constant))
        is_compared = isinstance(test, ast.Compare)
        return is_compared and any(isinstance(each, str) and self._part_named(each) is not None for each in words)

    def _branches(self, choice: ast.If) -> Iterator[ast.Subscript]:
        """What each of the two branches takes of the object that both cut differently."""
        taken = [list(self._taken(side)) for side in (choice.body, choice.orelse)]
        for one in taken[0]:
            for other in taken[1]:
                if ast.dump(one.value) == ast.dump(other.value) and ast.dump(one.slice) != ast.dump(other.slice):
                    yield one
                    yield other

    @staticmethod
    def _taken(side: list[ast.stmt]) -> Iterator[ast.Subscript]:
        for statement in side:
            value = statement.value if isinstance(statement, ast.Assign) else None
            match value:
                case ast.Subscript(value=ast.Name(), slice=ast.Slice() as rows) if rows.lower or rows.upper:
                    yield value
