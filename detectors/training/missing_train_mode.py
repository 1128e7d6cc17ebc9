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
from collections.abc import Iterator

from detectors import Act, Code, Event, Flow, Loop, Problem, Tier, common_loop, covers

TIER = Tier.BUG
WORDS = ("backward", ".eval()|.train(")


def detect(code: Code) -> Iterator[Problem]:
    """Training passes that a path reaches from `eval()`, round the epoch, without `train()`."""
    for flow in () if code.is_test else code.flows:
        for forward in code.passes.trained(flow):
            switched = _left_in_eval_mode(code, flow, forward)
            if switched is None or code.framework(forward.node) or code.modes.depends(forward.target) is False:
                continue
            yield _problem(code, flow, forward, switched)


def _left_in_eval_mode(code: Code, flow: Flow, forward: Event) -> Event | None:
    """The `eval()` that is still in force when the training pass comes round again.

    One that reaches it within the same iteration is meant: fine-tuning with frozen statistics, attacks. Not so where a
    function evaluates the model in between.
    """
    for switched in (event for event in flow.events if event.act is Act.EVAL_MODE):
        loop = common_loop(switched, forward)
        if loop is None or switched.subject is None or not covers(switched.subject, forward.subject):
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
    """Whether the function that calls `eval()` is one of its own and runs the model itself, without training it."""
    if switched.function is None or switched.calls == forward.calls or switched.is_imported:
        return False
    return switched.function is not forward.function and any(
        event.act is Act.FORWARD and event.function is switched.function and event.subject == forward.subject
        for event in flow.events
    )


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
    own = code.tree.loops(forward.node)
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
    head: ast.stmt = loop if loop in own else own[-1] if own else code.tree.statement(forward.node)
    before = _inside(code, loop, forward.node) if head is loop else head
    return code.problem(
        head,
        f"`{model}` trains in eval mode from the second round on: line {switched.line} calls `eval()` and nothing "
        "switches back.",
        fix=[code.source.insert_before(before, f"{model}.train()")],
        related=[(switched.node, "switches to eval mode"), (forward.node, "trains")],
    )


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
