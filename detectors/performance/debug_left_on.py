"""A debugging switch is on for the whole run

Anomaly detection keeps a stack trace of every operation and checks every gradient for NaN, and
`CUDA_LAUNCH_BLOCKING=1` waits for each kernel: training slows down several times. Turn them on behind a flag, while
looking for the bug.

❌
```python
import torch

torch.autograd.set_detect_anomaly(True)  # ❌
train(model)
```

✅
```python
import torch

torch.autograd.set_detect_anomaly(args.debug)
train(model)
```

https://docs.pytorch.org/docs/stable/autograd.html#anomaly-detection
https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#disable-debugging-apis
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("anomaly|CUDA_LAUNCH_BLOCKING", "torch|CUDA")


def detect(code: Code) -> Iterator[Problem]:
    """Switches that nothing guards and that are given as literals."""
    if code.is_test or "debug" in code.path.lower():
        return
    for node, what, cost in _switches(code):
        definition = code.tree.definition(node).lower()
        if code.ranks.guards(node) or any(each in definition for each in ("debug", "anomaly", "determin")):
            continue
        yield code.problem(node, f"`{what}` is on for the whole run, which {cost}; keep it behind a flag.")


def _switches(code: Code) -> Iterator[tuple[ast.AST, str, str]]:
    slow = "records a stack trace for every operation and slows training several times"
    for call in code.calls("torch.autograd.set_detect_anomaly", "torch.autograd.anomaly_mode.set_detect_anomaly"):
        if _is_true(code.argument(call, "mode", 0)) and not isinstance(code.tree.parents[call], ast.withitem):
            yield call, "set_detect_anomaly(True)", slow
    for call in code.calls("torch.autograd.detect_anomaly", "torch.autograd.anomaly_mode.detect_anomaly"):
        yield call, "detect_anomaly()", slow
    for call in code.calls("lightning.pytorch.Trainer"):
        if _is_true(code.argument(call, "detect_anomaly")):
            yield call, "detect_anomaly=True", slow
    blocking = "makes the CPU wait for every kernel"
    for assign in code.tree.all(ast.Assign):
        target, value = assign.targets[0], assign.value
        if not isinstance(target, ast.Subscript) or not _is_launch(target.slice):
            continue
        is_on = isinstance(value, ast.Constant) and str(value.value) == "1"
        if is_on and code.origin(target.value) == "os.environ":
            yield assign, 'CUDA_LAUNCH_BLOCKING = "1"', blocking


def _is_launch(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "CUDA_LAUNCH_BLOCKING"


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
