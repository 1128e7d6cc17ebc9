"""The state is carried to the next batch with its graph

Each batch starts from the state the last one left, and that state still hangs on the last batch's graph. The second
backward raises ("backward through the graph a second time"), or, with `retain_graph=True`, goes back through all
batches so far, slower and larger with every one.

❌
```python
import torch

lstm = torch.nn.LSTM(10, 20)
optimizer = torch.optim.Adam(lstm.parameters())
state = (torch.zeros(1, 8, 20), torch.zeros(1, 8, 20))
for inputs, targets in loader:
    optimizer.zero_grad()
    outputs, state = lstm(inputs, state)  # ❌
    loss = criterion(outputs, targets)
    loss.backward()
    optimizer.step()
```

✅
```python
import torch

lstm = torch.nn.LSTM(10, 20)
optimizer = torch.optim.Adam(lstm.parameters())
state = (torch.zeros(1, 8, 20), torch.zeros(1, 8, 20))
for inputs, targets in loader:
    optimizer.zero_grad()
    state = tuple(each.detach() for each in state)
    outputs, state = lstm(inputs, state)
    loss = criterion(outputs, targets)
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Event, Problem, Region, Tier, Update

TIER = Tier.BUG
WORDS = ("backward", "step", "hidden|state|hx|hc|mem|cache|carry| h")

_STATE = re.compile(r"^(h|hx|hc|hs|cx|hn|h_n|h_t|h0|c_n|rnn_h|carry)$|hidden|state|memor|mems|carry", re.I)
_FRESH = re.compile(r"detach|repackage|init|reset|zero|truncate|new_|clone_state", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """States a model is given and gives back, from one back-propagated batch to the next."""
    for update in code.updates:
        for forward in update.of(Act.FORWARD) if update.loop is not None else ():
            carried = _carried(code, update, forward)
            if carried is None or forward.within(Region.NO_GRAD) or not _reaches_loss(update, forward):
                continue
            name = carried.id
            statement = code.tree.statement(forward.node)
            is_tuple = _is_tuple(code, update, carried)
            detached = f"tuple(each.detach() for each in {name})" if is_tuple else f"{name}.detach()"
            yield code.problem(
                forward.node,
                f"`{name}` comes into each batch with the graph of the batch before: "
                f"`{code.name(update.backwards[-1].node)}` "
                f"goes back through both. Detach it first.",
                fix=[code.source.insert_before(statement, f"{name} = {detached}")] if is_tuple is not None else [],
                mend=[code.source.insert_before(statement, f"{name} = {name}.detach()")],
                related=[(update.backwards[-1].node, "goes back through it")],
            )


def _carried(code: Code, update: Update, forward: Event) -> ast.Name | None:
    """The name a forward call takes and binds again, that nothing else in the loop binds, detaches or looks at."""
    call, loop = forward.node, update.loop
    statement = code.tree.parents.get(call)
    if not isinstance(call, ast.Call) or not isinstance(statement, ast.Assign) or loop is None:
        return None
    if (
        code.tree.loops(call)[:1] != [loop]
        or len(statement.targets) != 1
        or not isinstance(statement.targets[0], ast.Tuple)
    ):
        return None
    given = {each.id for each in (*call.args, *(key.value for key in call.keywords)) if isinstance(each, ast.Name)}
    for target in statement.targets[0].elts:
        if isinstance(target, ast.Name) and target.id in given and _STATE.search(target.id):
            bindings = code.names.bindings.of(target.id, code.tree.scope(call))
            inside = [each for each in bindings if code.tree.inside(each.node, loop)]
            before = [each for each in bindings if each not in inside and each.node in _around(code, loop)]
            if len(inside) == 1 and len(bindings) > 1 and not before and not _is_freed(code, loop, target.id, call):
                return target
    return None


def _around(code: Code, loop: ast.AST) -> list[ast.AST]:
    return [each for each in code.tree.ancestors(loop) if isinstance(each, ast.For)]


def _is_freed(code: Code, loop: ast.AST, name: str, call: ast.Call) -> bool:
    """Whether the loop detaches the state in place or hands it to a function that may, or the model does by itself."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Attribute) and node.attr != "zero_grad" and _FRESH.search(node.attr):
            return True
        if isinstance(node, ast.Call) and node is not call and isinstance(node.func, (ast.Name, ast.Attribute)):
            handed = [each.id for each in node.args if isinstance(each, ast.Name)]
            if name in handed and code.origin(node) not in ("builtins.print", "builtins.len", "builtins.isinstance"):
                return True
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Name) and node.iter.id == name:
            return True
    owner = code.values.class_held_by(call.func)
    return owner is not None and any(
        isinstance(each, ast.Attribute) and each.attr in ("detach", "detach_", "data") for each in ast.walk(owner)
    )


def _reaches_loss(update: Update, forward: Event) -> bool:
    """Whether each iteration back-propagates, so that the graphs of two iterations meet."""
    return any(
        update.is_before(forward, each) and not each.guards[len(forward.guards) :] for each in update.backwards
    ) and all(each.loops[-1] is update.loop for each in update.backwards if each.loops)


def _is_tuple(code: Code, update: Update, state: ast.Name) -> bool | None:
    """Whether the state is a tuple of tensors; None where what it starts as is not in sight."""
    for binding in code.names.bindings.of(state.id, code.tree.scope(state)):
        if update.loop is not None and code.tree.inside(binding.node, update.loop):
            continue
        if isinstance(binding.value, ast.Tuple):
            return True
        if isinstance(binding.value, ast.Call) and (code.origin(binding.value) or "").startswith("torch.zeros"):
            return False
    return None
