"""NumPy computes in the middle of forward

NumPy knows no autograd. On a tensor that needs gradients `np.exp(x)` raises, and with `.detach().numpy()` around it
the layers before it get no gradient: they never learn, and nothing says so. On a GPU each call is a copy to the CPU
and back.

❌
```python
import numpy as np
import torch
from torch import nn


class Scaler(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        hidden = self.layer(x)
        return x * np.exp(hidden)  # ❌
```

✅
```python
import torch
from torch import nn


class Scaler(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        hidden = self.layer(x)
        return x * torch.exp(hidden)
```

https://docs.pytorch.org/docs/stable/generated/torch.Tensor.numpy.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.BUG
WORDS = ("def forward", "numpy")

_SAME = frozenset(
    "exp log sqrt abs sin cos tanh mean sum max min clip maximum minimum concatenate stack matmul dot power".split()
)
_AS_TORCH = {"concatenate": "cat", "power": "pow", "clip": "clamp"}


def detect(code: Code) -> Iterator[Problem]:
    """NumPy functions over what the module's own layers computed, and arrays of it that come back as tensors."""
    for call in code.tree.all(ast.Call):
        origin = code.origin(call) or ""
        is_numpy = origin.startswith("numpy.") and origin.count(".") == 1 and origin[6:] in _SAME
        is_back = origin in ("torch.from_numpy", "torch.tensor", "torch.as_tensor")
        if not (is_numpy or is_back) or not call.args or not _is_forward(code, call):
            continue
        if is_numpy and _is_computed(code, call.args[0]):
            last = origin[6:]
            mend = code.source.replace(call.func, f"torch.{_AS_TORCH.get(last, last)}")
            yield code.problem(
                call,
                f"`{code.name(call.func)}` is given `{code.name(call.args[0])}`, which a layer computed: autograd "
                "cannot follow it through NumPy.",
                mend=[mend],
            )
        elif is_back and (cut := _cut(code, call.args[0])) is not None:
            yield code.problem(
                call,
                f"`{code.name(cut)}` left the graph for NumPy and comes back as a new tensor: the layers that "
                "computed it get no gradient from here on.",
                related=[(cut, "it leaves the graph")],
            )


def _is_forward(code: Code, node: ast.AST) -> bool:
    function = code.tree.function(node)
    owner = code.tree.class_of(function) if function is not None and function.name == "forward" else None
    if owner is None or code.values.classes.kind(owner) is not Kind.MODEL:
        return False
    return code.gradients.on(node) is not False and not any(
        "training" in ast.unparse(test) for test, _ in code.ranks.guards(node)
    )


def _is_computed(code: Code, node: ast.expr, depth: int = 5) -> bool:
    """Whether a layer of the module computed the value, with nothing detached on the way."""
    if depth == 0:
        return False
    match node:
        case ast.Call(func=func, args=arguments):
            origin = code.origin(node) or ""
            if origin.startswith("torch."):
                return any(_is_computed(code, each, depth - 1) for each in arguments)
            if code.values.is_strong(func) and code.kind(func) is Kind.MODEL:
                return True
            if isinstance(func, ast.Attribute) and func.attr in (
                "view",
                "reshape",
                "mean",
                "sum",
                "permute",
                "transpose",
                "squeeze",
            ):
                return _is_computed(code, func.value, depth - 1)
        case ast.Name():
            values = [each.value for each in code.names.reaching(node) if not each.index]
            return bool(values) and all(each is not None and _is_computed(code, each, depth - 1) for each in values)
        case ast.BinOp(left=left, right=right):
            return _is_computed(code, left, depth - 1) or _is_computed(code, right, depth - 1)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return any(_is_computed(code, each, depth - 1) for each in elements)
    return False


def _cut(code: Code, node: ast.expr, depth: int = 4) -> ast.expr | None:
    """The `.numpy()` of a layer's result that the value was made from through NumPy alone."""
    if depth == 0:
        return None
    match node:
        case ast.Call(func=ast.Attribute(attr="numpy", value=value)):
            inner = value
            while (
                isinstance(inner, ast.Call)
                and isinstance(inner.func, ast.Attribute)
                and inner.func.attr in ("detach", "cpu")
            ):
                inner = inner.func.value
            return node if _is_computed(code, inner) else None
        case ast.Call() if (code.origin(node) or "").startswith(("numpy.", "scipy.")) and "arg" not in (
            code.origin(node) or ""
        ):
            return next((found for each in node.args if (found := _cut(code, each, depth - 1)) is not None), None)
        case ast.Name():
            bindings = code.names.reaching(node)
            if len(bindings) == 1 and bindings[0].value is not None and not bindings[0].index:
                return _cut(code, bindings[0].value, depth - 1)
        case ast.BinOp(left=left, right=right):
            return _cut(code, left, depth - 1) or _cut(code, right, depth - 1)
    return None
