"""Outflows: what becomes of a value in its function: whether its autograd graph leaves, and where it is cut.

A value is followed forwards: through names, arithmetic, calls, containers and loops. What is taken as a number,
compared or picked from has no graph; what is detached was meant to have none.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.tensors.tensor_methods import DETACHERS
from detectors._engine.tensors.tensors import Graph, Tensors
from detectors._engine.training.generations import GRADIENT_WORDS
from detectors._engine.values.values import Values

_AT_MOST = 300
_SHOWS = re.compile(
    r"(^|_)(add|update|log|print|write|plot|show|save|draw|record|display|visuali[sz]e|put|observe)", re.I
)
"""Functions that look at what they are given, and keep none of its graph."""
_DETACHES = frozenset(["detach", "detach_", "data"])
_ABOUT = frozenset(["shape", "device", "dtype", "ndim", "requires_grad", "is_cuda", "grad_fn", "names", "layout"])
"""Attributes of a tensor that say something of it."""
_PICKS = frozenset(
    ["argmax", "argmin", "argsort", "multinomial", "sign", "round", "bincount", "nonzero", "searchsorted"]
)
_NUMBERS = frozenset(
    ["float", "int", "len", "str", "bool", "repr", "format", "isinstance", "type", "id", "print", "hasattr"]
)
_TO_NUMPY = re.compile(r"(^|_)(to_?|as_?|tensor_?(to|2)_?)(np|numpy|ndarray|list|python)$", re.I)
_PUTS = frozenset(["append", "extend", "add", "insert", "appendleft", "setdefault", "update"])
"""Methods by which a container keeps what it is given."""


@dataclass(eq=False)
class Outflow:
    """What becomes of one value.

    `leaves` are the places where it may leave the function, or be kept beyond it, with its graph; `detached` where it
    is detached; `ended` where nothing but numbers, picks and comparisons go on; `handed` the calls out of sight that
    get it and give nothing back.
    """

    leaves: list[ast.AST] = field(default_factory=list)
    detached: list[ast.AST] = field(default_factory=list)
    ended: list[ast.AST] = field(default_factory=list)
    handed: list[ast.Call] = field(default_factory=list)

    @property
    def ends_here(self) -> bool:
        """Whether the value goes nowhere but into numbers, copies without a graph and functions that look at it."""
        return not self.leaves and all(_SHOWS.search(last_name(each.func)) for each in self.handed)


class Outflows:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, tensors: Tensors) -> None:
        self._tree, self._names, self._values, self._tensors = tree, names, values, tensors
        self._uses: dict[ast.AST, dict[str, list[ast.Name]]] = {}
        self._known: dict[ast.AST, Outflow] = {}

    def of(self, node: ast.AST) -> Outflow:
        """What becomes of the expression's value in the function around it."""
        if node not in self._known:
            self._known[node] = self._follow(node)
        return self._known[node]

    def _follow(self, node: ast.AST) -> Outflow:
        found = Outflow()
        seen: set[ast.AST] = set()
        rest: list[ast.AST] = [node]
        while rest:
            each = rest.pop()
            if each in seen:
                continue
            seen.add(each)
            if len(seen) > _AT_MOST:
                found.leaves.append(each)
                break
            rest += self._after(each, found)
        return found

    def _after(self, node: ast.AST, found: Outflow) -> Iterator[ast.expr]:
        """The expressions that hold the value next, with its graph."""
        above = self._tree.parents[node]
        if isinstance(above, ast.keyword):
            above = self._tree.parents[above]
        handler = _HANDLERS.get(type(above))
        if handler is not None:
            yield from handler(self, above, node, found)
        elif isinstance(above, _CARRIERS):
            yield above
        elif not isinstance(above, _ENDS):
            found.leaves.append(above)

    # -- one method a construct ---------------------------------------------------------------------------

    def _attribute(self, above: ast.Attribute, node: ast.expr, found: Outflow) -> Iterator[ast.expr]:
        call = self._tree.parents[above]
        is_method = isinstance(call, ast.Call) and call.func is above
        if above.attr == "data" and isinstance(above.value, ast.Attribute):
            found.ended.append(above)  # of what a library gives: `results.boxes.data`
        elif above.attr in _DETACHES:
            found.detached.append(above)
        elif above.attr == "backward":
            found.leaves.append(above)
        elif above.attr in DETACHERS | _PICKS | _ABOUT:
            found.ended.append(above)
        elif is_method and isinstance(call, ast.Call):
            yield call
        else:
            yield above

    def _call(self, above: ast.Call, node: ast.expr, found: Outflow) -> Iterator[ast.expr]:
        origin = self._names.origin(above.func) or ""
        callee = self._values.calls.callee(above)
        if node is above.func or last_name(above.func) == "backward":
            found.leaves.append(above)
        elif isinstance(callee, FUNCTIONS):
            yield from self._into(callee, above, found)
        elif self._gives_numbers(above, origin):
            found.ended.append(above)
        elif isinstance(above.func, ast.Attribute) and above.func.attr in _PUTS and not origin:
            yield from self._put(above, above.func, found)
        elif isinstance(self._tree.parents[above], ast.Expr):
            found.handed.append(above)
        else:
            yield above

    @staticmethod
    def _gives_numbers(call: ast.Call, origin: str) -> bool:
        package, _, last = origin.rpartition(".")
        if package in ("builtins", "torch"):
            return last in (_NUMBERS if package == "builtins" else DETACHERS | _PICKS)
        return origin.startswith(("numpy.", "sklearn.", "math.")) or bool(_TO_NUMPY.search(last_name(call.func)))

    def _into(self, function: Function, call: ast.Call, found: Outflow) -> Iterator[ast.expr]:
        """A function of this file that gets the value."""
        words = {each.attr for each in self._tree.below(function) if isinstance(each, ast.Attribute)}
        if words & GRADIENT_WORDS:
            found.leaves.append(call)
        elif isinstance(self._tree.parents[call], ast.Expr):
            found.handed.append(call)
        elif self._tensors.graph(call) is Graph.DETACHED:
            (found.detached if words & _DETACHES else found.ended).append(call)
        else:
            yield call

    def _put(self, call: ast.Call, func: ast.Attribute, found: Outflow) -> Iterator[ast.expr]:
        if func.attr in ("update", "add") and not self._is_container(func.value):
            found.handed.append(call)  # of a metric
        else:
            yield from self._kept(func.value, call, found)

    def _is_container(self, node: ast.expr) -> bool:
        return any((each.origin or "").startswith(("builtins.", "collections.")) for each in self._values.of(node))

    def _kept(self, container: ast.expr, place: ast.AST, found: Outflow) -> Iterator[ast.expr]:
        """The uses of a container of this function that keeps the value; one that is not its own lets it leave."""
        while isinstance(container, (ast.Subscript, ast.Call)) or (
            isinstance(container, ast.Attribute) and isinstance(self._tree.parents[container], ast.Call)
        ):
            container = container.func if isinstance(container, ast.Call) else container.value
        if not isinstance(container, ast.Name):
            found.leaves.append(place)
            return
        bindings = self._names.reaching(container)
        function = self._tree.function(place)
        if not bindings or any(each.how is Bound.PARAMETER or not self._is_of(each, function) for each in bindings):
            found.leaves.append(place)
            return
        for use in self._loads(place, container.id):
            if use is not container and set(self._names.reaching(use)) & set(bindings):
                yield use

    def _is_of(self, binding: Binding, function: ast.AST | None) -> bool:
        return binding.scope is function or (function is None and binding.scope is self._tree.module)

    def _assign(self, above: ast.Assign, node: ast.expr, found: Outflow) -> Iterator[ast.expr]:
        for target in above.targets:
            yield from self._bound(target, above, found)

    def _assign_one(
        self, above: ast.AnnAssign | ast.AugAssign | ast.NamedExpr, node: ast.expr, found: Outflow
    ) -> Iterator[ast.expr]:
        if node is not above.value:
            return
        yield from self._bound(above.target, above, found)
        if isinstance(above, ast.NamedExpr):
            yield above

    def _bound(self, target: ast.expr, place: ast.AST, found: Outflow) -> Iterator[ast.expr]:
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                yield from self._bound(element, place, found)
        elif isinstance(target, ast.Starred):
            yield from self._bound(target.value, place, found)
        elif isinstance(target, ast.Name):
            if any(target.id in each.names for each in self._tree.all(ast.Global, ast.Nonlocal)):
                found.leaves.append(place)
            for use in self._loads(place, target.id):
                if any(each.node is place for each in self._names.reaching(use)):
                    yield use
        elif isinstance(target, ast.Subscript):
            yield from self._kept(target.value, place, found)
        else:
            found.leaves.append(place)

    def _loop(
        self, above: ast.For | ast.AsyncFor | ast.comprehension, node: ast.expr, found: Outflow
    ) -> Iterator[ast.expr]:
        if node is above.iter:
            yield from self._bound(above.target, above, found)

    def _choice(self, above: ast.IfExp, node: ast.expr, found: Outflow) -> Iterator[ast.expr]:
        if node is not above.test:
            yield above

    def _subscript(self, above: ast.Subscript, node: ast.expr, found: Outflow) -> Iterator[ast.expr]:
        if node is above.value and isinstance(above.ctx, ast.Load):
            yield above

    def _loads(self, place: ast.AST, name: str) -> list[ast.Name]:
        """The uses of a name in the function around the place."""
        where = self._tree.function(place) or self._tree.module
        if where not in self._uses:
            uses = self._uses[where] = defaultdict(list)
            for node in self._tree.below(where):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    uses[node.id].append(node)
        return self._uses[where].get(name, [])


_CARRIERS = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Starred, ast.Await, ast.ListComp,
    ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
_ENDS = (
    ast.Compare, ast.If, ast.While, ast.Assert, ast.Expr, ast.FormattedValue, ast.JoinedStr, ast.Delete, ast.Slice,
)  # fmt: skip
_HANDLERS: dict[type, Callable[..., Iterator[ast.expr]]] = {
    ast.Attribute: Outflows._attribute,
    ast.Call: Outflows._call,
    ast.Assign: Outflows._assign,
    ast.AnnAssign: Outflows._assign_one,
    ast.AugAssign: Outflows._assign_one,
    ast.NamedExpr: Outflows._assign_one,
    ast.For: Outflows._loop,
    ast.AsyncFor: Outflows._loop,
    ast.comprehension: Outflows._loop,
    ast.IfExp: Outflows._choice,
    ast.Subscript: Outflows._subscript,
}
