"""`state_dict` is called to load, or not called at all

`state_dict()` only gives the state. `model.state_dict(other.state_dict())` throws both away, so an EMA copy or a target
network keeps the weights it was made with, and `torch.save(model.state_dict, path)` writes the bound method instead of
the weights.

❌
```python
import copy

import torch
from torch import nn

model = nn.Linear(8, 2)
average = copy.deepcopy(model)


def reset():
    average.state_dict(model.state_dict())  # ❌


def keep(path):
    torch.save({"model": model.state_dict}, path)  # ❌
```

✅
```python
import copy

import torch
from torch import nn

model = nn.Linear(8, 2)
average = copy.deepcopy(model)


def reset():
    average.load_state_dict(model.state_dict())


def keep(path):
    torch.save({"model": model.state_dict()}, path)
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
"""

import ast
from collections.abc import Iterable, Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("state_dict",)


def detect(code: Code) -> Iterator[Problem]:
    """`state_dict(state)` for its effect, and `x.state_dict` where its result is meant."""
    for call in code.method_calls("state_dict"):
        if isinstance(code.tree.parents.get(call), ast.Expr) and call.args and _is_state(code, call.args[0]):
            yield _loads_nothing(code, call)
    for call in code.tree.all(ast.Call):
        is_load = isinstance(call.func, ast.Attribute) and call.func.attr == "load_state_dict"
        if call.args and (is_load or code.origin(call) == "torch.save"):
            given = call.args[0]
            yield from _not_called(code, given.values if isinstance(given, ast.Dict) else [given])
    yield from _not_called(code, _stored(code))


def _is_state(code: Code, given: ast.expr) -> bool:
    """Whether it is another's state, by the call that made it or by its name."""
    told = code.definitions.of(given)
    if isinstance(told, ast.Call) and isinstance(told.func, ast.Attribute):
        return told.func.attr == "state_dict" or code.origin(told) == "torch.load"
    return code.name(given).endswith(("state_dict", '["state_dict"]', "['state_dict']"))


def _loads_nothing(code: Code, call: ast.Call) -> Problem:
    assert isinstance(call.func, ast.Attribute)
    model = code.source.of(call.func.value)
    return code.problem(
        call,
        f"`{model}.state_dict(…)` gives a state and loads nothing: `{model}` keeps its own weights. `load_state_dict` "
        "is meant.",
        fix=[code.source.replace(call.func, f"{model}.load_state_dict")],
    )


def _not_called(code: Code, values: Iterable[ast.expr]) -> Iterator[Problem]:
    """The method itself, saved or loaded: as the argument, as a value of the dict that is, under a key."""
    for each in values:
        if isinstance(each, ast.Attribute) and each.attr == "state_dict" and _is_method(code, each):
            yield code.problem(
                each,
                f"`{code.source.of(each)}` is not called: this is the method, not the weights.",
                fix=[code.source.replace(each, f"{code.source.of(each)}()")],
            )


def _stored(code: Code) -> Iterator[ast.expr]:
    """What a checkpoint is given under a key: `state["model"] = model.state_dict`, or beside a state that is called."""
    for assign in code.tree.all(ast.Assign):
        target = assign.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            yield assign.value
    saved = {call.args[0] for call in code.calls("torch.save") if call.args}
    for display in code.tree.all(ast.Dict):
        if display not in saved and any(
            isinstance(each, ast.Call) and last_name(each.func) == "state_dict" for each in display.values
        ):
            yield from display.values


def _is_method(code: Code, node: ast.Attribute) -> bool:
    """Whether the owner is known to have the method, and no field of this name is set in the file."""
    stored = (each for each in code.tree.all(ast.Attribute) if not isinstance(each.ctx, ast.Load))
    if any(each.attr == "state_dict" for each in stored):
        return False
    return code.kind(node.value) in (Kind.MODEL, Kind.OPTIMIZER, Kind.SCHEDULER, Kind.SCALER)
