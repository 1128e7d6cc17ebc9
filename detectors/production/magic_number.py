"""A hyper-parameter is a bare number deep in the code

Nobody finds it when they compare two runs, no config records it, and a sweep cannot reach it. Give it a name in the
config, an argument or a constant at the top.

❌
```python
import torch


def train(model, loader):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.05)  # ❌
    for images, labels in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
```

✅
```python
import torch


def train(model, loader, *, learning_rate=3e-4, weight_decay=0.05):
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    for images, labels in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
```

https://developers.google.com/machine-learning/guides/rules-of-ml
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, kind_made_by

TIER = Tier.ADVICE
WORDS = ("lr=|learning_rate=", "backward|.fit(", "def ")

_NAMES = ("lr", "learning_rate", "weight_decay", "momentum")


def detect(code: Code) -> Iterator[Problem]:
    """The first optimizer made in a function with bare numbers, in a file that trains. One a file."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        function = code.tree.function(call)
        if function is None or kind_made_by(code.origin(call) or "") is not Kind.OPTIMIZER:
            continue
        bare = [each for each in call.keywords if each.arg in _NAMES and _is_number(each.value)]
        if not any(each.arg in ("lr", "learning_rate") for each in bare) or not code.training_steps:
            continue
        given = " and ".join(f"`{each.arg}={code.source.of(each.value)}`" for each in bare[:2])
        stand, it = ("stand as bare numbers", "them") if len(bare) > 1 else ("stands as a bare number", "it")
        yield code.problem(
            call,
            f"{given} {stand} inside `{function.name}`: no config records {it} and no sweep reaches {it}.",
        )
        return


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and node.value != 0
