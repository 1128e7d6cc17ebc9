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
from contextlib import suppress
from dataclasses import dataclass

from detectors import (
    Act,
    Change,
    Code,
    EvaluationPass,
    Event,
    Problem,
    Region,
    Tier,
    Undecided,
    covers,
    last_name,
)

TIER = Tier.BUG
WORDS = ("torch|.eval()", "backward|.train(|load_state_dict|torch.load|pretrained|weights|pytorch_fid")


@dataclass(frozen=True)
class _Reason:
    """Why the model is in train mode when the evaluation begins: where that happened, and in words."""

    node: ast.AST
    words: str
    is_loading: bool = False
    name: str = ""
    """What is to be switched, where that is more than what is run: `model` for `model.decoder`."""


_LOSS = re.compile(r"(^|_)(loss|losses|criterion|crit)(_|$)", re.I)
"""A loss is a module, too, and has nothing that depends on the mode."""
_COMES_IN_EVAL_MODE = re.compile(r"transformers\.(\w+\.)*\w+\.from_pretrained$")


def detect(code: Code) -> Iterator[Problem]:
    """Evaluation passes that a model reaches in train mode, one finding a function."""
    if not code.is_torch or code.is_test:
        return
    told: set[object] = set()
    for each in sorted(code.passes.evaluations, key=lambda each: each.forward.line):
        with suppress(Undecided):  # of one run; the others are told apart
            yield from _found(code, each, told)
    yield from _saved_for_nothing(code)


def _found(code: Code, each: EvaluationPass, told: set[object]) -> Iterator[Problem]:
    forward, function = each.forward, each.forward.function
    where = each.loop or forward.subject
    if function is not None:
        where = (function, forward.subject, _begins(each))
    if where is None or where in told or not code.passes.keeps_mode(each) or _LOSS.search(last_name(forward.target)):
        return
    reason = _reason(code, each)
    if reason is None or reason.node in told or (reason.name and (function, reason.name) in told):
        return
    if code.meant_modes.is_train_mode_meant(each, reason.node):
        return
    if code.modes.depends(forward.target) is False and not _leaves_loaded_mode(code, each):
        return
    told |= {where, reason.node} if reason.is_loading else {where, (function, reason.name)}
    yield _problem(code, each, reason)


def _begins(each: EvaluationPass) -> ast.AST | None:
    """The last `train()` of the function before the evaluation: what follows another one is another evaluation."""
    forward = each.forward
    begins = [
        event
        for event in each.flow.of(Act.TRAIN_MODE)
        if event.function is forward.function
        and event.calls == forward.calls
        and event.line < forward.line
        and covers(event.subject, forward.subject)
    ]
    return max((event.node for event in begins), key=lambda node: node.lineno, default=None)  # type: ignore[attr-defined]


def _reason(code: Code, each: EvaluationPass) -> _Reason | None:
    forward = each.forward
    if forward.subject is None or _is_seen_to(each):
        return None
    if forward.within(Region.NO_GRAD) or each.is_named:
        is_framed = bool(code.framework(forward.node)) and not _switches_itself(each)
        trained = None if is_framed else code.lasting_modes.trained_before(each)
        if trained is not None:
            name = code.name(forward.target)
            is_shared = trained.node is forward.node and bool(trained.calls)  # one function runs it for both
            line = trained.calls[-1].lineno if is_shared else trained.line
            return _Reason(trained.node, f"nothing calls `{name}.eval()` after line {line} trains it")
        beside = code.lasting_modes.trained_beside(each)
        if beside is not None:
            return _beside(code, beside)
        back = code.lasting_modes.put_back(each)
        if back is not None:
            return _Reason(back.node, f"line {back.line} switches back from an eval mode that nothing enters")
        if is_framed:
            return None
    return _loaded(code, each)


def _leaves_loaded_mode(code: Code, each: EvaluationPass) -> bool:
    """Whether a model that comes in eval mode is switched to train mode in sight."""
    origins = [value.origin or "" for value in code.values.of(each.forward.target)]
    return bool(origins) and all(map(_COMES_IN_EVAL_MODE.match, origins)) and _switches_itself(each)


def _switches_itself(each: EvaluationPass) -> bool:
    """The run calls `train()` on the model: no framework sees to its mode."""
    return any(covers(event.subject, each.forward.subject) for event in each.flow.of(Act.TRAIN_MODE))


def _is_seen_to(each: EvaluationPass) -> bool:
    """The function calls `eval()` itself, under a condition most often: `if isinstance(net, Module): net.eval()`."""
    forward = each.forward
    return any(
        event.function is forward.function and event.line < forward.line and covers(event.subject, forward.subject)
        for event in each.flow.of(Act.EVAL_MODE)
    )


def _beside(code: Code, trained: Event) -> _Reason:
    function = trained.function
    assert function is not None
    name = code.name(trained.target)
    words = f"`{function.name}` switches it to train mode, and nothing here switches it back"
    return _Reason(trained.node, words, name="" if name == "self" else name)


# -- saved and restored, without having been switched ------------------------------------------------------------


def _saved_for_nothing(code: Code) -> Iterator[Problem]:
    """A mode that is saved before a run and restored after it, with nothing between that changes it."""
    for saved in code.saved_modes:
        if saved.run is None or not saved.restores_nothing:
            continue
        model = ast.unparse(saved.model)
        yield code.problem(
            saved.run,
            f"`{saved.name}` saves the mode of `{model}` and line {saved.restores[0].lineno} restores it, but nothing "
            f"between calls `{model}.eval()`: `{saved.function.name}` runs it in train mode.",
            mend=[code.source.insert_after(saved.node, f"{model}.eval()")],
            show=[saved.node],
            related=[(saved.node, "saves the mode"), (saved.restores[0], "restores what nothing changed")],
        )


