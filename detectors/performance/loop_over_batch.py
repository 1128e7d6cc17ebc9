"""Forward loops over the batch in Python

One sample at a time leaves most of the GPU idle: each operation is launched as often as there are samples, on a
tensor as small as one of them. Written over the whole batch it is one launch.

❌
```python
import torch
from torch import nn


class Scores(nn.Module):
    def forward(self, queries, keys):
        scores = []
        for i in range(queries.size(0)):  # ❌
            scores.append(queries[i] @ keys[i].T)
        return torch.stack(scores)
```

✅
```python
import torch
from torch import nn


class Scores(nn.Module):
    def forward(self, queries, keys):
        return queries @ keys.transpose(1, 2)
```

https://docs.pytorch.org/docs/stable/generated/torch.vmap.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("def forward", "for ", "range(", ".size(|.shape")


def detect(code: Code) -> Iterator[Problem]:
    """Loops in `forward` over the first dimension of an argument whose iterations do not depend on each other."""
    for loop in code.tree.all(ast.For):
        function = code.tree.function(loop)
        owner = code.tree.class_of(function) if function is not None and function.name == "forward" else None
        if function is None or owner is None or code.values.classes.kind(owner) is not Kind.MODEL:
            continue
        parameters = {each.arg for each in function.args.args[1:]}
        batched = _counted(code, loop.iter)
        if batched is None or batched not in parameters or not isinstance(loop.target, ast.Name):
            continue
        if not _indexes(loop, batched, loop.target.id) or _recurs(code, loop) or code.tree.loops(loop):
            continue
        yield code.problem(
            loop,
            f"This loop goes over `{batched}` sample by sample: a small launch for each instead of one for the batch.",
        )


def _counted(code: Code, iterable: ast.expr) -> str | None:
    """The name whose first dimension a range counts: `x` of `range(x.size(0))`, also through `b, t = x.shape`."""
    if code.origin(iterable) != "builtins.range" or not isinstance(iterable, ast.Call) or len(iterable.args) != 1:
        return None
    count: ast.expr | None = iterable.args[0]
    index: tuple[int, ...] = ()
    if isinstance(count, ast.Name):
        bindings = code.names.reaching(count)
        if len(bindings) != 1 or bindings[0].value is None:
            return None
        count, index = bindings[0].value, bindings[0].index
    match count:
        case ast.Call(func=ast.Attribute(attr="size", value=ast.Name(id=name)), args=[ast.Constant(value=0)]) if (
            not index
        ):
            return name
        case ast.Subscript(value=ast.Attribute(attr="shape", value=ast.Name(id=name)), slice=ast.Constant(value=0)) if (
            not index
        ):
            return name
        case ast.Attribute(attr="shape", value=ast.Name(id=name)) if index == (0,):
            return name
        case ast.Call(func=ast.Attribute(attr="size", value=ast.Name(id=name)), args=[]) if index == (0,):
            return name
    return None


def _indexes(loop: ast.For, name: str, index: str) -> bool:
    """Whether the body takes one sample of the batch."""
    for each in ast.walk(loop):
        if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name) and each.value.id == name:
            first = each.slice.elts[0] if isinstance(each.slice, ast.Tuple) and each.slice.elts else each.slice
            if isinstance(first, ast.Name) and first.id == index:
                return True
    return False


def _recurs(code: Code, loop: ast.For) -> bool:
    """Whether an iteration needs the one before, stops early, or treats samples of different lengths."""
    if any(isinstance(each, (ast.Break, ast.While, ast.Try)) for each in ast.walk(loop)):
        return True
    for name in (each for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)):
        reaching = code.names.reaching(name)
        inside = [each for each in reaching if code.tree.inside(each.node, loop) and each.node is not loop]
        if inside and len(inside) < len(reaching):
            return True
    return any(isinstance(each, (ast.Slice, ast.Compare)) or _is_ragged(each) for each in ast.walk(loop))


def _is_ragged(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and any(
        each in node.id.lower() for each in ("len", "mask", "num", "count", "pos", "ind", "idx_")
    )
