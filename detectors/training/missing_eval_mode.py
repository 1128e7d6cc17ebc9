"""Evaluation runs in train mode

In train mode dropout drops at random and batch norm uses, and updates, the statistics of the batch it is given. A
validation that does not call `model.eval()` first reports noisy, too pessimistic numbers and leaks validation data into
the running statistics.

❌
```python
import torch

model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Dropout(), torch.nn.Linear(10, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
    with torch.no_grad():  # ❌
        for images, labels in val_loader:
            correct += (model(images).argmax(1) == labels).sum().item()
```

✅
```python
import torch

model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Dropout(), torch.nn.Linear(10, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for images, labels in val_loader:
            correct += (model(images).argmax(1) == labels).sum().item()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, EvaluationPass, Event, Problem, Region, Tier, covers

TIER = Tier.BUG
WORDS = ("torch|.eval()", "backward|.train()")


def detect(code: Code) -> Iterator[Problem]:
    """Evaluation passes that a path reaches from training without `eval()`, one finding a function."""
    if not code.is_torch or code.is_test:
        return
    told: set[object] = set()
    for each in sorted(code.passes.evaluations, key=lambda each: each.forward.line):
        where = each.loop or each.forward.function
        if where is None or where in told or not each.is_direct or code.framework(each.forward.node):
            continue
        trained = _trained_before(code, each)
        if trained is None or code.passes.depends_on_mode(each.forward.target) is False or _is_on_purpose(code, each):
            continue
        told.add(where)
        yield _problem(code, each, trained)


def _is_on_purpose(code: Code, each: EvaluationPass) -> bool:
    """Monte-Carlo dropout, batch-norm statistics and calibration: train mode without gradients is meant."""
    forward = each.forward
    names = f"{forward.function.name if forward.function else ''} {ast.unparse(forward.node)}"
    if re.search(r"dropout|(^|_|\s)mc_|training=|(^|_)bn|batch_?norm|calibrat|statistic|warm_?up", names, re.I):
        return True
    parent = code.tree.parents[forward.node]
    is_dropped = (
        isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name) and parent.targets[0].id == "_"
    )
    return isinstance(parent, ast.Expr) or is_dropped


def _trained_before(code: Code, each: EvaluationPass) -> Event | None:
    """What has the model in train mode when the evaluation reaches it: its training pass, or `train()`."""
    flow, forward = each.flow, each.forward
    if forward.subject is None or not (forward.within(Region.NO_GRAD) or each.is_named):
        return None
    model = forward.subject
    evals = [event for event in flow.of(Act.EVAL_MODE) if covers(event.subject, model)]
    if any(event.function is forward.function and event.line < forward.line for event in evals):
        return None  # under a condition, most often: `if isinstance(net, Module): net.eval()`
    starts = [event for event in code.passes.trained(flow) if event.subject == model]
    starts += [
        event
        for event in flow.of(Act.TRAIN_MODE)
        if covers(event.subject, model) and not any(each.function is event.function for each in evals if event.guards)
    ]
    for start in starts:
        if flow.reaches(
            start,
            lambda event: event is forward,
            avoiding=lambda event: code.passes.switches(event, model) and event not in starts,
        ):
            return start
    return None


def _problem(code: Code, each: EvaluationPass, trained: Event) -> Problem:
    forward = each.forward
    name = code.name(forward.target)
    where = f"in `{forward.function.name}`" if forward.function is not None else "here"
    before = _start_of_evaluation(code, each)
    return code.problem(
        before,
        f"`{name}` is evaluated {where} in train mode: nothing calls `{name}.eval()` after line {trained.line} "
        "trains it.",
        mend=[code.source.insert_before(before, f"{name}.eval()")],
        show=[forward.node],
        related=[(forward.node, "runs in train mode"), (trained.node, "the model is in train mode from here")],
    )


def _start_of_evaluation(code: Code, each: EvaluationPass) -> ast.stmt:
    """The `with` or loop that evaluation starts with."""
    statement = each.loop or code.tree.statement(each.forward.node)
    for above in code.tree.ancestors(statement):
        if not isinstance(above, (ast.With, ast.AsyncWith)):
            break
        statement = above
    return statement
