"""Tensors: whether an expression carries an autograd graph where it stands, and whether the file computes on a GPU.

Evidence that something is attached: `.backward()` is called on it, or it comes from a model whose parameters an
optimizer of this file has, with gradients on. What is neither attached nor detached for certain is `UNKNOWN`.
"""

import ast
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cached_property

from detectors._engine.bindings import Binding, Bound
from detectors._engine.events import Act, Actions, Region
from detectors._engine.libraries import Kind, kind_made_by
from detectors._engine.names import Names
from detectors._engine.subjects import Subject, last_name
from detectors._engine.tree import FUNCTIONS, Function, Tree
from detectors._engine.values import Values


class Graph(Enum):
    """What an expression holds of the autograd graph."""

    ATTACHED = "keeps the graph it was computed with"
    DETACHED = "has no graph"
    UNKNOWN = "unknown"


_DEPTH = 14
DETACHERS = frozenset(
    """
    item detach detach_ tolist numpy size dim numel argmax argmin argsort long int bool eq ne gt lt ge le nelement
    count_nonzero isnan isinf format tobytes get_device any all
    """.split()
)
"""Tensor methods whose result has no graph."""
KEEPERS = frozenset(
    """
    mean sum cpu cuda to float half double bfloat16 clone contiguous squeeze unsqueeze view reshape flatten abs exp
    log sqrt pow clamp clip mul div add sub neg norm max min median prod std var transpose permute t expand repeat
    softmax log_softmax sigmoid tanh relu masked_select masked_fill gather index_select type type_as view_as unbind
    logsumexp nanmean nansum unflatten values square
    """.split()
)
"""Tensor methods whose result has the graph of the tensor."""
_JOINING = frozenset(
    """
    stack cat concat mean sum abs exp log sqrt square max min maximum minimum clamp add mul div sub norm softmax
    log_softmax sigmoid tanh relu squeeze unsqueeze flatten reshape where matmul mm bmm einsum logsumexp pow prod
    var std hstack vstack masked_select dot nanmean nansum neg transpose
    """.split()
)
_WITHOUT_GRAPH = ("numpy.", "sklearn.", "math.", "time.", "random.", "scipy.", "os.", "json.", "torchmetrics.")
_WITHOUT_GRAPH_BUILTINS = frozenset(
    ["float", "int", "len", "str", "bool", "repr", "format", "range", "isinstance", "type", "id", "input"]
)
_NO_GRAD_STEPS = frozenset(
    """
    validation_step test_step predict_step on_validation_epoch_end on_test_epoch_end validation_epoch_end
    test_epoch_end on_validation_batch_end on_validation_end on_test_end
    """.split()
)
_LOSS_NAME = ("loss", "nll", "elbo", "objective", "cost")


