"""Every rank downloads the same data

All processes of a distributed run execute the download at once: they fetch the same files as many times as there are
ranks, into the same folder, and one may read what another is still writing.

❌
```python
import torch.distributed as dist
from torchvision.datasets import CIFAR10

dist.init_process_group("nccl")
dataset = CIFAR10("data", train=True, download=True)  # ❌
```

✅
```python
import torch.distributed as dist
from torchvision.datasets import CIFAR10

dist.init_process_group("nccl")
if dist.get_rank() == 0:
    CIFAR10("data", train=True, download=True)
dist.barrier()
dataset = CIFAR10("data", train=True)
```

https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.barrier
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("init_process_group", "download")


def detect(code: Code) -> Iterator[Problem]:
    """Downloads that follow the process group's start with no rank guard and no barrier in the file."""
    if "barrier" in code.text or "zero_first" in code.text or "first(" in code.text or code.is_test:
        return
    if not code.ranks.groups:
        return
    for call in code.tree.all(ast.Call):
        origin = code.origin(call) or ""
        fetches = origin in (
            "torch.hub.download_url_to_file",
            "urllib.request.urlretrieve",
            "gdown.download",
            "wget.download",
        )
        if origin.startswith("torchvision.datasets."):
            given = code.argument(call, "download")
            fetches = isinstance(given, ast.Constant) and given.value is True
        if fetches and not code.ranks.is_guarded(call) and _runs_in_group(code, call):
            yield code.problem(
                call,
                f"Every rank runs `{code.name(call.func)}` and downloads the same files at the same time.",
                related=[(code.ranks.groups[0], "the process group")],
            )


def _runs_in_group(code: Code, call: ast.Call, depth: int = 3) -> bool:
    function = code.tree.function(call)
    if any(code.tree.function(each) in (function, None) for each in (*code.ranks.groups, *code.ranks.wraps)):
        return True
    sites = code.values.calls.sites(function) if function is not None and depth else []
    return any(_runs_in_group(code, each, depth - 1) for each in sites)
