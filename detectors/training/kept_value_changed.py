"""A value that is kept is changed in place

`total = loss` and `losses.append(loss)` keep the tensor itself, not a copy, and `loss += penalty` changes that tensor.
What is kept under the first name shows the sum: the log gives the wrong number, and what is added up later counts the
addition twice.

❌
```python
import torch.nn.functional as F


def training_loss(model, batch, weight, log):
    loss = F.cross_entropy(model(batch["x"]), batch["y"])
    log["task"] = loss
    loss += weight * model.penalty()  # ❌
    log["total"] = loss
    return loss
```

✅
```python
import torch.nn.functional as F


def training_loss(model, batch, weight, log):
    loss = F.cross_entropy(model(batch["x"]), batch["y"])
    log["task"] = loss
    loss = loss + weight * model.penalty()
    log["total"] = loss
    return loss
```

https://docs.python.org/3/reference/simple_stmts.html#augmented-assignment-statements
https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

import ast
from collections.abc import Iterator

from detectors import Binding, Bound, Code, Kind, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("torch", "+=|-=|*=|/=")

_OPERATIONS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS = frozenset(
    ["mean", "sum", "stack", "cat", "zeros", "ones", "matmul", "bmm", "einsum", "norm", "tensor", "where"]
)
_KEEPS = ("append", "insert", "setdefault", "appendleft")


def detect(code: Code) -> Iterator[Problem]:
    """Tensors that a list, a dict or a second name keeps, and that are changed in place while they are kept."""
    if code.is_test:
        return
    told = set[ast.stmt]()
    for update in code.tree.all(ast.AugAssign):
        target = update.target
        if not isinstance(target, ast.Name) or type(update.op) not in _OPERATIONS:
            continue
        kept = _kept_before(code, update, target)
        if kept is None or kept[0] in told or not _is_tensor(code, kept[1]):
            continue
        place, _, keeper = kept
        if not _is_read_after(code, keeper, update):
            continue
        told.add(place)
        sign = _OPERATIONS[type(update.op)]
        operand = code.source.of(update.value)
        operand = f"({operand})" if isinstance(update.value, (ast.BinOp, ast.IfExp)) and sign in "*/-" else operand
        yield code.problem(
            update,
            f"`{code.name(keeper)}` keeps the tensor `{target.id}` itself since line {place.lineno}, and this changes "
            f"it in place: `{code.name(keeper)}` shows the changed value.",
            fix=[code.source.replace(update, f"{target.id} = {target.id} {sign} {operand}")]
            if "\n" not in operand
            else [],
            related=[(place, "kept here")],
        )


def _is_tensor(code: Code, name: ast.Name) -> bool:
    """Whether the name holds a tensor for certain: one with a graph, or what torch or a criterion gave."""
    if code.tensors.is_attached(name):
        return True
    made = [each.value for each in code.names.reaching(name) if each.how is Bound.ASSIGNMENT and not each.index]
    return any(isinstance(each, ast.Call) and _gives_tensor(code, each) for each in made)


def _gives_tensor(code: Code, call: ast.Call) -> bool:
    module, _, last = (code.origin(call) or "").rpartition(".")
    if module == "torch.nn.functional" or (module == "torch" and last in _FUNCTIONS):
        return True
    return code.kind(call.func) is Kind.CRITERION and code.values.is_strong(call.func)


def _kept_before(code: Code, update: ast.AugAssign, target: ast.Name) -> tuple[ast.stmt, ast.Name, ast.expr] | None:
    """The statement that keeps the very tensor, before it on every way to the change: where, the value, its keeper."""
    found = None
    held = _made(code, target)
    for statement in _earlier(code, update):
        stored = _stored(statement)
        if stored is None or stored[0].id != target.id:
            continue
        if held and _made(code, stored[0]) == held:
            found = (statement, *stored)
    return found


def _made(code: Code, name: ast.Name) -> set[Binding]:
    """The assignments that gave the name its object, changed in place or not since; none where there may be others."""
    bindings = code.names.reaching(name)
    if any(each.how not in (Bound.ASSIGNMENT, Bound.UPDATE) for each in bindings):
        return set()
    return {each for each in bindings if each.how is Bound.ASSIGNMENT}


def _earlier(code: Code, update: ast.AugAssign) -> Iterator[ast.stmt]:
    """The statements that have certainly run before: those before it in its block and in the blocks around it."""
    node: ast.stmt = update
    while True:
        yield from (each for each in code.tree.block(node) if each.lineno < node.lineno)
        above = next((each for each in code.tree.ancestors(node) if isinstance(each, ast.stmt)), None)
        if not isinstance(above, (ast.If, ast.With, ast.Try, ast.For, ast.While)):
            return
        node = above


def _stored(statement: ast.stmt) -> tuple[ast.Name, ast.expr] | None:
    """The name whose value a statement keeps as it is, and what keeps it."""
    match statement:
        case ast.Assign(
            targets=[ast.Subscript(value=keeper, slice=ast.JoinedStr() | ast.Constant(value=str()))],
            value=ast.Name() as value,
        ):  # a number may index a tensor, which takes a copy
            return value, keeper
        case ast.Assign(targets=[ast.Name() as keeper], value=ast.Name() as value):
            return value, keeper
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr, value=keeper), args=[*_, ast.Name() as value])):
            return (value, keeper) if attr in _KEEPS else None
    return None


def _is_read_after(code: Code, keeper: ast.expr, update: ast.AugAssign) -> bool:
    """Whether the keeper is looked at once the tensor was changed."""
    if not isinstance(keeper, ast.Name) or any(isinstance(each.node, ast.arg) for each in code.names.reaching(keeper)):
        return True
    function = code.tree.function(update)
    loops = code.tree.loops(update)
    return any(
        each.id == keeper.id
        and isinstance(each.ctx, ast.Load)
        and code.tree.function(each) is function
        and not _is_kept_again(code, each)
        and (each.lineno > (update.end_lineno or update.lineno) or any(code.tree.inside(each, loop) for loop in loops))
        for each in code.tree.all(ast.Name)
    )


def _is_kept_again(code: Code, use: ast.Name) -> bool:
    """Whether the use only puts something into it."""
    parent = code.tree.parents.get(use)
    if isinstance(parent, ast.Attribute):
        return parent.attr in _KEEPS
    return isinstance(parent, ast.Subscript) and not isinstance(parent.ctx, ast.Load) and last_name(parent) != ""
