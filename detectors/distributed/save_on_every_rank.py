"""Every rank writes the same checkpoint

In a distributed run each process executes the script. Without a condition on the rank all of them write the same file
at once, and what is read back may be cut short or mixed.

❌
```python
import torch
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
train(model)
torch.save(model.module.state_dict(), "model.pt")  # ❌
```

✅
```python
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
train(model)
if dist.get_rank() == 0:
    torch.save(model.module.state_dict(), "model.pt")
```

https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html#save-and-load-checkpoints
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, speaks_of_distribution

TIER = Tier.BUG
WORDS = ("DistributedDataParallel|init_process_group", "save")

_SHARDED = re.compile(r"FullyShardedDataParallel|FSDP|fully_shard|deepspeed|tensor_parallel|pipeline_parallel|DTensor")


def detect(code: Code) -> Iterator[Problem]:
    """`torch.save` that no condition on ranks guards, in what every process runs."""
    if code.is_test or not (code.ranks.wraps or code.ranks.groups) or _SHARDED.search(code.text):
        return
    for save in code.calls("torch.save"):
        path = code.argument(save, "f", 1)
        if path is None or code.ranks.is_guarded(save) or code.ranks.may_differ(path):
            continue
        if any(speaks_of_distribution(test) for test, _ in code.ranks.guards(save)) or not _runs_everywhere(code, save):
            continue
        yield code.problem(
            save,
            f"Every rank writes `{code.name(path)}` at the same time: nothing here asks for rank 0.",
            good=f"if torch.distributed.get_rank() == 0:\n    {code.source.of(code.tree.statement(save))}"
            if save.lineno == save.end_lineno
            else "",
        )


def _runs_everywhere(code: Code, node: ast.AST, depth: int = 3) -> bool:
    """Whether the node surely belongs to what each process runs: next to the wrapping or the training."""
    function = code.tree.function(node)
    started = [*code.ranks.wraps, *code.ranks.groups, *code.gradients.backward_calls]
    if any(code.tree.function(each) is function for each in started):
        return True
    if function is None or depth == 0:
        return False
    return any(
        not code.ranks.is_guarded(each) and _runs_everywhere(code, each, depth - 1)
        for each in code.values.calls.sites(function)
    )
