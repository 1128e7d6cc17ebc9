"""Every rank works on the first GPU

In an NCCL run each process must choose its own GPU. `.cuda()` and `"cuda"` mean the current device, which is GPU 0 in
every process until it is set: all ranks crowd onto one GPU, and NCCL fails or hangs with duplicate devices.

❌
```python
import torch
import torch.distributed as dist

dist.init_process_group("nccl")
model = Net().cuda()  # ❌
```

✅
```python
import os
import torch
import torch.distributed as dist

dist.init_process_group("nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
model = Net().cuda()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
https://docs.pytorch.org/docs/stable/distributed.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("init_process_group", "nccl", "cuda")

_CHOSEN = re.compile(
    r"set_device|device_ids|device_id\b|CUDA_VISIBLE_DEVICES|cuda:|current_device|get_device|with torch\.cuda\.device"
    r"|\(\s*(self\.|args\.|cfg\.|opt\.)?(local_?rank|rank|gpu|gpu_id|device_id)\s*[,)]|xm\.|deepspeed|accelerate|lightning"
)


def detect(code: Code) -> Iterator[Problem]:
    """NCCL set up in a file that says "the current GPU" and never chooses one."""
    if code.is_test or _CHOSEN.search(code.text):
        return
    starts = [each for each in code.ranks.groups if _is_nccl(code, each)]
    bare = sorted(_bare(code), key=lambda each: (each.lineno, each.col_offset))
    if not starts or not bare:
        return
    yield code.problem(
        bare[0],
        f"`{code.name(bare[0])}` is GPU 0 in every process of this NCCL run: nothing here sets the rank's own device.",
        related=[(starts[0], "the process group")],
    )


def _is_nccl(code: Code, call: ast.Call) -> bool:
    return any(each.constant == "nccl" for each in code.values.of(code.argument(call, "backend", 0)))


def _bare(code: Code) -> Iterator[ast.Call]:
    for call in code.method_calls("cuda"):
        if not call.args and not call.keywords and code.origin(call) is None:
            yield call
    for call in (*code.method_calls("to"), *code.calls("torch.device")):
        first = call.args[0] if call.args else None
        if isinstance(first, ast.Constant) and first.value == "cuda" and len(call.args) == 1:
            yield call
