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
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("DistributedDataParallel|DataParallel|DDP|module", "state_dict", "save|isinstance|hasattr")

_LOADS = re.compile(r"(^|_)(load|restart|resume|restore)", re.I)
_STRIPS = ("module.", "consume_prefix_in_state_dict_if_present")


def detect(code: Code) -> Iterator[Problem]:
    """State dicts that a data-parallel wrapper gave: saved, with nothing in the file that strips or loads them, or
    taken where the author asked whether it is the wrapper, as if it were not."""
    if code.is_test:
        return
    yield from _twins(code)
    if any(isinstance(each.value, str) and each.value.startswith(_STRIPS) for each in code.tree.all(ast.Constant)):
        return
    if "consume_prefix_in_state_dict_if_present" in code.text:
        return
    for save in (*code.calls("torch.save"), *_savers(code)):
        for given in _given(code, save):
            wrapped = code.ranks.parallel(given.func.value)  # type: ignore[attr-defined]
            if not wrapped or _loads_back(code, given.func.value) or _is_unwrapped(code, given.func.value):  # type: ignore[attr-defined]
                continue
            if _is_chosen(code, given) or _is_wrapped_for_it(code, given):
                continue
            yield _problem(code, save, given, is_always=len(wrapped) == len(code.values.of(given.func.value)))  # type: ignore[attr-defined]
            break


def _savers(code: Code) -> Iterator[ast.Call]:
    """`save_on_master(state, path)`, what torchvision's recipes and their many heirs call their `torch.save`."""
    for call in code.tree.all(ast.Call):
        if last_name(call.func) == "save_on_master" and call.args:
            yield call


def _twins(code: Code) -> Iterator[Problem]:
    """`x.state_dict()` where `x` is known to be wrapped, though the same is done where it is not."""
    for choice in code.tree.all(ast.If):
        model = _asked(choice.test)
        if model is None:
            continue
        text = f"{ast.unparse(model)}.state_dict()"
        function = code.tree.function(choice)
        taken = [
            each
            for each in code.method_calls("state_dict")
            if code.tree.function(each) is function and ast.unparse(each) == text
        ]
        wrapped = [each for each in taken if any(code.tree.inside(each, part) for part in choice.body)]
        if not wrapped or len(wrapped) == len(taken) or _is_stripped(choice):
            continue
        name = code.name(model)
        yield code.problem(
            wrapped[0],
            f"`{name}` is the data-parallel wrapper on this branch, so the keys start with `module.`, and the bare "
            "model cannot load them.",
            fix=[code.source.replace(wrapped[0].func.value, f"{code.source.of(model)}.module")],  # type: ignore[attr-defined]
            related=[(choice.test, "holds for the wrapper")],
        )


def _asked(test: ast.expr) -> ast.expr | None:
    """The model of which a condition asks whether it is wrapped: `hasattr(model, "module")`."""
    for call in ast.walk(test):
        match call:
            case ast.Call(func=ast.Name(id="hasattr"), args=[model, ast.Constant(value="module")]):
                return model if test is call else None
            case ast.Call(func=ast.Name(id="isinstance"), args=[model, _]) if re.search(
                r"\b(Distributed)?DataParallel\b|\bDDP\b", ast.unparse(test)
            ):
                return None if isinstance(test, (ast.UnaryOp, ast.BoolOp)) else model
    return None


def _is_stripped(choice: ast.If) -> bool:
    """Whether the branch takes the prefix off, or is about shards rather than copies."""
    return bool(
        re.search(r"module\.|prefix|FSDP|FullySharded", "\n".join(map(ast.unparse, [choice.test, *choice.body])))
    )


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


def _is_chosen(code: Code, given: ast.Call) -> bool:
    """Whether the other branch of a condition takes the bare model out of the wrapper: this one is for no wrapper."""
    below: ast.AST = given
    bare = f"{ast.unparse(given.func.value)}.module"  # type: ignore[attr-defined]
    for above in code.tree.ancestors(given):
        if isinstance(above, (ast.If, ast.IfExp)) and below is not above.test:
            parts = (above.body, above.orelse)
            other = next(part for part in parts if below is not part and not (isinstance(part, list) and below in part))
            if any(bare in ast.unparse(each) for each in (other if isinstance(other, list) else [other])):
                return True
        below = above
    return False


def _is_wrapped_for_it(code: Code, given: ast.Call) -> bool:
    """Whether the name is wrapped for nothing but its state: somebody wants the keys to begin with `module.`."""
    model = given.func.value  # type: ignore[attr-defined]
    bound = [each.node for each in code.names.reaching(model)] if isinstance(model, ast.Name) else []
    if len(bound) != 1 or not isinstance(model, ast.Name):
        return False
    reads = (each for each in code.tree.all(ast.Name) if each.id == model.id and isinstance(each.ctx, ast.Load))
    same = [each for each in reads if [one.node for one in code.names.reaching(each)] == bound]
    return all(
        isinstance(above := code.tree.parents[each], ast.Attribute) and above.attr == "state_dict" for each in same
    )


def _loads_back(code: Code, model: ast.expr) -> bool:
    """Whether the file loads a state into the wrapper again, under whatever name: it keeps to the wrapper's keys."""
    if _is_handed_to_a_loader(code, model):
        return True
    subject, made = code.values.subject(model), {each.node for each in code.ranks.parallel(model)}
    return any(
        isinstance(each.func, ast.Attribute)
        and (wrapped := code.ranks.parallel(each.func.value))
        and (code.values.subject(each.func.value) == subject or not made.isdisjoint(one.node for one in wrapped))
        for each in code.method_calls("load_state_dict")
    )


def _is_handed_to_a_loader(code: Code, model: ast.expr) -> bool:
    """Whether a function that loads by its name gets the wrapper: `resume_from(path, student=student)`."""
    subject = code.values.subject(model)
    return any(
        code.values.subject(given) == subject and code.ranks.parallel(given)
        for call in code.tree.all(ast.Call)
        if _LOADS.search(last_name(call.func)) and last_name(call.func) != "load_state_dict"
        for given in (*call.args, *(each.value for each in call.keywords))
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
