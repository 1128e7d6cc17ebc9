"""Axis trail: the expressions that have their examples where a tensor has them, read backwards from it.

Through what keeps its dimensions: assignments, elementwise functions, layers, a model's `forward`, local functions, the
callers of a parameter. What permutes dimensions or multiplies matrices ends the search: there, dimension 0 may be
anything.
"""

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axis_calls import ELEMENTWISE, AxisCalls
from detectors._engine.tensors.reshapes import keeps_rows
from detectors._engine.values.values import Values

Calls = tuple[ast.Call, ...]
_LIMIT = 60
_LOOSE = frozenset(["squeeze", "mean", "sum"])  # with another dimension gone, what is left may be flat
_PER_EXAMPLE = frozenset(
    ["Linear", "Dropout", "ReLU", "GELU", "Tanh", "Sigmoid", "LeakyReLU", "ELU", "SiLU", "Softmax"]
)


@dataclass(frozen=True, slots=True)
class Place:
    """An expression, the calls that led to it, and whether nothing on the way may have removed a dimension."""

    node: ast.expr
    calls: Calls
    certain: bool = True


class AxisTrail:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, activations: Activations, calls: AxisCalls) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._activations, self._calls = activations, calls

    def same_rows(self, operand: ast.expr) -> Iterator[Place | None]:
        """Every expression that has its examples where the operand has them, nearest first; None where some step
        moves dimensions or multiplies matrices."""
        rest = deque([Place(operand, ())])
        seen: set[tuple[ast.expr, Calls]] = set()
        while rest and len(seen) < _LIMIT:
            place = rest.popleft()
            if (place.node, place.calls) in seen:
                continue
            seen.add((place.node, place.calls))
            yield place
            if self._calls.mixes(place.node):
                yield None
                return
            rest.extend(self._before(place))

    def _before(self, place: Place) -> Iterator[Place]:
        match place.node:
            case ast.Name() as name:
                for binding in self._names.reaching(name):
                    yield from self._bound(binding, place)
            case ast.Call() as call:
                yield from self._called(call, place)
            case ast.BinOp(left=left, right=right):
                number = isinstance(left, ast.Constant)
                yield Place(right if number else left, place.calls, place.certain)
            case ast.IfExp(body=body, orelse=orelse):
                yield Place(body, place.calls, place.certain)
                yield Place(orelse, place.calls, place.certain)
            case ast.Attribute(attr=attr, value=value) if attr in ELEMENTWISE:
                yield Place(value, place.calls, place.certain)
            case ast.Subscript(slice=ast.Slice() | ast.Compare(), value=value):
                yield Place(value, place.calls, place.certain)
            case ast.UnaryOp(operand=value):
                yield Place(value, place.calls, place.certain)

    def _bound(self, binding: Binding, place: Place) -> Iterator[Place]:
        value = binding.value
        if binding.how is Bound.ASSIGNMENT and value is not None:
            yield Place(value, place.calls, place.certain)
        elif binding.how is Bound.PART and isinstance(value, ast.Call):
            yield from self._returned(value, place, binding.index)
        elif binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
            given = self._given(binding.scope, binding.name, place.calls)
            yield from (Place(each, place.calls[:-1], place.certain) for each in given if each is not None)

    def _given(self, function: Function, name: str, calls: Calls) -> Iterator[ast.expr | None]:
        """What callers give for a parameter: the call that led here, else all in sight, of a `forward` the model's."""
        if calls:
            yield self._values.calls.argument_for(function, calls[-1], name)
            return
        yield from self._values.calls.given_for(function, name)
        owner = self._tree.class_of(function)
        if owner is not None and function.name == "forward":
            yield from (self._values.calls.argument_for(function, each, name) for each in self.runs.get(owner, ()))

    def _called(self, call: ast.Call, place: Place) -> Iterator[Place]:
        name = self._activations.function_origin(call)
        operand = self._calls.operand(call)
        if name in ELEMENTWISE and operand is not None:
            if name in _LOOSE and self._calls.dimension(call) in (None, 0):
                return
            if name in ("view", "reshape", "flatten") and not keeps_rows(call, name):
                return
            yield Place(operand, place.calls, place.certain and name not in _LOOSE)
            return
        layers = {(each.origin or "").rpartition(".")[2] for each in self._values.of(call.func)}
        if call.args and layers and layers <= _PER_EXAMPLE:
            yield Place(call.args[0], place.calls, place.certain)
            return
        yield from self._returned(call, place, ())

    def _returned(self, call: ast.Call, place: Place, index: tuple[int, ...]) -> Iterator[Place]:
        """What a function of this file, or the `forward` of a class of this file, returns at this call."""
        callee = self._values.calls.callee(call)
        if not isinstance(callee, FUNCTIONS):
            owner = self._values.class_held_by(call.func) if callee is None else None
            callee = self._values.classes.method(owner, "forward") if owner is not None else None
        if not isinstance(callee, FUNCTIONS) or call in place.calls or len(place.calls) > 3:
            return
        for statement in self._values.calls.returns(callee):
            value: ast.expr | None = statement.value
            for position in index:
                elements = value.elts if isinstance(value, ast.Tuple) else []
                value = elements[position] if position < len(elements) else None
            if value is not None:
                yield Place(value, (*place.calls, call), place.certain)

    @cached_property
    def runs(self) -> dict[ast.ClassDef, list[ast.Call]]:
        """The calls of each module of this file."""
        found: dict[ast.ClassDef, list[ast.Call]] = {}
        for call in self._tree.all(ast.Call):
            if call.args and isinstance(call.func, (ast.Name, ast.Attribute)) and self._names.origin(call.func) is None:
                owner = self._values.class_held_by(call.func)
                if owner is not None:
                    found.setdefault(owner, []).append(call)
        return found
