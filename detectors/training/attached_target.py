"""A target lets gradients through

What a network is trained towards is a constant of the update. A bootstrapped target that the same network computes with
its graph is trained too: the loss falls because the targets move towards the predictions. An advantage with the graph
of its critic turns the actor's loss into a second, wrong, loss of the critic.

❌
```python
import torch
import torch.nn.functional as F

optimizer = torch.optim.Adam(q_network.parameters())

def update(states, actions, rewards, following, done):
    values = q_network(states).gather(1, actions)
    targets = rewards + gamma * (1 - done) * q_network(following).max(1, keepdim=True)[0]  # ❌
    loss = F.mse_loss(values, targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

✅
```python
import torch
import torch.nn.functional as F

optimizer = torch.optim.Adam(q_network.parameters())

def update(states, actions, rewards, following, done):
    values = q_network(states).gather(1, actions)
    with torch.no_grad():
        targets = rewards + gamma * (1 - done) * q_network(following).max(1, keepdim=True)[0]
    loss = F.mse_loss(values, targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/tutorials/intermediate/reinforcement_q_learning.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("gamma|discount|log_prob", "backward", "parameters()")
_DISCOUNT = re.compile(r"(^|_|\.)(gamma|discount(_factor)?)$", re.I)
_ADVANTAGE = re.compile(r"(^|_)(adv|advs|advantages?|delta|td|td_errors?|td_delta)(_|$)", re.I)
_LOSSES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss")


def detect(code: Code) -> Iterator[Problem]:
    """Losses towards `reward + gamma * network(next)` and policy losses times an advantage, with the graph."""
    if code.is_test or "residual" in code.text:
        return
    for loss in code.activations.losses:
        if loss.name in _LOSSES:
            for target, other in ((loss.target, loss.input), (loss.input, loss.target)):
                formula = _bootstrapped(code, target, other)
                if formula is not None:
                    yield _moving_target(code, loss.call, target, formula)
    for product in code.tree.all(ast.BinOp):
        if isinstance(product.op, ast.Mult):
            for chosen, weight in ((product.left, product.right), (product.right, product.left)):
                if _is_log_probability(code, chosen) and _is_attached_advantage(code, weight):
                    yield _trained_advantage(code, weight)


def _bootstrapped(code: Code, target: ast.expr, prediction: ast.expr) -> ast.expr | None:
    """The discounted value of the next state by the trained network that predicts, where its graph reaches the loss."""
    for each in code.sources.of(target):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Add):
            discounted = next((side for side in (each.right, each.left) if _is_discounted(side)), None)
            if discounted is None:
                continue
            models = {model for _, model in code.sources.forwards(discounted)}
            predicting = {model for _, model in code.sources.forwards(prediction)}
            if models & predicting and all(map(code.gradients.trains, models & predicting)):
                return each
    return None


def _is_discounted(node: ast.expr) -> bool:
    parts = [each for each in ast.walk(node) if isinstance(each, (ast.Name, ast.Attribute))]
    return isinstance(node, ast.BinOp) and any(_DISCOUNT.search(ast.unparse(each)) for each in parts)


def _moving_target(code: Code, loss: ast.Call, target: ast.expr, formula: ast.expr) -> Problem:
    statement = code.tree.statement(formula)
    is_named = isinstance(statement, ast.Assign) and statement.value is formula
    mend = [code.source.replace(formula, f"({code.source.of(formula)}).detach()")] if is_named else []
    return code.problem(
        formula if code.tree.statement(loss) is not statement else target,
        f"The target `{code.name(target)}` keeps the graph of the network that is trained towards it: the loss at line "
        f"{loss.lineno} moves the target too. Compute it under `torch.no_grad()`, or detach it.",
        mend=mend,
        show=[loss],
        related=[(loss, "the loss")] if loss.lineno != formula.lineno else [],
    )


def _is_log_probability(code: Code, node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    told = code.definitions.of(node)
    while isinstance(told, ast.Call) and isinstance(told.func, ast.Attribute) and told.func.attr != "log_prob":
        told = told.func.value
    return isinstance(told, ast.Call)


def _is_attached_advantage(code: Code, weight: ast.expr) -> bool:
    if not isinstance(weight, ast.Name) or not _ADVANTAGE.search(weight.id):
        return False
    return any(code.gradients.trains(model) for _, model in code.sources.forwards(weight))


def _trained_advantage(code: Code, weight: ast.expr) -> Problem:
    return code.problem(
        weight,
        f"`{code.name(weight)}` keeps the graph of the critic it was computed with, so the policy's loss trains the "
        "critic as well.",
        fix=[code.source.replace(weight, f"{code.source.of(weight)}.detach()")],
    )
