"""A loss is kept together with its graph

A loss that is appended to a list or added to a running total keeps the autograd graph it was computed with. The
graphs of all batches stay alive for as long as the list or the total does, and memory grows until it runs out.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = 0.0
for images, labels in loader:
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss  # ❌
print(total / len(loader))
```

✅
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = 0.0
for images, labels in loader:
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
print(total / len(loader))
```

https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory
"""

import ast
from collections.abc import Iterator

from detectors import Bound, Code, Function, Loop, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("backward|detach()|ignite", "append|+|[|dict(")
_NUMERIC = frozenset(["mean", "sum", "clamp", "abs", "pow", "sqrt", "to", "float", "view", "reshape", "flatten"])
_OF_TENSORS = frozenset(["item", "detach", "mean", "cpu", "numpy", "tolist", "to", "data", "float", "backward", "view"])


def detect(code: Code) -> Iterator[Problem]:
    """Values that were back-propagated and are then added to something that outlives the iteration; what a metric of
    ignite adds up as it comes; the one statistic of a dict that is not detached."""
    if code.is_test:
        return
    yield from _of_iterations(code)
    yield from _of_metrics(code)
    yield from _of_statistics(code)


def _of_iterations(code: Code) -> Iterator[Problem]:
    for node, keeper, kept in code.keeping.kept() if "backward" in code.text else ():
        if not isinstance(node, ast.Call) and code.gradients.on(node) is False:
            continue  # what is computed or copied without gradients has no graph
        backward = code.tensors.spent_by(kept) or _of_the_same_call(code, keeper, kept)
        if backward is None or code.argument(backward, "retain_graph") is not None or _is_rebound(code, backward, kept):
            continue
        loop = _repeated(code, node, backward)
        if code.gradients.backpropagated_by(keeper) is not None or not code.keeping.outlives(keeper, loop, node):
            continue
        if "mxnet" in code.packages or "paddle" in code.packages or _is_given_back(code, keeper, backward):
            continue
        for place, value in _places(code, node, kept):
            leaves = code.tensors.attached_leaves(value)
            named = [each for each in leaves if isinstance(each, (ast.Name, ast.Attribute, ast.Call))]
            is_whole = len(named) == len(leaves) and not any("\n" in code.source.of(each) for each in leaves)
            is_whole = is_whole and not any(_is_mapping(code, each) for each in leaves)
            cut = "detach" if _is_used_as_tensor(code, keeper) else "item"
            fix = [code.source.replace(each, f"{code.source.of(each)}.{cut}()") for each in leaves] if is_whole else []
            what = " and ".join(f"`{code.name(each)}`" for each in leaves[:2])
            yield code.problem(
                place,
                f"`{code.name(keeper)}` keeps {what} with the graph of every batch, so memory grows as long as "
                f"`{code.name(keeper)}` lives.",
                fix=fix,
                related=[(backward, "the gradients were computed here")],
            )


def _of_the_same_call(code: Code, keeper: ast.expr, kept: ast.expr) -> ast.Call | None:
    """The backward of what the same call gave before, where this one is added up for a report and nothing else."""
    bindings = code.names.reaching(kept) if isinstance(kept, ast.Name) else ()
    backward = code.gradients.like_backpropagated(bindings[0]) if len(bindings) == 1 else None
    if backward is None or not isinstance(keeper, ast.Name):
        return None
    function = code.tree.function(keeper)
    uses = (each for each in code.tree.all(ast.Name) if each.id == keeper.id and isinstance(each.ctx, ast.Load))
    places = [code.tree.statement(each) for each in uses if code.tree.function(each) is function]
    return backward if places and all(_is_report(each) for each in places) else None


