"""The batch is averaged before the loss instead of after it

The loss of a pair is the log-sigmoid of its margin, and the loss of a batch the mean over its pairs. Averaged first,
only the mean margin counts: one easy pair makes up for many wrong ones, and every pair gets the same gradient.

❌
```python
import torch.nn.functional as F

def preference_loss(chosen, rejected, beta):
    margins = beta * (chosen - rejected)
    return -F.logsigmoid(margins.mean())  # ❌
```

✅
```python
import torch.nn.functional as F

def preference_loss(chosen, rejected, beta):
    margins = beta * (chosen - rejected)
    return -F.logsigmoid(margins).mean()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("logsigmoid|LogSigmoid|sigmoid(", "mean(")


def detect(code: Code) -> Iterator[Problem]:
    """`logsigmoid(margins.mean())`, and the logarithm of a sigmoid of a mean."""
    for call in code.tree.all(ast.Call) if not code.is_test else ():
        mean = _mean(code, _argument(code, call))
        if mean is None:
            continue
        inner = code.source.of(mean.func.value) if isinstance(mean.func, ast.Attribute) and not mean.args else None
        outer = code.source.of(call.func)
        fixes = inner is not None and mean in call.args
        yield code.problem(
            call,
            f"`{code.name(mean)}` is one number before `{code.name(call.func)}` sees it: the loss depends on the mean "
            "of the batch alone. Take the mean of the losses.",
            fix=[code.source.replace(call, f"{outer}({inner}).mean()")] if fixes else [],
        )


def _argument(code: Code, call: ast.Call) -> ast.expr | None:
    """What goes into a log-sigmoid."""
    name = code.activations.function_origin(call) if code.origin(call) else ""
    if name == "logsigmoid" or code.values.only(call.func).origin == "torch.nn.LogSigmoid":
        return call.args[0] if call.args else None
    if name == "log" and call.args and isinstance(call.args[0], ast.Call):
        inner = call.args[0]
        if code.activations.function_origin(inner) == "sigmoid" and inner.args and code.origin(inner):
            return inner.args[0]
    return None


def _mean(code: Code, node: ast.expr | None) -> ast.Call | None:
    """The mean over everything that the expression is, times a number at most."""
    told = code.definitions.of(node) if node is not None else None
    if isinstance(told, ast.UnaryOp):
        told = told.operand
    if not isinstance(told, ast.Call) or told.keywords:
        return None
    if code.origin(told) == "torch.mean":
        return told if len(told.args) == 1 else None
    is_method = code.origin(told) is None and isinstance(told.func, ast.Attribute) and told.func.attr == "mean"
    return told if is_method and not told.args else None
