"""The gradient scaler is never updated

`scaler.step()` skips the step when gradients overflow, and `scaler.update()` then lowers the scale. Without it the
scale stays where it is: after the first overflow every step is skipped, and calling `unscale_` twice raises.

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
    scaler.step(optimizer)  # ❌
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

https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Event, Flow, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("scaler|Scaler", "step")

_UPDATES = re.compile(r"updat|step|scal|optim|finish|hook|callback|(^|_)(after|end|on)(_|$)", re.I)
_COMES_FIRST = re.compile(r"(^|_)(pre|before)(_|$)", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Steps through a scaler after which nothing updates it in the same iteration."""
    for flow in code.flows:
        for step in flow.of(Act.SCALER_STEP):
            assert isinstance(step.node, ast.Call)
            scaler = step.target
            if scaler is None or not step.node.args or code.precision.is_off(scaler):
                continue
            if _is_updated(code, flow, step) or _may_be_updated(code, flow, step):
                continue
            name = code.name(scaler)
            yield code.problem(
                step.node,
                f"Nothing calls `{name}.update()` after `{code.source.of(step.node)}`: the scale never "
                "changes, and after "
                f"one overflow every further step of `{code.name(step.node.args[0])}` is skipped.",
                fix=[code.source.insert_after(_last_step(code, flow, step), f"{name}.update()")],
            )


def _last_step(code: Code, flow: Flow, step: Event) -> ast.stmt:
    """The last of the steps through one scaler that stand in one block: they share one update."""
    block = code.tree.block(code.tree.statement(step.node))
    same = [code.tree.statement(each.node) for each in flow.of(Act.SCALER_STEP) if each.subject == step.subject]
    return max((each for each in same if each in block), key=lambda each: each.lineno)


def _is_updated(code: Code, flow: Flow, step: Event) -> bool:
    """Whether an update follows this step; one in a function that does not step may as well.

    `update(scale)` now and then sets the scale by hand; it does not stand in for the update of every step.
    """
    conditions = set(code.tree.ancestors(step.node))

    def is_update(event: Event) -> bool:
        if event.act is not Act.SCALER_UPDATE or event.subject != step.subject:
            return False
        guards = (each for each in code.tree.ancestors(event.node) if isinstance(each, ast.If))
        is_by_hand = isinstance(event.node, ast.Call) and bool(event.node.args)
        return not is_by_hand or all(each in conditions for each in guards)

    if flow.reaches(step, is_update, avoiding=lambda event: event.act is Act.LOOP and event.node in step.loops):
        return True
    stepping = {code.tree.function(each) for each in _named(code, "step", step)}
    return any(code.tree.function(each) not in stepping for each in _named(code, "update", step))


def _named(code: Code, method: str, step: Event) -> list[ast.Call]:
    """The calls of this method on anything that has the scaler's name."""
    name = last_name(step.target)
    return [each for each in code.method_calls(method) if last_name(each.func.value) == name]  # type: ignore[attr-defined]


def _may_be_updated(code: Code, flow: Flow, step: Event) -> bool:
    """Whether code out of sight can update the scaler: it is handed over, or its owner is to one that says so."""
    opaque = [each for each in flow.events if each.act is Act.OPAQUE and not _is_its_own(code, each)]
    return any(_says_so(each, step) or (step.subject in each.touches and not _saves(each)) for each in opaque)


def _says_so(event: Event, step: Event) -> bool:
    called = last_name(event.node.func) if isinstance(event.node, ast.Call) else ""
    says = bool(_UPDATES.search(called)) and not _COMES_FIRST.search(called) and not _saves(event)
    return says and event.may_touch(step.subject)


def _is_its_own(code: Code, event: Event) -> bool:
    """Whether it is a method of the scaler, `scaler.get_scale()`."""
    func = event.node.func if isinstance(event.node, ast.Call) else None
    return isinstance(func, ast.Attribute) and code.kind(func.value) is Kind.SCALER


def _saves(event: Event) -> bool:
    """Whether it only writes the scaler's state: `save_checkpoint(…, scaler=scaler)`."""
    return isinstance(event.node, ast.Call) and last_name(event.node.func).startswith("save")
