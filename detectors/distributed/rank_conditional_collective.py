"""A collective runs on one rank alone

A collective returns when every rank of the group has called it. Inside `if rank == 0` only one does: it waits for the
others for ever, or until the watchdog kills the run.

❌
```python
import torch.distributed as dist

if dist.get_rank() == 0:
    dist.all_reduce(total)  # ❌
    print(total)
```

✅
```python
import torch.distributed as dist

dist.all_reduce(total)
if dist.get_rank() == 0:
    print(total)
```

https://docs.pytorch.org/docs/stable/distributed.html#collective-functions
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("torch", "distributed|dist", "rank|main|master|zero")


def detect(code: Code) -> Iterator[Problem]:
    """Collectives of the default group under a condition that only rank 0 meets, with no partner on the other side."""
    for call in code.ranks.collectives:
        if any(each.arg in ("group", None) for each in call.keywords):
            continue
        test = next(
            (test for test, holds in code.ranks.guards(call) if code.ranks.is_rank_zero_only(test, holds)), None
        )
        if test is None or _has_partner(code, call):
            continue
        yield code.problem(
            call,
            f"Only the rank with `{code.name(test)}` reaches `{code.name(call.func)}`, and it waits there for all the "
            "others.",
            related=[(test, "the condition")],
        )


def _has_partner(code: Code, call: ast.Call) -> bool:
    """Whether the function makes a collective elsewhere under another condition of ranks: the other ranks' half."""
    function = code.tree.function(call)
    for other in code.ranks.collectives:
        if other is call or code.tree.function(other) is not function:
            continue
        if any(not code.ranks.is_rank_zero_only(test, holds) for test, holds in code.ranks.guards(other)):
            return True
    return False
