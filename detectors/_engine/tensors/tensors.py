"""Tensors: whether an expression carries an autograd graph where it stands.

Evidence that something is attached: `.backward()` is called on it, or it comes from a model whose parameters an
optimizer of this file has, with gradients on. What is neither attached nor detached for certain is `UNKNOWN`.
"""

import ast
from collections.abc import Iterable
from enum import Enum

from detectors._engine.flow.events import Act, Actions
from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function
from detectors._engine.tensors.gradients import Gradients
from detectors._engine.tensors.tensor_methods import DETACHERS, JOINING, KEEPERS
from detectors._engine.values.values import Values

_DEPTH = 14
_WITHOUT_GRAPH = ("numpy.", "sklearn.", "math.", "time.", "random.", "scipy.", "os.", "json.", "torchmetrics.")
_WITHOUT_GRAPH_BUILTINS = frozenset(
    ["float", "int", "len", "str", "bool", "repr", "format", "range", "isinstance", "type", "id", "input"]
)


class Graph(Enum):
    """What an expression holds of the autograd graph."""

    ATTACHED = "keeps the graph it was computed with"
    DETACHED = "has no graph"
    UNKNOWN = "unknown"


class Tensors:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, actions: Actions, gradients: Gradients) -> None:
        self._names, self._values, self._actions, self._gradients = names, values, actions, gradients
        self._known: dict[ast.AST, Graph] = {}
        self._busy: set[ast.AST] = set()

    # -- the graph of an expression -----------------------------------------------------------------------

    def graph(self, node: ast.expr | None) -> Graph:
        """Whether the expression's value carries a graph."""
        if node is None:
            return Graph.UNKNOWN
        known = self._known.get(node)
        if known is not None:
            return known
        if node in self._busy or len(self._busy) > _DEPTH:
            return Graph.UNKNOWN
        self._busy.add(node)
        found = self._find(node)
        self._busy.discard(node)
        if not self._busy or found is not Graph.UNKNOWN:
            self._known[node] = found
        return found

    def is_attached(self, node: ast.expr | None) -> bool:
        """Whether the value surely carries a graph on some run."""
        return self.graph(node) is Graph.ATTACHED

    def _find(self, node: ast.expr) -> Graph:
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.Lambda():
                return Graph.DETACHED
            case ast.Name():
                if self._gradients.backpropagated_by(node) is not None:
                    return Graph.ATTACHED
                return _any(self._held(each) for each in self._names.reaching(node))
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript() | ast.NamedExpr() | ast.Await() | ast.Starred():
                return self.graph(node.value)
            case ast.UnaryOp():
                return self.graph(node.operand)
            case ast.BinOp():
                return _joined([self.graph(node.left), self.graph(node.right)])
            case ast.IfExp():
                return _any([self.graph(node.body), self.graph(node.orelse)])
            case ast.BoolOp():
                return _any([self.graph(each) for each in node.values])
            case ast.List() | ast.Tuple() | ast.Set():
                return _joined([self.graph(each) for each in node.elts])
            case ast.Dict():
                return _joined([self.graph(each) for each in node.values])
            case ast.ListComp() | ast.GeneratorExp():
                return self.graph(node.elt)
            case ast.Call():
                return self._call(node)
        return Graph.UNKNOWN

    def _held(self, binding: Binding) -> Graph:
        match binding.how:
            case Bound.ASSIGNMENT | Bound.UPDATE:
                like = self._gradients.like_backpropagated(binding)
                return Graph.ATTACHED if like is not None else self.graph(binding.value)
            case Bound.PART:
                return self._part(binding)
            case Bound.ITEM:
                iterated = binding.value
                if isinstance(iterated, ast.Call) and last_name(iterated.func) in ("enumerate", "tqdm", "range"):
                    if last_name(iterated.func) == "range" or (binding.index == (0,)):
                        return Graph.DETACHED
                    iterated = iterated.args[0] if iterated.args else None
                held = _values_of(iterated, binding.index)
                if held is not None:
                    return self.graph(held)
                return Graph.DETACHED if self._values.kind(iterated) is Kind.LOADER else Graph.UNKNOWN
            case Bound.PARAMETER if isinstance(binding.scope, FUNCTIONS):
                given = list(self._values.calls.given_for(binding.scope, binding.name))
                return _any(self.graph(each) for each in given) if given else Graph.UNKNOWN
        return Graph.UNKNOWN

    def _part(self, binding: Binding) -> Graph:
        value = binding.value
        if isinstance(value, ast.Call):
            if self._gradients.like_backpropagated(binding) is not None:
                return Graph.ATTACHED
            callee = self._values.calls.callee(value)
            if isinstance(callee, FUNCTIONS):
                return self._returned(callee, binding.index)
        return self.graph(value)

    def _returned(self, function: Function, index: tuple[int, ...] = ()) -> Graph:
        found = []
        for statement in self._values.calls.returns(function):
            value = statement.value
            for position in index:
                elements = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
                value = elements[position] if position < len(elements) else value
            found.append(self.graph(value))
        return _any(found)

    def _attribute(self, node: ast.Attribute) -> Graph:
        if node.attr in ("data", "grad", "shape", "device", "dtype", "ndim", "requires_grad", "is_cuda"):
            return Graph.DETACHED
        owner = self._values.class_held_by(node.value)
        if owner is not None:
            bindings = self._values.classes.attribute_bindings(owner, node.attr)
            held = [self._held(each) for each in bindings]
            if held and Graph.DETACHED not in held and self._gradients.backpropagated_by(node) is not None:
                return Graph.ATTACHED
            return _all(held)
        if self._names.origin(node) is not None:
            return Graph.UNKNOWN
        return self.graph(node.value)

    def _call(self, node: ast.Call) -> Graph:
        func = node.func
        origin = self._names.origin(func)
        given = [*node.args, *(each.value for each in node.keywords)]
        if origin is not None:
            return self._library_call(node, origin, given)
        if isinstance(func, ast.Attribute):
            if func.attr in DETACHERS:
                return Graph.DETACHED
            if func.attr == "scale" and len(node.args) == 1 and self._values.kind(func.value) is Kind.SCALER:
                return self.graph(node.args[0])
            if func.attr in KEEPERS and self._values.calls.callee(node) is None:
                return self.graph(func.value)
        on = self._gradients.on(node)
        if on is False:
            return Graph.DETACHED
        callee = self._values.calls.callee(node)
        if isinstance(callee, FUNCTIONS):
            return self._returned(callee)
        if isinstance(callee, ast.ClassDef):
            return Graph.UNKNOWN
        if self._values.kind(func) is Kind.CRITERION:
            return _joined([self.graph(each) for each in given]) if on else Graph.UNKNOWN
        ran = (each.target for each in self._actions.of(node) if each.act is Act.FORWARD)
        return Graph.ATTACHED if on and any(self._gradients.is_trained(each) for each in ran) else Graph.UNKNOWN

    def _library_call(self, node: ast.Call, origin: str, given: list[ast.expr]) -> Graph:
        package, _, last = origin.rpartition(".")
        if package == "builtins":
            if last in ("sum", "min", "max", "abs", "zip", "list", "tuple"):
                return _joined([self.graph(each) for each in given])
            return Graph.DETACHED if last in _WITHOUT_GRAPH_BUILTINS else Graph.UNKNOWN
        if origin.startswith(_WITHOUT_GRAPH):
            return Graph.DETACHED
        if package in ("torch.nn.functional", "torch.special") or (package == "torch" and last in JOINING):
            if self._gradients.on(node) is False:
                return Graph.DETACHED
            if last == "one_hot":
                return Graph.DETACHED
            joined = _joined([self.graph(each) for each in given])
            return joined if self._gradients.on(node) or joined is Graph.DETACHED else Graph.UNKNOWN
        if package == "torch":
            tracked = any(each.arg == "requires_grad" for each in node.keywords)
            return Graph.UNKNOWN if tracked or last[:1].isupper() else Graph.DETACHED
        callee = self._values.calls.callee(node)
        if isinstance(callee, FUNCTIONS):
            return Graph.DETACHED if self._gradients.on(node) is False else self._returned(callee)
        return Graph.DETACHED if self._gradients.on(node) is False else Graph.UNKNOWN

    # -- parts of an expression ---------------------------------------------------------------------------

    def spent_by(self, node: ast.expr | None, depth: int = 0) -> ast.Call | None:
        """The `backward()` that was already called on the value, here or in the function of this file that returned
        it: a graph nobody needs any more."""
        if node is None or depth > _DEPTH or self.graph(node) is not Graph.ATTACHED:
            return None
        found = self._gradients.backpropagated_by(node)
        if found is not None:
            return found
        rest: list[ast.expr | None] = []
        match node:
            case ast.Name():
                for binding in self._names.reaching(node):
                    if binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
                        rest += self._values.calls.given_for(binding.scope, binding.name)
                    elif binding.how in (Bound.ASSIGNMENT, Bound.PART):
                        rest += self._returned_parts(binding) or [binding.value]
                    elif binding.how is Bound.ITEM:
                        rest.append(_values_of(binding.value, binding.index))
            case ast.BinOp():
                rest = [node.left, node.right]
            case ast.Dict():
                rest = list(node.values)
            case ast.List() | ast.Tuple():
                rest = list(node.elts)
            case ast.Subscript() | ast.UnaryOp(operand=ast.Name()):
                rest = [node.value if isinstance(node, ast.Subscript) else node.operand]
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in KEEPERS:
                rest = [value]
            case ast.Call():
                callee = self._values.calls.callee(node)
                if isinstance(callee, FUNCTIONS):
                    rest = [each.value for each in self._values.calls.returns(callee)]
        return next((each for each in (self.spent_by(part, depth + 1) for part in rest) if each is not None), None)

    def _returned_parts(self, binding: Binding) -> list[ast.expr | None]:
        callee = self._values.calls.callee(binding.value) if isinstance(binding.value, ast.Call) else None
        if not isinstance(callee, FUNCTIONS):
            return []
        found: list[ast.expr | None] = []
        for statement in self._values.calls.returns(callee):
            value = statement.value
            for position in binding.index:
                elements = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
                value = elements[position] if position < len(elements) else None
            found.append(value)
        return found

    def attached_leaves(self, node: ast.expr) -> list[ast.expr]:
        """The smallest parts of the expression that carry its graph: `loss` in `loss * images.size(0)`."""
        match node:
            case ast.BinOp():
                sides = [node.left, node.right]
            case ast.Dict():
                sides = list(node.values)
            case ast.List() | ast.Tuple():
                sides = list(node.elts)
            case _:
                return [node] if self.is_attached(node) else []
        return [leaf for side in sides for leaf in self.attached_leaves(side)]


def _values_of(iterated: ast.expr | None, index: tuple[int, ...]) -> ast.expr | None:
    """The dict whose values a loop goes over: `losses` of `for name, value in losses.items()`."""
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute) and not iterated.args:
        is_value = (iterated.func.attr == "items" and index == (1,)) or (iterated.func.attr == "values" and not index)
        return iterated.func.value if is_value else None
    return None


def _joined(graphs: Iterable[Graph]) -> Graph:
    """The graph of a value computed from all of these."""
    found = set(graphs)
    if Graph.ATTACHED in found:
        return Graph.ATTACHED
    return Graph.DETACHED if found <= {Graph.DETACHED} else Graph.UNKNOWN


def _any(graphs: Iterable[Graph]) -> Graph:
    """The graph of a value that is one of these: attached where it is on some path."""
    found = set(graphs)
    if Graph.ATTACHED in found:
        return Graph.ATTACHED
    return Graph.DETACHED if found == {Graph.DETACHED} else Graph.UNKNOWN


def _all(graphs: Iterable[Graph]) -> Graph:
    """The graph of a value that is one of these, in no order: known only where all agree."""
    found = set(graphs)
    return found.pop() if len(found) == 1 else Graph.UNKNOWN
