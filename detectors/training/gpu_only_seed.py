"""Only the GPU's generator is seeded

`torch.cuda.manual_seed` seeds the generator of the GPU. Weights are drawn, data are split and loaders shuffle with the
generator of the CPU, so two runs still begin differently. `torch.manual_seed` seeds both.

❌
```python
import torch


def main(args):
    torch.cuda.manual_seed(args.seed)  # ❌
    train(build(args))
```

✅
```python
import torch


def main(args):
    torch.manual_seed(args.seed)
    train(build(args))
```

https://docs.pytorch.org/docs/stable/notes/randomness.html
https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("cuda.manual_seed",)


def detect(code: Code) -> Iterator[Problem]:
    """`torch.cuda.manual_seed` in a file that seeds nothing else of torch, by any name."""
    seeds = code.calls("torch.cuda.manual_seed", "torch.cuda.manual_seed_all")
    if not seeds or code.is_test or _seeds_all(code):
        return
    first = seeds[0]
    seed = code.source.of(first.args[0]) if first.args else "seed"
    yield code.problem(
        first,
        f"`{code.name(first.func)}` seeds the GPU alone: weights are drawn and data are shuffled on the CPU, whose "
        "generator nothing here seeds. `torch.manual_seed` seeds both.",
        mend=[code.source.replace(first, f"torch.manual_seed({seed})")],
    )


def _seeds_all(code: Code) -> bool:
    """Whether something else in the file, by its name, sets a seed for more than the GPU, numpy or Python."""
    for call in code.tree.all(ast.Call):
        last, origin = last_name(call.func), code.origin(call) or ""
        is_other = not origin.startswith(("torch.cuda", "numpy", "random"))
        if is_other and re.search(r"seed|determinis|reproduc", last, re.I):
            return True
    return False
