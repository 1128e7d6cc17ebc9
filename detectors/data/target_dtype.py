"""The loss is given targets of the wrong type

`cross_entropy` reads integer targets as class numbers and float targets as probabilities of the same shape as the
logits: one float a row fails. `binary_cross_entropy` (with or without logits) wants floats and fails on integers.

❌
```python
import torch.nn.functional as F

for images, labels in loader:
    loss = F.binary_cross_entropy_with_logits(model(images), labels.long())  # ❌
```

✅
```python
import torch.nn.functional as F

for images, labels in loader:
    loss = F.binary_cross_entropy_with_logits(model(images), labels.float())
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
"""

import ast
from collections.abc import Iterator

from detectors import Change, Code, Column, Loss, Problem, Tier

TIER = Tier.BUG
WORDS = ("cross_entropy|CrossEntropyLoss|nll_loss|NLLLoss|BCE", "float|long|int")
_FLOATS = frozenset(["float", "double", "half"])
_INTEGERS = frozenset(["long", "int"])
_FROM_ARRAYS = ("torch.from_numpy", "torch.as_tensor", "torch.tensor")
_FLOAT_TYPES = ("torch.float", "torch.float32", "torch.float64", "torch.double", "torch.half", "torch.float16")
_INTEGER_TYPES = ("torch.long", "torch.int64", "torch.int", "torch.int32")


def detect(code: Code) -> Iterator[Problem]:
    """Losses whose target was cast to the other type last."""
    if code.is_test:
        return
    for loss in code.activations.losses:
        cast = _cast(code, loss.target)
        if cast is None:
            continue
        node, is_float = cast
        binary = loss.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits")
        if binary and not is_float:
            yield _problem(code, loss, node, "wants float targets, but", "integers", "float")
        elif loss.name in ("cross_entropy", "nll_loss") and is_float and code.columns.of(loss.target) is Column.FLAT:
            yield _problem(code, loss, node, "wants class numbers, but", "one float a row", "long")


def _problem(code: Code, loss: Loss, node: ast.Call, wants: str, holds: str, right: str) -> Problem:
    mend: list[Change] = []
    if isinstance(node.func, ast.Attribute) and node.func.attr in _FLOATS | _INTEGERS:
        mend = [code.source.replace(node, f"{code.source.of(node.func.value)}.{right}()")]
    return code.problem(
        loss.call,
        f"`{code.name(loss.call.func)}` {wants} `{code.name(loss.target)}` holds {holds}: the call fails.",
        mend=mend,
        show=[node],
        related=[(node, "where its type is set")] if node.lineno != loss.call.lineno else [],
    )


def _cast(code: Code, node: ast.expr) -> tuple[ast.Call, bool] | None:
    """The call that gave the tensor its type, and whether that is a float type."""
    for _ in range(5):
        if isinstance(node, ast.Name):
            bindings = code.names.reaching(node)
            value = bindings[0].value if len(bindings) == 1 and not bindings[0].index else None
            if value is None or not isinstance(bindings[0].node, ast.Assign):
                return None
            node = value
        elif isinstance(node, ast.Call) and code.origin(node) in _FROM_ARRAYS and _type_of(code, node) is None:
            if not node.args:
                return None
            node = node.args[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_float = _type_of(code, node)
            if is_float is not None:
                return node, is_float
            if node.func.attr not in ("to", "view", "reshape", "squeeze", "cuda", "flatten", "unsqueeze", "cpu"):
                return None
            node = node.func.value
        else:
            return None
    return None


def _type_of(code: Code, call: ast.Call) -> bool | None:
    """Whether the call makes floats (True) or integers (False); None where it sets no type."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) and code.origin(call) is None else ""
    if method in _FLOATS | _INTEGERS and not call.args:
        return method in _FLOATS
    if method == "astype":
        return _numpy_type(code, call)
    if method not in ("to", "type") and code.origin(call) not in ("torch.tensor", "torch.as_tensor"):
        return None
    origins = [code.origin(each) or "" for each in (*call.args, *(k.value for k in call.keywords if k.arg == "dtype"))]
    if any(each in _FLOAT_TYPES for each in origins):
        return True
    return False if any(each in _INTEGER_TYPES for each in origins) else None


def _numpy_type(code: Code, call: ast.Call) -> bool | None:
    """The same for `array.astype(np.int64)` and `array.astype("float32")`."""
    given = call.args[0] if call.args else None
    name = str(given.value) if isinstance(given, ast.Constant) else (code.origin(given) or "").rpartition(".")[2]
    if name in ("float", "float16", "float32", "float64", "double"):
        return True
    return False if name in ("int", "int32", "int64", "long", "uint8", "int8") else None
