"""Backward runs under autocast

Backward operations run in the precision autocast chose for their forward ones, so they need no region of their own.
Inside it they can be cast a second time; PyTorch advises against it.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(batch).mean()
        loss.backward()  # ❌
    optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(batch).mean()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/amp.html#torch.autocast
"""

import ast
from collections.abc import Iterator

from detectors import Act, Change, Code, Event, Kind, Problem, Region, Tier, last_name

TIER = Tier.RISK
WORDS = ("backward", "autocast")


def detect(code: Code) -> Iterator[Problem]:
    """Backward calls inside an autocast region."""
    if code.is_test:
        return
    for flow in code.flows:
        for backward in flow.of(Act.BACKWARD):
            region = _autocast(backward)
            if region is None or _is_off(code, region) or _is_somebody_elses(code, backward):
                continue
            yield code.problem(
                backward.node,
                f"`{code.name(backward.node)}` runs inside the autocast region of line {region.lineno}: end the region "  # type: ignore[attr-defined]
                f"after the loss, backward takes its precision from the forward pass.",
                mend=_dedented(code, backward),
                related=[(region, "the region")],
            )


def _is_somebody_elses(code: Code, backward: Event) -> bool:
    """Whether an object out of sight is handed the loss: `runtime.backward(loss, optimizer)` may do more than that."""
    call = backward.node
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
        return False
    is_owner = backward.target is call.func.value and "loss" not in last_name(call.func.value).lower()
    return is_owner and "loss" in last_name(call.args[0]).lower()


def _autocast(event: Event) -> ast.AST | None:
    regions = [node for region, node in event.regions if region is Region.AUTOCAST]
    return regions[-1] if regions else None


def _is_off(code: Code, region: ast.AST) -> bool:
    calls = [region] if isinstance(region, ast.Call) else [each.call for each in code.values.of(region)]
    for call in calls:
        func = call.func if isinstance(call, ast.Call) else None
        if isinstance(func, ast.Attribute) and code.kind(func.value) in (Kind.ACCELERATOR, Kind.ENGINE):
            return True  # a framework's own region goes with the framework's own backward
        given = [each.value for each in call.keywords if each.arg == "enabled"] if isinstance(call, ast.Call) else []
        if any(isinstance(each, ast.Constant) and not each.value for each in given):
            return True
    return False


def _dedented(code: Code, backward: Event) -> list[Change]:
    """The backward and what follows it, moved out of the block of its `with`."""
    statement = code.tree.statement(backward.node)
    block, parent = code.tree.block(statement), code.tree.parents[statement]
    rest = block[block.index(statement) :]
    if not isinstance(parent, ast.With) or len(rest) == len(block):
        return []
    outer, inner = code.source.indent(parent.lineno), code.source.indent(statement.lineno)
    last = rest[-1].end_lineno or rest[-1].lineno
    if len(inner) <= len(outer):
        return []
    return [
        Change(line, len(outer), line, len(inner), "")
        for line in range(statement.lineno, last + 1)
        if code.source.lines[line - 1].startswith(inner)
    ]
