"""Every rank trains on the same data

A loader without a distributed sampler gives each process the whole data set. The ranks repeat each other's work: an
epoch costs as many passes as there are processes, and the metrics count each sample several times.

❌
```python
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
loader = DataLoader(dataset, batch_size=32, shuffle=True)  # ❌
for images, labels in loader:
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

✅
```python
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
loader = DataLoader(dataset, batch_size=32, sampler=DistributedSampler(dataset))
for images, labels in loader:
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Flow, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("DistributedDataParallel", "DataLoader", "backward")

_SHARDS = re.compile(
    r"DistributedSampler|split_dataset_by_node|accelerate|deepspeed|lightning|webdataset|IterableDataset|replace_sampler|seed\w*\s*\+\s*\w*rank",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """Shuffling loaders that a DDP model trains over, in a file that shards its data in no way."""
    if not code.ranks.wraps or _SHARDS.search(code.text):
        return
    seen: set[ast.AST] = set()
    for iterable in (each for flow in code.flows for each in _trained_over(code, flow)):
        made = _loader(code, iterable)
        if made is None or made in seen or not _is_whole(code, made):
            continue
        seen.add(made)
        dataset = code.name(code.argument(made, "dataset", 0))
        yield code.problem(
            made,
            f"Each rank's `{code.name(iterable)}` goes over the whole of `{dataset}`: no sampler gives the ranks "
            "different parts.",
            mend=[code.source.set_keyword(made, "shuffle", f"False, sampler=DistributedSampler({dataset})")],
            related=[(code.ranks.wraps[0], "the model is replicated here")],
        )


def _trained_over(code: Code, flow: Flow) -> Iterator[ast.expr]:
    """What the loops go over in which a replicated model runs and a loss is back-propagated."""
    forwards = [each for each in flow.of(Act.FORWARD) if code.ranks.parallel(each.target)]
    for loop in (loop for backward in flow.of(Act.BACKWARD) for loop in backward.loops):
        if not isinstance(loop, ast.While) and any(loop in each.loops for each in forwards):
            yield loop.iter


def _loader(code: Code, iterable: ast.expr) -> ast.Call | None:
    if isinstance(iterable, ast.Call) and last_name(iterable.func) in ("enumerate", "tqdm") and iterable.args:
        return _loader(code, iterable.args[0])
    value = code.values.only(iterable)
    return value.call if value.kind is Kind.LOADER and value.origin == "torch.utils.data.DataLoader" else None


def _is_whole(code: Code, loader: ast.Call) -> bool:
    """Whether the loader shuffles a map-style data set that nothing cut by rank."""
    if code.may_have(loader, "sampler", 3) or code.may_have(loader, "batch_sampler", 4):
        return False
    if code.values.only(code.argument(loader, "shuffle", 2)).constant is not True:
        return False
    dataset = code.argument(loader, "dataset", 0)
    return dataset is not None and not code.ranks.may_differ(dataset)
