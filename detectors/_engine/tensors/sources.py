"""Sources: the expressions a value was computed from with its gradients, as far back as this file shows."""

import ast
from collections.abc import Iterator

from detectors._engine.flow.events import Act, Actions
from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import Subject
from detectors._engine.tensors.gradients import Gradients
from detectors._engine.tensors.tensor_methods import DETACHERS
from detectors._engine.values.values import Values

_AT_MOST = 400


class Sources:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, actions: Actions, gradients: Gradients) -> None:
        self._names, self._values, self._actions, self._gradients = names, values, actions, gradients

    def of(self, node: ast.expr) -> list[ast.expr]:
        """The expression and those it is computed from, nearest first, in the same function. What is detached, taken
        as a number or given an index is left out: no gradient goes through it."""
        found: list[ast.expr] = []
        seen: set[ast.AST] = set()
        rest = [node]
        while rest and len(found) < _AT_MOST:
            each = rest.pop(0)
            if each not in seen:
                seen.add(each)
                found.append(each)
                rest += self._before(each)
        return found

    def forwards(self, node: ast.expr) -> Iterator[tuple[ast.Call, Subject]]:
        """The calls that run a model with gradients and reach the value, each with the model."""
        for each in self.of(node):
            if isinstance(each, ast.Call) and self._gradients.on(each) is True:
                for action in self._actions.of(each):
                    subject = self._values.subject(action.target) if action.act is Act.FORWARD else None
                    if subject is not None:
                        yield each, subject

    def _before(self, node: ast.expr) -> Iterator[ast.expr]:
        match node:
            case ast.Name():
                for binding in self._names.reaching(node):
                    if binding.how in (Bound.ASSIGNMENT, Bound.PART, Bound.UPDATE) and binding.value is not None:
                        yield binding.value
            case ast.Attribute(attr="data" | "grad" | "shape" | "device" | "dtype"):
                return
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
                yield value
            case ast.UnaryOp(operand=operand):
                yield operand
            case ast.BinOp(left=left, right=right):
                yield from (left, right)
            case ast.IfExp(body=body, orelse=orelse):
                yield from (body, orelse)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                yield from elements
            case ast.Dict(values=values):
                yield from values
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in DETACHERS:
                return
            case ast.Call(func=func, args=given, keywords=options):
                origin = self._names.origin(func) or ""
                if origin.startswith(("numpy.", "builtins.len", "builtins.float", "builtins.int", "torch.tensor")):
                    return
                if isinstance(func, ast.Attribute) and not origin:
                    yield func.value
                yield from given
                yield from (each.value for each in options)
