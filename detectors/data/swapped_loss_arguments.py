"""The loss is given its arguments the wrong way round

`cross_entropy`, `nll_loss` and `binary_cross_entropy` take the prediction first and the target second, and are not
symmetric. With both swapped the labels are treated as scores: it raises at best, and trains towards nothing at worst.

❌
```python
import torch

model = torch.nn.Linear(10, 1)
criterion = torch.nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(labels, model(images))  # ❌
    loss.backward()
    optimizer.step()
```

✅
```python
import torch

model = torch.nn.Linear(10, 1)
criterion = torch.nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
"""

import ast
from collections.abc import Iterator

from detectors import Bound, Code, Graph, Problem, Tier

TIER = Tier.BUG
WORDS = ("cross_entropy|CrossEntropy|nll_loss|NLLLoss|BCE", "parameters()")
_ASYMMETRIC = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


def detect(code: Code) -> Iterator[Problem]:
    """A batch's own data where the prediction belongs, and what the trained model gave where the target belongs."""
    for loss in code.activations.losses:
        if loss.name not in _ASYMMETRIC or loss.call.keywords or code.gradients.on(loss.call) is False:
            continue
        if code.tensors.graph(loss.target) is Graph.ATTACHED and _is_batch(code, loss.input):
            first, second = code.source.of(loss.input), code.source.of(loss.target)
            yield code.problem(
                loss.call,
                f"`{code.name(loss.input)}` is given as the prediction and `{code.name(loss.target)}` as the target: "
                f"`{loss.name}` takes the prediction first.",
                fix=[code.source.replace(loss.input, second), code.source.replace(loss.target, first)],
            )


def _is_batch(code: Code, node: ast.expr, depth: int = 0) -> bool:
    """Whether the value is a part of what the loop over a loader gives, moved or reshaped at most."""
    if code.tensors.graph(node) is not Graph.DETACHED or depth > 4:
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and code.origin(node) is None:
        return _is_batch(code, node.func.value, depth + 1)
    bindings = code.names.reaching(node) if isinstance(node, ast.Name) else ()
    return bool(bindings) and all(
        each.how is Bound.ITEM
        or (each.how is Bound.ASSIGNMENT and each.value is not None and _is_batch(code, each.value, depth + 1))
        for each in bindings
    )
