"""The batch grows with the world size, the learning rate does not

Each rank of a DDP run loads a batch of its own, so the batch that one step sees is as many times larger as there are
processes. The learning rate that was right on one GPU is then too small, or the result depends on how many GPUs were
free.

❌
```python
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
loader = DataLoader(dataset, batch_size=64, sampler=DistributedSampler(dataset))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # ❌
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
```

✅
```python
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
loader = DataLoader(dataset, batch_size=64, sampler=DistributedSampler(dataset))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * dist.get_world_size())
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
```

https://arxiv.org/abs/1706.02677
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("DistributedDataParallel", "DistributedSampler", "lr")

_SCALED = re.compile(
    r"(batch_?size|bsz|lr|learning_rate)\w*\s*(\*|/|//|=.*[*/])\s*[^#\n]*(world|nproc|n_?gpus?|num_?gpus|num_replicas|size\(\)|count\(\))"
    r"|(world_?size|n_?gpus?|num_gpus|get_world_size\(\)|device_count\(\))\s*\*\s*[^#\n]*(lr|batch|learning_rate)",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """Literal learning rates beside a literal batch size a rank, where nothing is scaled by the number of ranks."""
    if _SCALED.search(code.text) or code.is_test or not code.ranks.wraps:
        return
    loaders = [each for each in code.calls("torch.utils.data.DataLoader") if _has_own_batch(code, each)]
    if not loaders:
        return
    for training in code.training_steps:
        for value in code.values.known(training.step.target):
            if value.kind is not Kind.OPTIMIZER or value.call is None or value.call not in code.tree.parents:
                continue
            rate = code.values.only(code.argument(value.call, "lr", 1))
            if isinstance(rate.constant, float):
                yield code.problem(
                    value.call,
                    f"The learning rate {rate.constant:g} stays the same however many ranks multiply the batch of "
                    f"{code.name(code.argument(loaders[0], 'batch_size', 1))}.",
                    related=[(loaders[0], "a batch for each rank")],
                )


def _has_own_batch(code: Code, loader: ast.Call) -> bool:
    """Whether each rank's batch has a fixed size, and a distributed sampler."""
    size = code.values.only(code.argument(loader, "batch_size", 1))
    sampler = code.values.known(code.argument(loader, "sampler", 3))
    return isinstance(size.constant, int) and any(each.kind is Kind.SAMPLER for each in sampler)
