"""Logits are cut at the threshold of a probability

A loss "with logits" takes raw scores: a probability of 0.5 is a logit of 0. Cutting the same scores at 0.5, or rounding
them, asks for a probability of 0.62, so positives are missed, and accuracy and F1 are measured too low.

❌
```python
import torch
from torch import nn

criterion = nn.BCEWithLogitsLoss()


def evaluate(model, features, labels):
    logits = model(features)
    loss = criterion(logits, labels)
    predicted = (logits > 0.5).long()  # ❌
    return loss, (predicted == labels).float().mean()
```

✅
```python
import torch
from torch import nn

criterion = nn.BCEWithLogitsLoss()


def evaluate(model, features, labels):
    logits = model(features)
    loss = criterion(logits, labels)
    predicted = (logits > 0).long()
    return loss, (predicted == labels).float().mean()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
"""

import ast
from collections.abc import Iterator

from detectors import Activation, Binding, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("BCEWithLogits|binary_cross_entropy_with_logits", "0.5|.5|round")
_KEEPS = frozenset(
    "detach cpu numpy float double to squeeze view reshape flatten data clone cuda tolist ravel item".split()
)
_HALF = 0.5


def detect(code: Code) -> Iterator[Problem]:
    """Comparisons with 0.5 and roundings of a value that is also given to a loss with logits."""
    losses = [each for each in code.activations.losses if each.name == "binary_cross_entropy_with_logits"]
    scored = {each: loss.call for loss in losses for each in _bindings(code, loss.input)}
    if not scored or code.is_test:
        return
    for node, operand in _cuts(code):
        loss = next((scored[each] for each in _bindings(code, operand) if each in scored), None)
        if loss is None or code.activations.of(operand).activation not in (None, Activation.LOGITS):
            continue
        name, is_round = code.source.of(operand), isinstance(node, ast.Call)
        yield code.problem(
            node,
            f"`{_name(operand)}` are logits, which the loss at line {loss.lineno} takes as such: "
            + ("rounding them cuts" if is_round else "0.5 cuts")
            + " at a probability of 0.62, not of one half.",
            mend=[_mended(code, node, name)],
            related=[(loss, "takes them as logits")],
        )


def _cuts(code: Code) -> Iterator[tuple[ast.expr, ast.expr]]:
    for compare in code.tree.all(ast.Compare):
        right = compare.comparators[0]
        is_half = isinstance(right, ast.Constant) and right.value == _HALF and len(compare.ops) == 1
        if is_half and isinstance(compare.ops[0], (ast.Gt, ast.GtE, ast.Lt, ast.LtE)):
            yield compare, compare.left
    for call in code.calls("torch.round", "numpy.round", "numpy.rint"):
        if len(call.args) == 1 and not call.keywords:
            yield call, call.args[0]
    for call in code.method_calls("round"):
        if not call.args and code.origin(call) is None:
            yield call, call.func.value  # type: ignore[attr-defined]


def _stripped(node: ast.expr) -> ast.expr:
    """The value without what only moves or reshapes it."""
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPS:
            node = node.func.value
        elif isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        else:
            return node


def _bindings(code: Code, node: ast.expr, depth: int = 0) -> list[Binding]:
    """The one assignment that the value comes from, and those that it only moves or reshapes."""
    node = _stripped(node)
    if not isinstance(node, ast.Name) or depth > 3:
        return []
    found = code.names.reaching(node)
    if len(found) != 1 or found[0].value is None:
        return []
    return [found[0], *_bindings(code, found[0].value, depth + 1)] if not found[0].index else [found[0]]


def _name(node: ast.expr) -> str:
    stripped = _stripped(node)
    return stripped.id if isinstance(stripped, ast.Name) else ast.unparse(stripped)


def _mended(code: Code, node: ast.expr, name: str):  # type: ignore[no-untyped-def]
    if isinstance(node, ast.Compare):
        return code.source.replace(node.comparators[0], "0")
    return code.source.replace(node, f"({name} > 0).float()")
