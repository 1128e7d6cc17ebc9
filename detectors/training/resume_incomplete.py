"""A resumed run has forgotten its optimizer

A run that goes on with the weights alone starts again with empty moments and the first learning rate: the loss jumps,
and the result is not that of an uninterrupted run. The state of the optimizer and the schedule, and the step, belong in
the checkpoint too.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
if args.resume:
    checkpoint = torch.load(args.resume, map_location="cpu")
    model.load_state_dict(checkpoint["model"])  # ❌
    start_epoch = checkpoint["epoch"] + 1
for epoch in range(start_epoch, args.epochs):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
if args.resume:
    checkpoint = torch.load(args.resume, map_location="cpu")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    start_epoch = checkpoint["epoch"] + 1
for epoch in range(start_epoch, args.epochs):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
```

https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("load_state_dict", "backward", "resume|Resume|start_epoch|start_step")

_RESUMES = re.compile(r"resum|continue_train", re.I)
_PROGRESS = re.compile(r"(start|init(ial)?|last|begin)_?(epoch|step|iter(ation)?)$|^(epoch|global_step)$")
_RESTORES_ALL = re.compile(r"load_state\(|load_checkpoint\(|restore\w*\(|resume_from_checkpoint|load_training")


def detect(code: Code) -> Iterator[Problem]:
    """A restored model and a restored epoch, in a file that trains and restores no optimizer."""
    if code.is_test or not code.training_steps or _RESTORES_ALL.search(code.text):
        return
    optimizer = code.training_steps[0].step.target
    if code.kind(optimizer) is not Kind.OPTIMIZER or _is_stateless(code, optimizer):
        return
    loads = [each for each in code.method_calls("load_state_dict") if isinstance(each.func, ast.Attribute)]
    restored = [each for each in loads if code.kind(_target(each)) is Kind.MODEL]
    if len(restored) != len(loads):
        return
    for call in restored:
        if _is_on_resume(code, call) and _restores_progress(code, call):
            yield code.problem(
                call,
                f"`{code.name(_target(call))}` goes on from the checkpoint, `{code.name(optimizer)}` does not: its "
                "moments and learning rate start afresh, so the resumed run is another run.",
            )
            return


def _target(call: ast.Call) -> ast.expr | None:
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def _is_stateless(code: Code, optimizer: ast.AST | None) -> bool:
    """Plain SGD has no state but its learning rate."""
    made = code.values.only(optimizer)
    is_plain = made.call is not None and not code.may_have(made.call, "momentum", 2)
    return made.origin == "torch.optim.SGD" and is_plain


def _is_on_resume(code: Code, call: ast.Call) -> bool:
    function = code.tree.function(call)
    if function is not None and _RESUMES.search(function.name):
        return True
    tests = (each.test for each in code.tree.ancestors(call) if isinstance(each, ast.If))
    return any(_RESUMES.search(ast.unparse(each)) for each in tests)


def _restores_progress(code: Code, call: ast.Call) -> bool:
    """Whether the epoch or step is taken from the checkpoint beside the model."""
    return any(
        isinstance(each, ast.Assign)
        and any(_PROGRESS.search(_name(target)) for target in each.targets)
        and any(isinstance(part, (ast.Subscript, ast.Attribute)) for part in ast.walk(each.value))
        for each in code.tree.block(code.tree.statement(call))
    )


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
