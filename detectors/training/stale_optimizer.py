"""The optimizer does not know the new layer

An optimizer takes the parameters a model has when it is made. A layer put in afterwards is trained by nobody: it keeps
its random weights, while the optimizer goes on stepping the one that was replaced.

❌
```python
import torch
import torchvision

model = torchvision.models.resnet18(weights="DEFAULT")
optimizer = torch.optim.Adam(model.parameters())
model.fc = torch.nn.Linear(512, 10)  # ❌
for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
```

✅
```python
import torch
import torchvision

model = torchvision.models.resnet18(weights="DEFAULT")
model.fc = torch.nn.Linear(512, 10)
optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("parameters()", "Linear|Conv|Sequential|Embedding|resize_token_embeddings|get_peft_model|add_module")

_IN_PLACE = frozenset(
    {"resize_token_embeddings", "add_module", "add_adapter", "replace_classifier", "reset_classifier"}
)


def detect(code: Code) -> Iterator[Problem]:
    """Layers put into a model below the line that made its optimizer, in the same stretch of statements."""
    if code.is_test:
        return
    for assign in code.tree.all(ast.Assign):
        made = assign.value
        if not isinstance(made, ast.Call) or len(assign.targets) != 1 or code.kind(made) is not Kind.OPTIMIZER:
            continue
        model = _whole_model(made)
        if model is None or not code.values.is_strong(made):
            continue
        block = code.tree.block(assign)
        after = block[block.index(assign) + 1 :]
        optimizer = assign.targets[0]
        if any(_makes_again(each, optimizer) for each in after):
            continue
        for statement in after:
            change = _new_layer(code, statement, model)
            if change is None:
                continue
            yield code.problem(
                statement,
                f"`{code.name(optimizer)}` took the parameters of `{code.name(model)}` at line "
                f"{assign.lineno}: it does not "
                f"have those of `{code.name(change)}`, which stay as they were initialised.",
                fix=code.source.move_after(assign, statement) if statement is after[0] else [],
                show=[assign],
                related=[(assign, "the optimizer takes the parameters")],
            )


def _whole_model(made: ast.Call) -> ast.expr | None:
    """The model all of whose parameters the optimizer takes: `Adam(model.parameters())`."""
    given = made.args[0] if made.args else next((each.value for each in made.keywords if each.arg == "params"), None)
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "parameters":
        return given.func.value if isinstance(given.func.value, (ast.Name, ast.Attribute)) else None
    return None


def _makes_again(statement: ast.stmt, optimizer: ast.expr) -> bool:
    """Whether the statement binds the optimizer anew or gives it more parameters."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr in ("add_param_group", "param_groups"):
            return True
        stored = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store)
        if stored and last_name(node) == last_name(optimizer):
            return True
    return False


def _new_layer(code: Code, statement: ast.stmt, model: ast.expr) -> ast.expr | None:
    """What a statement puts into the model, where that has parameters of its own."""
    text = ast.unparse(model)
    match statement:
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target], value=value):
            root: ast.expr = target
            while isinstance(root, (ast.Attribute, ast.Subscript)) and ast.unparse(root) != text:
                root = root.value
            is_inside = ast.unparse(root) == text and root is not target
            return target if is_inside and _has_parameters(code, value) else None
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=method)) as call):
            if ast.unparse(owner) != text or method not in _IN_PLACE:
                return None
            return call
    return None


def _has_parameters(code: Code, value: ast.expr) -> bool:
    """A layer of `torch.nn` made here."""
    if not isinstance(value, ast.Call):
        return False
    origin = code.origin(value) or ""
    layers = [each for each in ast.walk(value) if isinstance(each, ast.Call)]
    learned = any(
        (code.origin(each) or "").startswith("torch.nn.")
        and last_name(each.func).startswith(
            ("Linear", "Conv", "Embedding", "LSTM", "GRU", "Transformer", "Bilinear", "LazyLinear")
        )
        for each in layers
    )
    return origin.startswith("torch.nn.") and learned
