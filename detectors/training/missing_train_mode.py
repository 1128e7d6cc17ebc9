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

from detectors import (
    FUNCTIONS,
    Act,
    Bound,
    Change,
    Code,
    Event,
    Flow,
    Function,
    Loop,
    Problem,
    Region,
    SavedMode,
    Tier,
    common_loop,
    covers,
    is_same_model,
    root_of,
)

TIER = Tier.BUG
WORDS = ("backward|.training|on_train_|contextmanager", ".eval()|.train(")
_TRAINING_HOOK = re.compile(r"on_(before_)?train_(batch|epoch)_(start|end)$")


def detect(code: Code) -> Iterator[Problem]:
    """Training passes that a path reaches from `eval()`, round the epoch, without `train()`."""
    for flow in _flows(code):
        for forward in code.passes.trained(flow):
            switched = _left_in_eval_mode(code, flow, forward)
            if switched is None or _is_framed(code, flow, forward) or code.modes.depends(forward.target) is False:
                continue
            yield _problem(code, flow, forward, switched)
    unrestored = list(_never_restored(code))
    yield from unrestored
    yield from _left_by_another(code, {each.line for each in unrestored})
    yield from _left_by_hook(code)
    yield from _left_by_context(code)


def _flows(code: Code) -> list[Flow]:
    """The flows of a file that trains; without a backward there is none to ask."""
    return code.flows if "backward" in code.text and not code.is_test else []


def _is_framed(code: Code, flow: Flow, forward: Event) -> bool:
    """Whether a framework owns the loop, and with it the modes: not where the method goes through the batches itself,
    from backward to step."""
    own = code.tree.loops(forward.node)
    acts = {event.act for event in flow.of(Act.BACKWARD, Act.STEP) if own and own[0] in event.loops}
    framework = code.framework(forward.node)
    is_own = framework.endswith("Trainer") and acts == {Act.BACKWARD, Act.STEP}
    return bool(framework) and not is_own


def _never_restored(code: Code) -> Iterator[Problem]:
    """A mode that is saved before `eval()`, and that nothing reads after it."""
    for saved in () if code.is_test else code.saved_modes:
        switched = next(
            (each for each in saved.switches if isinstance(each.func, ast.Attribute) and each.func.attr == "eval"), None
        )
        if switched is None or saved.is_read or saved.restores or len(saved.switches) > 1:
            continue
        model = ast.unparse(saved.model)
        yield code.problem(
            code.tree.statement(switched),
            f"`{saved.name}` saves the mode of `{model}`, but nothing restores it: `{model}` stays in eval mode after "
            f"`{saved.function.name}`.",
            mend=_restoring(code, saved, switched),
            related=[(saved.node, "saves the mode")],
        )


def _left_by_hook(code: Code) -> Iterator[Problem]:
    """A framework's hook in the midst of training that evaluates the model it is given, and returns in eval mode."""
    for flow in code.flows if "on_train_" in code.text and not code.is_test else []:
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
    if code.is_test or "contextmanager" not in code.text:
        return
    for function in code.tree.all(*FUNCTIONS):
        if not any((code.origin(each) or "").endswith("contextmanager") for each in function.decorator_list):
            continue
        own = [each for each in code.tree.below(function) if code.tree.function(each) is function]
        leaves = [each for each in own if isinstance(each, ast.Yield)]
        calls = [each for each in own if isinstance(each, ast.Call)]
        switched = next((each for each in calls if _switches_given(code, function, each)), None)
        if switched is None or not leaves or any(each.value is not None for each in leaves):
            continue
        last = max(each.lineno for each in leaves)
        after = [each for each in own if isinstance(each, (ast.Call, ast.Assign, ast.With)) and each.lineno > last]
        if after or switched.lineno > last:
            continue
        model = ast.unparse(switched.func.value) if isinstance(switched.func, ast.Attribute) else ""
        yield code.problem(
            code.tree.statement(switched),
            f"`{function.name}` switches `{model}` to eval mode and leaves it there: nothing after its `yield` "
            "switches back.",
            related=[(leaves[-1], "what is run in it")],
        )


