"""Gradients are cleared between backward and step

The step runs on gradients that were just cleared, so the weights do not move. No error is raised: the loss stays where
it started, or only weight decay and momentum change the model.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.zero_grad()  # ❌
    optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
"""

from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("backward", "step", "zero_grad|clear_grad")


def detect(code: Code) -> Iterator[Problem]:
    """Clears that stand between a backward and the step that should use its gradients."""
    for update in code.updates:
        clear = update.starved_by
        if clear is None:
            continue
        backward = next((each for each in update.backwards if update.is_before(each, clear)), None)
        if backward is None:
            continue
        statement = code.tree.statement(clear.node)
        text = code.source.of(statement)
        yield code.problem(
            clear.node,
            f"`{text}` throws away the gradients of line {backward.line} before `{code.name(update.step.target)}` "
            f"steps at line {update.step.line}: the step has nothing to apply.",
            fix=code.source.move_before(statement, code.tree.statement(backward.node)),
            show=[backward.node, update.step.node],
            related=[(backward.node, "computes the gradients"), (update.step.node, "the step without gradients")],
        )
