"""A loader is given both a sampler and shuffle=True

The sampler decides the order, so `DataLoader` refuses `shuffle=True` beside it with a `ValueError`. To shuffle across
processes, leave it to the sampler.

❌
```python
from torch.utils.data import DataLoader, DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, shuffle=True, sampler=sampler)  # ❌
```

✅
```python
from torch.utils.data import DataLoader, DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
```

https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
"""

from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("DataLoader", "ampler", "shuffle")


def detect(code: Code) -> Iterator[Problem]:
    """`DataLoader` calls with `shuffle=True` and a sampler that surely is one."""
    for call in code.calls("torch.utils.data.DataLoader"):
        if code.values.only(code.argument(call, "shuffle", 2)).constant is not True:
            continue
        for name, position in (("sampler", 3), ("batch_sampler", 4)):
            given = code.argument(call, name, position)
            if given is None or any(each.call is None for each in code.values.of(given)):
                continue
            yield code.problem(
                call,
                f"`{code.name(given)}` already decides the order: `DataLoader` raises a ValueError when `shuffle=True` "
                f"stands beside `{name}`.",
                fix=[code.source.remove_argument(call, "shuffle")],
            )
            break
