"""Gradients are synchronised for every micro-batch

Under DDP each `backward()` averages the gradients over all ranks. When several micro-batches are accumulated into one
step, only the last of them needs to; the others can run inside `model.no_sync()`.

❌
```python
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
for i, batch in enumerate(loader):
    loss = model(batch).mean() / 4
    loss.backward()  # ❌
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
```

✅
```python
import contextlib
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
for i, batch in enumerate(loader):
    is_last = (i + 1) % 4 == 0
    with contextlib.nullcontext() if is_last else model.no_sync():
        loss = model(batch).mean() / 4
        loss.backward()
    if is_last:
        optimizer.step()
        optimizer.zero_grad()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html#torch.nn.parallel.DistributedDataParallel.no_sync
"""

import ast
from collections.abc import Iterator

from detectors import Act, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("DistributedDataParallel", "backward", "%")


def detect(code: Code) -> Iterator[Problem]:
    """Steps every k-th micro-batch of a DDP model, with no sign of `no_sync` in the file."""
    if any(each in code.text for each in ("no_sync", "require_backward_grad_sync", "accumulate(")):
        return
    for training in code.training_steps:
        own = [guard for guard in training.step.guards if isinstance(guard.test, ast.Compare) and _counts(guard.test)]
        outside = {guard.key for each in training.backwards for guard in each.guards}
        if not any(guard.key not in outside for guard in own):
            continue
        forwards = [each for each in training.events if each.act is Act.FORWARD]
        if not any(code.ranks.parallel(each.target) for each in forwards):
            continue
        backward = training.backwards[-1]
        yield code.problem(
            backward.node,
            f"This `backward()` averages gradients over the ranks for every micro-batch, though "
            f"`{code.name(training.step.target)}` steps only when `{code.name(own[0].test)}`.",
            related=[(training.step.node, "the step")],
        )


def _counts(test: ast.Compare) -> bool:
    return any(isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mod) for each in ast.walk(test))
