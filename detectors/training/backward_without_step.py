"""Gradients are computed and cleared, never applied

The loop back-propagates and clears the gradients, and nothing steps the optimizer: it runs through all its data and
leaves the weights as they were.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()  # ❌
```

✅
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/optim.html#taking-an-optimization-step
"""

import ast
import re
from collections.abc import Iterator

from detectors import (
    FUNCTIONS,
    Act,
    Binding,
    Bound,
    Code,
    Event,
    Flow,
    Kind,
    Loop,
    Problem,
    Region,
    Tier,
    common_loop,
    gives_gradients,
    is_bookkeeping,
    last_name,
    may_use,
)

TIER = Tier.BUG
WORDS = ("backward", "zero_grad|optim")

_SCALES = frozenset(["mul_", "div_", "clamp_"])
_KEEPS_STATE = frozenset(["zero_grad", "param_groups", "state_dict", "load_state_dict", "add_param_group", "defaults"])


def detect(code: Code) -> Iterator[Problem]:
    """Loops that compute gradients for an optimizer that nothing steps: one they clear, or one they make for it."""
    if code.is_test:
        return
    found: set[ast.AST] = set()
    for backward, problem in (*_cleared(code), *_idle(code), *_held(code), *_clipped(code)):
        if backward.node not in found:
            found.add(backward.node)
            yield problem


# -- gradients that are cleared ----------------------------------------------------------------------------


def _cleared(code: Code) -> Iterator[tuple[Event, Problem]]:
    stepping = [call.func.value for call in code.method_calls("step") if isinstance(call.func, ast.Attribute)]
    for flow in code.flows:
        for clear in flow.of(Act.ZERO_GRAD):
            if code.kind(clear.target) is not Kind.OPTIMIZER or any(
                _may_be_same(code, each, clear.target) and not _is_of_another_loop(code, each, clear)
                for each in stepping
            ):
                continue
            for backward in flow.of(Act.BACKWARD):
                loop = common_loop(clear, backward)
                if loop is not None and _is_lost(code, flow, loop, backward, clear):
                    yield backward, _never_applied(code, backward, clear, loop)


def _never_applied(code: Code, backward: Event, clear: Event, loop: Loop) -> Problem:
    name = code.name(clear.target)
    statement = code.tree.statement(backward.node)
    same = code.tree.function(clear.node) is code.tree.function(backward.node)
    return code.problem(
        backward.node,
        f"The gradients of `{code.name(backward.node)}` are cleared at line {clear.line} and never applied: nothing "
        f"here steps `{name}`, so the weights stay as they are.",
        mend=[code.source.insert_after(statement, f"{name}.step()")] if same else [],
        related=[(clear.node, "clears the gradients"), (loop, "the loop")],
    )


def _may_be_same(code: Code, stepped: ast.expr, cleared: ast.expr | None) -> bool:
    """Whether two expressions can mean one optimizer. A parameter and a variable of different functions do not: where
    the one is handed to the other, the flow shows the step."""
    if last_name(stepped) != last_name(cleared):
        return False
    one, other = code.values.subject(stepped), code.values.subject(cleared)
    local = all(isinstance(each, tuple) and each[0] == "name" for each in (one, other))
    if local and one != other and not _is_generator(code, cleared):
        return False
    held, kept = code.values.of(stepped), code.values.of(cleared)
    made = all(each.call is not None for each in (*held, *kept))
    return not made or bool({each.call for each in held} & {each.call for each in kept})


def _is_of_another_loop(code: Code, stepped: ast.expr, clear: Event) -> bool:
    """Whether the step is of a function beside this one that computes and clears gradients of its own: its step is none
    of the gradients that are cleared here."""
    function = code.tree.function(stepped)
    if function is None or function in {code.tree.function(call) for call in (clear.node, *clear.calls)}:
        return False
    own = {each.func.attr for each in code.method_calls("backward", "zero_grad") if code.tree.inside(each, function)}  # type: ignore[attr-defined]
    return own == {"backward", "zero_grad"}


def _is_generator(code: Code, node: ast.expr | None) -> bool:
    """Whether the function hands control out at each `yield`: the step may come there."""
    function = code.tree.function(node) if node is not None else None
    return function is not None and code.values.calls.is_generator(function)


def _is_lost(code: Code, flow: Flow, loop: Loop, backward: Event, clear: Event) -> bool:
    """Whether the gradients go from this backward to that clear, and nothing on the way can use them."""
    inside = [each for each in flow.events if loop in each.loops]
    if backward.within(Region.NO_GRAD) or any(each.act is Act.STEP or _may_step(each, clear) for each in inside):
        return False
    return not _are_used(code, loop, inside) and flow.reaches(backward, lambda event: event is clear, inside=loop)


