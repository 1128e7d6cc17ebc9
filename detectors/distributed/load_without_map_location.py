"""A checkpoint is loaded back onto the device it was saved from

`torch.load` without `map_location` puts each tensor where it was when it was saved. A checkpoint from `cuda:0` fails
on a machine without that GPU, and in a distributed run every rank loads it into the memory of GPU 0.

❌
```python
import torch

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
checkpoint = torch.load("last.pt")  # ❌
model.load_state_dict(checkpoint["model"])
model.to(device)
```

✅
```python
import torch

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
checkpoint = torch.load("last.pt", map_location="cpu")
model.load_state_dict(checkpoint["model"])
model.to(device)
```

https://docs.pytorch.org/docs/stable/generated/torch.load.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("load",)

_KEY = re.compile(
    r"(^|_)(model|net|network|weights?|params|state_?dict|encoder|decoder|generator|discriminator)(_|$)|[a-z]net$", re.I
)
_CHECKPOINT = re.compile(r"(^|_)(checkpoint|ckpt|(state|model)_?dict|weights)(_|$)", re.I)
_LOADS = re.compile(r"load.*(state|checkpoint|ckpt|model|weights)", re.I)
_TRAINS = re.compile(r"^(train|fit|run)(_|$)|_train$|^backward$|train_one|train_epoch|fit_one|one_epoch")
_DEVICE = re.compile(r"cuda|device|gpu", re.I)
_ON_CPU = re.compile(r"""^\w*device(\.type)? == 'cpu'$""")
_OF_MAPPINGS = frozenset(["items", "keys", "values", "get", "pop", "copy", "update"])
"""What is asked of a dict of weights; `data["params"].iou` is none."""
_BUFFER = re.compile(r"BytesIO|buff?er|stream|(^|\W)io\.", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """`torch.load` of weights with no `map_location`, in code that chooses its device or runs in several processes."""
    if code.is_test:
        return
    for call in code.calls("torch.load"):
        if code.may_have(call, "map_location", 1) or not call.args or code.argument(call, "mmap") is not None:
            continue
        if re.search("optim|sched", code.tree.definition(call), re.I):
            continue  # states of a rank's own optimizer
        if _BUFFER.search(ast.unparse(call.args[0])) or _is_chosen(code, call) or _saved_here(code, call):
            continue
        forgotten = _forgotten(code, call)
        target = _target(code, call)
        whole = target is not None and _is_model(code, target)
        if not forgotten and not whole and not _is_weights(code, call, target):
            continue
        reason = f", and the `{forgotten}` at hand is not passed on" if forgotten else _reason(code)
        if not reason:
            continue
        place = forgotten or ("" if whole else '"cpu"')
        yield code.problem(
            call,
            f"`{code.name(call)}` puts the tensors back on the device they were saved from{reason}.",
            fix=[code.source.set_keyword(call, "map_location", place)] if place else [],
        )


def _reason(code: Code) -> str:
    if code.ranks.groups or code.ranks.wraps:
        return ": in a distributed run every rank loads them into the memory of one GPU"
    if re.search(r"\bis_available\(\)", code.text) or any(
        each.arg in ("device", "gpu", "use_cuda", "cuda", "no_cuda") for each in code.tree.all(ast.arg)
    ):
        return ", whatever device this code chooses: where that GPU is missing the load fails"
    constants = {each.value for each in code.tree.all(ast.Constant) if isinstance(each.value, str)}
    if not code.uses_gpu and ("cpu" in constants or not _DEVICE.search(code.text)):
        return ": weights saved from a GPU need that GPU here, though nothing in this file computes on one"
    moves = code.method_calls("to", "cuda")
    if any(not each.args or _DEVICE.search(ast.unparse(each.args[0])) for each in moves):
        return ", whatever device this code runs on: where that GPU is missing the load fails"
    return ""


def _is_chosen(code: Code, call: ast.Call) -> bool:
    """Whether a condition about devices stands over the load: the author chose this branch, and it is not the CPU's."""
    about = [(ast.unparse(test), holds) for test, holds in code.ranks.guards(call) if _DEVICE.search(ast.unparse(test))]
    return bool(about) and not any(holds and _ON_CPU.search(test) for test, holds in about)


