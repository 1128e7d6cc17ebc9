"""A loss is logged as a tensor with its graph

A tracker or logger that is given the loss itself gets a tensor on the GPU with its autograd graph: the log shows
`tensor(0.69, device='cuda:0', grad_fn=…)`, buffered records keep the graph alive, and each backend converts, or
refuses, in its own way. Hand over the number.

❌
```python
import wandb

for step, (images, labels) in enumerate(loader):
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    wandb.log({"train/loss": loss}, step=step)  # ❌
```

✅
```python
import wandb

for step, (images, labels) in enumerate(loader):
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    wandb.log({"train/loss": loss.item()}, step=step)
```

https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.RISK
WORDS = ("backward", "log|add_scalar|track|report|print|info|debug")

_TRACKERS = re.compile(
    r"(wandb|swanlab|trackio)\.log$|mlflow\.log_metrics?$|mlflow\.tracking\.\w+\.log_metrics?$|comet_ml\.log_metrics?$"
)
_TRACKED = frozenset({"add_scalar", "add_scalars", "log_metric", "log_metrics", "log_scalar", "report_scalar", "track"})
_LOGGED = frozenset({"debug", "info", "warning", "error", "critical", "log"})


def detect(code: Code) -> Iterator[Problem]:
    """Calls of trackers, writers and loggers whose arguments hold an attached value."""
    for call in code.tree.all(ast.Call):
        for value in _handed_over(code, call):
            backward = code.tensors.spent_by(value)
            if backward is None:
                continue
            leaves = [each for each in code.tensors.attached_leaves(value) if code.tensors.spent_by(each) is not None]
            if not leaves or any(not isinstance(each, (ast.Name, ast.Attribute)) for each in leaves):
                continue
            sink = code.name(call.func)
            yield code.problem(
                call,
                f"`{code.name(leaves[0])}` goes to `{sink}` as a tensor that still has its graph and its device; "
                f"`{code.name(leaves[0])}.item()` is the number to log.",
                fix=[code.source.replace(each, f"{code.source.of(each)}.item()") for each in leaves],
                related=[(backward, "the gradients were computed here")],
            )
            break


def _handed_over(code: Code, call: ast.Call) -> Iterator[ast.expr]:
    """The values a sink gets as they are; what a format turns into a number is not among them."""
    func = call.func
    last = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if last not in _TRACKED and last not in _LOGGED:
        return
    owner = func.value if isinstance(func, ast.Attribute) else None
    kind = code.kind(owner) if owner is not None else Kind.UNKNOWN
    origin = code.origin(func) or ""
    is_writer = kind is Kind.WRITER or (last in ("add_scalar", "add_scalars") and not origin)
    if (
        _TRACKERS.match(origin)
        or (is_writer and last in _TRACKED | {"log"})
        or (kind is Kind.ACCELERATOR and last == "log")
    ):
        for argument in (*call.args, *(each.value for each in call.keywords)):
            yield from argument.values if isinstance(argument, ast.Dict) else [argument]
    elif last in _LOGGED and (kind is Kind.LOGGER or origin.startswith(("logging.", "loguru.logger."))):
        yield from _shown(call.args)


def _shown(arguments: list[ast.expr]) -> Iterator[ast.expr]:
    """The arguments of a logger call that are shown by `str()`."""
    if not arguments:
        return
    if not isinstance(arguments[0], ast.Constant):
        yield arguments[0]
        return
    formats = re.findall(r"%(?:\([^)]*\))?[-+ #0-9.*]*([a-zA-Z%])", str(arguments[0].value))
    shown = [each for each in formats if each != "%"]
    for letter, argument in zip(shown, arguments[1:], strict=False):
        if letter in "sr":
            yield argument