def _are_used(code: Code, loop: Loop, inside: list[Event]) -> bool:
    """Whether the loop, or what computes gradients in it, reads them, or calls what steps by its name."""
    computing = {each.function for each in inside if each.act is Act.BACKWARD and each.function is not None}
    read = (node for where in (loop, *computing) for node in ast.walk(where) if isinstance(node, ast.Attribute))
    if any(each.attr in ("grad", "main_grad") and not _is_scaled_in_place(code, each) for each in read):
        return True
    return any(isinstance(each.node, ast.Call) and _steps_by_name(each.node) for each in inside)


def _is_scaled_in_place(code: Code, grad: ast.Attribute) -> bool:
    """`p.grad.data.mul_(1 / tasks)`: made ready for a step, which is no use of it yet."""
    node: ast.AST | None = code.tree.parents.get(grad)
    if isinstance(node, ast.Attribute) and node.attr == "data":
        node = code.tree.parents.get(node)
    run = code.tree.parents.get(node) if isinstance(node, ast.Attribute) and node.attr in _SCALES else None
    return isinstance(run, ast.Call) and isinstance(code.tree.parents.get(run), ast.Expr)


def _may_step(event: Event, clear: Event) -> bool:
    if is_bookkeeping(event) or not (event.act is Act.FORWARD or gives_gradients(event)):
        return False
    return event.act in (Act.OPAQUE, Act.FORWARD) and may_use(event, clear.subject)


def _steps_by_name(call: ast.Call) -> bool:
    name = last_name(call.func)
    owner = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    steps = any(part in name for part in ("step", "update_weights", "apply_grad", "optimize", "optimise"))
    return steps and not re.search(r"sched|(^|_)lr(_|$)|warmup|timer|profil", owner, re.I)


# -- optimizers that nothing steps -------------------------------------------------------------------------


def _idle(code: Code) -> Iterator[tuple[Event, Problem]]:
    """Backward calls in a loop of the function that makes an optimizer and never uses it."""
    for binding, made in _made(code):
        if not _is_only_kept(code, binding):
            continue
        for flow in code.flows:
            for backward in flow.of(Act.BACKWARD):
                loop = _loop_of(code, backward, binding)
                if loop is None or backward.within(Region.NO_GRAD) or not _is_unused(code, flow, loop):
                    continue
                statement = code.tree.statement(backward.node)
                yield (
                    backward,
                    code.problem(
                        backward.node,
                        f"`{binding.name}` is made for these gradients and never steps: the weights stay as they are.",
                        mend=[code.source.insert_after(statement, f"{binding.name}.step()")],
                        related=[(made, "the optimizer"), (loop, "the loop")],
                    ),
                )


def _made(code: Code) -> Iterator[tuple[Binding, ast.Call]]:
    """The variables of functions and of the top level that are given new optimizers and nothing else."""
    for scope in (code.tree.module, *code.tree.all(*FUNCTIONS)):
        for bindings in code.names.bindings.all_in(scope).values():
            if all(_makes_optimizer(code, each) for each in bindings):
                yield bindings[0], bindings[0].value  # type: ignore[misc]


def _makes_optimizer(code: Code, binding: Binding) -> bool:
    made = binding.value
    if binding.how is not Bound.ASSIGNMENT or not isinstance(made, ast.Call):
        return False
    return all(each.kind is Kind.OPTIMIZER and each.call is made for each in code.values.of(made))


def _is_only_kept(code: Code, binding: Binding) -> bool:
    """Whether the variable is used for nothing but clearing, schedules and the optimizer's own state."""
    for use in code.tree.all(ast.Name):
        if use.id != binding.name or binding not in code.names.reaching(use) or isinstance(use.ctx, ast.Store):
            continue
        above = code.tree.parents[use]
        if isinstance(above, ast.Attribute):
            if above.attr not in _KEEPS_STATE:
                return False
        elif not isinstance(above, ast.Call) or code.kind(above) is not Kind.SCHEDULER:
            return False
    return True


def _loop_of(code: Code, backward: Event, binding: Binding) -> Loop | None:
    """The loop of the optimizer's own function that repeats the backward, once the optimizer is there."""
    statement = code.tree.statement(binding.node)
    if code.tree.scope(statement) is not code.tree.scope(backward.node) or statement.lineno > backward.line:
        return None
    loops = code.tree.loops(backward.node)
    return loops[0] if loops else None


def _is_unused(code: Code, flow: Flow, loop: Loop) -> bool:
    inside = [each for each in flow.events if loop in each.loops]
    return not any(each.act is Act.STEP for each in inside) and not _are_used(code, loop, inside)


# -- optimizers that an object holds and nothing steps -----------------------------------------------------


