"""The graph is kept though nothing uses it again

`retain_graph=True` keeps every activation of the batch alive after backward. With one backward a step nothing needs
them: memory is held longer, and a real mistake (a state carried over from the last batch) is hidden instead of raised.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    loss = model(batch).mean()
    loss.backward(retain_graph=True)  # ❌
    optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    loss = model(batch).mean()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
"""

import ast
from collections.abc import Iterator

from detectors import Act, Code, Event, Problem, Tier, Update

TIER = Tier.RISK
WORDS = ("retain_graph", "backward", "step")


def detect(code: Code) -> Iterator[Problem]:
    """The only backward of a loop over data, with the graph retained and nothing that goes through it again."""
    if code.is_test:
        return
    for update in code.updates:
        for backward in update.backwards:
            call = backward.node
            if not isinstance(call, ast.Call) or not _retains(code, call) or _is_used_again(update, backward):
                continue
            if not _takes_new_data(code, update) or _differentiates_by_hand(update):
                continue
            yield code.problem(
                call,
                f"`{code.source.of(call)}` keeps the graph of every batch, and this is the only backward before "
                f"`{code.name(update.step.target)}` steps: nothing goes through it a second time.",
                mend=[code.source.remove_argument(call, "retain_graph")],
                related=[(update.step.node, "the step")],
            )


def _retains(code: Code, call: ast.Call) -> bool:
    given = code.argument(call, "retain_graph")
    return isinstance(given, ast.Constant) and given.value is True


def _is_used_again(update: Update, backward: Event) -> bool:
    """Whether another backward, or code out of sight, can follow before the next iteration."""
    others = [each for each in update.flow.events if each.act is Act.BACKWARD]
    return any(update.is_before(backward, each) for each in others) or len({each.node for each in others}) > 1


def _takes_new_data(code: Code, update: Update) -> bool:
    """Whether each iteration's graph starts from data of its own: a loop over a loader or an iterable, used in it."""
    loop = update.loop
    if not isinstance(loop, ast.For) or any(
        isinstance(each, ast.Name) and each.id in ("range", "trange", "count") for each in ast.walk(loop.iter)
    ):
        return False
    targets = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    called = [each for each in update.of(Act.FORWARD) if isinstance(each.node, ast.Call)]
    return any(
        isinstance(part, ast.Name) and part.id in targets
        for each in called
        for argument in [*each.node.args, *(keyword.value for keyword in each.node.keywords)]  # type: ignore[attr-defined]
        for part in ast.walk(argument)
    )


def _differentiates_by_hand(update: Update) -> bool:
    """Whether the loop takes gradients with `autograd.grad` too."""
    assert update.loop is not None
    return any(isinstance(each, ast.Attribute) and each.attr in ("grad", "autograd") for each in ast.walk(update.loop))
