"""A step or a backward goes round the gradient scaler

The scaler multiplies the loss before backward and divides the gradients before the step. With only one of the two, the
step is off by the scale: gradients 65,536 times too large, or, divided without having been multiplied, next to nothing.

❌
```python
import torch

scaler = torch.amp.GradScaler("cuda")
optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = model(batch).mean()
    loss.backward()  # ❌
    scaler.step(optimizer)
    scaler.update()
```

✅
```python
import torch

scaler = torch.amp.GradScaler("cuda")
optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = model(batch).mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
```

https://docs.pytorch.org/docs/stable/notes/amp_examples.html
"""

from collections.abc import Iterator

from detectors import Act, Code, Event, Problem, Tier, Update

TIER = Tier.BUG
WORDS = ("backward", "step", "scaler|Scaler")


def detect(code: Code) -> Iterator[Problem]:
    """Unscaled losses whose gradients a scaler steps with, and scaled ones an optimizer steps with by itself."""
    for update in code.updates:
        scaler = code.precision.scaler_at(update.step)
        reaching = [each for each in update.backwards if _reaches(update, each)]
        scaled = [each for each in reaching if code.precision.scaler_of(each) is not None]
        plain = [each for each in reaching if code.precision.is_plain(each)]
        if len(scaled) + len(plain) != len(reaching):
            continue
        if scaler is not None and not code.precision.is_off(scaler):
            yield from _unscaled(code, update, plain, scaled)
        elif scaler is None and scaled and not plain:
            yield from _stepped_directly(code, update, scaled[-1])


def _reaches(update: Update, backward: Event) -> bool:
    return update.leads_to(
        backward,
        update.step,
        avoiding=lambda event: (
            update.may_clear(event)
            or (event.act in (Act.UNSCALE, Act.SCALER_STEP) and event.node is not update.step.node)
        ),
    )


def _unscaled(code: Code, update: Update, plain: list[Event], scaled: list[Event]) -> Iterator[Problem]:
    scaler = code.precision.scaler_at(update.step)
    own = {guard.key for guard in update.step.guards}
    for backward in plain:
        if scaled and not all(guard.key in own for guard in backward.guards):
            continue
        target = backward.target
        assert target is not None
        same = code.tree.function(backward.node) is code.tree.function(update.step.node)
        name = code.name(scaler)
        yield code.problem(
            backward.node,
            f"`{code.name(target)}` is back-propagated unscaled, but `{name}.step` at line "
            f"{update.step.line} divides its "
            f"gradients by the scale: the step comes out thousands of times too small.",
            fix=[code.source.replace(target, f"{name}.scale({code.source.of(target).strip('()')})")]
            if same and code.source.of(target).isidentifier()
            else [],
            show=[update.step.node],
            related=[(update.step.node, "divides by the scale")],
        )


def _stepped_directly(code: Code, update: Update, backward: Event) -> Iterator[Problem]:
    scaler = code.precision.scaler_of(backward)
    if scaler is None or code.precision.is_off(scaler):
        return
    name, optimizer = code.name(scaler), code.name(update.step.target)
    statement = code.tree.statement(update.step.node)
    same = code.tree.function(backward.node) is code.tree.function(update.step.node)
    updated = any(each.act is Act.SCALER_UPDATE for each in update.flow.events)
    text = f"{name}.step({optimizer})"
    yield code.problem(
        update.step.node,
        f"`{optimizer}` steps with the gradients of `{code.name(backward.node)}`, still multiplied by the scale of "
        f"`{name}`: step through `{name}`, which divides them first.",
        mend=[
            code.source.replace(update.step.node, text),
            None if updated else code.source.insert_after(statement, f"{name}.update()"),
        ]
        if same
        else [],
        show=[backward.node],
        related=[(backward.node, "multiplies by the scale")],
    )
