"""The kept state changes while training goes on

`model.state_dict()` holds the model's own tensors, not copies. Every further step changes the kept state with the
model, so restoring it restores what is there already: the last weights, not the best ones.

❌
```python
import torch

best_loss, best_state = float("inf"), None
for epoch in range(100):
    train_one_epoch(model, loader)
    loss = evaluate(model, val_loader)
    if loss < best_loss:
        best_loss = loss
        best_state = model.state_dict()  # ❌
model.load_state_dict(best_state)
```

✅
```python
import copy
import torch

best_loss, best_state = float("inf"), None
for epoch in range(100):
    train_one_epoch(model, loader)
    loss = evaluate(model, val_loader)
    if loss < best_loss:
        best_loss = loss
        best_state = copy.deepcopy(model.state_dict())
model.load_state_dict(best_state)
```

https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("state_dict()", "load_state_dict|return|save")

_BEST = re.compile(r"(^|_)best(_|$)|^best", re.I)
_SHALLOW = frozenset({"copy.copy", "builtins.dict", "collections.OrderedDict"})


def detect(code: Code) -> Iterator[Problem]:
    """State dicts kept without a copy and given back to the model they were taken from."""
    if code.is_test:
        return
    for call in code.method_calls("state_dict"):
        assert isinstance(call.func, ast.Attribute)
        if call.args or call.keywords or not _holds_weights(code, call.func.value):
            continue
        kept = _kept_in(code, call)
        if kept is None or _is_changed(code, kept):
            continue
        use = _restored(code, kept, call.func.value) or _used_after_loop(code, kept, call)
        if use is None:
            continue
        model = code.name(call.func.value)
        yield code.problem(
            call,
            f"`{code.name(kept)}` shares its tensors with `{model}`: the steps that follow change it too, so line "
            f"{use.lineno} gets the weights `{model}` has by then. Keep a copy.",
            fix=code.source.wrap(call, *_copy(code, call)),
            related=[(use, "used here")],
        )


def _holds_weights(code: Code, owner: ast.expr) -> bool:
    """Whether the state can be a model's: an optimizer's is empty before its first step and holds more than tensors."""
    named = re.search(r"optim|sched|scaler|sampler|loader", last_name(owner), re.I)
    return code.kind(owner) in (Kind.MODEL, Kind.UNKNOWN) and not named


def _copy(code: Code, call: ast.Call) -> tuple[str, str]:
    copier = code.names.bindings.imported_as("copy.deepcopy", None)
    module = code.names.bindings.imported_as("copy", None)
    if copier or module:
        return f"{copier or f'{module}.deepcopy'}(", ")"
    return "{name: tensor.clone() for name, tensor in ", ".items()}"


def _kept_in(code: Code, call: ast.Call) -> ast.expr | None:
    """The name or attribute the very state dict is kept in."""
    above = code.tree.parents[call]
    while isinstance(above, ast.Call) and (code.origin(above) in _SHALLOW or _is_shallow_method(above)):
        above = code.tree.parents[above]
    while isinstance(above, ast.Attribute) and above.attr == "copy":
        above = code.tree.parents[code.tree.parents[above]]
    if (
        isinstance(above, ast.Assign)
        and len(above.targets) == 1
        and isinstance(above.targets[0], (ast.Name, ast.Attribute))
    ):
        return above.targets[0]
    return None


def _is_shallow_method(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "copy"


def _uses(code: Code, kept: ast.expr) -> Iterator[ast.expr]:
    """Every expression that means what was kept."""
    subject = code.values.subject(kept)
    function = code.tree.function(kept)
    for node in code.tree.all(type(kept)):
        if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
            continue
        if last_name(node) != last_name(kept):
            continue
        if isinstance(node, ast.Name):
            is_kept = any(code.tree.inside(kept, each.node) for each in code.names.reaching(node))
        else:
            is_kept = code.values.subject(node) == subject or code.tree.function(node) is function
        if is_kept:
            yield node


def _is_changed(code: Code, kept: ast.expr) -> bool:
    """Whether its entries are replaced or copied afterwards, so that it is a state of its own, or it is "
    "saved at once."""
    for use in _uses(code, kept):
        above = code.tree.parents[use]
        if isinstance(above, ast.Subscript) and (
            not isinstance(above.ctx, ast.Load) or isinstance(code.tree.parents[above], ast.AugAssign)
        ):
            return True
        if isinstance(above, ast.Attribute) and above.attr in (
            "update",
            "pop",
            "items",
            "keys",
            "values",
            "setdefault",
        ):
            return True
        if isinstance(above, (ast.For, ast.comprehension)) or _is_filled_by(code, above):
            return True
        if isinstance(above, ast.Call) and code.origin(above) in ("copy.deepcopy",):
            return True
    return False


