"""The last batches of an epoch are never stepped

The optimizer steps every k-th batch of the loader, and the count starts anew each epoch. Where the loader's length is
no multiple of k, the batches left over at the end are never used: their gradients are cleared, or leak into the next
epoch's first step.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for epoch in range(3):
    for i, batch in enumerate(loader):
        loss = model(batch).mean() / 4
        loss.backward()
        if (i + 1) % 4 == 0:  # ❌
            optimizer.step()
            optimizer.zero_grad()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for epoch in range(3):
    for i, batch in enumerate(loader):
        loss = model(batch).mean() / 4
        loss.backward()
        if (i + 1) % 4 == 0 or i + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()
```

https://huggingface.co/docs/accelerate/usage_guides/gradient_accumulation
"""

import ast
from collections.abc import Iterator

from detectors import Change, Code, Event, Interval, Kind, Problem, Tier, Update

TIER = Tier.RISK
WORDS = ("backward", "step", "enumerate", "%")


def detect(code: Code) -> Iterator[Problem]:
    """Steps every k-th batch of a count that starts with the loader, with nothing for the rest."""
    for update in code.updates:
        if not isinstance(update.loop, ast.For) or "accelerate" in code.packages:
            continue
        for backward in update.backwards:
            found = code.intervals.between(backward, update.step)
            if found is None or found[1].otherwise or found[1].others or not _counts_batches(code, update, found[1]):
                continue
            if (
                _is_stepped_after(update, backward)
                or update.is_skipped_unless(found[0], backward)
                or not _is_repeated(update)
            ):
                continue
            guard, interval = found
            test = guard.test if code.tree.inside(guard.test, update.loop) else interval.test
            every = code.source.of(interval.every)
            yield code.problem(
                test,
                f"When `{code.name(_batches(update.loop))}` has no multiple of `{every}` batches, the last "
                "ones of each "
                f"epoch are back-propagated and never stepped by `{code.name(update.step.target)}`.",
                mend=_or_at_the_end(code, update.loop, interval) if guard.holds and test is interval.test else [],
                show=[update.step.node],
                related=[(update.loop, "the loop over batches"), (update.step.node, "the step")],
            )


def _batches(loop: ast.For) -> ast.expr:
    """What `enumerate` goes over, without a progress bar."""
    node = loop.iter
    while isinstance(node, ast.Call) and node.args:
        node = node.args[0]
    return node


def _counts_batches(code: Code, update: Update, interval: Interval) -> bool:
    loop = update.loop
    assert isinstance(loop, ast.For)
    match loop.iter, loop.target:
        case ast.Call(func=ast.Name(id="enumerate")), ast.Tuple(elts=[ast.Name(id=counter), _]):
            pass
        case ast.Call(args=[ast.Call(func=ast.Name(id="enumerate")), *_]), ast.Tuple(elts=[ast.Name(id=counter), _]):
            pass
        case _:
            return False
    batches = _batches(loop)
    if any(isinstance(each, ast.Call) and each is not loop.iter and _limits(each) for each in ast.walk(loop.iter)):
        return False
    is_loader = code.kind(batches) is Kind.LOADER
    return counter in interval.counter_names and len(interval.counter_names) == 1 and is_loader


def _limits(call: ast.Call) -> bool:
    return (call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")) in ("islice", "zip")


def _is_stepped_after(update: Update, backward: Event) -> bool:
    """Whether another step can follow the backward: behind the loop, or under another condition in it."""
    others = [each for each in update.flow.of(*{update.step.act}) if each is not update.step and update.is_step(each)]
    opaque = [each for each in update.flow.events if each.may_touch(update.step.subject)]
    loop = update.loop

    def leaves(event: Event) -> bool:
        return event in others or (event in opaque and loop not in event.loops)

    return update.flow.reaches(backward, leaves, avoiding=lambda event: event is update.step or (event is backward))


def _is_repeated(update: Update) -> bool:
    """Whether the loop over batches runs once an epoch."""
    function = update.step.function
    return update.step.loops[:1] != (update.loop,) or (function is not None and "epoch" in function.name)


def _or_at_the_end(code: Code, loop: ast.For, interval: Interval) -> list[Change]:
    batches = _batches(loop)
    if not isinstance(batches, (ast.Name, ast.Attribute)):
        return []
    counter = sorted(interval.counter_names)[0]
    return list(code.source.wrap(interval.test, "", f" or {counter} + 1 == len({code.source.of(batches)})"))
