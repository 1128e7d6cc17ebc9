"""The discriminator's loss goes back through the generator

The discriminator learns from generated examples as from any data. Given to it with their graph, its backward also goes
through the generator: every step of the discriminator pays for both networks, and what it leaves in the generator's
gradients is the opposite of what the generator should learn.

❌
```python
import torch

generator_optimizer = torch.optim.Adam(generator.parameters())
optimizer = torch.optim.Adam(discriminator.parameters())
for images in loader:
    fake = generator(torch.randn(64, 100))
    loss = criterion(discriminator(images), real) + criterion(discriminator(fake), false)  # ❌
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    generator_optimizer.zero_grad()
    criterion(discriminator(generator(torch.randn(64, 100))), real).backward()
    generator_optimizer.step()
```

✅
```python
import torch

generator_optimizer = torch.optim.Adam(generator.parameters())
optimizer = torch.optim.Adam(discriminator.parameters())
for images in loader:
    fake = generator(torch.randn(64, 100))
    loss = criterion(discriminator(images), real) + criterion(discriminator(fake.detach()), false)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    generator_optimizer.zero_grad()
    criterion(discriminator(generator(torch.randn(64, 100))), real).backward()
    generator_optimizer.step()
```

https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html
"""

import ast
from collections.abc import Iterator

from detectors import Act, Code, Event, Flow, Problem, Tier

TIER = Tier.RISK
WORDS = ("backward", "parameters()", "optim")


def detect(code: Code) -> Iterator[Problem]:
    """What one optimizer's network is given by another's, in a loss that only the first is stepped with."""
    if code.is_test or "requires_grad" in code.text:
        return
    said: set[ast.AST] = set()
    for flow in code.flows:
        trained = {step: code.gradients.trained_by(step.target) for step in flow.of(Act.STEP)}
        if len({frozenset(models) for models in trained.values() if models}) < 2:
            continue
        for backward in flow.of(Act.BACKWARD):
            step = _stepped_with(flow, backward)
            if step is None or backward.target is None or backward.calls or not trained[step]:
                continue
            others = [each for each in trained if trained[each] and not trained[each] & trained[step]]
            for judged, given, other in _judged(code, backward.target, others, trained, step):
                is_shared = _are_joint(flow, backward, other) or _is_judged_for(code, flow, judged, other)
                if judged not in said and not is_shared:
                    said.add(judged)
                    yield _problem(code, judged, given, step, other)


def _stepped_with(flow: Flow, backward: Event) -> Event | None:
    """The first step after the backward in the same loop."""
    after = flow.events[flow.events.index(backward) + 1 :]
    return next((each for each in after if each.act is Act.STEP and each.loops == backward.loops), None)


def _judged(
    code: Code, loss: ast.expr, others: list[Event], trained: dict[Event, set[object]], step: Event
) -> Iterator[tuple[ast.Call, ast.expr, Event]]:
    """The calls of the stepped network that are given what another's network made with its graph."""
    for call, model in list(code.sources.forwards(loss)):
        if model not in trained[step]:
            continue
        for given in call.args:
            for run, maker in code.sources.forwards(given):
                if code.values.subject(run.func) != maker:
                    continue  # what a method of the model gives may be detached
                owner = next((each for each in others if maker in trained[each]), None)
                if owner is not None:
                    yield call, given, owner
                    break


def _are_joint(flow: Flow, backward: Event, other: Event) -> bool:
    """Whether the other optimizer steps with these gradients too."""
    steps = [each for each in flow.of(Act.STEP) if each.subject == other.subject]
    return any(
        flow.reaches(
            backward,
            lambda event, step=step: event is step,  # type: ignore[misc]
            avoiding=lambda event: event.act in (Act.BACKWARD, Act.ZERO_GRAD, Act.OPAQUE),
        )
        for step in steps
    )


def _is_judged_for(code: Code, flow: Flow, judged: ast.Call, other: Event) -> bool:
    """Whether the very same judgement is part of a loss that the other optimizer steps with."""
    return any(
        judged is call
        for backward in flow.of(Act.BACKWARD)
        if backward.target is not None
        and (step := _stepped_with(flow, backward)) is not None
        and step.subject == other.subject
        for call, _ in code.sources.forwards(backward.target)
    )


def _problem(code: Code, judged: ast.Call, given: ast.expr, step: Event, other: Event) -> Problem:
    name = code.source.of(given)
    is_plain = isinstance(given, ast.Name)
    return code.problem(
        judged,
        f"`{code.name(given)}` goes in with the graph of what `{code.name(other.target)}` trains, and only "
        f"`{code.name(step.target)}` steps with this loss: its backward pays for both networks and leaves gradients in "
        "the other.",
        fix=[code.source.replace(given, f"{name}.detach()")] if is_plain else [],
        mend=[] if is_plain else [code.source.replace(given, f"{name}.detach()")],
        related=[(step.node, "the only step with this loss")],
    )
