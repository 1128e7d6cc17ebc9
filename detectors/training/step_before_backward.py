"""The optimizer steps before there are gradients

Cleared, stepped and only then back-propagated: each step sees the gradients the same iteration has just cleared, and
the ones that backward computes are cleared before the next step. The model never learns.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    optimizer.step()  # ❌
    loss.backward()
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

https://docs.pytorch.org/docs/stable/optim.html#taking-an-optimization-step
"""

from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("backward", "step", "zero_grad|clear_grad")


def detect(code: Code) -> Iterator[Problem]:
    """Steps whose gradients are cleared before them and computed after them, in every iteration."""
    for update in code.updates:
        clear = update.starved_by
        if clear is None or any(update.is_before(each, clear) for each in update.backwards):
            continue
        backward = next((each for each in update.backwards if update.is_before(update.step, each)), None)
        if backward is None:
            continue
        step, after = code.tree.statement(update.step.node), code.tree.statement(backward.node)
        yield code.problem(
            update.step.node,
            f"`{code.name(update.step.target)}` steps before `{code.name(backward.node)}` at line {backward.line}, on "
            f"gradients cleared at line {clear.line}: no gradient ever reaches the weights.",
            mend=code.source.move_after(step, after),
            show=[clear.node, backward.node],
            related=[(clear.node, "clears"), (backward.node, "computes the gradients, too late")],
        )