class Tensors:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, actions: Actions) -> None:
        self._tree, self._names, self._values, self._actions = tree, names, values, actions
        self._known: dict[ast.AST, Graph] = {}
        self._busy: set[ast.AST] = set()
        self._switched: dict[ast.AST, bool | None] = {}

    # -- gradients on or off ------------------------------------------------------------------------------

    def gradients_on(self, node: ast.AST) -> bool | None:
        """Whether autograd records what is computed at the node; None where callers out of sight decide."""
        below, above = node, self._tree.parents.get(node)
        while above is not None and not isinstance(above, FUNCTIONS):
            if isinstance(above, (ast.With, ast.AsyncWith)) and isinstance(below, ast.stmt):
                for item in reversed(above.items):
                    region = self._actions.region(item.context_expr)
                    if region in _SWITCHES:
                        return _SWITCHES[region]
            below, above = above, self._tree.parents.get(above)
        if self._is_switched_globally:
            return None
        return True if above is None else self._gradients_on_in(above)

    def _gradients_on_in(self, function: Function) -> bool | None:
        if function not in self._switched:
            self._switched[function] = None  # a recursion decides nothing
            self._switched[function] = self._find_gradients_on_in(function)
        return self._switched[function]

    def _find_gradients_on_in(self, function: Function) -> bool | None:
        for decorator in function.decorator_list:
            region = self._actions.region(decorator)
            if region in _SWITCHES:
                return _SWITCHES[region]
        if function.name in _NO_GRAD_STEPS:
            return False
        if any(self._tree.function(call) is function for call in self.backward_calls):
            return True
        states = {self.gradients_on(call) for call in self._values.calls.sites(function)}
        return states.pop() if len(states) == 1 else None

    @cached_property
    def _is_switched_globally(self) -> bool:
        calls = (each.value for each in self._tree.all(ast.Expr) if isinstance(each.value, ast.Call))
        return any(last_name(each.func) == "set_grad_enabled" for each in calls)

    # -- what was back-propagated -------------------------------------------------------------------------

    @cached_property
    def backward_calls(self) -> list[ast.Call]:
        """Every call that computes gradients."""
        return [call for call, _ in self._backwards]

    @cached_property
    def _backwards(self) -> list[tuple[ast.Call, ast.expr]]:
        found = []
        for call in self._tree.all(ast.Call):
            if "backward" in last_name(call.func):
                targets = (each.target for each in self._actions.of(call) if each.act is Act.BACKWARD)
                found += [(call, target) for target in targets if target is not None]
        return found

    @cached_property
    def _backpropagated(self) -> dict[Binding | Subject, ast.Call]:
        found: dict[Binding | Subject, ast.Call] = {}
        for call, target in self._backwards:
            rest: list[ast.expr] = [target]
            while rest:
                leaf = rest.pop()
                if isinstance(leaf, ast.Name):
                    for binding in self._names.reaching(leaf):
                        if binding not in found:
                            found[binding] = call
                            rest += self._sources(binding)
                elif isinstance(leaf, ast.Attribute):
                    subject = self._values.subject(leaf)
                    if subject is not None:
                        found.setdefault(subject, call)
                else:
                    rest += list(_parts(leaf))
        return found

    @staticmethod
    def _sources(binding: Binding) -> list[ast.expr]:
        """What a back-propagated binding was computed from by arithmetic alone."""
        if binding.value is None or binding.how not in (Bound.ASSIGNMENT, Bound.UPDATE):
            return []
        value = binding.value
        if isinstance(value, ast.Name):
            return [value]
        if binding.how is Bound.UPDATE:
            return list(_parts(value)) or [value]
        return list(_parts(value))

    def backpropagated_by(self, node: ast.expr) -> ast.Call | None:
        """The `backward()` call that this very value goes through; None where there is none in sight."""
        if isinstance(node, ast.Name):
            for binding in self._names.reaching(node):
                if binding in self._backpropagated:
                    return self._backpropagated[binding]
        if isinstance(node, ast.Attribute):
            subject = self._values.subject(node)
            return self._backpropagated.get(subject) if subject is not None else None
        return None

    def spent_by(self, node: ast.expr | None, depth: int = 0) -> ast.Call | None:
        """The `backward()` that was already called on the value, here or in the function of this file that returned
        it: a graph nobody needs any more."""
        if node is None or depth > _DEPTH or self.graph(node) is not Graph.ATTACHED:
            return None
        found = self.backpropagated_by(node)
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
                if self.backpropagated_by(node) is not None:
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
                return self.graph(binding.value)
            case Bound.PART:
                return self._part(binding)
            case Bound.ITEM:
                iterated = binding.value
                if isinstance(iterated, ast.Call) and last_name(iterated.func) in ("enumerate", "tqdm", "range"):
                    if last_name(iterated.func) == "range" or (binding.index == (0,)):
                        return Graph.DETACHED
                    iterated = iterated.args[0] if iterated.args else None
                return Graph.DETACHED if self._values.kind(iterated) is Kind.LOADER else Graph.UNKNOWN
            case Bound.PARAMETER if isinstance(binding.scope, FUNCTIONS):
                given = list(self._values.calls.given_for(binding.scope, binding.name))
                return _any(self.graph(each) for each in given) if given else Graph.UNKNOWN
        return Graph.UNKNOWN

    def _part(self, binding: Binding) -> Graph:
        value = binding.value
        if isinstance(value, ast.Call):
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
            if held and Graph.DETACHED not in held and self.backpropagated_by(node) is not None:
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
        on = self.gradients_on(node)
        if on is False:
            return Graph.DETACHED
        callee = self._values.calls.callee(node)
        if isinstance(callee, FUNCTIONS):
            return self._returned(callee)
        if isinstance(callee, ast.ClassDef):
            return Graph.UNKNOWN
        if self._values.kind(func) is Kind.CRITERION:
            return _joined([self.graph(each) for each in given]) if on else Graph.UNKNOWN
        if on and any(each.act is Act.FORWARD and self.is_trained(each.target) for each in self._actions.of(node)):
            return Graph.ATTACHED
        return Graph.UNKNOWN

    def _library_call(self, node: ast.Call, origin: str, given: list[ast.expr]) -> Graph:
        package, _, last = origin.rpartition(".")
        if package == "builtins":
            if last in ("sum", "min", "max", "abs", "zip", "list", "tuple"):
                return _joined([self.graph(each) for each in given])
            return Graph.DETACHED if last in _WITHOUT_GRAPH_BUILTINS else Graph.UNKNOWN
        if origin.startswith(_WITHOUT_GRAPH):
            return Graph.DETACHED
        if package in ("torch.nn.functional", "torch.special") or (package == "torch" and last in _JOINING):
            if self.gradients_on(node) is False:
                return Graph.DETACHED
            if last == "one_hot":
                return Graph.DETACHED
            joined = _joined([self.graph(each) for each in given])
            return joined if self.gradients_on(node) or joined is Graph.DETACHED else Graph.UNKNOWN
        if package == "torch":
            tracked = any(each.arg == "requires_grad" for each in node.keywords)
            return Graph.UNKNOWN if tracked or last[:1].isupper() else Graph.DETACHED
        callee = self._values.calls.callee(node)
        if isinstance(callee, FUNCTIONS):
            return Graph.DETACHED if self.gradients_on(node) is False else self._returned(callee)
        return Graph.DETACHED if self.gradients_on(node) is False else Graph.UNKNOWN

    # -- models and devices -------------------------------------------------------------------------------

    def is_trained(self, model: ast.expr | None) -> bool:
        """Whether an optimizer of this file was given the model's parameters."""
        subject = self._values.subject(model)
        return subject is not None and subject in self._trained

    @cached_property
    def _trained(self) -> set[Subject]:
        found: set[Subject] = set()
        for call in self._tree.all(ast.Call):
            func = call.func
            if not isinstance(func, ast.Attribute) or func.attr not in ("parameters", "named_parameters"):
                continue
            subject = self._values.subject(func.value)
            if subject is not None and self._goes_to_optimizer(call):
                found.add(subject)
        return found

    def _goes_to_optimizer(self, node: ast.AST) -> bool:
        for above in self._tree.ancestors(node):
            if isinstance(above, ast.Call):
                origin = self._names.origin(above.func) or ""
                if kind_made_by(origin) is Kind.OPTIMIZER or "optim" in last_name(above.func).lower():
                    return True
            elif isinstance(above, ast.stmt):
                return False
        return False

    @cached_property
    def uses_gpu(self) -> bool:
        """Whether this file puts anything on a CUDA device."""
        for constant in self._tree.all(ast.Constant):
            if (
                isinstance(constant.value, str)
                and constant.value.startswith("cuda")
                and constant.value[4:5] in ("", ":")
            ):
                return True
        return any(
            isinstance(call.func, ast.Attribute) and call.func.attr == "cuda" and self._names.origin(call.func) is None
            for call in self._tree.all(ast.Call)
        )


