"""Attention is scaled after its softmax

The scores of queries and keys are divided by the square root of their width so that the softmax is not saturated.
Divided after the softmax, the scores are as large as before, and the weights no longer add up to one: the output of the
layer shrinks by that factor.

❌
```python
import math
import torch

def attend(queries, keys, values):
    scores = queries @ keys.transpose(-2, -1)
    weights = torch.softmax(scores, dim=-1) / math.sqrt(queries.size(-1))  # ❌
    return weights @ values
```

✅
```python
import math
import torch

def attend(queries, keys, values):
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.size(-1))
    weights = torch.softmax(scores, dim=-1)
    return weights @ values
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

import ast
from collections.abc import Iterator

from detectors import Activation, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("softmax|Softmax", "sqrt|0.5|1 / 2", "@|matmul|bmm|einsum|edge_softmax")
_PRODUCTS = frozenset(["matmul", "bmm", "einsum", "baddbmm", "mm"])
_SAME = frozenset(
    ["masked_fill", "masked_fill_", "view", "reshape", "float", "contiguous", "squeeze", "clone", "type_as"]
)


def detect(code: Code) -> Iterator[Problem]:
    """What a softmax of a product gave, divided by a square root."""
    for scaled in code.tree.all(ast.BinOp):
        if isinstance(scaled.op, ast.Div):
            weights = scaled.left if _is_root(code, scaled.right, half=True) else None
        elif isinstance(scaled.op, ast.Mult):
            sides = (scaled.left, scaled.right)
            weights = next((one for one, other in (sides, sides[::-1]) if _is_root(code, other, half=False)), None)
        else:
            continue
        softmax = _softmax(code, weights) if weights is not None else None
        if softmax is not None:
            yield code.problem(
                scaled,
                f"`{code.name(weights)}` comes out of a softmax at line {softmax.lineno}: the scaling belongs to the "
                "scores before it. Here it makes the weights add up to less than one.",
                related=[(softmax, "the softmax")] if softmax.lineno != scaled.lineno else [],
            )


def _is_root(code: Code, node: ast.expr, *, half: bool) -> bool:
    """Whether the expression is a square root (`half`), or one over it."""
    match code.definitions.of(node):
        case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=0.5)):
            return half
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=0.5))):
            return not half
        case ast.BinOp(op=ast.Div(), left=ast.Constant(value=1 | 1.0), right=root):
            return not half and _is_root(code, root, half=True)
        case ast.Call(func=ast.Attribute(attr="sqrt") | ast.Name(id="sqrt")):
            return half
        case ast.Call(func=ast.Attribute(attr="rsqrt")):
            return not half
    return False


def _softmax(code: Code, weights: ast.expr) -> ast.Call | None:
    """The softmax of a product not yet scaled that the weights came out of."""
    if isinstance(weights, (ast.Name, ast.Call)):
        told = code.definitions.of(weights)
        if isinstance(told, ast.Call) and (code.origin(told) or "").endswith("edge_softmax") and len(told.args) > 1:
            return told if not any(isinstance(each, ast.BinOp) for each in ast.walk(told.args[1])) else None
        applied = code.activations.of(weights)
        if applied.activation is Activation.SOFTMAX and not applied.elsewhere:
            call = _call_of(code, told) if isinstance(told, ast.Call) else None
            if call is not None and _is_product(code, _operand(code, call)):
                return call
    return None


def _call_of(code: Code, told: ast.Call) -> ast.Call | None:
    """The call that applies the softmax, without what leaves the numbers as they are."""
    while isinstance(told.func, ast.Attribute) and told.func.attr in _SAME and isinstance(told.func.value, ast.Call):
        told = told.func.value
    name = code.activations.function_origin(told)
    made = code.values.only(told.func).origin
    return told if name == "softmax" or made == "torch.nn.Softmax" else None


def _operand(code: Code, call: ast.Call) -> ast.expr | None:
    is_made = code.values.only(call.func).origin == "torch.nn.Softmax"
    if not is_made and code.origin(call) is None and isinstance(call.func, ast.Attribute):
        return call.func.value
    return call.args[0] if call.args else code.argument(call, "input")


def _is_product(code: Code, scores: ast.expr | None, depth: int = 0) -> bool:
    if scores is None or depth > 4:
        return False
    match code.definitions.of(scores):
        case ast.BinOp(op=ast.MatMult(), left=left, right=right):
            return not _holds_scaling(code, [left, right])
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _SAME:
            return _is_product(code, value, depth + 1)
        case ast.Call(func=ast.Attribute(attr=attr, value=value) as func, args=given) if attr in _PRODUCTS:
            return not _holds_scaling(code, given if code.origin(func) else [value, *given])
        case ast.Call(func=ast.Name(id="einsum"), args=given):
            return not _holds_scaling(code, given)
    return False


def _holds_scaling(code: Code, factors: list[ast.expr]) -> bool:
    return any(
        isinstance(each, (ast.Mult, ast.Div)) for part in factors for each in ast.walk(code.definitions.of(part))
    )
