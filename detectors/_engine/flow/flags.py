"""Flags: what a test comes to in a call that gives its parameters truth values or words: `run_epoch(loader,
train=False)`, `run_epoch(loader, "val")`."""

import ast
from typing import NamedTuple

from detectors._engine.flow.frames import Frame
from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names


class Told(NamedTuple):
    """A truth value, None or a text that an expression is known to have."""

    value: bool | str | None


def told(node: ast.expr | None, frame: Frame, names: Names) -> Told | None:
    """The truth value, None or text that the expression has in this call; None where that is not known."""
    match node:
        case ast.Constant(value=True | False | None | str()):
            return Told(node.value)  # type: ignore[arg-type]
        case ast.Name() if node.id in frame.flags:
            bindings = names.reaching(node)
            is_given = all(each.how is Bound.PARAMETER and each.scope is frame.function for each in bindings)
            return Told(frame.flags[node.id]) if bindings and is_given else None
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = told(operand, frame, names)
            return Told(not inner.value) if inner is not None else None
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq() as op], comparators=[right]):
            first, second = told(left, frame, names), told(right, frame, names)
            if first is None or second is None:
                return None
            return Told((first.value == second.value) is isinstance(op, (ast.Is, ast.Eq)))
        case ast.Compare(
            left=left, ops=[ast.In() | ast.NotIn() as op], comparators=[ast.Tuple() | ast.List() as right]
        ):
            first, others = told(left, frame, names), [told(each, frame, names) for each in right.elts]
            if first is None or None in others:
                return None
            return Told((first in others) is isinstance(op, ast.In))
        case ast.BoolOp(op=op, values=values):
            found = [told(each, frame, names) for each in values]
            ends = isinstance(op, ast.Or)
            if any(each is not None and bool(each.value) is ends for each in found):
                return Told(ends)
            return None if None in found else Told(not ends)
    return None
