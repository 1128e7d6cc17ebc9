"""Axis calls: which tensor a call works on, over which dimension, and whether it moves dimensions."""

import ast

from detectors._engine.names.names import Names
from detectors._engine.tensors.activations import Activations
from detectors._engine.values.values import Values

ELEMENTWISE = frozenset(
    [
        *("softmax", "log_softmax", "gumbel_softmax", "sigmoid", "exp", "log", "relu", "gelu", "tanh", "leaky_relu"),
        *("detach", "cpu", "cuda", "to", "float", "double", "half", "clone", "contiguous", "numpy", "type", "clamp"),
        *("dropout", "elu", "abs", "div", "masked_fill", "nan_to_num", "data", "logits", "selu", "squeeze", "mean"),
        *("sum", "view", "reshape", "flatten", "index_select", "bfloat16", "softplus", "silu", "add", "mul", "neg"),
        *("from_numpy", "as_tensor"),
    ]
)
"""What leaves the dimensions as they are, as far as `Axes` follows it."""
_MIXING = frozenset(
    [
        *("matmul", "mm", "bmm", "einsum", "cosine_similarity", "cdist", "t", "transpose", "permute", "movedim"),
        *("rearrange", "select", "stack", "swapaxes", "unbind", "chunk", "split", "outer"),
    ]
)


class AxisCalls:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, activations: Activations) -> None:
        self._names, self._values, self._activations = names, values, activations

    def operand(self, call: ast.Call) -> ast.expr | None:
        """The tensor that a function or method of torch works on."""
        if self._names.origin(call.func) is None and isinstance(call.func, ast.Attribute):
            return call.func.value
        return call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "input"), None)

    def dimension(self, call: ast.Call) -> object:
        """The constant dimension the call works over; None where it is not given or not constant."""
        position = 0 if self._names.origin(call.func) is None else 1
        given = next((each.value for each in call.keywords if each.arg in ("dim", "axis")), None)
        if given is None and len(call.args) > position:
            given = call.args[position]
        if isinstance(given, ast.UnaryOp) and isinstance(given.operand, ast.Constant):
            return -given.operand.value  # type: ignore[operator]
        return self._values.only(given).constant if given is not None else None

    def mixes(self, node: ast.expr) -> bool:
        """Whether the expression is a product of matrices, or has its dimensions moved."""
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.MatMult) or any(
                isinstance(each, ast.BinOp) and isinstance(each.op, ast.MatMult) for each in (node.left, node.right)
            )
        name = self._activations.function_origin(node) if isinstance(node, ast.Call) else ""
        return name in _MIXING or (isinstance(node, ast.Attribute) and node.attr in ("T", "mT"))
