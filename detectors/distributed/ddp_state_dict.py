"""The wrapper's state dict is saved, not the model's

The keys of a `DistributedDataParallel` or `DataParallel` state dict start with `module.`. Loaded into the bare model,
for inference or on one GPU, no key matches: the load fails, or with `strict=False` it silently loads nothing.

❌
```python
import torch
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
train(model)
torch.save(model.state_dict(), "model.pt")  # ❌
```

✅
```python
import torch
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(Net().to(rank), device_ids=[rank])
train(model)
torch.save(model.module.state_dict(), "model.pt")
```

https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html#save-and-load-checkpoints
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("DistributedDataParallel|DataParallel|DDP", "state_dict", "save")

_STRIPS = ("module.", "consume_prefix_in_state_dict_if_present")


def detect(code: Code) -> Iterator[Problem]:
    """`torch.save` of a state dict that a data-parallel wrapper gave, and nothing in the file strips or loads."""
    if any(isinstance(each.value, str) and each.value.startswith(_STRIPS) for each in code.tree.all(ast.Constant)):
        return
    if "consume_prefix_in_state_dict_if_present" in code.text:
        return
    for save in (*code.calls("torch.save"), *_savers(code)):
        for given in _given(code, save):
            wrapped = code.ranks.parallel(given.func.value)  # type: ignore[attr-defined]
            if not wrapped or _loads_back(code, given.func.value) or _is_unwrapped(code, given.func.value):  # type: ignore[attr-defined]
                continue
            yield _problem(code, save, given, is_always=len(wrapped) == len(code.values.of(given.func.value)))  # type: ignore[attr-defined]
            break


def _savers(code: Code) -> Iterator[ast.Call]:
    """`save_on_master(state, path)`, what torchvision's recipes and their many heirs call their `torch.save`."""
    for call in code.tree.all(ast.Call):
        if last_name(call.func) == "save_on_master" and call.args:
            yield call


def _given(code: Code, save: ast.Call) -> Iterator[ast.Call]:
    """The `x.state_dict()` calls whose result is saved: written in the call, or in what its argument holds."""
    saved = save.args[0] if save.args else code.argument(save, "obj")
    if saved is None:
        return
    rest: list[ast.AST] = [saved]
    rest += [each.node for each in code.values.of(saved) if each.node is not None and each.node is not saved]
    for node in rest:
        for call in (each for each in ast.walk(node) if isinstance(each, ast.Call) and each in code.tree.parents):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "state_dict":
                yield call


def _is_unwrapped(code: Code, model: ast.expr) -> bool:
    """Whether the name was given the bare model where there is a wrapper: `model.module if parallel else model`."""
    if not isinstance(model, ast.Name):
        return False
    values = [each.value for each in code.names.reaching(model) if each.value is not None]
    return any(isinstance(part, ast.Attribute) and part.attr == "module" for each in values for part in ast.walk(each))


def _loads_back(code: Code, model: ast.expr) -> bool:
    """Whether the file loads a state into the wrapper again: it keeps to the wrapper's keys."""
    subject = code.values.subject(model)
    return any(
        isinstance(each.func, ast.Attribute)
        and code.values.subject(each.func.value) == subject
        and code.ranks.parallel(each.func.value)
        for each in code.method_calls("load_state_dict")
    )


def _problem(code: Code, save: ast.Call, given: ast.Call, *, is_always: bool) -> Problem:
    model = given.func.value  # type: ignore[attr-defined]
    name = code.name(model)
    bare = f"{name}.module" if is_always else f'getattr({name}, "module", {name})'
    when = "" if is_always else ", but only when the run is parallel"
    return code.problem(
        given,
        f"`{name}` is the data-parallel wrapper here, so the saved keys start with `module.`{when}, and the bare model "
        "cannot load them.",
        fix=[code.source.replace(model, bare)],
        related=[(save, "saved here")] if save.lineno != given.lineno else [],
    )