def _is_report(statement: ast.stmt) -> bool:
    """`print("error", total / count)`, `logger.info(…)`."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr))):
            return attr in ("info", "debug", "log", "add_scalar", "write")
    return False


def _is_given_back(code: Code, keeper: ast.expr, backward: ast.Call) -> bool:
    """Whether the caller gets the sum and says itself who computes the gradients: `if backward: loss.backward()`."""
    function = code.tree.function(backward)
    if function is None or not isinstance(keeper, ast.Name) or code.tree.function(keeper) is not function:
        return False
    given = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
    tests = [each.test for each in code.tree.ancestors(backward) if isinstance(each, ast.If)]
    asked = {part.id for test in tests for part in ast.walk(test) if isinstance(part, ast.Name)}
    returned = (each.value for each in code.values.calls.returns(function))
    return bool(asked & given) and any(isinstance(each, ast.Name) and each.id == keeper.id for each in returned)


def _is_rebound(code: Code, backward: ast.Call, kept: ast.expr) -> bool:
    """Whether the block of the backward gives the name another value after it: `loss = loss.detach()`."""
    if not isinstance(kept, ast.Name):
        return False
    statement = code.tree.statement(backward)
    later = (each for each in code.tree.block(statement) if each.lineno > statement.lineno)
    return any(
        isinstance(each, ast.Assign)
        and each.lineno < kept.lineno
        and any(isinstance(target, ast.Name) and target.id == kept.id for target in each.targets)
        and not code.tensors.is_attached(each.value)
        for each in later
    )


def _is_used_as_tensor(code: Code, keeper: ast.expr) -> bool:
    """Whether a number would not do in the keeper's place: it is stacked, returned, or its methods are called."""
    root = code.keeping.container(keeper)
    text = ast.unparse(root)
    for use in code.tree.all(type(root)):
        if ast.unparse(use) != text or not isinstance(getattr(use, "ctx", None), ast.Load):
            continue
        for above in code.tree.ancestors(use):
            if isinstance(above, ast.Call) and (code.origin(above) or "").startswith("torch."):
                if not (code.origin(above) or "").endswith(("ensor", "save")):
                    return True
            elif isinstance(above, ast.Return) or (isinstance(above, ast.Attribute) and above.attr in _OF_TENSORS):
                return True
            elif isinstance(above, ast.stmt):
                break
    return False


def _repeated(code: Code, node: ast.AST, backward: ast.Call) -> Loop | None:
    """The loop that computes and keeps the value: the innermost around both, or around the keeping alone where the
    backward is in another function."""
    loops = code.tree.loops(node)
    both = [each for each in loops if code.tree.inside(backward, each)]
    found = both or loops
    return found[0] if found else None


def _is_mapping(code: Code, node: ast.expr) -> bool:
    """Whether the file takes parts by name from what the value holds: no `.item()` of it."""
    text, function = ast.unparse(node), code.tree.function(node)
    return any(
        isinstance(each.slice, ast.Constant)
        and isinstance(each.slice.value, str)
        and code.tree.function(each) is function
        and ast.unparse(each.value) == text
        for each in code.tree.all(ast.Subscript)
    )


def _places(code: Code, node: ast.stmt | ast.Call, kept: ast.expr) -> list[tuple[ast.AST, ast.expr]]:
    """Where the value is handed over with its graph: the keeping itself, or the calls of the function that keeps it."""
    for leaf in code.tensors.attached_leaves(kept):
        if isinstance(leaf, ast.Name):
            function = code.tree.function(leaf)
            for binding in code.names.reaching(leaf):
                if isinstance(binding.node, ast.arg) and binding.scope is function and function is not None:
                    given = [
                        (call, code.values.calls.argument_for(function, call, binding.name))
                        for call in code.values.calls.sites(function)
                    ]
                    return [(call, each) for call, each in given if each is not None and code.tensors.spent_by(each)]
    return [(node, kept)]


# -- metrics of ignite ------------------------------------------------------------------------------------------


def _of_metrics(code: Code) -> Iterator[Problem]:
    """`update` of an ignite metric that adds up what it computes from the output, with the output's graph."""
    for owner in code.tree.all(ast.ClassDef) if "ignite" in code.text else ():
        if not any(each.startswith("ignite.") and "etric" in each for each in code.values.classes.bases(owner)):
            continue
        for method in owner.body:
            if not isinstance(method, ast.FunctionDef) or method.name != "update":
                continue
            given = {each.arg for each in method.args.args[1:]}
            for update in (each for each in code.tree.below(method) if isinstance(each, ast.AugAssign)):
                is_own = isinstance(update.target, ast.Attribute) and ast.unparse(update.target.value) == "self"
                if is_own and isinstance(update.op, ast.Add) and _computes_from(code, update.value, given):
                    yield code.problem(
                        update,
                        f"`{code.name(update.target)}` adds up what is computed from `{min(given)}` with its graph: "
                        "attached to a trainer, it keeps the graph of every batch. ignite leaves detaching to the "
                        "metric.",
                        tier=Tier.RISK,
                    )


