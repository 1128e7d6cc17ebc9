"""The whole model is pickled instead of its weights

`torch.save(model)` pickles the class by its import path next to the weights. Renaming a file, moving the class or
another torch version makes the checkpoint unreadable, and loading it needs `weights_only=False`, which runs
whatever code the file holds. A `state_dict()` is tensors only.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
torch.save(model, "model.pt")  # ❌
```

✅
```python
import torch

model = torch.nn.Linear(10, 2)
torch.save(model.state_dict(), "model.pt")
```

https://docs.pytorch.org/docs/stable/notes/serialization.html#saving-and-loading-torch-nn-modules
https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, Value, kind_suggested_by, last_name

TIER = Tier.RISK
WORDS = ("torch", "save(")

_ONLY_MODELS_HAVE = frozenset(
    ["parameters", "named_parameters", "named_modules", "state_dict", "load_state_dict", "eval", "train", "zero_grad"]
)


def detect(code: Code) -> Iterator[Problem]:
    """`torch.save` of something that is a module, or holds one."""
    if code.is_test:
        return
    for call in code.calls("torch.save"):
        saved = code.argument(call, "obj", 0)
        target = code.argument(call, "f", 1)
        if saved is None or _is_memory(code, target):
            continue
        asked_for = _is_asked_for(code, call)
        for model in _models(code, saved):
            if asked_for and not _is_called_a_state(saved, model):
                continue
            name = code.name(model)
            change = code.source.replace(model, f"{code.source.of(model)}.state_dict()")
            loads = _whole_loads(code)
            yield code.problem(
                call,
                f"`{name}` is pickled whole: the file can only be read where its class has the same import path, "
                f"and reading it needs `weights_only=False`. Save `{name}.state_dict()`.",
                fix=[] if loads else [change],
                mend=[change],
                related=[(each, "reads a whole model back") for each in loads],
            )


def _is_asked_for(code: Code, call: ast.Call) -> bool:
    """Whether the other branch saves the weights alone: somebody chooses the whole model.

    Nobody does where the condition asks whether there is another object, whose weights are saved then, or is itself the
    wish for a state.
    """
    statement = code.tree.statement(call)
    above = code.tree.parents.get(statement)
    if not isinstance(above, ast.If):
        return False
    inside = statement in above.body
    if inside and _wishes_for_state(above.test):
        return False
    other = above.orelse if inside else above.body
    saved = [text for text in map(ast.unparse, other) if "torch.save" in text and "state_dict()" in text]
    asked = {ast.unparse(each) for each in ast.walk(above.test) if isinstance(each, (ast.Name, ast.Attribute))}
    own = code.argument(call, "obj", 0)
    if own is not None and ast.unparse(own) in asked:
        return False
    return any(not asked & set(_WITH_STATE.findall(text)) for text in saved)


_WITH_STATE = re.compile(r"([\w.]+?)(?:\.module)?\.state_dict\(\)")


def _wishes_for_state(test: ast.expr) -> bool:
    """`save_state_dict`, `save_state_dict and not save_optimizer`."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return any(isinstance(each, (ast.Name, ast.Attribute)) and "state_dict" in last_name(each) for each in parts)


def _is_called_a_state(saved: ast.expr, model: ast.expr) -> bool:
    """`{"model_state_dict": self.model}`: the key says what was meant."""
    if not isinstance(saved, ast.Dict):
        return False
    key = next((each for each, value in zip(saved.keys, saved.values, strict=True) if value is model), None)
    return isinstance(key, ast.Constant) and "state_dict" in str(key.value)


def _models(code: Code, saved: ast.expr) -> list[ast.expr]:
    """The modules an expression is or holds; empty where it can be anything else."""
    parts = [saved]
    if isinstance(saved, ast.Name) and isinstance(code.values.only(saved).node, ast.Dict):
        return []
    if isinstance(saved, ast.Dict):
        parts = saved.values
    elif isinstance(saved, (ast.List, ast.Tuple)):
        parts = saved.elts
    return [each for each in parts if isinstance(each, (ast.Name, ast.Attribute)) and _is_model(code, each)]


def _is_model(code: Code, node: ast.expr) -> bool:
    values = code.values.of(node)
    if any(each.kind is Kind.MODEL for each in values):
        return all(each.kind in (Kind.MODEL, Kind.UNKNOWN) and "torch.jit" not in str(each.origin) for each in values)
    owner = code.values.class_held_by(node)
    if owner is not None:
        bases = code.values.classes.bases(owner)
        if any(map(_CLASS.search, bases)) or code.values.classes.method(owner, "state_dict") is not None:
            return True
        if not code.values.classes.outer_bases(owner):
            return False
    if any(_is_data(each) for each in values):
        return False
    if _is_part_of_model(code, node):
        return True
    name = last_name(node)
    if _CALLED_A_MODEL.search(name) or any(_CLASS.search(each.origin or "") for each in values):
        return True
    return kind_suggested_by(name) is Kind.MODEL and any(
        call.func.attr in _ONLY_MODELS_HAVE and last_name(call.func.value) == name  # type: ignore[attr-defined]
        for call in code.method_calls(*_ONLY_MODELS_HAVE)
    )


def _is_part_of_model(code: Code, node: ast.expr) -> bool:
    """`features = model.features`, a part of a model that has weights of its own to load."""
    bindings = code.names.reaching(node) if isinstance(node, ast.Name) else ()
    part = bindings[0].value if len(bindings) == 1 else node
    if not isinstance(part, ast.Attribute) or code.kind(part.value) is not Kind.MODEL:
        return False
    loads = code.method_calls("load_state_dict", "named_parameters")
    return any(ast.unparse(call.func.value) == ast.unparse(part) for call in loads)  # type: ignore[attr-defined]


_CALLED_A_MODEL = re.compile(
    r"(^|_)(model|net|network|module|encoder|decoder|classifier|unet|policy|backbone|generator|discriminator"
    r"|transformer|vae|actor|critic|net[gd])(_?\d+|_[a-z]|_(to_save|without_ddp|ema))?$",
    re.I,
)
"""What is said to be a model and nothing of one: not `model_state`, `model_args`."""

_CLASS = re.compile(r"(^|\.)[A-Z]\w*(Net|Network|Model)$")
_GIVES_DATA = re.compile(r"state|dict|weight|param|load|numpy|tensor|(^|[._])(get|pop|open|read)$", re.I)


def _is_data(value: Value) -> bool:
    """Whether what is called a model is something else: a state, a container, what a file held."""
    origin = value.origin or ""
    called = origin or (ast.unparse(value.call.func) if value.call is not None else "")
    if origin.startswith("builtins.") and origin != "builtins.NoneType":
        return True
    return origin.startswith(_OTHER_MODELS) or bool(_GIVES_DATA.search(called.rpartition(".")[2]))


_OTHER_MODELS = ("collections.", "sklearn.", "xgboost.", "lightgbm.", "gensim.", "torch.jit.", "numpy.")


def _is_memory(code: Code, target: ast.expr | None) -> bool:
    """Whether the file is a buffer: a copy or a transfer, nothing that is kept."""
    return any(each.origin in ("io.BytesIO", "tempfile.TemporaryFile") for each in code.values.of(target))


def _whole_loads(code: Code) -> list[ast.Call]:
    """`torch.load` calls of this file that would have to change with the save."""
    return [each for each in code.calls("torch.load") if not _loads_weights(code, each)]


def _loads_weights(code: Code, call: ast.Call) -> bool:
    only = code.argument(call, "weights_only")
    return (isinstance(only, ast.Constant) and only.value is True) or "state" in ast.unparse(code.tree.statement(call))