def _saved_here(code: Code, call: ast.Call) -> bool:
    """Whether the same run saved the file, so that it comes back to where it was: the load follows a save or a
    training loop in its function, or reads a path of the object that another method writes."""
    function, path = code.tree.function(call), call.args[0]
    for save in (each for each in code.calls("torch.save") if len(each.args) > 1):
        is_same = ast.dump(save.args[1]) == ast.dump(path)
        if is_same and isinstance(path, (ast.Attribute, ast.Constant)):
            return True
        if save.lineno < call.lineno and code.tree.function(save) is function and (is_same or function is not None):
            return True
    if any(
        code.tree.function(each) is function and each.lineno > call.lineno and ast.dump(each.args[0]) == ast.dump(path)
        for each in code.calls("os.remove", "os.unlink")
        if each.args
    ):
        return True  # a file of this run's own, gone when it has been read
    if code.ranks.wraps or code.ranks.groups:
        return False
    earlier = (
        each for each in code.tree.all(ast.Call) if each.lineno < call.lineno and _TRAINS.search(last_name(each.func))
    )
    return any(code.tree.function(each) is function for each in earlier)


def _forgotten(code: Code, call: ast.Call) -> str:
    """A `map_location` that the function was given or worked out, and did not pass on."""
    bindings = code.names.bindings.of("map_location", code.tree.scope(call))
    function = code.tree.function(call)
    others = (each for each in code.calls("torch.load") if code.tree.function(each) is function)
    is_passed_on = any(code.argument(each, "map_location", 1) is not None for each in others)
    return "map_location" if bindings and function is not None and not is_passed_on else ""


def _target(code: Code, call: ast.Call) -> ast.expr | None:
    statement = code.tree.parents.get(call)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return statement.targets[0]
    return None


def _is_model(code: Code, target: ast.expr) -> bool:
    """Whether the file holds a whole model: it is switched or run."""
    used = code.values.subjects.methods_called_on(code.values.subject(target))
    return bool(used & {"eval", "train", "parameters"}) and "load_state_dict" not in used


def _is_weights(code: Code, call: ast.Call, target: ast.expr | None) -> bool:
    for above in code.tree.ancestors(call):
        if isinstance(above, ast.Call) and last_name(above.func) == "load_state_dict":
            return _is_of_model(code, above)
        if isinstance(above, ast.Subscript) and _names_weights(above):
            return True
        if isinstance(above, ast.stmt):
            break
    function = code.tree.function(call)
    if isinstance(code.tree.parents[call], ast.Return):
        return function is not None and bool(_LOADS.search(function.name))
    if not isinstance(target, ast.Name):
        return isinstance(target, ast.Attribute) and bool(_CHECKPOINT.search(target.attr))
    uses = [each for each in code.tree.all(ast.Name) if each.id == target.id and isinstance(each.ctx, ast.Load)]
    near = [each for each in uses if code.tree.function(each) is code.tree.function(call)]
    for use in near:
        above = code.tree.parents[use]
        if isinstance(above, ast.Subscript) and above.value is use and _names_weights(above):
            beyond = code.tree.parents[above]
            if not isinstance(beyond, ast.Attribute) or beyond.attr in _OF_MAPPINGS:
                return True
        given_to = code.tree.enclosing(use, ast.Call, ast.stmt)
        if isinstance(given_to, ast.Call) and last_name(given_to.func) == "load_state_dict":
            return _is_of_model(code, given_to)
    return bool(near) and bool(_CHECKPOINT.search(target.id)) and not re.search(r"rng|sched|optim", target.id)


def _is_of_model(code: Code, call: ast.Call) -> bool:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if re.search(r"sched|optim|scaler|rng|sampler", last_name(owner), re.I):
        return False
    return code.kind(owner) in (Kind.MODEL, Kind.UNKNOWN)


def _names_weights(node: ast.Subscript) -> bool:
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    return isinstance(key, str) and bool(_KEY.search(key))
