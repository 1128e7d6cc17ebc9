"""`squeeze()` takes the batch away when it holds one item

`squeeze()` without a dimension removes every dimension of size one. The indices of a single hit become a number that
has no length and cannot be iterated; the scores of a batch of one lose their batch dimension. It shows up in the last
batch of an epoch, or when one user asks.

❌
```python
import torch


def keep_best(scores, boxes, threshold):
    kept = torch.nonzero(scores > threshold).squeeze()  # ❌
    return [boxes[index] for index in kept]
```

✅
```python
import torch


def keep_best(scores, boxes, threshold):
    kept = torch.nonzero(scores > threshold).squeeze(-1)
    return [boxes[index] for index in kept]
```

https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html
https://docs.pytorch.org/docs/stable/generated/torch.nonzero.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name, part_named

TIER = Tier.RISK
WORDS = ("squeeze()", "torch|nonzero")
_INDICES = ("nonzero", "argwhere")
_MEASURED = ("builtins.len", "builtins.enumerate", "builtins.zip", "builtins.list", "builtins.set", "builtins.sorted")
_GUARDS = re.compile(
    r"\b(dim|ndim|ndimension|item)\b|\.numel\(\) (==|!=|>|>=|<=|<) [1-9]|\.shape\s*==|unsqueeze|atleast_1d|reshape|view"
)


def detect(code: Code) -> Iterator[Problem]:
    """Bare squeezes of indices that are counted, and of a layer's or product's single column in `forward`."""
    if code.is_test:
        return
    for squeeze in code.method_calls("squeeze"):
        operand = squeeze.func.value  # type: ignore[attr-defined]
        operand = code.definitions.of(operand) if isinstance(operand, ast.Name) else operand
        if squeeze.args or squeeze.keywords or not isinstance(operand, ast.Call):
            continue
        if _is_indices(code, operand):
            use = _counted(code, squeeze)
            if use is not None and not _is_guarded(code, squeeze):
                yield _of_indices(code, squeeze, use)
            continue
        dimension = _single(code, operand)
        if dimension is not None and _is_in_forward(code, squeeze):
            yield _of_batch(code, squeeze, dimension)


def _is_indices(code: Code, call: ast.Call) -> bool:
    name = (code.origin(call) or "").rpartition(".")
    is_function = name[0] == "torch" and name[2] in _INDICES
    is_method = code.origin(call) is None and isinstance(call.func, ast.Attribute) and call.func.attr == "nonzero"
    as_tuple = code.argument(call, "as_tuple")
    if not (is_function or is_method) or not (as_tuple is None or ast.unparse(as_tuple) == "False"):
        return False
    mask = (
        call.func.value if is_method and isinstance(call.func, ast.Attribute) else call.args[0] if call.args else None
    )
    return part_named(last_name(mask)) is None  # a part of the data has more than one item


def _counted(code: Code, squeeze: ast.Call) -> ast.AST | None:
    """Where the indices are taken as a list: their length, a loop over them, their first dimension."""
    parent = code.tree.parents.get(squeeze)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return squeeze if _counts(code, squeeze) else None
    name, function = parent.targets[0].id, code.tree.function(squeeze)
    for use in code.tree.all(ast.Name):
        if use.id != name or not isinstance(use.ctx, ast.Load) or code.tree.function(use) is not function:
            continue
        if any(each.node is parent for each in code.names.reaching(use)) and _counts(code, use):
            return use
    return None


def _counts(code: Code, use: ast.expr) -> bool:
    parent = code.tree.parents.get(use)
    if isinstance(parent, (ast.For, ast.comprehension)):
        return parent.iter is use
    if isinstance(parent, ast.Call):
        return use in parent.args and code.origin(parent) in _MEASURED
    above = code.tree.parents.get(parent) if isinstance(parent, ast.Attribute) else None
    if isinstance(parent, ast.Attribute) and parent.attr == "size" and isinstance(above, ast.Call):
        return bool(above.args) and ast.unparse(above.args[0]) == "0"
    is_shape = isinstance(parent, ast.Attribute) and parent.attr == "shape" and isinstance(above, ast.Subscript)
    return is_shape and isinstance(above, ast.Subscript) and ast.unparse(above.slice) == "0"


def _is_guarded(code: Code, squeeze: ast.Call) -> bool:
    """Whether the function asks for the number of hits or of dimensions, or gives the dimension back."""
    parent, function = code.tree.parents.get(squeeze), code.tree.function(squeeze)
    if not isinstance(parent, ast.Assign) or function is None:
        return False
    name = ast.unparse(parent.targets[0])
    around = [each for each in ast.walk(function) if isinstance(each, (ast.Attribute, ast.Compare, ast.Call))]
    texts = (ast.unparse(each) for each in around if each.lineno != squeeze.lineno)
    return any(re.search(rf"\b{re.escape(name)}\b", each) and _GUARDS.search(each) for each in texts)


def _single(code: Code, operand: ast.Call) -> str | None:
    """The dimension of size one: the last of `Linear(…, 1)` or of a product with a weight of one column, or the row
    that was put in for a batched product."""
    if code.origin(operand) in ("torch.bmm", "torch.matmul"):
        first, second = operand.args[:2] if len(operand.args) == 2 else (None, None)
        if second is not None and _is_column(code, second):
            return "-1"
        if isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) and first.func.attr == "unsqueeze":
            return ast.unparse(first.args[0]) if len(first.args) == 1 and ast.unparse(first.args[0]) == "1" else None
        return None
    made = [each for each in code.values.of(operand.func) if each.origin is not None]
    if len(made) != 1 or made[0].origin != "torch.nn.Linear" or made[0].call is None:
        return None
    out = code.argument(made[0].call, "out_features", 1)
    return "-1" if isinstance(out, ast.Constant) and out.value == 1 else None


def _is_column(code: Code, weight: ast.expr) -> bool:
    """Whether the weight is a parameter of the module with one column: `nn.Parameter(torch.rand(width, 1))`."""
    made = [each.call for each in code.values.of(weight) if each.origin == "torch.nn.Parameter"]
    given = made[0].args[0] if len(made) == 1 and made[0] is not None and made[0].args else None
    if not isinstance(given, ast.Call) or (code.origin(given) or "").rpartition(".")[0] != "torch":
        return False
    sizes = given.args[0].elts if given.args and isinstance(given.args[0], (ast.Tuple, ast.List)) else given.args
    return len(sizes) == 2 and isinstance(sizes[1], ast.Constant) and sizes[1].value == 1


def _swapped_later(code: Code, squeeze: ast.Call) -> ast.Call | None:
    """Where what is left is transposed by the number of its dimensions: with one fewer it cannot be."""
    assign = code.tree.parents.get(squeeze)
    if not isinstance(assign, ast.Assign) or not isinstance(assign.targets[0], ast.Name):
        return None
    for call in code.method_calls("transpose", "permute", "swapaxes"):
        receiver = call.func.value  # type: ignore[attr-defined]
        reaching = code.names.reaching(receiver) if isinstance(receiver, ast.Name) else ()
        if len(call.args) > 1 and any(each.node is assign for each in reaching):
            return call
    return None


def _is_in_forward(code: Code, node: ast.AST) -> bool:
    held = code.modules.around(node)
    return held is not None and (held[1].name == "score" or code.modules.runs_in_forward(*held))


def _of_indices(code: Code, squeeze: ast.Call, use: ast.AST) -> Problem:
    operand = squeeze.func.value  # type: ignore[attr-defined]
    name = last_name(use) or "the result"
    return code.problem(
        squeeze,
        f"With exactly one hit `squeeze()` leaves no dimension, and `{name}` has no length to take at line "
        f"{getattr(use, 'lineno', squeeze.lineno)}: name the dimension.",
        fix=[code.source.replace(squeeze, f"{code.source.of(operand)}.squeeze(-1)")],
        related=[(use, "takes it as a list")] if use is not squeeze else [],
    )


def _of_batch(code: Code, squeeze: ast.Call, dimension: str) -> Problem:
    operand = squeeze.func.value  # type: ignore[attr-defined]
    swapped = _swapped_later(code, squeeze)
    if swapped is not None:
        return code.problem(
            squeeze,
            f"A batch of one loses its batch dimension too, and line {swapped.lineno} finds none to swap: "
            f"`squeeze({dimension})` takes only the one that is meant.",
            fix=[code.source.replace(squeeze, f"{code.source.of(operand)}.squeeze({dimension})")],
            related=[(swapped, "needs both dimensions")],
        )
    return code.problem(
        squeeze,
        f"A batch of one loses its batch dimension here: `squeeze({dimension})` takes only the one that is meant.",
        fix=[code.source.replace(squeeze, f"{code.source.of(operand)}.squeeze({dimension})")],
        tier=Tier.ADVICE,
    )
