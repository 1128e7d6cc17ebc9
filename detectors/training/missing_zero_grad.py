"""Gradients are never cleared

`backward()` adds to the gradients it finds. A loop that steps without clearing them steps with the sum of every
batch so far, and training drifts or diverges.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:  # ❌
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

✅
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Event, Kind, Loop, Problem, Tier, TrainingStep, may_use

TIER = Tier.BUG
WORDS = ("backward", "step|.grad")
_CLEARS = re.compile(
    r"zero_grad|grad(\.data)?\.zero_\(|\.grad\s*=\s*None|clear_?grad|zero_?_?gradients|\.grad\.(data\.)?fill_"
)
_REPEATS = re.compile(
    r"(^|_)(train|learn|update|updat\w*|optimi[sz]e\w*|fit|step|batch|replay|backward|iteration)(_|$)", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """Steps that recur with their backward, and nothing on the way round that clears the gradients."""
    for training in code.training_steps:
        step = training.step
        if code.kind(step.target) is not Kind.OPTIMIZER or "mxnet" in code.packages:
            continue
        if training.optimizer_is_fresh or any(map(training.clears, training.events)):
            continue
        yield _problem(code, training)
    if not code.is_test and not _CLEARS.search(code.text):
        yield from _by_method(code)
    yield from _by_hand(code)


def _by_method(code: Code) -> Iterator[Problem]:
    """A method that makes one update of its object's optimizer, in a file in which nothing clears anything."""
    for update in code.updates:
        step, root = update.step, update.flow.root
        if update.loop is not None or root is None or step.calls or code.tree.class_of(root) is None:
            continue
        if not _REPEATS.search(root.name) or code.framework(root) or code.kind(step.target) is not Kind.OPTIMIZER:
            continue
        if not isinstance(step.target, ast.Attribute) or not code.values.is_strong(step.target):
            continue
        hidden = (each for each in update.events if each.act in (Act.OPAQUE, Act.FORWARD))
        before = [each for each in update.backwards if update.is_before(each, step)]
        if before and not step.loops and not any(may_use(each, step.subject) for each in hidden):
            name = code.name(step.target)
            yield code.problem(
                step.node,
                f"`{name}` steps with the sum of every gradient so far: each call of `{root.name}` adds to them, and "
                "nothing in this file clears them.",
                fix=[code.source.insert_after(code.tree.statement(step.node), f"{name}.zero_grad()")],
                show=[before[-1].node],
                related=[(before[-1].node, "adds to the gradients")],
            )


# -- steps written out ------------------------------------------------------------------------------------------


def _by_hand(code: Code) -> Iterator[Problem]:
    """Weights moved along their gradients by hand, round after round, without clearing them."""
    for flow in code.flows if not code.is_test else ():
        for backward in flow.of(Act.BACKWARD):
            loop = next((each for each in reversed(backward.loops) if not _is_over_weights(each)), None)
            around = loop if loop is not None else _method_of_rounds(code, backward)
            if around is None or not code.tree.inside(backward.node, around):
                continue
            if _CLEARS.search(code.source.of(around)) or _hands_over(code, flow.events, loop):
                continue
            update = next(filter(None, (_moves_weight(each) for each in code.tree.below(around))), None)
            if update is not None and not _is_made_in(update[1], around):
                yield code.problem(
                    update[0],
                    f"`{code.name(update[1])}` moves along the sum of every gradient so far: `backward()` at line "
                    f"{backward.line} adds to it, and nothing here clears it.",
                    mend=[code.source.insert_after(code.tree.statement(update[0]), f"{update[1].id}.grad = None")],
                    show=[backward.node],
                    related=[(backward.node, "adds to the gradients")],
                )


def _is_over_weights(loop: ast.AST) -> bool:
    return isinstance(loop, ast.For) and "parameters" in ast.unparse(loop.iter)


def _method_of_rounds(code: Code, backward: Event) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function that is called for every batch by somebody out of sight, in a file that clears nothing."""
    function = backward.function
    if function is None or backward.calls or backward.loops or _CLEARS.search(code.text):
        return None
    return function if _REPEATS.search(function.name) else None


def _hands_over(code: Code, events: list[Event], loop: Loop | None) -> bool:
    """Whether the round clears in a function that it calls."""
    around = [each for each in events if loop is None or loop in each.loops]
    return any(each.act is Act.ZERO_GRAD for each in around)


def _moves_weight(node: ast.AST) -> tuple[ast.AST, ast.Name] | None:
    """`w -= rate * w.grad`, `p.data.add_(p.grad, alpha=-rate)`: the node, and the weight."""
    weight: ast.expr
    match node:
        case ast.AugAssign(op=ast.Sub(), target=target, value=value):
            weight, given = target, [value]
        case ast.Call(func=ast.Attribute(attr="add_" | "sub_", value=target), args=given, keywords=options):
            weight, given = target, [*given, *(each.value for each in options)]
            if node.func.attr == "add_" and "-" not in " ".join(map(ast.unparse, given)):  # type: ignore[attr-defined]
                return None
        case _:
            return None
    while isinstance(weight, ast.Attribute) and weight.attr == "data":
        weight = weight.value
    if not isinstance(weight, ast.Name):
        return None
    is_gradient = any(
        isinstance(each, ast.Attribute) and each.attr == "grad" and ast.unparse(each.value) == weight.id
        for part in given
        for each in ast.walk(part)
    )
    return (node, weight) if is_gradient else None


def _is_made_in(weight: ast.Name, around: ast.AST) -> bool:
    """Whether each round makes the weight anew."""
    targets: list[ast.expr] = []
    for each in ast.walk(around):
        if isinstance(each, ast.Assign):
            targets += each.targets
        elif isinstance(each, ast.AnnAssign) or (
            isinstance(each, ast.For) and not re.search("param|weight", ast.unparse(each.iter))
        ):
            targets.append(each.target)
    return any(isinstance(name, ast.Name) and name.id == weight.id for part in targets for name in ast.walk(part))


def _problem(code: Code, training: TrainingStep) -> Problem:
    """At the head of the loop, where clearing usually stands; at the step where the loop is in another function, or
    the step does not come with every backward."""
    step, backward, loop = training.step, training.backwards[-1], training.loop
    name = code.name(step.target)
    clear = f"{name}.zero_grad()"
    if code.tree.loops(step.node)[:1] != [loop] or training.is_conditional or loop.body[0].lineno == loop.lineno:
        return code.problem(
            step.node,
            f"`{name}` steps with the sum of every batch's gradients so far: nothing in this loop clears them.",
            fix=[code.source.insert_after(code.tree.statement(step.node), clear)],
            show=[backward.node],
            related=[(backward.node, "adds to the gradients"), (loop, "the loop")],
        )
    return code.problem(
        loop,
        f"Nothing in this loop clears `{name}`'s gradients: at line {step.line} it steps with the sum of every batch "
        "so far.",
        fix=[code.source.insert_before(loop.body[0], clear)],
        show=[backward.node, step.node],
        related=[(backward.node, "adds to the gradients"), (step.node, "steps with their sum")],
    )
