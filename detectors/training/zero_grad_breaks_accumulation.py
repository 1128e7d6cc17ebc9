"""Accumulated gradients are cleared before they are used

The optimizer steps every few batches so that their gradients add up, but the gradients are cleared every batch. Each
step uses the last batch alone; the batches before it were computed for nothing, and the batch is smaller than it looks.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for i, batch in enumerate(loader):
    optimizer.zero_grad()  # ❌
    loss = model(batch).mean() / 4
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for i, batch in enumerate(loader):
    loss = model(batch).mean() / 4
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
```

https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
"""

from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("backward", "step", "zero_grad|clear_grad", "%")


def detect(code: Code) -> Iterator[Problem]:
    """Clears on every way from a backward round to itself, where the step comes only every k-th time."""
    for update in code.updates:
        for backward in update.backwards if update.loop is not None else ():
            found = code.intervals.between(backward, update.step)
            if (
                found is None
                or update.is_skipped_unless(found[0], backward)
                or not update.leads_to(backward, backward, avoiding=update.is_step)
            ):
                continue
            if update.leads_to(backward, backward, avoiding=update.steps_or_clears):
                continue
            clears = [each for each in update.events if update.clears(each) and update.leads_to(backward, each)]
            clear = next((each for each in clears if update.is_before(each, backward)), clears[0] if clears else None)
            if clear is None or any(guard.key == found[0].key for guard in clear.guards):
                continue
            clear_statement, step_statement = code.tree.statement(clear.node), code.tree.statement(update.step.node)
            nested = code.tree.inside(step_statement, code.tree.parents[clear_statement])
            text = code.source.of(clear_statement)
            yield code.problem(
                clear.node,
                f"`{text}` runs every batch, but `{code.name(update.step.target)}` steps only when "
                f"`{code.name(found[0].test)}`{'' if found[0].holds else ' is false'}: the gradients accumulated in "
                f"between are lost.",
                mend=[code.source.delete(clear_statement), code.source.insert_after(step_statement, text)]
                if nested and "\n" not in text
                else [],
                show=[update.step.node],
                related=[(backward.node, "adds to the gradients"), (update.step.node, "the step that should use them")],
            )
