"""Gradients are never cleared

`backward()` adds to the gradients it finds. A loop that steps without clearing them steps with the sum of every
batch so far, and training drifts or diverges.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:  # ❌
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
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

from detectors import Code, Kind, Problem, Tier, TrainingStep

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
        yield _problem(code, training)


def _problem(code: Code, training: TrainingStep) -> Problem:
    """At the head of the loop, where clearing usually stands; at the step where the loop is in another function, or
    the step does not come with every backward."""
    step, backward, loop = training.step, training.backwards[-1], training.loop
    name = code.name(step.target)
    clear = f"{name}.zero_grad()"
    if loop not in code.tree.loops(step.node) or training.is_conditional or loop.body[0].lineno == loop.lineno:
        return code.problem(
            step.node,
            f"`{name}` steps with the sum of every batch's gradients so far: nothing in this loop clears them.",
            fix=[code.source.insert_after(code.tree.statement(step.node), clear)],
            show=[backward.node],
            related=[(backward.node, "adds to the gradients"), (loop, "the loop")],
        )
    return code.problem(
        loop,
        f"Nothing in this loop clears `{name}`'s gradients: at line {step.line} it steps with the sum of every batch "
        "so far.",
        fix=[code.source.insert_before(loop.body[0], clear)],
        show=[backward.node, step.node],
        related=[(backward.node, "adds to the gradients"), (step.node, "steps with their sum")],
    )