_SWITCHES: dict[Region | None, bool | None] = {Region.NO_GRAD: False, Region.GRAD: True, Region.SOME_GRAD: None}


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


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of arithmetic that surely are tensors of the loss: `loss` in `scaler.scale(loss / 4)`."""
    match node:
        case ast.Call(func=ast.Attribute(attr="scale"), args=[only]):
            yield only
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in KEEPERS:
            if not isinstance(value, ast.Name) or value.id not in ("torch", "F", "np", "self"):
                yield value
            elif attr in _JOINING and node.args:
                yield node.args[0]
        case ast.Call(func=ast.Attribute(attr="stack" | "cat" | "sum" | "mean") | ast.Name(id="sum"), args=[first, *_]):
            yield first
        case ast.BinOp(op=ast.Div() | ast.Pow(), left=left):
            yield left
        case ast.BinOp(op=ast.Mult(), left=ast.Constant(), right=right):
            yield right
        case ast.BinOp(op=ast.Mult(), left=left, right=ast.Constant()):
            yield left
        case ast.BinOp(op=ast.Mult() | ast.Add() | ast.Sub(), left=left, right=right):
            for side in (left, right):
                if not isinstance(side, ast.Name) or any(each in side.id.lower() for each in _LOSS_NAME):
                    yield side
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            yield from elements
        case ast.NamedExpr(value=value) | ast.Subscript(value=value):
            yield value
