"""The model stays in eval mode after the first evaluation

`model.eval()` switches dropout and batch-norm updates off until `model.train()` switches them on again. When an
evaluation inside the epoch loop is not followed by `train()`, every epoch after the first trains without dropout
and with frozen batch statistics.

❌
```python
import torch

model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Dropout(), torch.nn.Linear(10, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):  # ❌
    for images, labels in train_loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
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

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
"""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress

from detectors import (
    Act,
    Change,
    Code,
    Event,
    Flow,
    Loop,
    Problem,
    SavedMode,
    Tier,
    TrainingPass,
    Undecided,
    common_loop,
    covers,
)

TIER = Tier.BUG
WORDS = ("backward|.training|on_train_|contextmanager", ".eval()|.train(")
_TRAINING_HOOK = re.compile(r"on_(before_)?train_(batch|epoch)_(start|end)$")


def detect(code: Code) -> Iterator[Problem]:
    """Training passes that a path reaches from `eval()`, round the epoch, without `train()`."""
    if code.is_test:
        return
    unrestored = list(_never_restored(code))
    yield from unrestored
    yield from _trained_in_eval_mode(code, {each.line for each in unrestored})
    yield from _left_by_hook(code)
    yield from _left_by_context(code)


def _trained_in_eval_mode(code: Code, told_lines: set[int]) -> Iterator[Problem]:
    told: set[object] = set()
    for flow in code.flows if "backward" in code.text else []:
        with suppress(Undecided):  # of one run; the others are told apart
            for training in code.passes.trainings(flow):
                yield from _found(code, flow, training, told, told_lines)


def _found(
    code: Code, flow: Flow, training: TrainingPass, told: set[object], told_lines: set[int]
) -> Iterator[Problem]:
    switched = code.lasting_modes.left_in_eval_mode(flow, training)
    is_beside = switched is None
    if switched is None and flow.root not in told:
        switched = code.lasting_modes.left_by_another(flow, training)
    if switched is None or (is_beside and switched.line in told_lines) or _is_framed(code, flow, training):
        return
    if code.modes.depends(training.target or switched.target) is not False:
        told |= {flow.root} if is_beside else set()
        yield _problem(code, flow, training, switched, is_beside=is_beside)


def _is_framed(code: Code, flow: Flow, training: TrainingPass) -> bool:
    """Whether a framework owns the loop, and with it the modes: not where its trainer goes through the batches itself,
    from backward to step."""
    framework = code.framework(training.event.node)
    own = {event.act for loop in training.event.loops for event in flow.of(Act.BACKWARD) if loop in event.loops}
    own |= {event.act for loop in training.event.loops for event in flow.of(Act.STEP) if loop in event.loops}
    return bool(framework) and not (framework.endswith("Trainer") and own == {Act.BACKWARD, Act.STEP})


# -- saved, and never restored -----------------------------------------------------------------------------------


def _never_restored(code: Code) -> Iterator[Problem]:
    """A mode that is saved before `eval()`, and that nothing reads after it."""
    for saved in code.saved_modes:
        switched = saved.never_reverted
        if switched is None:
            continue
        model = ast.unparse(saved.model)
        yield code.problem(
            code.tree.statement(switched),
            f"`{saved.name}` saves the mode of `{model}`, but nothing restores it: `{model}` stays in eval mode after "
            f"`{saved.function.name}`.",
            mend=_restoring(code, saved, switched),
            related=[(saved.node, "saves the mode")],
        )


def _restoring(code: Code, saved: SavedMode, switched: ast.Call) -> list[Change]:
    block = code.tree.block(code.tree.statement(switched))
    statements = [each for each in block if not isinstance(each, ast.Return)]
    return [code.source.insert_after(statements[-1], f"{ast.unparse(saved.model)}.train({saved.name})")]


# -- left behind by a hook or a context manager -------------------------------------------------------------------


def _left_by_hook(code: Code) -> Iterator[Problem]:
    """A framework's hook in the midst of training that evaluates the model it is given, and returns in eval mode."""
    for flow in code.flows if "on_train_" in code.text else []:
        hook = flow.root
        if hook is None or not _TRAINING_HOOK.match(hook.name) or not code.framework(hook):
            continue
        for switched in flow.of(Act.EVAL_MODE):
            model = switched.subject
            if model is None or not _runs_until_the_end(code, flow, switched):
                continue
            name = code.name(switched.target)
            yield code.problem(
                code.tree.statement(switched.node),
                f"`{name}` stays in eval mode when `{hook.name}` returns, and training goes on in it: nothing switches "
                "back after this evaluation.",
                mend=[code.source.insert_after(_end_of_evaluation(code, switched), f"{name}.train()")],
                related=[(hook, "runs in the midst of training")],
            )
            break


def _runs_until_the_end(code: Code, flow: Flow, switched: Event) -> bool:
    """Whether the model, all of it, is run after `eval()`, and is still in eval mode where the run returns."""

    def switches(event: Event) -> bool:
        return event is not switched and code.passes.switches(event, switched.subject)

    def runs(event: Event) -> bool:
        return event.act is Act.FORWARD and event.subject == switched.subject

    return flow.reaches(switched, runs, avoiding=switches) and flow.reaches(
        switched, lambda event: event is flow.end, avoiding=switches
    )


