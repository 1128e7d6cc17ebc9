"""Weights are changed behind autograd's back

`.data` is a tensor that autograd does not watch. A change through it raises no error where the old value is still
needed for `backward()`: the gradients are silently those of other weights. `torch.no_grad()` allows the same change and
keeps the check.

❌
```python
import torch

for x, y in batches:
    loss = ((x @ weight - y) ** 2).mean()
    loss.backward()
    weight.data -= 0.1 * weight.grad  # ❌
    weight.grad.zero_()
```

✅
```python
import torch

for x, y in batches:
    loss = ((x @ weight - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        weight -= 0.1 * weight.grad
    weight.grad.zero_()
```

https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

import ast
from collections.abc import Iterator

from detectors import Change, Code, Kind, Problem, Tier

TIER = Tier.RISK
WORDS = (".data", "backward", ".grad")

_IN_PLACE = frozenset(["add_", "sub_"])


def detect(code: Code) -> Iterator[Problem]:
    """Hand-written updates of a tensor by its own gradient, through `.data`, in a loop that back-propagates."""
    if not code.is_torch or code.is_test:
        return
    for statement in code.tree.all(ast.AugAssign, ast.Expr):
        data = _changed(statement)
        if data is None or code.gradients.on(statement) is not True:
            continue
        weight = code.source.of(data.value)
        backward = _backward_before(code, statement)
        if backward is None or f"{weight}.grad" not in ast.unparse(statement) or _is_optimizer(code, statement):
            continue
        yield code.problem(
            statement,
            f"`{weight}.data` is changed where autograd does not look: a graph that still needs the old `{weight}` "
            "gets wrong gradients without an error. Update it under `torch.no_grad()`.",
            mend=_mended(code, statement, data),
            related=[(backward, "computes the gradient")],
        )


def _changed(statement: ast.AugAssign | ast.Expr) -> ast.Attribute | None:
    """The `x.data` that a statement changes in place."""
    match statement:
        case ast.AugAssign(target=ast.Attribute(attr="data", value=ast.Name() | ast.Attribute()) as data):
            return data
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(
                    attr=attr, value=ast.Attribute(attr="data", value=ast.Name() | ast.Attribute()) as data
                )
            )
        ) if attr in _IN_PLACE:
            return data
    return None


def _backward_before(code: Code, statement: ast.stmt) -> ast.Call | None:
    """The `backward()` of the loop around the update, where both stand in one function."""
    loops = code.tree.loops(statement)
    function = code.tree.function(statement)
    return next(
        (
            call
            for call in code.gradients.backward_calls
            if code.tree.function(call) is function and any(code.tree.inside(call, loop) for loop in loops)
        ),
        None,
    )


def _is_optimizer(code: Code, statement: ast.stmt) -> bool:
    owner = code.tree.enclosing(statement, ast.ClassDef)
    return owner is not None and code.values.classes.kind(owner) is Kind.OPTIMIZER


def _mended(code: Code, statement: ast.stmt, data: ast.Attribute) -> list[Change]:
    torch = code.modules.spelling("torch.no_grad", statement)
    if not torch or statement.lineno != statement.end_lineno:
        return []
    text = code.source.of(statement)
    start, whole = code.source.of(data.value), code.source.of(data)
    indent = code.source.indent(statement.lineno)
    mended = text.replace(whole, start, 1)
    return [code.source.replace(statement, f"with {torch}():\n{indent}    {mended}")]
