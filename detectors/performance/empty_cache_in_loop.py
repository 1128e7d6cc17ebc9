"""The CUDA cache is emptied in every step

`torch.cuda.empty_cache()` gives freed blocks back to the driver; the next step has to ask for them again, with a
synchronisation each time. It makes no more memory available to PyTorch. `gc.collect()` walks every Python object.

❌
```python
import torch

for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
    torch.cuda.empty_cache()  # ❌
```

✅
```python
import torch

for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.cuda.memory.empty_cache.html
https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management
"""

import ast
from collections.abc import Iterator

from detectors import Code, Loop, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("empty_cache|gc.collect", "backward")


def detect(code: Code) -> Iterator[Problem]:
    """Unconditional calls in the loop, or the step function, that trains."""
    for call in code.calls("torch.cuda.empty_cache", "torch.cuda.memory.empty_cache", "gc.collect"):
        training = code.step_around(call)
        if training is None or code.tree.enclosing(call, ast.ExceptHandler) is not None:
            continue
        walks = code.origin(call) == "gc.collect"
        cost = (
            "it walks every Python object, while the GPU waits for the next step."
            if walks
            else "freed memory goes back to the driver and is asked for again in the next step."
        )
        yield code.problem(
            call,
            f"`{code.name(call)}` runs in every training step: {cost}",
            related=[(training.loop, "the loop")],
            tier=None if _draws_batches(code, training.loop) else Tier.ADVICE,
        )


def _draws_batches(code: Code, loop: Loop) -> bool:
    """Whether the loop goes through batches; a step over all the data at once may need every byte of the GPU."""
    iterable = loop.iter if isinstance(loop, (ast.For, ast.AsyncFor)) else None
    counts = isinstance(iterable, ast.Call) and last_name(iterable.func) in ("range", "trange", "arange")
    if iterable is not None and not counts and not isinstance(iterable, ast.Name):
        return True
    if isinstance(iterable, ast.Name) and not all(_counts(each.value) for each in code.names.reaching(iterable)):
        return True
    drawn = ("next", "get_batch", "sample", "randint", "randperm", "choice")
    return any(isinstance(each, ast.Call) and last_name(each.func) in drawn for each in code.tree.below(loop))


def _counts(value: ast.expr | None) -> bool:
    """`range(n)`, in a progress bar or not."""
    while isinstance(value, ast.Call) and value.args and last_name(value.func) not in ("range", "trange"):
        value = value.args[0]
    return isinstance(value, ast.Call) and last_name(value.func) in ("range", "trange")
