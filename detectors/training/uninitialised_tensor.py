"""A tensor is added to before it was written

`torch.empty` and `torch.Tensor(n)` give memory as it was found: left-over numbers, now and then NaN. Whatever is added
to them carries those numbers along, differently in each run.

❌
```python
import torch

totals = torch.empty(10)
for batch in batches:
    totals += batch.sum(dim=0)  # ❌
```

✅
```python
import torch

totals = torch.zeros(10)
for batch in batches:
    totals += batch.sum(dim=0)
```

https://docs.pytorch.org/docs/stable/generated/torch.empty.html
"""

import ast
from collections.abc import Iterator

from detectors import FUNCTIONS, Binding, Bound, Change, Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("torch", "empty|Tensor(", "+=|-=|*=|/=|add_|sub_")

_LEGACY = frozenset(["Tensor", "FloatTensor", "LongTensor", "DoubleTensor", "IntTensor", "HalfTensor"])
_IN_PLACE = frozenset(["add_", "sub_", "mul_", "div_", "addmm_", "index_add_", "scatter_add_"])


def detect(code: Code) -> Iterator[Problem]:
    """Names bound to uninitialised memory, where the first thing that happens to them adds to it."""
    if code.is_test:
        return
    for assign in code.tree.all(ast.Assign):
        if len(assign.targets) != 1 or not isinstance(assign.targets[0], ast.Name):
            continue
        made = assign.value
        if not isinstance(made, ast.Call) or not _is_uninitialised(code, made):
            continue
        name = assign.targets[0]
        first = _first_mention(code, name)
        change = _changed_by(code, first) if first is not None else None
        if first is None or change is None or not _reaches(code, assign, first):
            continue
        yield code.problem(
            change,
            f"`{name.id}` is added to before anything was written to it: `{code.name(made)}` at line {assign.lineno} "
            "holds whatever was in memory.",
            mend=[_zeros(code, made)],
            show=[assign],
            related=[(assign, "not initialised")],
        )


def _is_uninitialised(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    last = origin.rpartition(".")[2]
    sizes = call.args
    if not sizes or any(isinstance(each, ast.Constant) and each.value in (0, "meta") for each in sizes):
        return False
    if any(each.arg in (None, "device") and _may_be_meta(each.value) for each in call.keywords):
        return False
    if origin == f"torch.{last}" and last in _LEGACY:
        return len(sizes) > 1 or (isinstance(sizes[0], ast.Constant) and isinstance(sizes[0].value, int))
    has_none = isinstance(sizes[0], (ast.Tuple, ast.List)) and any(
        isinstance(each, ast.Constant) and each.value == 0 for each in sizes[0].elts
    )
    return origin in ("torch.empty", "torch.empty_like") and not has_none


def _may_be_meta(device: ast.expr) -> bool:
    return isinstance(device, ast.Constant) and device.value == "meta"


def _first_mention(code: Code, name: ast.Name) -> ast.Name | None:
    """The next use of the name in the same scope, in source order."""
    scope = code.tree.scope(name)
    after = (name.lineno, name.col_offset)
    mentions = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Name) and each.id == name.id and (each.lineno, each.col_offset) > after
    ]
    return min(mentions, key=lambda each: (each.lineno, each.col_offset), default=None)


def _changed_by(code: Code, name: ast.Name) -> ast.stmt | None:
    """The statement that adds to the tensor's old content; None for every other use."""
    statement = code.tree.statement(name)
    if isinstance(statement, ast.AugAssign):
        target = statement.target.value if isinstance(statement.target, ast.Subscript) else statement.target
        return statement if target is name else None
    parent = code.tree.parents.get(name)
    called = isinstance(parent, ast.Attribute) and parent.attr in _IN_PLACE and isinstance(statement, ast.Expr)
    return statement if called and statement.value is code.tree.parents.get(parent) else None  # type: ignore[attr-defined,arg-type]


def _reaches(code: Code, assign: ast.Assign, use: ast.Name) -> bool:
    """Whether the use stands where the assignment always came before, and no other assignment did."""
    inside = code.tree.parents.get(assign)
    around = inside is not None and code.tree.inside(use, inside)
    bindings: tuple[Binding, ...] = tuple(each for each in code.names.reaching(use) if each.how is not Bound.UPDATE)
    same = code.tree.scope(use) is code.tree.scope(assign) or not isinstance(code.tree.scope(use), FUNCTIONS)
    return around and same and [each.node for each in bindings] == [assign]


def _zeros(code: Code, made: ast.Call) -> Change | None:
    func = made.func
    if not isinstance(func, ast.Attribute):
        return None
    last = "zeros_like" if func.attr == "empty_like" else "zeros"
    dtype = func.attr not in ("empty", "empty_like", "Tensor", "FloatTensor")
    return None if dtype else code.source.replace(func, f"{code.source.of(func.value)}.{last}")
