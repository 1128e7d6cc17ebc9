"""The model is compiled or moved in every step

`torch.compile` makes a new compiled function at each call, and moving the model walks all its parameters. Both belong
before the loop; inside it the step spends its time on preparing.

❌
```python
import torch

model = Net()
for batch in loader:
    fast = torch.compile(model)  # ❌
    optimizer.zero_grad()
    fast(batch).mean().backward()
    optimizer.step()
```

✅
```python
import torch

model = Net()
fast = torch.compile(model)
for batch in loader:
    optimizer.zero_grad()
    fast(batch).mean().backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.compile.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.BUG
WORDS = ("compile|.to(|.cuda(", "for |while ", "backward")


def detect(code: Code) -> Iterator[Problem]:
    """`torch.compile(model)` in every step; `model.to(device)` in every step (a risk)."""
    for call in (*code.calls("torch.compile", "torch.jit.script"), *code.method_calls("to", "cuda")):
        is_move = isinstance(call.func, ast.Attribute) and call.func.attr in ("to", "cuda")
        model = call.func.value if is_move else call.args[0] if call.args else None  # type: ignore[attr-defined]
        if model is None or code.kind(model) is not Kind.MODEL or (is_move and not code.values.is_strong(model)):
            continue
        training = code.step_around(call)
        if training is None or not _was_made_before(code, model, training.loop):
            continue
        if is_move and _is_moved_back(code, model, training.loop):
            continue
        name = code.name(model)
        yield code.problem(
            call,
            f"`{name}` is {'moved' if is_move else 'compiled anew'} in every training step; once, "
            "before the loop, is enough.",
            related=[(training.loop, "the loop")],
            tier=Tier.RISK if is_move else Tier.BUG,
        )


def _was_made_before(code: Code, model: ast.expr, loop: ast.AST) -> bool:
    if isinstance(model, ast.Name):
        return not any(
            code.tree.inside(each.node, loop) and each.node is not loop for each in code.names.reaching(model)
        )
    return isinstance(model, ast.Attribute)


def _is_moved_back(code: Code, model: ast.expr, loop: ast.AST) -> bool:
    """Whether the loop moves the model elsewhere as well."""
    subject = code.values.subject(model)
    moves = [each for each in code.method_calls("cpu", "to", "cuda") if code.tree.inside(each, loop)]
    return sum(code.values.subject(each.func.value) == subject for each in moves) > 1  # type: ignore[attr-defined]
