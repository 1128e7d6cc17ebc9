"""Gradients are never cleared

`backward()` adds to the gradients it finds. A loop that steps without clearing them steps with the sum of every
batch so far, and training drifts or diverges.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()  # ❌
```

✅
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
"""

from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.BUG
WORDS = ("backward", "step")


def detect(code: Code) -> Iterator[Problem]:
    """Steps that recur with their backward, and nothing on the way round that clears the gradients."""
    for training in code.training_steps:
        step = training.step
        if code.kind(step.target) is not Kind.OPTIMIZER or "mxnet" in code.packages:
            continue
        if training.optimizer_is_fresh or any(map(training.clears, training.events)):
            continue
        backward = training.backwards[-1]
        name = code.name(step.target)
        clear = code.source.insert_after(code.tree.statement(step.node), f"{name}.zero_grad()")
        yield code.problem(
            step.node,
            f"`{name}` steps with the sum of every batch's gradients so far: nothing in this loop clears them.",
            fix=[clear],
            show=[backward.node],
            related=[(backward.node, "adds to the gradients"), (training.loop, "the loop")],
        )