# -- loaded, and never switched ----------------------------------------------------------------------------------


def _loaded(code: Code, each: EvaluationPass) -> _Reason | None:
    """The call that gave the model its weights, where nothing in the file ever switches its mode."""
    flow, forward = each.flow, each.forward
    loading = code.modes.loading(forward.target)
    if loading is None or code.modes.may_be_switched(forward.target) or _is_part_of_more(code, forward):
        return None
    if not flow.reaches(
        flow.start, lambda event: event is forward, avoiding=lambda event: code.passes.switches(event, forward.subject)
    ):
        return None
    is_whole = code.origin(loading.func) == "torch.load"
    mode = "it is loaded in the mode it was saved in" if is_whole else "a model is made in train mode"
    return _Reason(loading, f"{mode}, and nothing calls `eval()` after its weights are loaded", is_loading=True)


def _is_part_of_more(code: Code, forward: Event) -> bool:
    """The model is part of one of a class whose own mode is switched with it, or of one that a base sees to."""
    owner = code.tree.enclosing(forward.node, ast.ClassDef)
    return owner is not None and any(
        base not in ("builtins.object", "abc.ABC") for base in code.values.classes.bases(owner)
    )


# -- what to say -------------------------------------------------------------------------------------------------


def _problem(code: Code, each: EvaluationPass, reason: _Reason) -> Problem:
    forward = each.forward
    name = reason.name or code.name(forward.target)
    caller = code.passes.caller_that_evaluates(each)
    function = code.tree.function(caller) if caller is not None else forward.function
    where = f"in `{function.name}`" if function is not None else "here"
    node, mend = _place(code, each, reason, caller)
    may = "may be" if reason.is_loading and code.modes.depends(forward.target) is None else "is"
    return code.problem(
        node,
        f"`{name}` {may} evaluated {where} in train mode: {reason.words}.",
        mend=mend,
        show=[caller or forward.node],
        related=[(forward.node, "runs in train mode"), (reason.node, "the model is in train mode from here")],
        tier=Tier.RISK if may == "may be" else None,
    )


def _place(
    code: Code, each: EvaluationPass, reason: _Reason, caller: ast.Call | None
) -> tuple[ast.stmt, list[Change | None]]:
    """Where `eval()` is missing: after the weights are loaded, else before the `with` or loop that evaluates."""
    if reason.is_loading and isinstance(reason.node, ast.Call):
        loaded = code.tree.statement(reason.node)
        name = _loaded_name(reason.node, loaded)
        return loaded, [code.source.insert_after(loaded, f"{name}.eval()")] if name else []
    before, flag = _start_of_evaluation(code, each, caller), _told(code, each)
    if flag is not None:
        return before, [code.source.insert_before(before, f"{code.name(each.forward.target)}.train({flag})")]
    if each.loop is not None and any(each.loop in event.loops for event in each.flow.of(Act.BACKWARD)):
        return before, []  # the same loop trains where it is told to
    name = reason.name if reason.name and caller is None else _name_in(code, each, caller)
    return before, [code.source.insert_before(before, f"{name}.eval()")] if name else []


def _name_in(code: Code, each: EvaluationPass, caller: ast.Call | None) -> str:
    """What the model is called where the evaluation begins: by the caller where a function is only given it."""
    target, function = each.forward.target, each.forward.function
    if caller is None or (isinstance(target, ast.Attribute) and ast.unparse(target).startswith("self.")):
        return code.name(target)
    if function is None or not isinstance(target, ast.Name):
        return ""
    given = code.values.calls.argument_for(function, caller, target.id)
    return code.name(given) if isinstance(given, (ast.Name, ast.Attribute)) else ""


def _told(code: Code, each: EvaluationPass) -> str | None:
    """What says whether this very code trains: `train` of `with torch.set_grad_enabled(train)`."""
    for block in code.tree.ancestors(each.forward.node):
        for item in block.items if isinstance(block, (ast.With, ast.AsyncWith)) else ():
            match item.context_expr:
                case ast.Call(args=[ast.Name() | ast.Attribute() as flag]) as call:
                    if code.origin(call) == "torch.set_grad_enabled":
                        return ast.unparse(flag)
    return None


def _loaded_name(loading: ast.Call, statement: ast.stmt) -> str:
    """What the loaded model is called right after the statement that loads it."""
    if isinstance(loading.func, ast.Attribute) and loading.func.attr == "load_state_dict":
        return ast.unparse(loading.func.value)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    is_plain = len(targets) == 1 and isinstance(targets[0], (ast.Name, ast.Attribute))
    return ast.unparse(targets[0]) if is_plain else ""


def _start_of_evaluation(code: Code, each: EvaluationPass, caller: ast.Call | None) -> ast.stmt:
    """The `with` or loop that evaluation starts with."""
    loops = code.tree.loops(caller) if caller is not None else []
    statement = each.loop or (loops[0] if loops else code.tree.statement(caller or each.forward.node))
    for above in code.tree.ancestors(statement):
        if not isinstance(above, (ast.With, ast.AsyncWith)):
            break
        statement = above
    return statement
