"""A sum over items divided by batches, or the reverse

`loss.item() * batch_size` added up is a sum over items: divided by the number of batches it grows with the batch
size. And a sum of batch means divided by the number of items is too small by the batch size. Neither can be compared
with another run.

❌
```python
total = 0.0
for images, labels in loader:
    loss = criterion(model(images), labels)
    total += loss.item() * images.size(0)
print(total / len(loader))  # ❌
```

✅
```python
total = 0.0
for images, labels in loader:
    loss = criterion(model(images), labels)
    total += loss.item() * images.size(0)
print(total / len(loader.dataset))
```

https://docs.pytorch.org/tutorials/beginner/basics/optimization_tutorial.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Loop, Problem, Tier

TIER = Tier.BUG
WORDS = (".item()|float(", "len(", "/")
_SIZE = re.compile(r"\.size\(0\)$|\.shape\[0\]$|^len\(\w+(\[\w+\])?\)$|^(batch_?size|bs|n_?samples)$")


def detect(code: Code) -> Iterator[Problem]:
    """Divisions of a running total of a loop over a loader by the other of its two lengths."""
    totals = list(_totals(code))
    if not totals:
        return
    for total, loader, update, of_items in totals:
        for division, by in _divisions(code, total, update):
            text = ast.unparse(by)
            if of_items and text == f"len({loader})":
                right, said = f"len({loader}.dataset)", "a sum over items, divided by the number of batches"
            elif not of_items and text == f"len({loader}.dataset)":
                right, said = f"len({loader})", "a sum of batch means, divided by the number of items"
            else:
                continue
            yield code.problem(
                division,
                f"`{total}` is {said}: line {update.lineno} adds "
                f"{'each loss times its batch' if of_items else 'one mean a batch'}.",
                fix=[code.source.replace(by, right)],
                related=[(update, "what is added up")],
            )


def _totals(code: Code) -> Iterator[tuple[str, str, ast.AugAssign, bool]]:
    """Running totals of a loop over a loader: name, loader, the statement, and whether it adds sums over items."""
    for update in code.tree.all(ast.AugAssign):
        loops = code.tree.loops(update)
        if not isinstance(update.op, ast.Add) or not isinstance(update.target, (ast.Name, ast.Attribute)) or not loops:
            continue
        loader = _loader(loops[0])
        if loader is None or _counts_only(update):
            continue
        value = update.value
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
            sides = (value.left, value.right)
            for one, other in (sides, sides[::-1]):
                if _is_item(one) and _SIZE.search(ast.unparse(other)):
                    yield ast.unparse(update.target), loader, update, True
        elif _is_item(value) and _is_mean(code, value):
            yield ast.unparse(update.target), loader, update, False


def _counts_only(update: ast.AugAssign) -> bool:
    return isinstance(update.value, ast.Constant)


def _loader(loop: Loop) -> str | None:
    if isinstance(loop, ast.While):
        return None
    iterable = loop.iter
    while (
        isinstance(iterable, ast.Call)
        and iterable.args
        and ast.unparse(iterable.func) in ("enumerate", "tqdm", "tqdm.tqdm")
    ):
        iterable = iterable.args[0]
    return ast.unparse(iterable) if isinstance(iterable, (ast.Name, ast.Attribute)) else None


def _is_item(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "item"


def _is_mean(code: Code, item: ast.expr) -> bool:
    """Whether a loss of known make, with its default mean over the batch, is added."""
    loss = item.func.value  # type: ignore[attr-defined]
    bindings = code.names.reaching(loss) if isinstance(loss, ast.Name) else ()
    values = [each.value for each in bindings] if bindings else [loss]
    made = {each.call: each.made for each in code.activations.losses}
    return all(each in made and not _may_reduce(code, made[each]) for each in values)


def _may_reduce(code: Code, made: ast.Call | None) -> bool:
    """Whether the loss may be told to sum, by the argument's name of today or of PyTorch's first releases."""
    return made is not None and any(code.may_have(made, each) for each in ("reduction", "size_average", "reduce"))


def _divisions(code: Code, total: str, update: ast.AugAssign) -> Iterator[tuple[ast.AST, ast.expr]]:
    """What the total is divided by, in the same function after the loop."""
    function, loop = code.tree.function(update), code.tree.loops(update)[0]
    for node in code.tree.all(ast.BinOp, ast.AugAssign):
        if not isinstance(node.op, ast.Div) or code.tree.function(node) is not function or code.tree.inside(node, loop):
            continue
        divided, by = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
        if ast.unparse(divided) == total and node.lineno > update.lineno:
            yield node, by
