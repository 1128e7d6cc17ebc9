"""A plateau scheduler that does not see its metric

`ReduceLROnPlateau` compares the value given to `step()` with the best so far. Without a value it raises; with
`mode="min"` and a score, or `mode="max"` and a loss, it cuts the learning rate while the model improves.

❌
```python
import torch

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)
for epoch in range(30):
    val_accuracy = fit_and_score(model, optimizer)
    scheduler.step(val_accuracy)  # ❌
```

✅
```python
import torch

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=3)
for epoch in range(30):
    val_accuracy = fit_and_score(model, optimizer)
    scheduler.step(val_accuracy)
```

https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Change, Code, Kind, Problem, Tier, kind_made_by, last_name

TIER = Tier.BUG
WORDS = ("ReduceLROnPlateau", "step")

_PLATEAU = "torch.optim.lr_scheduler.ReduceLROnPlateau"
_HIGHER_IS_BETTER = re.compile(
    r"(^|_)(acc|accuracy|f1|f1_score|auc|auroc|roc_auc|map|m_?iou|iou|dice|bleu|rouge|precision|recall|psnr|ssim|ndcg|mrr)"
    r"(_|\d|$)",
    re.I,
)
_LOWER_IS_BETTER = re.compile(
    r"(^|_)(loss|losses|error|err|mse|rmse|mae|perplexity|ppl|wer|cer|nll|fid)(_|\d|$)|Loss$", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """Steps of a plateau scheduler with no value, or with one that moves the other way."""
    for call in code.method_calls("step"):
        assert isinstance(call.func, ast.Attribute)
        made = code.values.only(call.func.value)
        if made.call is None or made.origin != _PLATEAU:
            if made.kind is Kind.UNKNOWN and _holds_the_only_one(code, call.func.value):
                yield from _last_batch(code, call, code.argument(call, "metrics", 0))
            continue
        metric, mode = code.argument(call, "metrics", 0), _mode(code, made.call)
        if not call.args and not call.keywords:
            yield _no_metric(code, call, made.call)
        elif metric is not None and mode is not None and _direction(metric) not in (None, mode):
            yield _wrong_way(code, call, made.call)
        else:
            yield from _last_batch(code, call, metric)


def _no_metric(code: Code, step: ast.Call, made: ast.Call) -> Problem:
    name = code.name(_scheduler(step))
    return code.problem(
        step,
        f"`{name}` is a `ReduceLROnPlateau`: `step()` needs the metric it watches, and raises a `TypeError` "
        f"without one.",
        good=f"{name}.step(val_loss)",
        related=[(made, "the scheduler")],
    )


def _wrong_way(code: Code, step: ast.Call, made: ast.Call) -> Problem:
    mode = _mode(code, made)
    other, better = ("max", "grows") if mode == "min" else ("min", "falls")
    by_default = "" if code.may_have(made, "mode", 1) else " by default"
    mended = code.source.changed(made.lineno, made.end_lineno or made.lineno, [_with_mode(code, made, other)])
    return code.problem(
        step,
        f"`{code.name(code.argument(step, 'metrics', 0))}` {better} as the model improves, but "
        f'`{code.name(_scheduler(step))}` has `mode="{mode}"`{by_default}: it cuts the learning rate while training '
        "goes well.",
        good=mended.strip(),
        related=[(made, "the scheduler")],
    )


def _scheduler(step: ast.Call) -> ast.expr:
    assert isinstance(step.func, ast.Attribute)
    return step.func.value


def _holds_the_only_one(code: Code, node: ast.expr) -> bool:
    """Whether a scheduler handed through code out of sight is a plateau scheduler: the file makes no other."""
    made = [call for call in code.tree.all(ast.Call) if kind_made_by(code.origin(call) or "") is Kind.SCHEDULER]
    return code.kind(node) is Kind.SCHEDULER and {code.origin(call) for call in made} == {_PLATEAU}


def _with_mode(code: Code, call: ast.Call, mode: str) -> Change:
    given = code.argument(call, "mode", 1)
    return (
        code.source.replace(given, f'"{mode}"')
        if given is not None
        else code.source.set_keyword(call, "mode", f'"{mode}"')
    )


def _mode(code: Code, call: ast.Call) -> str | None:
    mode = code.argument(call, "mode", 1)
    if mode is None:
        return None if code.may_have(call, "mode", 1) else "min"
    return mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else None


def _direction(metric: ast.expr) -> str | None:
    """Which mode fits the metric, by its name; None for arithmetic and names that do not say."""
    if isinstance(metric, ast.Subscript) and isinstance(metric.slice, ast.Constant):
        name = str(metric.slice.value)
    elif (
        isinstance(metric, ast.Call) and isinstance(metric.func, ast.Attribute) and metric.func.attr in ("item", "mean")
    ):
        return _direction(metric.func.value)
    elif isinstance(metric, (ast.Name, ast.Attribute)):
        name = last_name(metric)
    else:
        return None
    higher, lower = bool(_HIGHER_IS_BETTER.search(name)), bool(_LOWER_IS_BETTER.search(name))
    if higher is lower:
        return None
    return "max" if higher else "min"


def _last_batch(code: Code, call: ast.Call, metric: ast.expr | None) -> Iterator[Problem]:
    """A metric that is the back-propagated loss of whichever training batch came last."""
    if not isinstance(metric, ast.Name) or not isinstance(call.func, ast.Attribute):
        return
    scheduler = call.func.value
    for update in code.updates:
        if update.loop is None or update.loop in code.tree.loops(call):
            continue
        events = [each for each in update.flow.of(Act.SCHEDULER_STEP) if each.node is call]
        epoch_loops = [each.loops[-1] for each in events if each.loops]
        if not epoch_loops or epoch_loops[0] not in update.step.loops:
            continue
        bound = code.names.reaching(metric)
        lost = [each.target for each in update.backwards if isinstance(each.target, ast.Name)]
        if (
            bound
            and all(code.tree.inside(each.node, update.loop) for each in bound)
            and any(set(code.names.reaching(each)) & set(bound) for each in lost)
        ):
            yield code.problem(
                call,
                f"`{metric.id}` is the loss of the epoch's last training batch: `{code.name(scheduler)}` judges "
                f"the whole epoch by it. Give it a validation metric or the mean over the epoch.",
                good=f"{code.name(call.func)}(val_loss)",
                related=[(update.loop, "the loop over batches")],
                tier=Tier.RISK,
            )
            return
