"""Gradients are clipped while they are scaled

Between `scaler.scale(loss).backward()` and `scaler.unscale_(optimizer)` the gradients are multiplied by the scale,
often 65,536. Clipping them to a norm of 1 there cuts every gradient to next to nothing, by a factor that changes
with the scale.

❌
```python
import torch

scaler = torch.amp.GradScaler("cuda")
optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = model(batch).mean()
    scaler.scale(loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # ❌
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
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
```

https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
"""

import ast
from collections.abc import Callable, Iterator

from detectors import Act, Code, Event, Flow, Kind, Loop, Problem, Tier, common_loop

TIER = Tier.BUG
WORDS = ("scaler|Scaler", "clip", "step", "backward|.scale(")


def detect(code: Code) -> Iterator[Problem]:
    """Clipping between a scaled backward and the scaler's step that nothing unscales first."""
    for flow in code.flows:
        for step in flow.of(Act.SCALER_STEP):
            for clip in flow.of(Act.CLIP):
                before = _scaled_before(code, flow, clip, step)
                backward = before.node if before is not None else _scaled_elsewhere(code, flow, clip, step)
                if backward is None or step.target is None or code.precision.is_off(step.target):
                    continue
                assert isinstance(step.node, ast.Call)
                scaler = code.name(step.target)
                unscale = f"{scaler}.unscale_({', '.join(code.source.of(each) for each in step.node.args[:1])})"
                same = code.tree.function(clip.node) is code.tree.function(step.node)
                yield code.problem(
                    clip.node,
                    f"The gradients are still multiplied by the scale of `{scaler}` when "
                    f"`{code.name(_function(clip))}` "
                    f"clips them: call `{unscale}` first.",
                    fix=[code.source.insert_before(code.tree.statement(clip.node), unscale)] if same else [],
                    show=[backward],
                    related=[(backward, "multiplies by the scale"), (step.node, "divides by it, too late")],
                )


def _function(clip: Event) -> ast.AST:
    return clip.node.func if isinstance(clip.node, ast.Call) else clip.node


def _scaled_before(code: Code, flow: Flow, clip: Event, step: Event) -> Event | None:
    """The scaled backward whose gradients are clipped and then stepped, where nothing can have unscaled them."""

    def ends(event: Event) -> bool:
        return event.act in (Act.SCALER_STEP, Act.ZERO_GRAD)

    loop = common_loop(clip, step)
    if not flow.reaches(clip, lambda each: each is step, avoiding=_ends_round(loop, Act.BACKWARD), inside=loop):
        return None
    for backward in flow.of(Act.BACKWARD):
        if code.precision.possible_scaler_of(backward) is None:
            continue
        if not flow.reaches(backward, lambda event: event is clip, avoiding=ends):
            continue
        loop = common_loop(backward, clip)
        unscales = [each for each in flow.events if code.precision.unscales(each)]
        if not any(
            _is_between(flow, backward, each, clip, loop) or _is_just_before(flow, each, clip) for each in unscales
        ):
            return backward
    return None


def _scaled_elsewhere(code: Code, flow: Flow, clip: Event, step: Event) -> ast.AST | None:
    """The scaled backward of another method, where this one clips and steps and nothing in the file unscales."""
    if flow.of(Act.BACKWARD) or "unscale" in code.text or clip.function is None or clip.function is not step.function:
        return None
    if not flow.reaches(clip, lambda each: each is step, avoiding=lambda each: each.act is Act.BACKWARD):
        return None
    owner = code.tree.class_of(clip.function)
    if owner is None:
        return None
    for other in code.flows:
        for each in other.of(Act.BACKWARD):
            is_own = each.function is not None and code.tree.class_of(each.function) is owner
            if is_own and code.precision.possible_scaler_of(each) is not None:
                return each.node
    return next(  # somebody else calls backward on what a method of the class scales
        (
            each
            for each in code.method_calls("scale")
            if code.kind(each.func.value) is Kind.SCALER  # type: ignore[attr-defined]
            and "GradScaler" in code.text
            and code.tree.inside(each, owner)
            and isinstance(code.tree.parents.get(each), ast.Return)
        ),
        None,
    )


def _is_between(flow: Flow, backward: Event, event: Event, clip: Event, loop: Loop | None) -> bool:
    """Whether the event can come after the backward and before the clipping, in one iteration of their loop."""
    ends = _ends_round(loop, Act.SCALER_STEP, Act.ZERO_GRAD)
    return flow.reaches(backward, lambda other: other is event, avoiding=ends, inside=loop) and flow.reaches(
        event, lambda other: other is clip, avoiding=ends, inside=loop
    )


def _is_just_before(flow: Flow, event: Event, clip: Event) -> bool:
    """Whether the clipping follows the event within an iteration, with no gradients computed in between: those of an
    earlier iteration are unscaled too."""
    loop = common_loop(event, clip)
    ends = _ends_round(loop, Act.BACKWARD, Act.SCALER_STEP, Act.ZERO_GRAD)
    return flow.reaches(event, lambda other: other is clip, avoiding=ends, inside=loop)


def _ends_round(loop: Loop | None, *acts: Act) -> Callable[[Event], bool]:
    """Whether an event starts the loop's next iteration, or is one of these acts."""
    return lambda event: event.act in acts or (event.act is Act.LOOP and event.node is loop)
