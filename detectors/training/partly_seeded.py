"""Only torch is seeded

`torch.manual_seed` seeds torch alone. NumPy and Python's `random`, which augmentations, samplers and shuffled file
lists draw from, still differ on every run: two runs with one seed are not the same run.

❌
```python
import argparse
import numpy as np
import torch

args = argparse.ArgumentParser().parse_args()
torch.manual_seed(args.seed)  # ❌
order = np.random.permutation(len(files))
model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for index in order:
    optimizer.zero_grad()
    criterion(model(read(files[index])), labels[index]).backward()
    optimizer.step()
```

✅
```python
import argparse
import random
import numpy as np
import torch

args = argparse.ArgumentParser().parse_args()
random.seed(args.seed)
np.random.seed(args.seed)
torch.manual_seed(args.seed)
order = np.random.permutation(len(files))
model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for index in order:
    optimizer.zero_grad()
    criterion(model(read(files[index])), labels[index]).backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

import ast
from collections.abc import Iterator

from detectors import FUNCTIONS, Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("manual_seed", "numpy|random")
_OF_LIBRARY = {"numpy": ("numpy.random.", "np.random.seed", "NumPy"), "random": ("random.", "random.seed", "`random`")}
_DRAWS = frozenset(
    """
    shuffle permutation randint rand randn choice choices sample normal uniform random randrange gauss binomial beta
    random_sample standard_normal
    """.split()
)


def detect(code: Code) -> Iterator[Problem]:
    """The first seed of torch in a run, where nothing seeds NumPy or Python, and this file draws from one of them; as
    advice where it only imports it and is given the seed by its user."""
    seeds = code.calls("torch.manual_seed")
    if not seeds or code.is_test or code.packages & {"lightning", "pytorch_lightning"}:
        return
    if not (code.runs.is_entry_point or code.runs.is_script) or any(
        _may_seed_more(code, each) for each in code.seeds.setters
    ):
        return
    seed = next((each for each in seeds if each.args and code.tree.loops(each) == []), None)
    if seed is None or any(each.args and isinstance(each.args[0], ast.Call) for each in seeds):
        return
    for prefix, setter, name in _OF_LIBRARY.values():
        draw = next((each for each in code.tree.all(ast.Call) if _draws(code, each, prefix)), None)
        if draw is not None:
            yield code.problem(
                seed,
                f"`{code.name(seed)}` seeds torch alone: `{code.name(draw.func)}` at line {draw.lineno} draws from "
                f"{name}'s own generator, differently on every run.",
                mend=[
                    code.source.insert_before(code.tree.statement(seed), f"{setter}({code.source.of(seed.args[0])})")
                ],
                related=[(draw, "draws from another generator")],
            )
            return
    if code.packages & _OF_LIBRARY.keys() and not isinstance(seed.args[0], ast.Constant) and code.runs.trains:
        yield code.problem(
            seed,
            f"`{code.name(seed)}` seeds torch alone: data loading and augmentation draw from NumPy and Python's "
            "`random` too, which nothing here seeds.",
            tier=Tier.ADVICE,
        )


def _may_seed_more(code: Code, call: ast.Call) -> bool:
    """Whether it seeds more than torch, by its origin; the functions of this file are read themselves."""
    return not (code.origin(call) or "").startswith("torch.") and not isinstance(
        code.values.calls.callee(call), FUNCTIONS
    )


def _draws(code: Code, call: ast.Call, prefix: str) -> bool:
    """Whether it draws for the run; the port of a process group need not be the same twice."""
    origin = code.origin(call) or ""
    if not origin.startswith(prefix) or origin.removeprefix(prefix) not in _DRAWS:
        return False
    statement = code.tree.statement(call)
    return isinstance(statement, (ast.For, ast.While, ast.If, ast.With)) or "port" not in ast.unparse(statement)
