"""Gradients are computed and cleared, never applied

The loop back-propagates and clears the gradients, and nothing steps the optimizer: it runs through all its data and
leaves the weights as they were.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()  # ❌
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

import ast
from collections.abc import Iterator

from detectors import (
    Act,
    Code,
    Event,
    Flow,
    Kind,
    Loop,
    Problem,
    Region,
    Tier,
    common_loop,
    gives_gradients,
    is_bookkeeping,
    last_name,
)

TIER = Tier.BUG
WORDS = ("backward", "zero_grad")


def detect(code: Code) -> Iterator[Problem]:
    """Loops that clear an optimizer's gradients and compute new ones, in a file that never steps it."""
    if code.is_test:
        return
    stepping = [call.func.value for call in code.method_calls("step") if isinstance(call.func, ast.Attribute)]
    for flow in code.flows:
        for clear in flow.of(Act.ZERO_GRAD):
            if code.kind(clear.target) is not Kind.OPTIMIZER or any(
                _may_be_same(code, each, clear.target) for each in stepping
            ):
                continue
            for backward in flow.of(Act.BACKWARD):
                loop = common_loop(clear, backward)
                if loop is None or not _is_lost(code, flow, loop, backward, clear):
                    continue
                name = code.name(clear.target)
                statement = code.tree.statement(backward.node)
                same = code.tree.function(clear.node) is code.tree.function(backward.node)
                yield code.problem(
                    backward.node,
                    f"The gradients of `{code.name(backward.node)}` are cleared at line {clear.line} and "
                    "never applied: "
                    f"nothing here steps `{name}`, so the weights stay as they are.",
                    mend=[code.source.insert_after(statement, f"{name}.step()")] if same else [],
                    related=[(clear.node, "clears the gradients"), (loop, "the loop")],
                )


def _may_be_same(code: Code, stepped: ast.expr, cleared: ast.expr | None) -> bool:
    """Whether two expressions of one name can mean one optimizer: not where both were made in sight, by two calls."""
    if last_name(stepped) != last_name(cleared):
        return False
    one, other = code.values.of(stepped), code.values.of(cleared)
    made = all(each.call is not None for each in (*one, *other))
    return not made or bool({each.call for each in one} & {each.call for each in other})


def _is_lost(code: Code, flow: Flow, loop: Loop, backward: Event, clear: Event) -> bool:
    """Whether the gradients go from this backward to that clear, and nothing on the way can use them."""
    inside = [each for each in flow.events if loop in each.loops]
    if backward.within(Region.NO_GRAD) or any(each.act is Act.STEP or _may_step(each, clear) for each in inside):
        return False
    if any(isinstance(each, ast.Attribute) and each.attr in ("grad", "main_grad") for each in ast.walk(loop)):
        return False
    unknown = [each for each in inside if isinstance(each.node, ast.Call) and _steps_by_name(each.node)]
    return not unknown and flow.reaches(backward, lambda event: event is clear, inside=loop)


def _may_step(event: Event, clear: Event) -> bool:
    if event.act is not Act.OPAQUE or is_bookkeeping(event) or not gives_gradients(event):
        return False
    return event.may_touch(clear.subject)


def _steps_by_name(call: ast.Call) -> bool:
    name = last_name(call.func)
    return any(part in name for part in ("step", "update_weights", "apply_grad", "optimize", "optimise")) and (
        "scheduler" not in last_name(getattr(call.func, "value", None))
    )
