"""Activations and losses: what was applied last to a tensor, and what a loss wants to be given.

`cross_entropy` takes logits and `nll_loss` log-probabilities; both take whatever they are given. An activation is
followed through assignments, reshaping, unpacking, local functions, and through `forward` of a model of this file to
the loop that trains it. Where branches differ the answer is None.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from detectors._engine.flow.unit import DefinedFunction, Unit
from detectors._engine.names.bindings import Bound
from detectors._engine.source.tree import FUNCTIONS, Function
from detectors._engine.values.value import Value


class Activation(Enum):
    """What a tensor's numbers are."""

    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log-softmax"
    SIGMOID = "sigmoid"
    LOG_SIGMOID = "log-sigmoid"
    LOGITS = "no activation"


@dataclass(frozen=True, slots=True)
class Applied:
    """An activation and the node that applied it; `activation` is None where it is not known.

    Where it is applied in another file of the repository, the node is the call that leads there, and `elsewhere` the
    place.
    """

    activation: Activation | None
    node: ast.expr | None = None
    elsewhere: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """One call of a loss whose origin is known: `name` is that of the function in `torch.nn.functional`.

    `made` is the call that has the options: the constructor's, or the call itself.
    """

    call: ast.Call
    name: str
    input: ast.expr
    target: ast.expr
    made: ast.Call


_FUNCTIONAL = {
    "softmax": Activation.SOFTMAX,
    "gumbel_softmax": Activation.SOFTMAX,
    "log_softmax": Activation.LOG_SOFTMAX,
    "sigmoid": Activation.SIGMOID,
    "sigmoid_": Activation.SIGMOID,
    "expit": Activation.SIGMOID,
    "logsigmoid": Activation.LOG_SIGMOID,
    "linear": Activation.LOGITS,
}
_MODULES = {
    "Softmax": Activation.SOFTMAX,
    "Softmax2d": Activation.SOFTMAX,
    "LogSoftmax": Activation.LOG_SOFTMAX,
    "Sigmoid": Activation.SIGMOID,
    "LogSigmoid": Activation.LOG_SIGMOID,
    "Linear": Activation.LOGITS,
    "Bilinear": Activation.LOGITS,
    "LazyLinear": Activation.LOGITS,
    "Conv1d": Activation.LOGITS,
    "Conv2d": Activation.LOGITS,
    "Conv3d": Activation.LOGITS,
}
_TORCH = ("torch.", "torch.nn.functional.", "torch.special.")
_RESHAPING = frozenset(
    [
        *("view", "view_as", "reshape", "reshape_as", "squeeze", "unsqueeze", "transpose", "permute", "movedim", "T"),
        *("contiguous", "flatten", "float", "double", "half", "bfloat16", "to", "cuda", "cpu", "clone", "detach"),
        *("type", "type_as", "expand", "masked_select", "index_select", "requires_grad_", "clamp", "clip", "swapaxes"),
        *("squeeze_", "unsqueeze_", "numpy", "ravel", "data", "mT", "rearrange", "repeat"),
    ]
)
_NEUTRAL_MODULES = frozenset(["Flatten", "Unflatten", "Dropout", "Identity"])
_LOSSES = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "kl_div": "KLDivLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
}
_LOSS_MODULES = {f"torch.nn.{module}": name for name, module in _LOSSES.items()}
_LOSS_FUNCTIONS = {f"torch.nn.functional.{name}": name for name in _LOSSES}
_DEPTH = 24
_UNKNOWN = Applied(None)
Calls = tuple[ast.Call, ...]


