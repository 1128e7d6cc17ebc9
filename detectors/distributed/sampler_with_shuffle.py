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

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("DataLoader", "ampler", "shuffle")


def detect(code: Code) -> Iterator[Problem]:
    """`DataLoader` calls with `shuffle=True` and a sampler that surely is one."""
    for call in code.calls("torch.utils.data.DataLoader"):
        shuffle = code.argument(call, "shuffle", 2)
        if isinstance(shuffle, ast.IfExp):
            yield from _turned_round(code, call, shuffle)
        if code.values.only(shuffle).constant is not True:
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


def _turned_round(code: Code, call: ast.Call, shuffle: ast.IfExp) -> Iterator[Problem]:
    """`shuffle=x if sampler is not None else False`: it shuffles just where there is a sampler."""
    sampler, test = code.argument(call, "sampler", 3), shuffle.test
    if sampler is None or not isinstance(sampler, (ast.Name, ast.Attribute)):
        return
    is_given = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot) and _is_none(test.comparators[0])
    asked = test.left if is_given and isinstance(test, ast.Compare) else test
    never = isinstance(shuffle.body, ast.Constant) and not shuffle.body.value
    if never or ast.dump(asked) != ast.dump(sampler):
        return
    name = code.name(sampler)
    change = f"{code.source.of(shuffle.body)} if {name} is None else {code.source.of(shuffle.orelse)}"
    yield code.problem(
        call,
        f"`shuffle` is only on where `{name}` is given, and there `DataLoader` raises a ValueError; without a sampler "
        "nothing is shuffled. The condition is the wrong way round.",
        fix=[code.source.replace(shuffle, change)],
        show=[shuffle],
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
