"""The training loop reads its data set item by item

A loop over `dataset[i]` trains on batches of one, in a fixed order, and prepares each item while the GPU waits. A
`DataLoader` batches, shuffles and lets workers prepare the next batch meanwhile.

❌
```python
import torch

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    for i in range(len(train_dataset)):
        image, label = train_dataset[i]  # ❌
        optimizer.zero_grad()
        loss = criterion(model(image.unsqueeze(0)), label)
        loss.backward()
        optimizer.step()
```

✅
```python
import torch
from torch.utils.data import DataLoader

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(train_dataset, batch_size=32, shuffle=True, num_workers=4)
for epoch in range(10):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
```

https://docs.pytorch.org/docs/stable/data.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Loop, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("backward", "step", "ataset|set[|ds[")

_NAMED_DATASET = re.compile(r"(^|_)data_?set(_|\d|$)|^(train|training)_?(set|ds)$", re.I)
_A_FEW = 16


def detect(code: Code) -> Iterator[Problem]:
    """Items of a data set read by a counted index inside a loop that trains."""
    if code.is_test:
        return
    training = {loop for update in code.updates for loop in update.step.loops}
    for item in code.tree.all(ast.Subscript):
        index = item.slice.args[0] if isinstance(item.slice, ast.Call) and item.slice.args else item.slice
        if not isinstance(index, ast.Name) or not isinstance(item.ctx, ast.Load) or not _is_dataset(code, item.value):
            continue
        around = [loop for loop in code.tree.loops(item) if loop in training]
        counted = _counted_by(code, index)
        if not around or counted is None or not code.tree.inside(index, counted) or not _trains(code, counted, around):
            continue
        name = code.name(item.value)
        yield code.problem(
            item,
            f"The training loop takes `{name}` apart item by item: no batches, no shuffling by a sampler, and the "
            f"model waits while `{ast.unparse(item)}` is prepared. A `DataLoader` over `{name}` does all three.",
            related=[(around[0], "the training loop")],
        )


def _is_dataset(code: Code, node: ast.expr) -> bool:
    values = code.values.of(node)
    if any(each.kind is Kind.DATASET for each in values):
        return True
    unknown = all(each.kind is Kind.UNKNOWN and each.origin is None for each in values)
    return unknown and bool(_NAMED_DATASET.search(last_name(node)))


def _counted_by(code: Code, index: ast.Name) -> ast.AST | None:
    """The loop or comprehension that gives the index its values, where it runs over many."""
    bindings = code.names.reaching(index)
    if len(bindings) != 1 or not isinstance(bindings[0].node, (ast.For, ast.comprehension)):
        return None
    node = bindings[0].node
    if isinstance(node, ast.comprehension):
        return code.tree.parents[node]
    match node.iter:
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(count))]) if count <= _A_FEW:
            return None
        case ast.Call(func=ast.Name(id="range"), args=[_, _, step, *_]) if not isinstance(step, ast.UnaryOp):
            return None
    return node


def _trains(code: Code, counted: ast.AST, around: list[Loop]) -> bool:
    """Whether each item, or a batch made of them by hand, is trained on: not a list made once an epoch."""
    return counted in around or not isinstance(counted, ast.For)
