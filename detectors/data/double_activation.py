"""The loss gets an activation it applies itself, or misses one it needs

`cross_entropy` applies log-softmax and `binary_cross_entropy_with_logits` sigmoid; given probabilities they squash
twice, gradients shrink and the model learns slowly and badly, without an error. `nll_loss` wants log-probabilities
and `binary_cross_entropy` probabilities; given raw outputs they measure nothing.

❌
```python
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return F.softmax(self.fc(x), dim=1)


model = Net()
for images, labels in loader:
    loss = F.cross_entropy(model(images), labels)  # ❌
```

✅
```python
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x)


model = Net()
for images, labels in loader:
    loss = F.cross_entropy(model(images), labels)
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Activation, Applied, Change, Code, Loss, Problem, Tier

TIER = Tier.BUG
WORDS = ("cross_entropy|CrossEntropyLoss|BCE|nll_loss|NLLLoss|kl_div|KLDivLoss|softmax|rossentropy",)
_A = Activation
_TWICE = {
    "cross_entropy": {_A.SOFTMAX, _A.SIGMOID, _A.LOG_SOFTMAX},
    "binary_cross_entropy_with_logits": {_A.SIGMOID, _A.SOFTMAX, _A.LOG_SOFTMAX},
}
_MISSING = {
    "nll_loss": {_A.LOGITS, _A.SOFTMAX, _A.SIGMOID},
    "binary_cross_entropy": {_A.LOGITS, _A.LOG_SOFTMAX, _A.LOG_SIGMOID},
    "kl_div": {_A.SOFTMAX},
}
_WANTED = {
    "nll_loss": "log-probabilities",
    "binary_cross_entropy": "probabilities",
    "kl_div": "log-probabilities as its first argument",
}
_OWN = {"cross_entropy": "log-softmax", "binary_cross_entropy_with_logits": "sigmoid"}


def detect(code: Code) -> Iterator[Problem]:
    """Losses whose input has an activation too many or too few, and logs of a softmax."""
    if code.is_test:
        return
    for loss in code.activations.losses:
        applied = code.activations.of(loss.input)
        if applied.activation is None:
            continue
        if applied.activation in _TWICE.get(loss.name, ()):
            yield _twice(code, loss, applied)
        elif applied.activation in _MISSING.get(loss.name, ()):
            yield _missing(code, loss, applied)
    for loss in code.activations.possible_cross_entropies:
        applied = code.activations.of(loss.input)
        if applied.activation is _A.SOFTMAX and applied.node is loss.input:
            yield _twice(code, loss, applied)
    yield from _log_of_softmax(code)
    if "keras" in code.text:
        yield from _of_keras(code)


def _twice(code: Code, loss: Loss, applied: Applied) -> Problem:
    same = loss.name == "cross_entropy" and applied.activation is _A.LOG_SOFTMAX
    what = applied.activation.value  # type: ignore[union-attr]
    where = _where(code, loss, applied)
    harm = (
        "the second one changes nothing and costs time."
        if same
        else "what it squashes is squashed already, so gradients shrink and the loss cannot come near zero."
    )
    return code.problem(
        loss.call,
        f"`{code.name(loss.input)}` has been through {what}{where}, and `{code.name(loss.call.func)}` applies "
        f"{_OWN[loss.name]} itself: {harm}",
        mend=[_without(code, loss, applied)],
        show=_near(code, loss, applied),
        related=_related(loss, applied),
        tier=Tier.ADVICE if same else None,
    )


def _missing(code: Code, loss: Loss, applied: Applied) -> Problem:
    given = "raw outputs" if applied.activation is _A.LOGITS else f"the output of {applied.activation.value}"  # type: ignore[union-attr]
    return code.problem(
        loss.call,
        f"`{code.name(loss.call.func)}` wants {_WANTED[loss.name]}, but `{code.name(loss.input)}` holds {given}"
        f"{_where(code, loss, applied)}.",
        mend=[_function_for_logits(code, loss, applied)],
        show=_near(code, loss, applied),
        related=_related(loss, applied),
    )


def _where(code: Code, loss: Loss, applied: Applied) -> str:
    if applied.elsewhere:
        return f" ({applied.elsewhere})"
    line = getattr(applied.node, "lineno", loss.call.lineno)
    return f" (line {line})" if not loss.call.lineno <= line <= (loss.call.end_lineno or 0) else ""


def _near(code: Code, loss: Loss, applied: Applied) -> list[ast.AST]:
    return [applied.node] if applied.node is not None and _is_above(code, loss, applied) else []


def _is_above(code: Code, loss: Loss, applied: Applied) -> bool:
    return applied.node is not None and code.tree.function(applied.node) is code.tree.function(loss.call)


def _related(loss: Loss, applied: Applied) -> list[tuple[ast.AST, str]]:
    return [(applied.node, "where it is applied")] if applied.node is not None and applied.node is not loss.call else []


def _without(code: Code, loss: Loss, applied: Applied) -> Change | None:
    """The activation's operand in its place, where the activation stands in the loss call or right above it."""
    node = applied.node
    if not isinstance(node, ast.Call) or applied.elsewhere:
        return None
    operand = node.args[0] if code.origin(node) and node.args else getattr(node.func, "value", None)
    if code.values.only(node.func).call is not None and node.args:
        operand = node.args[0]
    if not isinstance(operand, ast.expr) or not (node.args or isinstance(node.func, ast.Attribute)):
        return None
    if code.tree.inside(node, loss.call) or _is_above(code, loss, applied):
        return code.source.replace(node, code.source.of(operand))
    return None