def _switches_given(code: Code, function: Function, call: ast.Call) -> bool:
    """`eval()` on a parameter, or on each of its modules."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "eval" or call.args or call.keywords:
        return False
    root: ast.expr | None = root_of(call.func.value)
    while isinstance(root, ast.Name):
        bindings = code.names.reaching(root)
        if len(bindings) != 1:
            return False
        if bindings[0].how is Bound.PARAMETER:
            return bindings[0].scope is function
        value = bindings[0].value if bindings[0].how is Bound.ITEM else None
        inner = value.func if isinstance(value, ast.Call) else value  # `model.modules()`
        root = root_of(inner) if inner is not None else None
    return False


def _restoring(code: Code, saved: SavedMode, switched: ast.Call) -> list[Change]:
    block = code.tree.block(code.tree.statement(switched))
    statements = [each for each in block if not isinstance(each, ast.Return)]
    return [code.source.insert_after(statements[-1], f"{ast.unparse(saved.model)}.train({saved.name})")]


def _left_by_another(code: Code, told_lines: set[int]) -> Iterator[Problem]:
    """Functions side by side for others to call: one evaluates and switches to eval mode, none switches back."""
    told: set[object] = set()
    for flow in _flows(code):
        for forward in code.passes.trained(flow):
            if flow.root is None or flow.root in told or _is_framed(code, flow, forward):
                continue
            switched = _switched_beside(code, flow, forward)
            if switched is None or switched.line in told_lines or code.modes.depends(forward.target) is False:
                continue
            told.add(flow.root)
            yield _problem_beside(code, flow, forward, switched)


def _switched_beside(code: Code, flow: Flow, forward: Event) -> Event | None:
    """The `eval()` of an evaluating function that the training one never reverts, of the same model."""
    root, model = flow.root, forward.subject
    assert root is not None
    if any(code.passes.switches(event, model) for event in flow.events) or _is_made_by(code, flow, model):
        return None
    found = None
    for other in code.flows:
        if other is flow or other.root is None or code.tree.class_of(other.root) is not code.tree.class_of(root):
            continue
        if any(event.function is root for event in other.events):
            return None
        for event in other.events:
            if not is_same_model(model, root, event.subject, other.root):
                continue
            if event.act in (Act.TRAIN_MODE, Act.SOME_MODE):
                return None
            is_evaluation = event.act is Act.EVAL_MODE and any(
                run.subject == event.subject and run.function is event.function for run in other.of(Act.FORWARD)
            )
            found = event if found is None and is_evaluation else found
    return found


def _is_made_by(code: Code, flow: Flow, model: object) -> bool:
    """Whether the run that trains makes the model itself: it is in train mode then."""
    match model:
        case ("attribute", ("class", ast.ClassDef() as owner), str(name)):
            makers = {each.scope for each in code.values.classes.attribute_bindings(owner, name)}
            return not all(isinstance(each, FUNCTIONS) and each.name == "__init__" for each in makers)
    return False


def _problem_beside(code: Code, flow: Flow, forward: Event, switched: Event) -> Problem:
    model, root = code.name(forward.target), flow.root
    assert root is not None
    assert switched.function is not None
    own = code.tree.loops(forward.node)
    head: ast.stmt = own[-1] if own else code.tree.statement(forward.node)
    return code.problem(
        head,
        f"`{root.name}` trains `{model}` in the mode it was left in: `{switched.function.name}` switches to eval mode, "
        "and nothing here switches back.",
        mend=[code.source.insert_before(head, f"{model}.train()")],
        related=[(switched.node, "switches to eval mode"), (forward.node, "trains")],
    )


def _is_put_back(code: Code, flow: Flow, switched: Event) -> bool:
    """Whether a loop over several models switches each, and another loop of the function puts back each mode it noted:
    `train()` on what has the same name, under a condition."""
    name = ast.unparse(switched.target) if switched.target is not None else ""
    root = root_of(switched.target) if switched.target is not None else None
    if not isinstance(root, ast.Name) or all(each.how is not Bound.ITEM for each in code.names.reaching(root)):
        return False
    return any(
        event.function is switched.function
        and event.line > switched.line
        and event.guards
        and event.target is not None
        and ast.unparse(event.target) == name
        for event in flow.of(Act.TRAIN_MODE)
    )


def _left_in_eval_mode(code: Code, flow: Flow, forward: Event) -> Event | None:
    """The `eval()` that is still in force when the training pass comes round again.

    One that reaches it within the same iteration is meant: fine-tuning with frozen statistics, attacks. Not so where a
    function evaluates the model in between.
    """
    for switched in (event for event in flow.events if event.act is Act.EVAL_MODE):
        loop = common_loop(switched, forward)
        if loop is None or switched.subject is None or not covers(switched.subject, forward.subject):
            continue
        if _is_put_back(code, flow, switched):
            continue

        def is_head(event: Event, loop: Loop = loop) -> bool:
            return event.act is Act.LOOP and event.node is loop

        def switches(event: Event, switched: Event = switched) -> bool:
            return event is not switched and code.passes.switches(event, forward.subject)

        def is_forward(event: Event) -> bool:
            return event is forward

        if flow.reaches(switched, is_forward, avoiding=lambda event: is_head(event) or switches(event), inside=loop):
            if _evaluates(flow, switched, forward):
                return switched
            continue
        head = flow.path(switched, is_head, avoiding=switches, inside=loop)
        if head is not None and flow.reaches(head, is_forward, avoiding=switches, inside=loop):
            return switched
    return None


def _evaluates(flow: Flow, switched: Event, forward: Event) -> bool:
    """Whether the model is evaluated after `eval()`: in a function of its own, or here, without gradients."""
    runs = [
        event
        for event in flow.of(Act.FORWARD)
        if event.function is switched.function and event.subject == forward.subject and event is not forward
    ]
    if switched.function is forward.function:
        return any(run.within(Region.NO_GRAD) and switched.line < run.line < forward.line for run in runs)
    return switched.calls != forward.calls and bool(runs)


def _is_way_back_missing(flow: Flow, forward: Event, switched: Event, own: list[Loop]) -> bool:
    """Whether the evaluation is to switch back, rather than the round of training to begin with it."""
    back = [each for each in flow.of(Act.TRAIN_MODE) if covers(each.subject, forward.subject)]
    if back:
        return True
    is_inline = switched.function is forward.function
    is_every_round = all(guard in forward.guards for guard in switched.guards)
    return own[:1] == [common_loop(switched, forward)] and is_inline and not is_every_round


def _problem(code: Code, flow: Flow, forward: Event, switched: Event) -> Problem:
    model = code.name(forward.target)
    loop = common_loop(switched, forward)
    run = _in_training(code, flow, forward)
    own = code.tree.loops(run)
    assert loop is not None
    if _is_way_back_missing(flow, forward, switched, own):
        # evaluation interrupts the batches, or train() comes once before the loop: what is missing is the way back
        end = _end_of_evaluation(code, switched)
        name = model if switched.is_imported else code.name(switched.target)
        return code.problem(
            switched.node,
            f"`{name}` is still in eval mode when the next batch trains it (line {forward.line}): "
            "no `train()` follows this evaluation.",
            mend=[code.source.insert_after(end, f"{name}.train()")],
            related=[(forward.node, "trains in eval mode")],
        )
    head: ast.stmt = loop if loop in own else own[-1] if own else code.tree.statement(run)
    before = _inside(code, loop, run) if head is loop else head
    is_named_here = run is forward.node
    if switched.function is code.tree.function(run) and not is_named_here:
        model, is_named_here = code.name(switched.target), True
    return code.problem(
        head,
        f"`{model}` trains in eval mode from the second round on: line {switched.line} calls `eval()` and nothing "
        "switches back.",
        fix=[code.source.insert_before(before, f"{model}.train()")] if is_named_here else [],
        related=[(switched.node, "switches to eval mode"), (forward.node, "trains")],
    )


def _in_training(code: Code, flow: Flow, forward: Event) -> ast.AST:
    """The training pass as the function that back-propagates has it: a helper may serve the evaluation too."""
    training = {event.function for event in flow.of(Act.BACKWARD)}
    places = [forward.node, *reversed(forward.calls)]
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
    """The statement after which training could go on: the last of the block, before its `return`."""
    block = code.tree.block(code.tree.statement(switched.node))
    statements = [each for each in block if not isinstance(each, ast.Return)]
    return statements[-1]
