"""The training forward goes around DistributedDataParallel

DDP prepares its gradient synchronisation in its own `forward`. A loss computed through `model.module(...)` is
back-propagated without it: every rank keeps its own gradients, and the copies drift apart.

❌
```python
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
for images, labels in loader:
    loss = criterion(model.module(images), labels)  # ❌
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

✅
```python
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
for images, labels in loader:
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/notes/ddp.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("DistributedDataParallel", "module", "backward")


def detect(code: Code) -> Iterator[Problem]:
    """Calls of a DDP wrapper's `module` in a training step that never runs the wrapper itself."""
    for call in code.tree.all(ast.Call):
        inner = call.func
        if isinstance(inner, ast.Attribute) and inner.attr == "forward":
            inner = inner.value
        if not isinstance(inner, ast.Attribute) or inner.attr != "module":
            continue
        wrapped = code.ranks.parallel(inner.value)
        if not wrapped or not all("DistributedDataParallel" in each.wrappers[0] for each in wrapped):
            continue
        training = code.step_around(call)
        if training is None or code.gradients.on(call) is not True:
            continue
        subject = code.values.subject(inner.value)
        runs = (each for each in code.tree.all(ast.Call) if code.tree.inside(each, training.loop) and each is not call)
        if any(code.values.subject(each.func) == subject and not _is_module(each.func) for each in runs):
            continue
        name = code.name(inner.value)
        yield code.problem(
            call,
            f"`{name}.module` is called past the DDP wrapper, so the gradients of `{name}` are "
            "never averaged over the ranks.",
            fix=[code.source.replace(inner, code.source.of(inner.value))],
            related=[(training.backwards[-1].node, "back-propagated here")],
        )


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("module", "forward")
