"""Accumulation: steps taken every k-th batch, and the condition that says so."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.flow.flow import Event, Guard, guard_of
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.definitions import Definitions

_LEAVES = (ast.Continue, ast.Return)
_SPEAKS = re.compile(r"accum|micro_?(batch|step)|virtual_batch", re.I)


def speaks_of_accumulation(node: ast.expr) -> bool:
    """Whether the author's names say that an expression is about accumulated batches."""
    return bool(_SPEAKS.search(ast.unparse(node)))


@dataclass(frozen=True, eq=False)
class Interval:
    """A condition that holds every k-th time: `(i + 1) % k == 0`.

    `otherwise` are conditions that make it hold as well: `or i + 1 == len(loader)`.
    """

    test: ast.expr
    counter: ast.expr
    every: ast.expr
    otherwise: tuple[ast.expr, ...] = ()
    others: tuple[ast.expr, ...] = ()

    @property
    def speaks_of_accumulation(self) -> bool:
        """Whether the author's names say what the interval is for."""
        return bool(_SPEAKS.search(ast.unparse(self.test)))

    @property
    def counter_names(self) -> frozenset[str]:
        """The names the counter is computed from."""
        return frozenset(each.id for each in ast.walk(self.counter) if isinstance(each, ast.Name))


def _is_above_zero(test: ast.expr) -> bool:
    """`count % k > 0`: a remainder, which is as much as unequal to zero."""
    match test:
        case ast.Compare(ops=[ast.Gt()], comparators=[ast.Constant(value=0)]):
            return True
    return False


class Intervals:
    """Answers for one file."""

    def __init__(self, tree: Tree, definitions: Definitions) -> None:
        self._tree, self._definitions = tree, definitions

    def of(self, test: ast.expr, holds: bool = True) -> Interval | None:
        """The interval at which the test has this outcome; None where it is no interval check."""
        path = self._definitions.path(test)
        while isinstance(path[-1], ast.UnaryOp) and isinstance(path[-1].op, ast.Not):
            holds = not holds
            path += self._definitions.path(path[-1].operand)
        resolved = path[-1]
        match resolved:
            case ast.Call(func=ast.Name(id="bool"), args=[inner]):
                return self.of(inner, holds)
            case ast.Compare(left=ast.BinOp(op=ast.Mod()) as modulo, ops=[operator], comparators=[_]):
                leaves_none = isinstance(operator, ast.NotEq) or _is_above_zero(resolved)
                hit = (isinstance(operator, ast.Eq) and holds) or (leaves_none and not holds)
                return self._interval(path, modulo) if hit else None
            case ast.BinOp(op=ast.Mod()) if not holds:
                return self._interval(path, resolved)
            case ast.BoolOp(op=operator, values=operands):
                return self._joined(resolved, operands, isinstance(operator, ast.Or) is holds, holds)
        return None

    @staticmethod
    def _interval(path: list[ast.expr], modulo: ast.BinOp) -> Interval | None:
        if isinstance(modulo.left, ast.Constant):  # "%s" % name
            return None
        return Interval(path[-1], modulo.left, modulo.right)

    def _joined(self, test: ast.expr, operands: list[ast.expr], any_of: bool, holds: bool) -> Interval | None:
        for operand in operands:
            found = self.of(operand, holds)
            if found is not None:
                rest = tuple(each for each in operands if each is not operand)
                otherwise = (*found.otherwise, *rest) if any_of else found.otherwise
                others = found.others if any_of else (*found.others, *rest)
                return Interval(test, found.counter, found.every, otherwise, others)
        return None

    def between(self, backward: Event, step: Event) -> tuple[Guard, Interval] | None:
        """The interval check that stands over the step and not over its backward, which may be in the other branch."""
        above = (*backward.guards, *self._left_early(backward))
        outside = {(guard.key, guard.holds) for guard in above}
        for guard in (*step.guards, *self._left_early(step)):
            found = self.of(guard.test, guard.holds) if (guard.key, guard.holds) not in outside else None
            if found is not None:
                return guard, found
        return None

    def _left_early(self, event: Event) -> Iterator[Guard]:
        """The conditions under which the event's loop or function goes on to it: `if n % k: continue` stands before."""
        statement: ast.AST = self._tree.statement(event.node)
        while not isinstance(statement, (*FUNCTIONS, ast.Module)):
            above = self._tree.parents.get(statement)
            if above is None:
                return
            blocks = (getattr(above, name, None) for name in ("body", "orelse", "finalbody"))
            block = next((each for each in blocks if isinstance(each, list) and statement in each), [])
            for before in block[: block.index(statement)] if block else ():
                if isinstance(before, ast.If) and not before.orelse and isinstance(before.body[-1], _LEAVES):
                    yield guard_of(before.test, holds=False)
            statement = above
