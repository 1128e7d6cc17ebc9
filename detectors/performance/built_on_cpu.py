"""A tensor is made on the CPU and moved in every step

`torch.zeros(...).to(device)` fills memory on the CPU, then copies it to the GPU and waits for the copy. Made with
`device=` the tensor is filled where it is used.

❌
```python
import torch

for inputs in loader:
    state = torch.zeros(inputs.size(0), 128).to(device)  # ❌
    optimizer.zero_grad()
    model(inputs.to(device), state).mean().backward()
    optimizer.step()
```

✅
```python
import torch

for inputs in loader:
    state = torch.zeros(inputs.size(0), 128, device=device)
    optimizer.zero_grad()
    model(inputs.to(device), state).mean().backward()
    optimizer.step()
```

https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#create-tensors-directly-on-the-target-device
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name, without_methods

TIER = Tier.RISK
WORDS = (
    ".to(|.cuda(",
    "torch.zeros|torch.ones|torch.full|torch.arange|torch.eye|torch.empty|torch.linspace|torch.rand",
)

_FILLED = ("zeros", "ones", "full", "arange", "eye", "linspace")
_SHAPES = frozenset("unsqueeze view reshape repeat expand flatten float long".split())
_RANDOM = ("rand", "randn", "randint", "randperm")


def detect(code: Code) -> Iterator[Problem]:
    """Tensors filled on the CPU and moved at once, in a training step or in `forward`."""
    if code.is_test:
        return
    for move in code.method_calls("to", "cuda"):
        shaped = move.func.value  # type: ignore[attr-defined]
        made, device = without_methods(shaped, _SHAPES), _device(code, move)
        if device is None or not isinstance(made, ast.Call) or code.may_have(made, "device"):
            continue
        package, _, last = (code.origin(made) or "").rpartition(".")
        if package != "torch" or last not in (*_FILLED, *_RANDOM) or code.argument(made, "generator") is not None:
            continue
        where = _hot(code, move)
        if not where:
            continue
        there = code.source.of(made)[:-1].rstrip().rstrip(",") + f", device={device})"
        mended = there + code.source.of(shaped)[len(code.source.of(made)) :]
        change = [code.source.replace(move, mended)]
        is_same = last in _FILLED and "\n" not in mended
        yield code.problem(
            move,
            f"`torch.{last}` fills this tensor on the CPU and copies it to `{device}` {where}; it can be made there.",
            fix=change if is_same else (),
            mend=change,
            tier=Tier.RISK if where == "in every step" else Tier.ADVICE,
        )


def _device(code: Code, move: ast.Call) -> str | None:
    """The device of a move that is nothing but one."""
    if move.func.attr == "cuda":  # type: ignore[attr-defined]
        return '"cuda"' if not move.args and not move.keywords else None
    if len(move.args) != 1 or move.keywords:
        return None
    target = move.args[0]
    if isinstance(target, ast.Constant):
        return code.source.of(target) if str(target.value).startswith("cuda") else None
    return code.source.of(target) if "device" in last_name(target).lower() else None


def _hot(code: Code, node: ast.AST) -> str:
    if code.step_around(node) is not None:
        return "in every step"
    function = code.tree.function(node)
    owner = code.tree.class_of(function) if function is not None else None
    is_forward = function is not None and owner is not None and code.modules.runs_in_forward(owner, function)
    if is_forward and code.values.classes.kind(owner) is Kind.MODEL and not code.ranks.guards(node):  # type: ignore[arg-type]
        return "at every forward"
    return ""
