"""Deprecated mixed-precision entry points

`torch.cuda.amp.autocast` and `torch.cuda.amp.GradScaler` warn since PyTorch 2.4 and will go. `torch.amp` has both, with
the device as the first argument.

❌
```python
import torch

scaler = torch.cuda.amp.GradScaler()  # ❌
with torch.cuda.amp.autocast():
    loss = model(batch).mean()
scaler.scale(loss).backward()
```

✅
```python
import torch

scaler = torch.amp.GradScaler("cuda")
with torch.amp.autocast("cuda"):
    loss = model(batch).mean()
scaler.scale(loss).backward()
```

https://docs.pytorch.org/docs/stable/amp.html
"""

import ast
from collections.abc import Iterator

from detectors import Change, Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("cuda.amp|cuda import amp", "autocast|GradScaler")

_OLD = ("torch.cuda.amp.autocast", "torch.cuda.amp.GradScaler")


def detect(code: Code) -> Iterator[Problem]:
    """The first use in a file; the fix mends all of them."""
    uses = [call for call in code.calls(*_OLD) if not _is_fallback(code, call)]
    if not uses or code.is_test or code.versions.is_below("torch", "2.4"):
        return
    first = uses[0]
    origin = code.origin(first) or ""
    more = f" (and {len(uses) - 1} more in this file)" if len(uses) > 1 else ""
    modern = _modernised(code, uses)
    is_everywhere = not code.versions.allows_below("torch", "2.3")  # where torch.amp.GradScaler came
    is_only_way = not is_everywhere and any((code.origin(each) or "").endswith("GradScaler") for each in uses)
    yield code.problem(
        first,
        f"`{origin}`{more} is deprecated since PyTorch 2.4 ({code.versions.assumed('torch')}): use "
        f"`{origin.replace('.cuda', '')}` with "
        '`"cuda"` as its first argument.',
        fix=modern if is_everywhere else [],
        mend=modern,
        related=[(each, "also deprecated") for each in uses[1:4]],
        tier=Tier.ADVICE if is_only_way else None,
    )


def _is_fallback(code: Code, call: ast.Call) -> bool:
    """Whether the call is one side of a choice by version or by what can be imported."""
    for above in code.tree.ancestors(call):
        if isinstance(above, (ast.Try, ast.ExceptHandler)) and any(
            "torch.amp" in ast.unparse(each) or "import" in ast.unparse(each) for each in above.body
        ):
            return True
        if isinstance(above, (ast.If, ast.IfExp)) and any(
            word in ast.unparse(above.test).lower() for word in ("version", "hasattr", "available", "torch_")
        ):
            return True
    if isinstance(call.func, (ast.Name, ast.Attribute)):
        root: ast.expr = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        bindings = code.names.reaching(root) if isinstance(root, ast.Name) else ()
        return any(code.tree.enclosing(each.node, ast.Try, ast.If) is not None for each in bindings)
    return True


def _modernised(code: Code, uses: list[ast.Call]) -> list[Change]:
    """Every use with its device, and the imports they need; nothing where a spelling is not one we can rewrite."""
    changes: list[Change] = []
    imports = {each for each in code.tree.all(ast.ImportFrom) if each.module == "torch.cuda.amp" and not each.level}
    named = {alias.name for each in imports for alias in each.names}
    for use in uses:
        text = ast.unparse(use.func)
        if text.startswith("torch.cuda.amp."):
            changes.append(code.source.replace(use.func, text.replace(".cuda", "")))
        elif not isinstance(use.func, ast.Name) or not named <= {"autocast", "GradScaler"}:
            return []
        changes += _with_device(code, use)
    for each in imports if any(isinstance(use.func, ast.Name) for use in uses) else ():
        line = code.source.lines[each.lineno - 1]
        start = line.find("torch.cuda.amp")
        if start < 0:
            return []
        changes.append(Change(each.lineno, start, each.lineno, start + len("torch.cuda.amp"), "torch.amp"))
    return changes


def _with_device(code: Code, use: ast.Call) -> list[Change]:
    """`"cuda"` as the first argument; autocast's first argument used to be `enabled`."""
    is_autocast = (code.origin(use) or "").endswith("autocast")
    given: list[ast.expr] = [*use.args, *(each.value for each in use.keywords)]
    if not given:
        return [_first_argument(code, use)]
    if use.args:
        before = '"cuda", enabled=' if is_autocast else '"cuda", '
        return [code.source.wrap(use.args[0], before, "")[0]]
    keyword = use.keywords[0]
    return [Change(keyword.lineno, code.source.column(keyword.lineno, keyword.col_offset), keyword.lineno,
                   code.source.column(keyword.lineno, keyword.col_offset), '"cuda", ')]  # fmt: skip


def _first_argument(code: Code, use: ast.Call) -> Change:
    line = use.end_lineno or use.lineno
    column = code.source.column(line, use.end_col_offset or 0) - 1
    return Change(line, column, line, column, '"cuda"')
