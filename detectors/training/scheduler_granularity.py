"""The scheduler counts one thing and is stepped at another

A schedule laid out over optimizer steps and stepped once an epoch hardly leaves its start: the warm-up never ends, the
learning rate never decays. One laid out over epochs and stepped every batch has run out within the first epoch.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * len(loader))
for epoch in range(epochs):
    for batch in loader:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
    scheduler.step()  # ❌
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * len(loader))
for epoch in range(epochs):
    for batch in loader:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
        scheduler.step()
```

https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
"""

import ast
from collections.abc import Iterator

from detectors import Act, Code, Event, Problem, Schedule, Tier, Unit, Update

TIER = Tier.BUG
WORDS = ("step|configure_optimizers", "LR|_schedule")

_BATCHES = 1000
_NOTHING_LEFT = 1e-12


def detect(code: Code) -> Iterator[Problem]:
    """Schedules whose horizon is counted in another unit than the one they are stepped at."""
    for update in code.updates:
        for event in update.flow.of(Act.SCHEDULER_STEP) if update.loop is not None else ():
            schedule = code.schedules.of(event.target)
            if schedule is None or not isinstance(event.node, ast.Call) or event.node.args or event.node.keywords:
                continue
            if _is_per_batch(code, update, event):
                yield from _run_out(code, update, event, schedule)
            elif _is_per_epoch(code, update, event):
                yield from _hardly_started(code, update, event, schedule)
    yield from _left_to_lightning(code)


def _is_per_batch(code: Code, update: Update, event: Event) -> bool:
    """Whether the scheduler steps whenever the optimizer does, in a loop of batches inside a loop of epochs."""
    if not event.loops or event.loops[-1] is not update.loop or len(event.loops) < 2:
        return False
    own = {guard.key for guard in update.step.guards}
    free = all(guard.key in own or "None" in guard.key for guard in event.guards)
    return free and code.schedules.counts_batches(update.loop)


def _is_per_epoch(code: Code, update: Update, event: Event) -> bool:
    """Whether the scheduler steps in the loop around the loop of batches, and nowhere else."""
    if update.loop is None or not event.loops or update.loop in event.loops:
        return False
    elsewhere = [each for each in update.flow.of(Act.SCHEDULER_STEP) if each.subject == event.subject]
    within = any(update.loop in each.loops for each in elsewhere)
    return event.loops[-1] in update.step.loops and not within and code.schedules.counts_batches(update.loop)


def _run_out(code: Code, update: Update, event: Event, schedule: Schedule) -> Iterator[Problem]:
    epochs = next((code.schedules.rounds(loop) for loop in reversed(event.loops[:-1])), None)
    unit = code.schedules.counted_in(schedule)
    if unit is Unit.EPOCH or (unit is Unit.UNKNOWN and _is_over_in_an_epoch(code, schedule, epochs)):
        horizon = code.name(schedule.horizon) if schedule.horizon is not None else "its decay"
        what = (
            f"`{horizon}` counts epochs" if unit is Unit.EPOCH else f"`{code.name(schedule.call)}` is made for epochs"
        )
        yield code.problem(
            event.node,
            f"`{code.name(event.target)}` is stepped every batch, but {what}: the schedule has run out early in the "
            f"first epoch. Step it once an epoch, or count its horizon in batches.",
            related=[(schedule.call, "the schedule"), (event.loops[-1], "the loop over batches")],
        )


def _is_over_in_an_epoch(code: Code, schedule: Schedule, epochs: int | None) -> bool:
    """Whether the numbers in sight leave no learning rate after a usual epoch."""
    gamma = code.schedules.number(code.argument(schedule.call, "gamma", 1 if schedule.name == "ExponentialLR" else 2))
    if schedule.name == "ExponentialLR":
        return gamma is not None and 0 < gamma < 1 and gamma**_BATCHES < _NOTHING_LEFT
    if schedule.name in ("CosineAnnealingLR", "PolynomialLR", "OneCycleLR"):
        return epochs is not None and epochs > 1 and code.schedules.number(schedule.horizon) == epochs
    if schedule.name == "StepLR":
        size = code.schedules.number(schedule.horizon)
        rate = 0.1 if gamma is None and not code.may_have(schedule.call, "gamma", 2) else gamma
        if not size or rate is None or not 0 < rate < 1:
            return False
        return bool(rate ** (_BATCHES / size) < _NOTHING_LEFT)
    if schedule.name == "MultiStepLR" and isinstance(schedule.horizon, (ast.List, ast.Tuple)):
        milestones = [code.schedules.number(each) for each in schedule.horizon.elts]
        known = [each for each in milestones if each is not None]
        return epochs is not None and len(known) == len(milestones) > 0 and epochs / 4 <= max(known) <= epochs
    return False


def _hardly_started(code: Code, update: Update, event: Event, schedule: Schedule) -> Iterator[Problem]:
    if code.schedules.counted_in(schedule) is Unit.STEP:
        horizon = code.argument(schedule.call, "steps_per_epoch") if schedule.horizon is None else schedule.horizon
        yield code.problem(
            event.node,
            f"`{code.name(event.target)}` is stepped once an epoch, but `{code.name(horizon)}` counts batches: after "
            f"the last epoch the schedule is still near its start. Step it after each optimizer step.",
            related=[(schedule.call, "the schedule"), (update.step.node, "the step it belongs to")],
        )


def _left_to_lightning(code: Code) -> Iterator[Problem]:
    """Lightning steps a scheduler once an epoch unless `configure_optimizers` says `interval: step`."""
    for function in code.tree.all(ast.FunctionDef):
        if function.name != "configure_optimizers" or code.framework(function) != "LightningModule":
            continue
        for returned in code.values.calls.returns(function):
            for holder in _handed_over(code, returned.value):
                schedule = code.schedules.of(holder)
                if schedule is not None and code.schedules.counted_in(schedule) is Unit.STEP:
                    yield code.problem(
                        holder,
                        f"Lightning steps `{code.name(holder)}` once an epoch, but its horizon counts "
                        "batches: after the "
                        f'last epoch it is still near its start. Return it with `"interval": "step"`.',
                        good=f'return {{\n    "optimizer": optimizer,\n    "lr_scheduler": {{"scheduler": '
                        f'{code.name(holder)}, "interval": "step"}},\n}}',
                        related=[(schedule.call, "the schedule")],
                    )


def _handed_over(code: Code, returned: ast.expr | None) -> Iterator[ast.expr]:
    """The schedulers Lightning gets with no interval."""
    match returned:
        case ast.Tuple(elts=[_, ast.List(elts=schedulers)]):
            for scheduler in schedulers:
                yield from _without_interval(code, scheduler)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "lr_scheduler":
                    yield from _without_interval(code, value)


def _without_interval(code: Code, node: ast.expr) -> Iterator[ast.expr]:
    written = code.definitions.of(node)
    if not isinstance(written, ast.Dict):
        yield node
        return
    keys = [each.value if isinstance(each, ast.Constant) else None for each in written.keys]
    if "scheduler" in keys and "interval" not in keys and None not in keys:
        yield written.values[keys.index("scheduler")]