def _computes_from(code: Code, value: ast.expr, given: set[str]) -> bool:
    """Whether arithmetic and functions of torch lead from the prediction, the output's first part, to the value."""
    return code.gradients.on(value) is not False and any(
        binding.how is Bound.PART
        and binding.index == (0,)
        and isinstance(binding.value, ast.Name)
        and binding.value.id in given
        for each in _summed(code, value)
        for binding in code.names.reaching(each)
    )


# -- statistics beside a loss -----------------------------------------------------------------------------------


def _of_statistics(code: Code) -> Iterator[Problem]:
    """Entries of one dict, all detached but one, which is a term of the loss that the function returns."""
    if code.text.count("detach()") < 2:
        return
    groups: dict[tuple[Function | None, str], list[ast.expr]] = {}
    for assign in code.tree.all(ast.Assign):
        target = assign.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            groups.setdefault((code.tree.function(assign), target.value.id), []).append(assign.value)
    for call in code.calls("builtins.dict"):
        groups[code.tree.function(call), str(call.lineno)] = [each.value for each in call.keywords if each.arg]
    for display in code.tree.all(ast.Dict):
        groups[code.tree.function(display), str(display.lineno)] = [*display.values]
    for (function, _), values in groups.items():
        if function is None or sum(map(_is_detached, values)) < 2:
            continue
        for value in values:
            name = _reduced(value)
            if name is not None and code.gradients.on(value) is not False and _is_term_of_loss(code, function, name):
                yield code.problem(
                    value,
                    f"`{code.name(name)}` is a term of the loss and goes among the statistics with its graph, where "
                    "the others are detached: as long as they are kept, so is the graph.",
                    fix=[code.source.replace(name, f"{name.id}.detach()")],
                    tier=Tier.RISK,
                )


def _is_detached(value: ast.expr) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr in ("detach", "item") for each in ast.walk(value))


def _reduced(value: ast.expr) -> ast.Name | None:
    """The name that is stored as it is, or after a mean, a sum or a move."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and not value.args:
        if value.func.attr not in ("mean", "sum", "cpu", "float", "clone"):
            return None
        value = value.func.value
    return value if isinstance(value, ast.Name) else None


def _is_term_of_loss(code: Code, function: Function, name: ast.Name) -> bool:
    """Whether the loss that the function returns first was computed from the same value."""
    bindings = set(code.names.reaching(name))
    if not bindings or any(each.value is None for each in bindings):
        return False
    for statement in code.values.calls.returns(function):
        value = statement.value
        first = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else None
        names = list(_summed(code, first)) if isinstance(first, ast.Name) and "loss" in first.id else []
        if any(each.id == name.id and bindings & set(code.names.reaching(each)) for each in names):
            return True
    return False


def _summed(code: Code, loss: ast.expr) -> Iterator[ast.Name]:
    """The names that the loss is computed from by arithmetic and functions of torch, but not what it is divided by."""
    rest, seen = [loss], set[ast.AST]()
    while rest:
        node = rest.pop()
        if node in seen:
            continue
        seen.add(node)
        match node:
            case ast.Name():
                yield node
                made = (each for each in code.names.reaching(node) if each.how in (Bound.ASSIGNMENT, Bound.UPDATE))
                rest += [each.value for each in made if each.value is not None]
            case ast.BinOp(op=ast.Div(), left=left):
                rest.append(left)
            case ast.BinOp(left=left, right=right):
                rest += [left, right]
            case ast.UnaryOp(operand=operand):
                rest.append(operand)
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _NUMERIC and code.origin(node) is None:
                rest.append(value)
            case ast.Call(func=func, args=[first, *_]) if last_name(func) in ("masked_mean", "masked_sum", "mean"):
                rest.append(first)
            case ast.Call(args=given) if (code.origin(node) or "").startswith("torch."):
                rest += given