class Activations:
    """Answers for one file."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tree, self._names, self._values = unit.tree, unit.names, unit.values
        self._busy: set[tuple[ast.AST, Calls, tuple[int, ...]]] = set()

    def of(self, node: ast.expr) -> Applied:
        """What was applied last to the expression's value; unknown where several things could be."""
        found = set(self._applied(node, (), ()))
        if len({each.activation for each in found}) != 1:
            return _UNKNOWN
        return min(found, key=lambda each: getattr(each.node, "lineno", 0))

    def function_origin(self, call: ast.Call) -> str:
        """The name of the torch function a call calls (`softmax` for `F.softmax(x)` and `x.softmax(-1)`), else ""."""
        origin = self._names.origin(call.func)
        if origin is not None:
            last = origin.rpartition(".")[2]
            return last if origin in tuple(f"{module}{last}" for module in _TORCH) else ""
        return call.func.attr if isinstance(call.func, ast.Attribute) else ""

    # -- losses -------------------------------------------------------------------------------------------

    @cached_property
    def losses(self) -> list[Loss]:
        """Every call of a torch loss whose kind is certain, in source order."""
        return [loss for call in self._tree.all(ast.Call) if (loss := self._loss(call)) is not None]

    @cached_property
    def possible_cross_entropies(self) -> list[Loss]:
        """The calls of a criterion that is a cross-entropy or something else, whichever a condition chose that the call
        itself does not stand under."""
        return [loss for call in self._tree.all(ast.Call) if (loss := self._possible(call)) is not None]

    def _possible(self, call: ast.Call) -> Loss | None:
        if len(call.args) < 2 or isinstance(call.args[0], ast.Starred) or self._names.origin(call.func) is not None:
            return None
        values = self._values.of(call.func) if isinstance(call.args[0], ast.Call) else ()
        made = [each.call for each in values if each.origin == "torch.nn.CrossEntropyLoss" and each.call is not None]
        if not made or len(made) == len(values):
            return None
        chosen = self._outcomes(call)
        others = [each.call for each in values if each.call is not None and each.call not in made]
        same = chosen & self._outcomes(made[0]) if len(made) == 1 and len(others) == len(values) - 1 else set()
        is_chosen = bool(same) and not any(same & self._outcomes(each) for each in others)
        if not is_chosen and any(self._asked(call) & self._asked(each) for each in made):
            return None
        return Loss(call, "cross_entropy", call.args[0], call.args[1], made[0])

    def _outcomes(self, node: ast.AST) -> set[tuple[str, bool]]:
        """The conditions that a node stands under, with their outcomes; in an object, of those that others can read."""
        found, below = set(), node
        for above in self._tree.ancestors(node):
            if isinstance(above, ast.If) and below is not above.test:
                found.add((ast.unparse(above.test), below in above.body))
            below = above
        return {each for each in found if "self." in each[0]}

    def _asked(self, node: ast.AST) -> set[str]:
        """What the conditions around a node ask about."""
        tests = [each.test for each in self._tree.ancestors(node) if isinstance(each, (ast.If, ast.IfExp))]
        parts = (part for test in tests for part in ast.walk(test) if isinstance(part, (ast.Name, ast.Attribute)))
        return {each.id if isinstance(each, ast.Name) else each.attr for each in parts} - {"self", "args", "config"}

    def _loss(self, call: ast.Call) -> Loss | None:
        if len(call.args) + len(call.keywords) < 2 or any(isinstance(each, ast.Starred) for each in call.args[:2]):
            return None
        origin = self._names.origin(call.func)
        if origin is not None:
            name, made = _LOSS_FUNCTIONS.get(origin), call
        else:
            kinds = {_LOSS_MODULES.get(each.origin or ""): each.call for each in self._values.of(call.func)}
            name, constructor = kinds.popitem() if len(kinds) == 1 else (None, None)
            made = constructor or call
        if name is None:
            return None
        given = {each.arg: each.value for each in call.keywords}
        first = call.args[0] if call.args else given.get("input")
        second = call.args[1] if len(call.args) > 1 else given.get("target")
        return Loss(call, name, first, second, made) if first is not None and second is not None else None

    # -- what was applied ---------------------------------------------------------------------------------

    def _applied(self, node: ast.expr | None, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        key = (node, calls, index)
        if node is None or key in self._busy or len(self._busy) > _DEPTH:
            yield _UNKNOWN
            return
        self._busy.add(key)  # type: ignore[arg-type]
        try:
            yield from list(self._find(node, calls, index))
        finally:
            self._busy.discard(key)

    def _find(self, node: ast.expr, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        match node:
            case ast.Name():
                yield from self._of_name(node, calls, index)
            case ast.Tuple() | ast.List() if index:
                element = node.elts[index[0]] if index[0] < len(node.elts) else None
                yield from self._applied(element, calls, index[1:])
            case ast.Call():
                yield from self._of_call(node, calls, index)
            case ast.Attribute(attr="logits"):
                yield Applied(Activation.LOGITS, node)
            case ast.Attribute(attr=attr, value=value) if attr in _RESHAPING:
                yield from self._applied(value, calls, index)
            case ast.Subscript(slice=ast.Constant(value=int() as position), value=value) if self._is_tuple(value):
                yield from self._applied(value, calls, (position,) if position >= 0 else ())
            case ast.Subscript(slice=ast.Constant(value=str())):
                yield _UNKNOWN
            case ast.Subscript(value=value):
                yield from self._applied(value, calls, index)
            case ast.IfExp():
                yield from self._applied(node.body, calls, index)
                yield from self._applied(node.orelse, calls, index)
            case ast.BinOp(op=ast.Add(), left=left, right=ast.Constant()):
                yield from self._applied(left, calls, index)
            case ast.NamedExpr(value=value):
                yield from self._applied(value, calls, index)
            case _:
                yield _UNKNOWN

    def _is_tuple(self, node: ast.expr) -> bool:
        """Whether the expression is a call of something in this file that returns a tuple."""
        for value in self._values.of(node):
            called = self._forward(value) if value.call is not None else None
            function = called or (self._values.calls.callee(node) if isinstance(node, ast.Call) else None)
            if isinstance(function, FUNCTIONS):
                return all(isinstance(each.value, ast.Tuple) for each in self._values.calls.returns(function))
        return False

    def _of_name(self, node: ast.Name, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        bindings = self._names.reaching(node)
        if not bindings:
            yield _UNKNOWN
        for binding in bindings:
            if binding.how is Bound.ASSIGNMENT:
                yield from self._applied(binding.value, calls, index)
            elif binding.how is Bound.PART:
                yield from self._applied(binding.value, calls, (*binding.index, *index))
            elif binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
                yield from self._given(binding.scope, node.id, calls, index)
            else:
                yield _UNKNOWN

    def _given(self, function: Function, name: str, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        if calls:
            yield from self._applied(self._values.calls.argument_for(function, calls[-1], name), calls[:-1], index)
            return
        given = list(self._values.calls.given_for(function, name))
        for argument in given:
            yield from self._applied(argument, (), index)
        if not given:
            yield _UNKNOWN

    def _of_call(self, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        name = self.function_origin(call)
        operand = self._operand(call)
        if name in _FUNCTIONAL and not index:
            yield Applied(_FUNCTIONAL[name], call)
        elif name in ("log", "log_") and operand is not None:
            for inner in self._applied(operand, calls, index):
                logs = {Activation.SOFTMAX: Activation.LOG_SOFTMAX, Activation.SIGMOID: Activation.LOG_SIGMOID}
                yield Applied(logs.get(inner.activation) if inner.activation else None, call)
        elif (name in _RESHAPING or self._names.origin(call.func) == "einops.rearrange") and operand is not None:
            yield from self._applied(operand, calls, index)
        else:
            yield from self._of_called(call, calls, index)

    def _operand(self, call: ast.Call) -> ast.expr | None:
        if self._names.origin(call.func) is None and isinstance(call.func, ast.Attribute):
            return call.func.value
        return call.args[0] if call.args else None

    def _of_called(self, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        callee = self._values.calls.callee(call)
        if isinstance(callee, FUNCTIONS):
            yield from self._returned(callee, call, calls, index)
            return
        values = self._values.of(call.func) if callee is None else ()
        if not values:
            yield _UNKNOWN
        for value in values:
            abroad = self._unit.imports.method(value.origin or "", "forward", self._unit)
            if abroad is not None:
                yield from self._returned_abroad(abroad, call, index)
            else:
                yield from self._of_module(value, call, calls, index)

    def _returned_abroad(self, forward: DefinedFunction, call: ast.Call, index: tuple[int, ...]) -> Iterator[Applied]:
        """What a `forward` of another file returns; what it is given is not followed back."""
        answers = Activations(forward.unit)
        for statement in forward.unit.values.calls.returns(forward.node):
            for each in answers._applied(statement.value, (), index):
                line = getattr(each.node, "lineno", statement.lineno)
                yield Applied(each.activation, call, f"line {line} of {forward.unit.path}")

    def _of_module(self, value: Value, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        origin = value.origin or ""
        forward = self._forward(value)
        if forward is not None:
            yield from self._returned(forward, call, calls, index)
        elif origin == "torch.nn.Sequential" and value.call is not None and not index:
            yield self._last_of(value.call, call)
        elif origin.startswith("torch.nn.") and not index:
            if origin.rpartition(".")[2] in _NEUTRAL_MODULES and call.args:
                yield from self._applied(call.args[0], calls, index)
            else:
                yield Applied(_MODULES.get(origin.rpartition(".")[2]), value.call or call)
        else:
            yield _UNKNOWN

    def _forward(self, value: Value) -> Function | None:
        """The `forward` that runs when the object is called."""
        if not (value.origin or "").startswith("<local>."):
            return None
        owner = self._values.classes.named((value.origin or "").removeprefix("<local>."))
        if owner is None:
            return None
        return self._values.classes.method(owner, "forward") or self._values.classes.method(owner, "__call__")

    def _returned(self, function: Function, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Iterator[Applied]:
        returns = [each for each in self._values.calls.returns(function) if each.value is not None]
        if not returns or call in calls or len(calls) > 3:
            yield _UNKNOWN
        else:
            for statement in returns:
                yield from self._applied(statement.value, (*calls, call), index)

    def _last_of(self, sequential: ast.Call, call: ast.Call) -> Applied:
        """The activation of the last layer of a `Sequential`."""
        layers = sequential.args
        if (
            len(layers) == 1
            and isinstance(layers[0], ast.Call)
            and not self._origin_of(layers[0]).startswith("torch.nn.")
        ):
            ordered = layers[0].args[0] if layers[0].args else None  # Sequential(OrderedDict([("fc", Linear()), …]))
            layers = ordered.elts if isinstance(ordered, ast.List) else []
        for layer in reversed(layers):
            last = layer.elts[-1] if isinstance(layer, ast.Tuple) and layer.elts else layer
            origin = self._values.only(last).origin or ""
            name = origin.rpartition(".")[2]
            if not origin.startswith("torch.nn."):
                return _UNKNOWN
            if name == "Sequential" and isinstance(last, ast.Call):
                return self._last_of(last, call)
            if name not in _NEUTRAL_MODULES:
                return Applied(_MODULES.get(name), last)
        return _UNKNOWN

    def _origin_of(self, call: ast.Call) -> str:
        return self._names.origin(call.func) or ""
