"""The profiler records the whole run

A profiler without a `schedule` keeps every event of every step in memory until it stops: the run slows down, the
trace grows to gigabytes, and the warm-up is part of the result. With a schedule and `prof.step()` it records a few
steps.

❌
```python
import torch

with torch.profiler.profile(record_shapes=True) as prof:  # ❌
    for images, labels in loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
```

✅
```python
import torch

schedule = torch.profiler.schedule(wait=1, warmup=1, active=3)
with torch.profiler.profile(record_shapes=True, schedule=schedule) as prof:
    for images, labels in loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
        prof.step()
```

https://docs.pytorch.org/docs/stable/profiler.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("profile", "torch", "for |while ", "backward")


def detect(code: Code) -> Iterator[Problem]:
    """Profilers around a training loop, with no schedule, or with one that is never stepped."""
    if code.is_test:
        return
    for call in code.calls("torch.profiler.profile", "torch.autograd.profiler.profile"):
        item = code.tree.parents.get(call)
        block = code.tree.parents.get(item) if isinstance(item, ast.withitem) else None
        if not isinstance(block, ast.With):
            continue
        loops = [
            each.loop for each in code.training_steps if any(code.tree.inside(each.loop, part) for part in block.body)
        ]
        if not loops or any(isinstance(each, ast.Break) for loop in loops for each in ast.walk(loop)):
            continue
        name = code.name(item.optional_vars)  # type: ignore[union-attr]
        if not code.may_have(call, "schedule", 1):
            message = "This profiler has no `schedule`: it keeps the events of every step of the loop."
        elif name and not any(code.name(each.func.value) == name for each in code.method_calls("step")):  # type: ignore[attr-defined]
            message = f"`{name}.step()` is never called, so the schedule of this profiler does not move on."
        else:
            continue
        yield code.problem(call, message, related=[(loops[0], "the loop")])