def _held(code: Code) -> Iterator[tuple[Event, Problem]]:
    """Loops of a class that clear its model's gradients, while the optimizer it made for them is never stepped."""
    for owner in code.tree.all(ast.ClassDef):
        if [each for each in owner.bases if ast.unparse(each) != "object"]:
            continue
        for name, made in _held_optimizers(code, owner):
            for backward, loop in _cleared_by(code, owner):
                statement = code.tree.statement(backward.node)
                problem = code.problem(
                    backward.node,
                    f"`{name}` is made for these gradients and never steps: the weights stay as they are.",
                    mend=[code.source.insert_after(statement, f"{name}.step()")],
                    related=[(made, "the optimizer"), (loop, "the loop")],
                )
                yield backward, problem


def _cleared_by(code: Code, owner: ast.ClassDef) -> Iterator[tuple[Event, Loop]]:
    """The backward calls of the class in loops that clear the gradients, each with its loop."""
    for backward, flow in ((event, each) for each in code.flows for event in each.of(Act.BACKWARD)):
        own = backward.function is not None and code.tree.class_of(backward.function) is owner
        loops = code.tree.loops(backward.node) if own else []
        if loops and not backward.within(Region.NO_GRAD) and _is_cleared_in(code, flow, loops[0]):
            yield backward, loops[0]


def _held_optimizers(code: Code, owner: ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """The optimizers under attributes of the class that the file uses for clearing, schedules and their state only."""
    places: dict[str, list[ast.Attribute]] = {}
    for node in code.tree.all(ast.Attribute):
        places.setdefault(node.attr, []).append(node)
    for name, nodes in places.items():
        stored = [each for each in nodes if isinstance(each.ctx, ast.Store) and ast.unparse(each.value) == "self"]
        if len(stored) != 1 or not code.tree.inside(stored[0], owner) or code.kind(stored[0]) is not Kind.OPTIMIZER:
            continue
        statement = code.tree.statement(stored[0])
        makes = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)
        read = [each for each in nodes if each is not stored[0]]
        if makes and all(_only_keeps(code, each) for each in read):
            yield f"self.{name}", stored[0]


def _only_keeps(code: Code, use: ast.Attribute) -> bool:
    above = code.tree.parents[use]
    if isinstance(above, ast.Attribute):
        return above.attr in _KEEPS_STATE
    statement = code.tree.statement(use)
    schedules = isinstance(statement, ast.Assign) and "sched" in ast.unparse(statement.targets[0]).lower()
    return schedules and isinstance(above, ast.Call)


def _is_cleared_in(code: Code, flow: Flow, loop: Loop) -> bool:
    """Whether the loop clears gradients, and nothing in it can use them: no step, no reader, no one who is given the
    object itself."""
    inside = [each for each in flow.events if loop in each.loops]
    gives_self = any(
        isinstance(each, ast.Call) and any(isinstance(part, ast.Name) and part.id == "self" for part in each.args)
        for each in ast.walk(loop)
    )
    return any(each.act is Act.ZERO_GRAD for each in inside) and not gives_self and _is_unused(code, flow, loop)


# -- gradients that are clipped ----------------------------------------------------------------------------


def _clipped(code: Code) -> Iterator[tuple[Event, Problem]]:
    """Gradients that are clipped for a step and then cleared, with no step on any way there."""
    for flow in code.flows:
        clips = flow.of(Act.CLIP)
        for clear in flow.of(Act.ZERO_GRAD) if clips else ():
            if code.kind(clear.target) not in (Kind.OPTIMIZER, Kind.MODEL):
                continue
            for backward in flow.of(Act.BACKWARD):
                loop = common_loop(clear, backward)
                clip = next((each for each in clips if _leads(flow, backward, each, clear)), None)
                if loop is None or clip is None or not _is_clipped_for_nothing(flow, loop, backward, clear):
                    continue
                yield (
                    backward,
                    code.problem(
                        backward.node,
                        f"The gradients of `{code.name(backward.node)}` are clipped at line {clip.line} and cleared at "
                        f"line {clear.line}: nothing steps with them, so the weights stay as they are.",
                        related=[(clip.node, "clips the gradients"), (clear.node, "clears them")],
                    ),
                )


def _leads(flow: Flow, backward: Event, clip: Event, clear: Event) -> bool:
    return flow.reaches(backward, lambda event: event is clip, avoiding=lambda event: event is clear)


def _is_clipped_for_nothing(flow: Flow, loop: Loop, backward: Event, clear: Event) -> bool:
    inside = [each for each in flow.events if loop in each.loops]
    if backward.within(Region.NO_GRAD) or any(each.act is Act.STEP or _may_step(each, clear) for each in inside):
        return False
    read = any(isinstance(each, ast.Attribute) and each.attr in ("grad", "main_grad") for each in ast.walk(loop))
    if read or any(isinstance(each.node, ast.Call) and _steps_by_name(each.node) for each in inside):
        return False
    is_other = flow.reaches(
        backward, lambda event: event.act is Act.STEP, avoiding=lambda event: event.act is Act.ZERO_GRAD
    )
    return not is_other and flow.reaches(backward, lambda event: event is clear, inside=loop)
