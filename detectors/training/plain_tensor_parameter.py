"""A weight that is no parameter

A module trains, moves and saves what is registered. A tensor with `requires_grad=True` that is a plain attribute gets
gradients, but `parameters()` does not have it: the optimizer never changes it, `.to(device)` leaves it behind and
checkpoints lose it.

❌
```python
import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = torch.ones(width, requires_grad=True)  # ❌

    def forward(self, x):
        return x * self.gain
```

✅
```python
import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gain
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Binding, Bound, Change, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("requires_grad|init.", "Module", "self.")

_DRAWN = re.compile(r"torch\.nn\.init\.(xavier|kaiming|uniform|normal|trunc_normal|orthogonal)\w*")


def detect(code: Code) -> Iterator[Problem]:
    """Attributes of a module that are set once, to a tensor that is meant to be learned, and that `forward` uses."""
    for owner in code.modules.classes:
        for binding in code.values.classes.all_attribute_bindings(owner):
            plain = _meant_to_learn(code, owner, binding) if binding.how is Bound.ASSIGNMENT else None
            if plain is None or binding.value is None or not _is_kept(code, owner, binding):
                continue
            used = code.modules.in_forward(owner, binding.name)
            if used and not code.modules.keeps_own_registry(owner) and not _is_handed_over(code, binding.name, used):
                yield code.problem(
                    binding.node,
                    f"`self.{binding.name}` is a plain tensor, so `{owner.name}.parameters()` does not have it: the "
                    "optimizer never changes it, and it is neither moved to a device nor saved.",
                    fix=_as_parameter(code, binding.value, plain),
                    related=[(used[0], "used here")],
                )


def _meant_to_learn(code: Code, owner: ast.ClassDef, binding: Binding) -> ast.Call | None:
    """The call that makes the tensor, where it wants gradients or gets its first values as a weight gets them."""
    value = binding.value
    plain = _wants_gradients(code, value)
    if plain is not None or not isinstance(value, ast.Call) or not _is_made_here(code, value):
        return plain
    return value if not code.may_have(value, "requires_grad") and _is_drawn(code, owner, binding.name) else None


def _is_drawn(code: Code, owner: ast.ClassDef, name: str) -> bool:
    """Whether a scheme for weights of `torch.nn.init` fills the attribute."""
    return any(
        isinstance(first, ast.Attribute)
        and first.attr == name
        and code.tree.inside(call, owner)
        and _DRAWN.fullmatch(code.origin(call) or "")
        for call in code.tree.all(ast.Call)
        for first in call.args[:1]
    )


def _wants_gradients(code: Code, value: ast.expr | None) -> ast.Call | None:
    """The call that sets `requires_grad`, where the value is a tensor made here for certain."""
    if not isinstance(value, ast.Call):
        return None
    origin = code.origin(value) or ""
    if origin.startswith("torch.") and not origin.startswith("torch.nn."):
        flag = code.argument(value, "requires_grad")
        return value if isinstance(flag, ast.Constant) and flag.value is True else None
    if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
        inner = value.func.value
        if value.func.attr == "requires_grad_" and _is_made_here(code, inner):
            off = value.args or value.keywords
            return value if not off else None
        return _wants_gradients(code, inner) if value.func.attr in ("to", "cuda", "float", "double", "half") else None
    return None


def _is_made_here(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    return origin.startswith("torch.") and origin.count(".") == 1


def _is_kept(code: Code, owner: ast.ClassDef, binding: Binding) -> bool:
    """Set once, where the module is built: what is set again in each step is state, not a weight."""
    all_of_it = code.values.classes.attribute_bindings(owner, binding.name)
    others = [each for each in all_of_it if each is not binding and not _is_none(each)]
    is_state = others or getattr(binding.scope, "name", "") in ("forward", "__call__")
    return not is_state and not _is_written_into(code, owner, binding)


def _is_written_into(code: Code, owner: ast.ClassDef, binding: Binding) -> bool:
    """Whether another method gives the tensor other numbers: `self.context[:] = 0` before each task."""
    return any(
        isinstance(each.ctx, ast.Store)
        and ast.unparse(each.value) == f"self.{binding.name}"
        and code.tree.inside(each, owner)
        and code.tree.function(each) is not binding.scope
        for each in code.tree.all(ast.Subscript)
    )


def _is_none(binding: Binding) -> bool:
    return isinstance(binding.value, ast.Constant) and binding.value.value is None


def _is_handed_over(code: Code, name: str, used: list[ast.Attribute]) -> bool:
    """Whether the tensor is given to something outside `forward`: an optimizer of its own, a registering helper."""
    given = (
        (each, code.origin(_call_around(code, each)) or "torch.nn.init.")
        for each in code.tree.all(ast.Attribute)
        if each.attr == name and isinstance(each.ctx, ast.Load)
    )
    return any(
        origin.startswith("torch.optim.") or (each not in used and not origin.startswith("torch.nn.init."))
        for each, origin in given
    ) or any(
        isinstance(call.func, ast.Attribute) and call.func.attr == "register_parameter"
        for call in code.tree.all(ast.Call)
    )


def _call_around(code: Code, node: ast.AST) -> ast.Call | None:
    above = code.tree.parents.get(node)
    while isinstance(above, (ast.List, ast.Tuple, ast.Dict, ast.keyword, ast.Starred)):
        above = code.tree.parents.get(above)
    return above if isinstance(above, ast.Call) else None


def _as_parameter(code: Code, value: ast.expr, plain: ast.Call) -> list[Change | None]:
    parameter = code.modules.spelling("torch.nn.Parameter", value)
    if not parameter:
        return []
    if isinstance(plain.func, ast.Attribute) and plain.func.attr == "requires_grad_":
        inner = code.source.of(plain.func.value)
        return [code.source.replace(value, f"{parameter}({inner})")] if plain is value else []
    if code.origin(plain) == "torch.autograd.Variable":
        whole = plain is value and len(plain.args) == 1 and len(plain.keywords) == 1
        return [code.source.replace(value, f"{parameter}({code.source.of(plain.args[0])})")] if whole else []
    if code.argument(plain, "requires_grad") is None:
        return [*code.source.wrap(value, f"{parameter}(", ")")]
    return [code.source.remove_argument(plain, "requires_grad"), *code.source.wrap(value, f"{parameter}(", ")")]
