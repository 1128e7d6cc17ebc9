"""Accumulated gradients are a sum where a mean is meant

Each of the k batches adds the gradient of its mean loss, so the step is k times the size of one with a k times larger
batch. The learning rate and clipping are off by that factor, and change when k does.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for i, batch in enumerate(loader):
    loss = torch.nn.functional.cross_entropy(model(batch.x), batch.y)
    loss.backward()  # ❌
    if (i + 1) % accumulation_steps == 0:
        optimizer.step()
        optimizer.zero_grad()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for i, batch in enumerate(loader):
    loss = torch.nn.functional.cross_entropy(model(batch.x), batch.y)
    (loss / accumulation_steps).backward()
    if (i + 1) % accumulation_steps == 0:
        optimizer.step()
        optimizer.zero_grad()
```

https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
"""

import ast
from collections.abc import Iterator

from detectors import Code, Event, Interval, Kind, Problem, Region, Tier, Update, speaks_of_accumulation

TIER = Tier.BUG
WORDS = ("backward", "step", "zero_grad|clear_grad|.grad", "%|accum|micro")


def detect(code: Code) -> Iterator[Problem]:
    """Losses back-propagated as they are, where the step comes every k-th batch and clears then."""
    found: set[ast.AST] = set()
    for update in (*code.updates, *code.accumulated_updates):
        for backward in update.backwards:
            every = _window(code, update, backward)
            loss = backward.target
            if every is None or loss is None or backward.within(Region.ACCUMULATE) or backward.node in found:
                continue
            is_whole = _is_reported_divided(code, backward, loss, every)
            if _scales_elsewhere(code, update, is_whole=is_whole) or (not is_whole and code.losses.may_be_scaled(loss)):
                continue
            found.add(backward.node)
            count = code.source.of(every)
            text = code.source.of(loss)
            divided = f"{text} / {count}" if isinstance(loss, (ast.Name, ast.Attribute)) else f"({text}) / {count}"
            is_operand = isinstance(code.tree.parents[loss], ast.Attribute)
            in_reach = code.tree.function(every) is code.tree.function(loss)
            yield code.problem(
                backward.node,
                f"`{code.name(update.step.target)}` steps every `{count}` batches with the sum of their "
                "gradients, since "
                f"`{text}` is not divided by `{count}`: each step is that many times too large.",
                fix=[code.source.replace(loss, f"({divided})" if is_operand else divided)] if in_reach else [],
                related=[(update.step.node, "the step")],
            )


def _window(code: Code, update: Update, backward: Event) -> ast.expr | None:
    """How many batches meet in one step: a step every k-th batch, or an inner loop over k micro batches."""
    found = code.intervals.between(backward, update.step)
    if found is not None and update.is_skipped_unless(found[0], backward):
        return None
    if found is not None:
        return found[1].every if _accumulates(code, update, backward, found[1]) else None
    inner = [loop for loop in backward.loops if loop not in update.step.loops]
    around = (update.loop,) if update.loop is not None else ()
    if not inner or not isinstance(inner[0], ast.For) or backward.loops[: -len(inner)][-1:] != around:
        return None
    match inner[0].iter:
        case ast.Call(func=ast.Name(id="range"), args=[count]) if speaks_of_accumulation(count):
            return count
    return None


def _accumulates(code: Code, update: Update, backward: Event, interval: Interval) -> bool:
    """Whether gradients of several batches meet in the step: nothing clears on the way round without a step."""
    if update.loop is None:
        return interval.speaks_of_accumulation and _is_cleared_now_and_then(code, update)
    rounds = update.leads_to(
        backward, backward, avoiding=lambda event: update.is_step(event) or update.may_clear(event)
    )
    is_count = isinstance(interval.every, ast.Constant) and interval.every.value == 1
    iterable = getattr(update.loop, "iter", None)
    over_loader = iterable is not None and any(
        code.kind(each) is Kind.LOADER for each in ast.walk(iterable) if isinstance(each, (ast.Name, ast.Attribute))
    )
    return rounds and not is_count and (interval.speaks_of_accumulation or over_loader)


def _is_cleared_now_and_then(code: Code, update: Update) -> bool:
    """Whether a function that somebody calls once a batch clears, and only at an interval."""
    clears = [each for each in update.events if update.may_clear(each)]
    return bool(clears) and all(
        any(code.intervals.of(guard.test, guard.holds) is not None for guard in clear.guards) for clear in clears
    )


def _is_reported_divided(code: Code, backward: Event, loss: ast.expr, every: ast.expr) -> bool:
    """Whether the loop divides the loss by the count for its report, `loss.item() / k`: the loss is not divided yet."""
    count = code.source.of(every)
    if not isinstance(loss, ast.Name):
        return False
    for division in ast.walk(backward.loops[-1]) if backward.loops else ():
        if (
            isinstance(division, ast.BinOp)
            and isinstance(division.op, ast.Div)
            and code.source.of(division.right) == count
        ):
            match division.left:
                case ast.Call(func=ast.Attribute(attr="item", value=ast.Name() as name)):
                    if name.id == loss.id and code.names.reaching(name) == code.names.reaching(loss):
                        return True
    return False


def _scales_elsewhere(code: Code, update: Update, *, is_whole: bool) -> bool:
    """Whether the gradients themselves are touched in the stretch that repeats, or a framework divides."""
    stretch = update.loop or code.tree.function(update.step.node)
    for node in ast.walk(stretch) if stretch is not None else ():
        if isinstance(node, ast.Attribute) and node.attr in ("grad", "main_grad", "accumulate"):
            return True
        func = node.func if isinstance(node, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr == "backward" and code.kind(func.value) is Kind.ENGINE:
            return True
    return "deepspeed" in code.packages or (
        "accelerate" in code.packages and _accelerate_divides(code, is_whole=is_whole)
    )


def _accelerate_divides(code: Code, *, is_whole: bool) -> bool:
    """Whether an Accelerator may have been told how many batches make a step; by default it divides by one.

    Who loops over the batches by hand and reports their mean does not leave the count to `**options`.
    """
    made = code.calls("accelerate.Accelerator")
    return not made or any(
        code.argument(each, name) is not None if is_whole else code.may_have(each, name)
        for each in made
        for name in ("gradient_accumulation_steps", "gradient_accumulation_plugin")
    )
