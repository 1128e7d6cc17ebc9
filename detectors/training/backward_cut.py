"""The loss has lost its graph before backward

`.item()`, `.detach()`, `.data`, `argmax` and `torch.tensor(…)` give values without a graph. A loss computed from them
alone has no path back to the weights: backward raises, or, once `requires_grad` is set on it, runs and changes nothing.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    loss = torch.tensor(criterion(model(images), labels).item(), requires_grad=True)
    loss.backward()  # ❌
    optimizer.step()
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

https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("backward", "step", ".item()|detach|.data|argmax|tensor(|numpy|float(|max(")

_DEPTH = 8
_CUTTING = frozenset({"item", "detach", "numpy", "tolist", "argmax", "argmin", "argsort"})
_KEEPING = frozenset(
    ["mean", "sum", "to", "cuda", "cpu", "float", "double", "half", "long", "squeeze", "unsqueeze", "view", "reshape"]
)
_REBUILDING = frozenset(
    [
        "torch.tensor",
        "torch.as_tensor",
        "torch.from_numpy",
        "torch.FloatTensor",
        "torch.Tensor",
        "torch.autograd.Variable",
        "builtins.float",
        "builtins.int",
    ]
)
_CONSTANT = frozenset(["torch.zeros", "torch.ones", "torch.zeros_like", "torch.ones_like", "torch.full"])


def detect(code: Code) -> Iterator[Problem]:
    """Backward calls of training steps on values every part of which has been cut from the graph."""
    if code.is_test:
        return
    for update in code.updates:
        for backward in update.backwards:
            if backward.target is None:
                continue
            cut = _cut(code, backward.target)
            if cut is None:
                continue
            where = "" if cut.lineno == backward.line else f" at line {cut.lineno}"
            what = "" if cut is backward.target else f": `{code.name(cut)}`{where} cuts it"
            yield code.problem(
                backward.node,
                f"`{code.name(backward.target)}` has no graph{what}, so no gradient reaches "
                f"what `{code.name(update.step.target)}` steps.",
                show=[cut],
                related=[(cut, "cuts the graph"), (update.step.node, "the step without gradients")],
            )


def _cut(code: Code, node: ast.expr, depth: int = 0) -> ast.expr | None:
    """The expression that cuts the graph, where no part of the node can have one; None where any part may."""
    if depth > _DEPTH:
        return None
    match node:
        case ast.Name():
            return _cut_name(code, node, depth)
        case ast.Attribute(attr="data"):
            return node if not isinstance(node.value, ast.Call) else _cut(code, node.value, depth + 1)
        case ast.BinOp():
            sides = [(each, _cut(code, each, depth + 1)) for each in (node.left, node.right)]
            found = [cut for _, cut in sides if cut is not None]
            rest = [each for each, cut in sides if cut is None]
            return found[0] if found and all(_is_constant(code, each) for each in rest) else None
        case ast.Call():
            return _cut_call(code, node, depth)
    return None


def _cut_name(code: Code, node: ast.Name, depth: int) -> ast.expr | None:
    cuts: list[ast.expr] = []
    for binding in code.names.reaching(node):
        if binding.value is None or binding.index or isinstance(binding.node, (ast.For, ast.AsyncFor, ast.withitem)):
            return None
        if _is_constant(code, binding.value):
            continue
        cut = _cut(code, binding.value, depth + 1)
        if cut is None:
            return None
        cuts.append(cut)
    return cuts[0] if cuts else None


def _cut_call(code: Code, call: ast.Call, depth: int) -> ast.expr | None:
    origin, func = code.origin(call), call.func
    if origin in _REBUILDING:
        return _rebuilt(code, call, depth)
    if origin == "torch.argmax":
        return call
    if origin is not None and origin.startswith("torch.nn.functional.") and len(call.args) > 1:
        return _predicted(code, call)
    if not isinstance(func, ast.Attribute) or origin is not None:
        made = code.values.only(func)
        is_criterion = made.origin is not None and made.origin.startswith("torch.nn.") and "Loss" in made.origin
        return _predicted(code, call) if is_criterion and len(call.args) > 1 else None
    if func.attr in _CUTTING and not _is_text(func.value):
        return call
    if func.attr in _KEEPING or func.attr in ("requires_grad_", "clone", "scale"):
        inner = call.args[0] if func.attr == "scale" and call.args else func.value
        return _cut(code, inner, depth + 1)
    made = code.values.only(func)
    is_criterion = made.origin is not None and made.origin.startswith("torch.nn.") and "Loss" in made.origin
    return _predicted(code, call) if is_criterion and len(call.args) > 1 else None


def _rebuilt(code: Code, call: ast.Call, depth: int) -> ast.expr | None:
    """A tensor made anew from a loss: a leaf of its own, whatever it was computed from."""
    if not call.args:
        return None
    given = call.args[0]
    inner = _cut(code, given, depth + 1)
    if inner is not None:
        return inner
    names = {last_name(each) for each in ast.walk(given) if isinstance(each, (ast.Name, ast.Attribute))}
    origin = code.origin(call) or ""
    if origin.endswith("Variable"):
        return None
    return call if any("loss" in each.lower() for each in names) else None


def _predicted(code: Code, call: ast.Call) -> ast.expr | None:
    """A criterion whose prediction is an argmax: whole numbers, with no gradient whatever the target is."""
    prediction = call.args[0]
    for node in code.definitions.path(prediction)[-1:]:
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPING:
            node = code.definitions.of(node.func.value)
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "argmax"
        if is_method or (isinstance(node, ast.Call) and code.origin(node) == "torch.argmax"):
            target = code.definitions.of(call.args[1])
            from_model = any(True for each in ast.walk(target) if isinstance(each, ast.Call) and code.actions.of(each))
            return None if from_model else node
    return None


def _is_constant(code: Code, node: ast.expr) -> bool:
    """A number, or a tensor of numbers: nothing with a graph."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Constant):
        return True
    return isinstance(node, ast.Call) and (code.origin(node) in _CONSTANT or last_name(node.func) == "len")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.JoinedStr))