def _is_filled_by(code: Code, above: ast.AST) -> bool:
    """Whether a function reads a checkpoint into the tensors: `torch.distributed.checkpoint.load(state, …)`."""
    call = code.tree.parents.get(above) if isinstance(above, ast.keyword) else above
    return isinstance(call, ast.Call) and bool(
        re.search(r"distributed\..*load|(^|\.)load_state_dict$", code.origin(call) or "")
    )


def _restored(code: Code, kept: ast.expr, model: ast.expr) -> ast.expr | None:
    """Where the state goes back into the model it came from, with other statements in between that may train it."""
    for use in _uses(code, kept):
        above = code.tree.parents[use]
        if not isinstance(above, ast.Call) or not isinstance(above.func, ast.Attribute) or use not in above.args[:1]:
            continue
        if above.func.attr != "load_state_dict" or not _is_same_model(code, kept, above, model):
            continue
        if _something_trains(code, kept, above, model):
            return above
    return None


def _is_same_model(code: Code, kept: ast.expr, restored: ast.Call, model: ast.expr) -> bool:
    """Whether the state goes back where it came from; two methods of one class may each be given the "
    "model by its name."""
    assert isinstance(restored.func, ast.Attribute)
    target = restored.func.value
    owner = code.values.subject(model)
    if owner is not None and code.values.subject(target) == owner:
        return True
    apart = isinstance(kept, ast.Attribute) and code.tree.function(kept) is not code.tree.function(restored)
    return apart and isinstance(model, ast.Name) and isinstance(target, ast.Name) and model.id == target.id


def _something_trains(code: Code, kept: ast.expr, restored: ast.Call, model: ast.expr) -> bool:
    """Whether the model can change between: kept in a loop, across methods, or with calls that are given the model."""
    name = last_name(model)
    if code.tree.function(kept) is not code.tree.function(restored):
        return bool(_BEST.search(last_name(kept)))
    loops = code.tree.loops(kept)
    if loops and restored.lineno > (loops[0].end_lineno or 0):
        return True
    function = code.tree.function(kept) or code.tree.module
    changed = [
        call
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and kept.lineno < call.lineno < restored.lineno
        and last_name(call.func)
        in ("step", "train_one_epoch", "train", "fit", "train_epoch", "train_model", "load_state_dict")
        and (call.args or last_name(call.func) == "step")
    ]
    rebound = [
        each
        for each in ast.walk(function)
        if isinstance(each, (ast.Name, ast.Attribute))
        and isinstance(each.ctx, ast.Store)
        and last_name(each) == name
        and kept.lineno < each.lineno < restored.lineno
    ]
    return bool(changed) and not rebound


def _used_after_loop(code: Code, kept: ast.expr, call: ast.Call) -> ast.expr | None:
    """Where the best state is returned or saved behind the loop that trains on, in a function with backward in it."""
    loops = code.tree.loops(kept)
    guarded = code.tree.enclosing(kept, ast.If)
    if not loops or guarded is None or not code.tree.inside(guarded, loops[-1]) or not _BEST.search(last_name(kept)):
        return None
    for use in _uses(code, kept):
        if use.lineno <= (loops[-1].end_lineno or 0):
            continue
        above = code.tree.parents[use]
        if isinstance(above, (ast.Return, ast.Tuple, ast.Dict)) or (
            isinstance(above, ast.Call) and code.origin(above) == "torch.save" and use in above.args[:1]
        ):
            return use
    return None
