"""Each rank reports the metric of its own part

With a distributed sampler each rank evaluates a part of the data. A metric that is never reduced over the ranks is the
metric of one part: it is noisy, and it changes with the number of processes.

❌
```python
import torch
from torch.utils.data import DataLoader, DistributedSampler

loader = DataLoader(test_set, batch_size=64, sampler=DistributedSampler(test_set, shuffle=False))


@torch.no_grad()
def evaluate(model):
    correct = 0
    for images, labels in loader:  # ❌
        correct += (model(images).argmax(1) == labels).sum().item()
    return correct / len(loader.sampler)
```

✅
```python
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler

loader = DataLoader(test_set, batch_size=64, sampler=DistributedSampler(test_set, shuffle=False))


@torch.no_grad()
def evaluate(model):
    correct = torch.zeros((), device="cuda")
    for images, labels in loader:
        correct += (model(images).argmax(1) == labels).sum()
    dist.all_reduce(correct)
    return correct.item() / len(test_set)
```

https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.all_reduce
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("DistributedSampler", "no_grad|inference_mode")

_REDUCES = re.compile(
    r"reduce|gather|torchmetrics|synchroni[sz]e|sync_|broadcast|accelerat|lightning|ignite|world_size\s*\*"
)


def detect(code: Code) -> Iterator[Problem]:
    """Evaluation loops over a sharded loader that add something up, in a file that reduces nothing."""
    if _REDUCES.search(code.text):
        return
    for loop in code.tree.all(ast.For):
        loader = loop.iter.args[0] if _counts(loop.iter) else loop.iter  # type: ignore[attr-defined]
        value = code.values.only(loader)
        if value.kind is not Kind.LOADER or value.call is None or code.gradients.on(loop) is not False:
            continue
        samplers = code.values.of(code.argument(value.call, "sampler", 3))
        if not all(each.kind is Kind.SAMPLER for each in samplers):
            continue
        sums = [each for each in ast.walk(loop) if isinstance(each, ast.AugAssign) and isinstance(each.op, ast.Add)]
        if sums:
            yield code.problem(
                loop,
                f"`{code.name(sums[0].target)}` adds up this rank's part of `{code.name(loader)}` only; nothing "
                "reduces it over the ranks.",
                related=[(value.call, "sharded over the ranks")],
            )


def _counts(iterable: ast.expr) -> bool:
    return isinstance(iterable, ast.Call) and last_name(iterable.func) in ("enumerate", "tqdm") and bool(iterable.args)