def _function_for_logits(code: Code, loss: Loss, applied: Applied) -> Change | None:
    instead = {"nll_loss": "cross_entropy", "binary_cross_entropy": "binary_cross_entropy_with_logits"}.get(loss.name)
    func = loss.call.func
    if instead is None or applied.activation is not _A.LOGITS or not isinstance(func, ast.Attribute):
        return None
    if code.origin(func) != f"torch.nn.functional.{loss.name}":
        return None
    return code.source.replace(func, f"{code.source.of(func.value)}.{instead}")


def _log_of_softmax(code: Code) -> Iterator[Problem]:
    """`log(softmax(x))`, written so or over two lines: underflows where `log_softmax` does not."""
    for call in (each for each in code.tree.all(ast.Call) if _is_log(each)):
        if code.activations.function_origin(call) != "log":
            continue
        operand = call.args[0] if call.args else getattr(call.func, "value", None)
        applied = code.activations.of(operand) if isinstance(operand, ast.expr) else Applied(None)
        if applied.activation is not _A.SOFTMAX or applied.elsewhere or not isinstance(applied.node, ast.Call):
            continue
        yield code.problem(
            call,
            f"The logarithm of `{code.name(operand)}` underflows where the softmax is small (0 becomes `-inf`, "
            "and an added "
            "epsilon bends the gradient); `log_softmax` computes both in one stable step.",
            tier=Tier.ADVICE,
            show=[applied.node],
            related=[(applied.node, "the softmax")] if applied.node.lineno != call.lineno else [],
        )


_KERAS = re.compile(r"(^|\.)keras\.")
_KERAS_LOSSES = {
    "SparseCategoricalCrossentropy": "softmax",
    "CategoricalCrossentropy": "softmax",
    "BinaryCrossentropy": "sigmoid",
    "sparse_categorical_crossentropy": "softmax",
    "categorical_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid",
}


def _of_keras(code: Code) -> Iterator[Problem]:
    """`compile` of a Keras `Sequential` whose last layer and loss do not agree on logits."""
    for call in code.method_calls("compile"):
        loss = code.argument(call, "loss", 1)
        wanted = _keras_loss(code, loss) if loss is not None else None
        last = _keras_output(code, call.func.value) if wanted is not None else None  # type: ignore[attr-defined]
        if wanted is None or last is None or loss is None:
            continue
        layer, activation = last
        name, from_logits = wanted
        if from_logits and activation == _KERAS_LOSSES[name]:
            harm = f"ends in {activation} (line {layer.lineno}), and `{name}` with `from_logits=True` applies it again"
        elif not from_logits and activation == "linear":
            harm = f"ends in raw outputs (line {layer.lineno}), and `{name}` (`from_logits=False`) wants probabilities"
        else:
            continue
        model = code.name(call.func.value)  # type: ignore[attr-defined]
        yield code.problem(call, f"`{model}` {harm}.", related=[(layer, "the last layer")])


def _keras_loss(code: Code, loss: ast.expr) -> tuple[str, bool] | None:
    """The loss's name and whether it takes logits; None where that is not known."""
    value = code.values.only(loss)
    if isinstance(value.constant, str):
        return (value.constant, False) if value.constant in _KERAS_LOSSES else None
    name = (value.origin or "").rpartition(".")[2]
    if value.call is None or name not in _KERAS_LOSSES or not _KERAS.search(value.origin or ""):
        return None
    told = code.argument(value.call, "from_logits", 0)
    if told is None:
        return None if code.may_have(value.call, "from_logits", 0) else (name, False)
    return (name, told.value) if isinstance(told, ast.Constant) and isinstance(told.value, bool) else None


def _keras_output(code: Code, model: ast.expr) -> tuple[ast.Call, str] | None:
    """The last `Dense` of a `Sequential` written as one list, with its activation."""
    value = code.values.only(model)
    if value.call is None or not _KERAS.search(value.origin or "") or not (value.origin or "").endswith(".Sequential"):
        return None
    layers = code.values.only(value.call.args[0]).node if value.call.args else None
    last = layers.elts[-1] if isinstance(layers, ast.List) and layers.elts else None
    if not isinstance(last, ast.Call) or not (code.origin(last) or "").endswith(".Dense") or _grows(code, model):
        return None
    given = code.argument(last, "activation", 1)
    if given is None:
        return None if code.may_have(last, "activation", 1) else (last, "linear")
    return (last, given.value) if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def _grows(code: Code, model: ast.expr) -> bool:
    return any(code.name(each.func.value) == code.name(model) for each in code.method_calls("add"))  # type: ignore[attr-defined]


def _is_log(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "log" and len(call.args) <= 1
