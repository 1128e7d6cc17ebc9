"""An assignment that freezes nothing

Python lets any attribute be set. A misspelt `requires_grad`, or the right name on a whole module, makes a new attribute
that autograd never reads: the parameters go on training (or stay frozen) without a word.

❌
```python
import torch
from torchvision.models import resnet18

model = resnet18()
for parameter in model.parameters():
    parameter.require_grad = False  # ❌
model.requires_grad = False  # ❌
```

✅
```python
import torch
from torchvision.models import resnet18

model = resnet18()
for parameter in model.parameters():
    parameter.requires_grad = False
model.requires_grad_(False)
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Kind, Problem, Tier

TIER = Tier.BUG
WORDS = ("torch", "require|requi|reqi")

_TYPO = re.compile(r"(requires?|required|requries|requiers|reqires)_?(grad(s|ient|ients)?|gard)$")
_MODULES_IN = {"children": (), "modules": (), "named_children": (1,), "named_modules": (1,)}


def detect(code: Code) -> Iterator[Problem]:
    """Misspelt flags on anything but `self`, and the flag set on what is certainly a module."""
    if "torch" not in code.packages:
        return
    for assign in code.tree.all(ast.Assign):
        for target in assign.targets:
            if not isinstance(target, ast.Attribute) or not _TYPO.match(target.attr):
                continue
            is_module = _is_module(code, target.value)
            if _is_self(code, target.value) or _is_read(code, target, is_module=is_module):
                continue
            if is_module:
                yield _on_module(code, assign, target)
            elif target.attr != "requires_grad" and isinstance(assign.value, (ast.Constant, ast.Compare, ast.Name)):
                name = code.name(target.value)
                yield code.problem(
                    assign,
                    f"`{target.attr}` is no attribute of a tensor (`requires_grad` is): the assignment changes nothing "
                    f"about `{name}`'s gradients.",
                    fix=[code.source.replace(target, f"{code.source.of(target.value)}.requires_grad")],
                )


def _on_module(code: Code, assign: ast.Assign, target: ast.Attribute) -> Problem:
    base, value = code.source.of(target.value), code.source.of(assign.value)
    frozen = isinstance(assign.value, ast.Constant) and assign.value.value is False
    effect = "its parameters go on training" if frozen else "its parameters keep the setting they have"
    single = len(assign.targets) == 1 and "\n" not in value
    return code.problem(
        assign,
        f"`{code.name(target.value)}` is a module, and setting `{target.attr}` on it only makes a new attribute: "
        f"{effect}.",
        fix=[code.source.replace(assign, f"{base}.requires_grad_({value})")] if single else (),
    )


def _is_self(code: Code, node: ast.expr) -> bool:
    """The class may have such an attribute of its own."""
    function = code.tree.function(node)
    first = function.args.args[:1] if function is not None else []
    return isinstance(node, ast.Name) and any(each.arg == node.id for each in first if each.arg in ("self", "cls"))


def _is_read(code: Code, target: ast.Attribute, *, is_module: bool) -> bool:
    """Whether something reads the attribute under this name: then it is the author's own."""
    owner = code.values.class_held_by(target.value)
    if owner is not None and (
        target.attr in code.modules.methods(owner) or code.values.classes.attribute_bindings(owner, target.attr)
    ):
        return True
    reads = [
        each for each in code.tree.all(ast.Attribute) if each.attr == target.attr and isinstance(each.ctx, ast.Load)
    ]
    if target.attr == "requires_grad":
        subject = code.values.subject(target.value)
        return is_module and any(code.values.subject(each.value) == subject for each in reads)
    return bool(reads)


def _is_module(code: Code, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        bindings = code.names.reaching(node)
        if bindings and all(each.how is Bound.ITEM for each in bindings):
            return all(_is_walk(each.value, each.index) for each in bindings)
    if code.modules.makes_parameter(node) or _is_self(code, node):
        return False
    return all(each.kind is Kind.MODEL for each in code.values.of(node)) or code.modules.makes(node)


def _is_walk(value: ast.expr | None, index: tuple[int, ...]) -> bool:
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.args:
        return False
    return _MODULES_IN.get(value.func.attr) == index
