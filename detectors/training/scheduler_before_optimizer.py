"""The scheduler steps before the optimizer

The learning rate moves on before the optimizer has used it: the first value of the schedule is skipped, and every
later step runs one value ahead. PyTorch warns of it once, and goes on.

❌
```python
import torch

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.999)
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    scheduler.step()  # ❌
    optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.999)
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
    scheduler.step()
```

https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Event, Kind, Problem, Tier, Update, common_loop, last_name

TIER = Tier.BUG
WORDS = ("step", "sched|LR")

_NAMED = re.compile(r"^(lr_?|learning_rate_?|distr_)?scheduler$", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Scheduler steps that always come before the step of their optimizer within an iteration."""
    for update in code.updates:
        for event in update.flow.of(Act.SCHEDULER_STEP):
            if not isinstance(event.node, ast.Call) or event.node.args or event.node.keywords:
                continue
            if not _is_its_schedule(code, update, event) or not _is_always_first(update, event):
                continue
            scheduler, step = code.tree.statement(event.node), code.tree.statement(update.step.node)
            yield code.problem(
                event.node,
                f"`{code.name(event.target)}` moves the learning rate on before "
                f"`{code.name(update.step.target)}` steps "
                f"at line {update.step.line}: {_said(code, event)}.",
                fix=code.source.move_after(scheduler, step),
                show=[update.step.node],
                related=[(update.step.node, "the optimizer's step")],
            )


def _said(code: Code, event: Event) -> str:
    """What comes of it: a schedule that stays on a value for some rounds still uses the first one."""
    origins = [each.origin or "" for each in code.values.of(event.target)]
    stays = any(each.endswith(("StepLR", "ConstantLR")) for each in origins)
    return "each change comes one round early" if stays else "the schedule's first value is never used"


def _is_its_schedule(code: Code, update: Update, event: Event) -> bool:
    """Whether the scheduler drives this optimizer: made with it, or the only pair there is."""
    values = code.values.of(event.target)
    known = [each for each in values if each.kind is Kind.SCHEDULER and each.call is not None]
    if any(each.kind is not Kind.SCHEDULER and each.origin is not None for each in values):
        return False
    if not known and not _NAMED.match(last_name(event.target)):
        return False
    if any(not (each.origin or "").startswith(("torch.", "transformers.")) for each in known):
        return False
    if any("ReduceLROnPlateau" in (each.origin or "") for each in known):
        return False
    optimizers = {each.subject for each in update.flow.of(Act.STEP)}
    schedulers = {each.subject for each in update.flow.of(Act.SCHEDULER_STEP)}
    if len(optimizers) == 1 and len(schedulers) == 1:
        return True
    made_with = {code.values.subject(code.argument(each.call, "optimizer", 0)) for each in known if each.call}
    return made_with == {update.step.subject}


def _is_always_first(update: Update, event: Event) -> bool:
    """Whether in each iteration of the loop around both the scheduler comes first, whenever the optimizer steps."""
    loop = common_loop(event, update.step)
    if loop is None:
        return False
    own = {guard.key for guard in update.step.guards}
    if any(guard.key not in own and "None" not in guard.key for guard in event.guards):
        return False

    def is_next_round(other: Event) -> bool:
        return other.act is Act.LOOP and other.node is loop

    flow = update.flow
    before = flow.reaches(event, lambda other: other is update.step, avoiding=is_next_round, inside=loop)
    after = [each for each in flow.of(Act.SCHEDULER_STEP) if each.subject == event.subject]
    return before and not any(
        flow.reaches(each, lambda other: other in after, avoiding=is_next_round, inside=loop)
        for each in flow.of(Act.STEP)
    )
