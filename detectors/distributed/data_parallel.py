"""Training uses DataParallel

`nn.DataParallel` runs one Python process for all GPUs: each step copies the model to every GPU, gathers all outputs
on the first, and is held up by the interpreter lock. `DistributedDataParallel` is faster even on one machine, and the
only one maintained.

❌
```python
import torch

model = torch.nn.DataParallel(Net()).cuda()  # ❌
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
```

✅
```python
import torch
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-nn-ddp-instead
"""

import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("DataParallel", "backward")
_DISTRIBUTED = re.compile(
    r"DistributedDataParallel|(?<![A-Za-z])DDP(?![A-Za-z])|torchrun|torch\.distributed\.(run|launch)"
)
"""The author speaks of the other way: the file offers both, or says so itself."""
_EVALUATES = re.compile(r"(^|_)(eval|evaluate|validate|test|predict|infer|inference|generate|sample)(_|$)", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """`DataParallel` in a file that trains."""
    if code.is_test or not code.training_steps or code.ranks.wraps or _DISTRIBUTED.search(code.text):
        return
    for call in code.calls(
        "torch.nn.DataParallel", "torch.nn.parallel.DataParallel", "torch.nn.parallel.data_parallel.DataParallel"
    ):
        function = code.tree.function(call)
        if not call.args or (function is not None and _EVALUATES.search(function.name)):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.args[0])}` runs under `DataParallel`: one process copies it to each GPU in every "
            "step. `DistributedDataParallel`, one process a GPU, is what PyTorch recommends.",
        )
