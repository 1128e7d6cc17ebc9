"""The loss compares every prediction with every target

A loss of `(N, 1)` predictions and `(N,)` targets broadcasts to `(N, N)`: each prediction is pulled towards all
targets, and the model learns their mean. And a bare `.squeeze()` takes the batch dimension away too when the last
batch holds one item.

❌
```python
import torch.nn.functional as F
from torch import nn


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        return self.head(x)


model = Regressor()
for features, prices in loader:
    loss = F.mse_loss(model(features), prices.view(-1))  # ❌
```

✅
```python
import torch.nn.functional as F
from torch import nn


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        return self.head(x)


model = Regressor()
for features, prices in loader:
    loss = F.mse_loss(model(features).squeeze(-1), prices.view(-1))
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html
"""

import ast
from collections.abc import Iterator

from detectors import Bound, Code, Column, Kind, Loss, Problem, Tier

TIER = Tier.BUG
WORDS = ("mse_loss|MSELoss|l1_loss|L1Loss|huber|Huber|BCE|binary_cross_entropy|squeeze()|cross_entropy|CrossEntropy",)
_ELEMENTWISE = frozenset(["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
_STRICT = frozenset(["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "nll_loss"])
_GROWS = frozenset(["extend", "zip", "len", "enumerate", "list", "sorted", "set"])


def detect(code: Code) -> Iterator[Problem]:
    """Losses of a column and a flat tensor, losses of a squeezed batch, and lists made of a squeezed batch."""
    if code.is_test:
        return
    for loss in code.activations.losses:
        sides = code.columns.of(loss.input), code.columns.of(loss.target)
        if loss.name in _ELEMENTWISE | _STRICT - {"cross_entropy", "nll_loss"} and set(sides) == {
            Column.COLUMN,
            Column.FLAT,
        }:
            yield _broadcast(code, loss, column_first=sides[0] is Column.COLUMN)
        elif loss.name in _STRICT and not _drops_the_tail(code):
            yield from _squeezed(code, loss)
    yield from _lists(code)


def _broadcast(code: Code, loss: Loss, *, column_first: bool) -> Problem:
    column, flat = (loss.input, loss.target) if column_first else (loss.target, loss.input)
    what = (
        "each prediction is compared with every target"
        if loss.name in _ELEMENTWISE
        else f"`{code.name(loss.call.func)}` refuses the two shapes"
    )
    return code.problem(
        loss.call,
        f"`{code.name(column)}` is `(N, 1)` and `{code.name(flat)}` is `(N,)`: {what}.",
        mend=code.source.wrap(column, "", ".squeeze(-1)") if not isinstance(column, ast.BinOp) else (),
    )


def _squeezed(code: Code, loss: Loss) -> Iterator[Problem]:
    """A model's output squeezed of all dimensions of one on its way to a loss that checks shapes."""
    squeeze = _bare_squeeze(code, loss.input)
    if squeeze is None or _bare_squeeze(code, loss.target) is not None:
        return
    output = squeeze.func.value  # type: ignore[attr-defined]
    if not _is_output(code, output) or _is_of_all_rows(code, output):
        return
    yield code.problem(
        squeeze,
        f"`{code.name(squeeze)}` takes the batch dimension away too when a batch holds one item, and "
        f"`{code.name(loss.call.func)}` then fails on its shape: name the dimension.",
        mend=[code.source.replace(squeeze, f"{code.source.of(output)}.squeeze(-1)")],
        related=[(loss.call, "the loss")] if loss.call.lineno != squeeze.lineno else [],
        tier=Tier.RISK,
    )


def _bare_squeeze(code: Code, node: ast.expr) -> ast.Call | None:
    for _ in range(4):
        if isinstance(node, ast.Name):
            bindings = code.names.reaching(node)
            if len(bindings) != 1 or bindings[0].value is None or bindings[0].index:
                return None
            if not isinstance(bindings[0].node, ast.Assign):
                return None
            node = bindings[0].value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "squeeze" and not node.args and not node.keywords and code.origin(node) is None:
                return node
            if node.func.attr not in ("float", "to", "long", "double", "cpu", "cuda", "sigmoid"):
                return None
            node = node.func.value
        else:
            return None
    return None


def _is_output(code: Code, node: ast.expr) -> bool:
    """Whether the expression is what a model of known make gives for a batch."""
    for _ in range(3):
        if isinstance(node, ast.Name):
            bindings = code.names.reaching(node)
            if len(bindings) != 1 or bindings[0].value is None or bindings[0].index:
                return False
            node = bindings[0].value
    return isinstance(node, ast.Call) and code.values.is_strong(node.func) and code.kind(node.func) is Kind.MODEL


def _is_of_all_rows(code: Code, output: ast.expr) -> bool:
    """Whether the model is given a whole part of a split at once, which never holds one row."""
    call = code.names.written(output)
    given = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if not isinstance(given, ast.Name) or not code.splits.comes_from_part(given):
        return False
    return not any(
        isinstance(each.node, ast.Name) and any(b.how is Bound.ITEM for b in code.names.reaching(each.node))
        for each in code.provenance.trace(given)
    )


def _drops_the_tail(code: Code) -> bool:
    return any(
        each.arg == "drop_last" and not (isinstance(each.value, ast.Constant) and each.value.value is False)
        for each in code.tree.all(ast.keyword)
    )


def _lists(code: Code) -> Iterator[Problem]:
    """`x.squeeze().tolist()` of predictions, then taken apart: a batch of one gives a number."""
    for call in code.method_calls("tolist"):
        squeeze = call.func.value  # type: ignore[attr-defined]
        if (
            not isinstance(squeeze, ast.Call)
            or not isinstance(squeeze.func, ast.Attribute)
            or squeeze.func.attr != "squeeze"
        ):
            continue
        if squeeze.args or squeeze.keywords or not _is_taken_apart(code, call) or not _is_of_batch(code, squeeze):
            continue
        yield code.problem(
            call,
            f"`{code.name(call)}` is a list of the batch, but of a batch of one it is a single number, and "
            "what takes it "
            "apart fails: name the dimension to squeeze.",
            mend=[code.source.replace(squeeze, f"{code.source.of(squeeze.func.value)}.flatten()")],
            tier=Tier.RISK,
        )


def _is_of_batch(code: Code, squeeze: ast.Call) -> bool:
    """Whether predictions for a batch are squeezed: an argmax over the classes, in a loop over batches."""
    operand = squeeze.func.value  # type: ignore[attr-defined]
    name = code.activations.function_origin(operand) if isinstance(operand, ast.Call) else ""
    return name == "argmax" and bool(code.tree.loops(squeeze))


def _is_taken_apart(code: Code, call: ast.Call) -> bool:
    parent = code.tree.parents.get(call)
    if isinstance(parent, ast.Call) and ast.unparse(parent.func).rpartition(".")[2] in _GROWS:
        return True
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name, function = parent.targets[0].id, code.tree.function(call)
    for use in code.tree.all(ast.Name):
        if use.id != name or not isinstance(use.ctx, ast.Load) or code.tree.function(use) is not function:
            continue
        above = code.tree.parents.get(use)
        if isinstance(above, (ast.For, ast.comprehension, ast.Subscript)) or (
            isinstance(above, ast.Call) and ast.unparse(above.func).rpartition(".")[2] in _GROWS
        ):
            return True
    return False