def _left_by_context(code: Code) -> Iterator[Problem]:
    """A context manager that switches to eval mode and does nothing when it is left."""
    for context in code.left_contexts:
        func = context.switched.func
        model = ast.unparse(func.value) if isinstance(func, ast.Attribute) else ""
        yield code.problem(
            code.tree.statement(context.switched),
            f"`{context.function.name}` switches `{model}` to eval mode and leaves it there: nothing after its `yield` "
            "switches back.",
            related=[(context.leaves, "what is run in it")],
        )


# -- what to say -------------------------------------------------------------------------------------------------


def _problem(code: Code, flow: Flow, training: TrainingPass, switched: Event, *, is_beside: bool) -> Problem:
    loop = common_loop(switched, training.event)
    run = _in_training(code, flow, training.event, switched, loop)
    own = code.tree.loops(run)
    if loop is not None and _is_way_back_missing(flow, training, switched, own):
        return _problem_of_evaluation(code, training, switched)
    head: ast.stmt = loop if loop in own and loop is not None else own[-1] if own else code.tree.statement(run)
    before = _inside(code, loop, run) if head is loop and loop is not None else head
    is_in_sight = switched.function is code.tree.function(run)
    model = code.name(switched.target if is_in_sight or training.target is None else training.target)
    is_named_here = is_in_sight or is_beside or (training.target is not None and run is training.event.node)
    change = [code.source.insert_before(before, f"{model}.train()")] if is_named_here else []
    return code.problem(
        head,
        _words(flow, model, switched, loop, is_beside=is_beside),
        fix=change if not is_beside else [],
        mend=change,
        related=[(switched.node, "switches to eval mode"), (training.event.node, "trains")],
    )


def _words(flow: Flow, model: str, switched: Event, loop: Loop | None, *, is_beside: bool) -> str:
    where = switched.function.name if switched.function is not None else ""
    if is_beside and flow.root is not None:
        return (
            f"`{flow.root.name}` trains `{model}` in the mode it was left in: `{where}` switches to eval mode, "
            "and nothing here switches back."
        )
    if loop is None:
        return f"`{model}` trains in eval mode: `{where}` calls `eval()` before it and nothing switches back."
    return (
        f"`{model}` trains in eval mode from the second round on: line {switched.line} calls `eval()` and nothing "
        "switches back."
    )


def _problem_of_evaluation(code: Code, training: TrainingPass, switched: Event) -> Problem:
    """Evaluation interrupts the batches, or `train()` comes once before the loop: what is missing is the way back."""
    name = code.name(training.target if switched.is_imported and training.target is not None else switched.target)
    return code.problem(
        switched.node,
        f"`{name}` is still in eval mode when the next batch trains it (line {training.event.line}): "
        "no `train()` follows this evaluation.",
        mend=[code.source.insert_after(_end_of_evaluation(code, switched), f"{name}.train()")],
        show=[each for each in code.tree.ancestors(switched.node) if isinstance(each, ast.If)][:1],
        related=[(training.event.node, "trains in eval mode")],
    )


def _is_way_back_missing(flow: Flow, training: TrainingPass, switched: Event, own: list[Loop]) -> bool:
    """Whether the evaluation is to switch back, rather than the round of training to begin with it."""
    event = training.event
    if any(covers(each.subject, training.model) for each in flow.of(Act.TRAIN_MODE)):
        return True
    is_inline = switched.function is event.function
    is_every_round = all(guard in event.guards for guard in switched.guards)
    return own[:1] == [common_loop(switched, event)] and is_inline and not is_every_round


def _in_training(code: Code, flow: Flow, forward: Event, switched: Event, loop: Loop | None) -> ast.AST:
    """The training pass as the function has it that calls `eval()` each round, else as the one that back-propagates: a
    helper may serve the evaluation too."""
    places = [forward.node, *reversed(forward.calls)]
    if loop is not None and code.tree.function(loop) is switched.function:
        return next((each for each in places if code.tree.inside(each, loop)), forward.node)
    training = {event.function for event in flow.of(Act.BACKWARD)}
    return next((each for each in places if code.tree.function(each) in training), forward.node)


def _inside(code: Code, loop: ast.stmt, node: ast.AST) -> ast.stmt:
    """The statement of the loop's own body that holds the node."""
    statement = code.tree.statement(node)
    for above in code.tree.ancestors(node):
        if above is loop:
            return statement
        if isinstance(above, ast.stmt):
            statement = above
    return statement


def _end_of_evaluation(code: Code, switched: Event) -> ast.stmt:
    """The statement after which training could go on: the last of the block, before its `return`. A condition with
    nothing but the switch is no block of its own."""
    statement = code.tree.statement(switched.node)
    while len(code.tree.block(statement)) == 1 and isinstance(above := code.tree.parents[statement], ast.If):
        statement = above
    block = code.tree.block(statement)
    statements = [each for each in block if not isinstance(each, ast.Return)]
    return statements[-1]
