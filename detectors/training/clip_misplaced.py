"""Gradients are clipped where it has no effect

Clipping changes the gradients that are there: before backward those are the cleared ones, after the step they have been
used already. The step runs on gradients of any size.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    loss = model(batch).mean()
    loss.backward()
    optimizer.step()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # ❌
```

✅
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    loss = model(batch).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from collections.abc import Iterator

from detectors import Act, Code, Event, Problem, Tier, Update, gives_gradients

TIER = Tier.BUG
WORDS = ("clip", "backward", "step")


def detect(code: Code) -> Iterator[Problem]:
    """Clipping that no gradient passes on its way from a backward to a step."""
    for update in code.updates:
        for clip in update.of(Act.CLIP):
            if not _is_alone(update, clip):
                continue
            clip_statement, step_statement = code.tree.statement(clip.node), code.tree.statement(update.step.node)
            backward = update.backwards[-1]
            early = update.is_before(clip, backward)
            where = (
                f"before `{code.name(backward.node)}` at line {backward.line} has computed the gradients"
                if early
                else f"after `{code.name(update.step.target)}` has used the gradients at line {update.step.line}"
            )
            yield code.problem(
                clip.node,
                f"This clips {where}: the step runs on gradients of any size.",
                fix=code.source.move_before(clip_statement, step_statement),
                show=[update.step.node, backward.node],
                related=[(backward.node, "computes the gradients"), (update.step.node, "uses them")],
            )


def _is_alone(update: Update, clip: Event) -> bool:
    """Whether, within an iteration, no backward (and nothing that may be one) leads to the clip without "
    "a step between."""
    if len(update.of(Act.CLIP)) != 1 or any(event.act is Act.UNSCALE for event in update.events):
        return False
    sources = [each for each in update.events if gives_gradients(each)]
    if any(update.is_before(each, clip, avoiding=lambda event: event.act is Act.STEP) for each in sources):
        return False
    passes = any(update.is_before(each, update.step) for each in update.backwards)
    around = any(update.is_before(clip, each) for each in update.backwards) or update.is_before(update.step, clip)
    if update.loop is not None and not update.is_before(
        clip, update.step
    ):  # after it: are the gradients kept for later?
        kept = update.leads_to(clip, update.step, avoiding=update.may_clear)
        return passes and around and not kept
    return passes and around
