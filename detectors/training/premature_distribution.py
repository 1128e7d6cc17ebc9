"""A distributed set-up for one device

A process group with a world of one, one spawned process, or `DataParallel` over one device has all the cost of
distribution (start-up, wrapped names in checkpoints, harder debugging) and none of the speed.

❌
```python
import torch.distributed as dist

dist.init_process_group("nccl", rank=0, world_size=1)  # ❌
```

✅
```python
import os

import torch.distributed as dist

if int(os.environ.get("WORLD_SIZE", "1")) > 1:
    dist.init_process_group("nccl")
```

https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.init_process_group
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("init_process_group|spawn|DataParallel", "torch")

_ONE = {
    "torch.distributed.init_process_group": ("world_size", 3, "a process group with a world of one"),
    "torch.multiprocessing.spawn": ("nprocs", 2, "one spawned process"),
}


def detect(code: Code) -> Iterator[Problem]:
    """A world, a number of processes or a list of devices that is one, written out."""
    if code.is_test:
        return
    for call in code.calls(*_ONE):
        name, position, what = _ONE[code.origin(call) or ""]
        if _is_fallback(code, call):
            continue
        size = code.argument(call, name, position)
        if isinstance(size, ast.Constant) and size.value == 1 and size.value is not True:
            yield code.problem(
                call, f"`{name}=1` makes {what}: the set-up costs time and complexity and distributes nothing."
            )
    for call in code.calls("torch.nn.DataParallel", "torch.nn.parallel.DataParallel"):
        devices = code.argument(call, "device_ids", 1)
        if isinstance(devices, ast.List) and len(devices.elts) == 1 and isinstance(devices.elts[0], ast.Constant):
            yield code.problem(
                call,
                f"`{code.name(call)}` spreads the model over one device: it only adds `module.` to every name in its "
                "checkpoints.",
            )


def _is_fallback(code: Code, call: ast.Call) -> bool:
    """One branch of several: the other sets up a larger world."""
    choices = (
        each
        for each in code.tree.ancestors(call)
        if isinstance(each, (ast.Try, ast.ExceptHandler))
        or (isinstance(each, ast.If) and "__name__" not in ast.unparse(each.test))
    )
    return any(True for _ in choices) or len(code.calls("torch.distributed.init_process_group")) > 1
