"""Softmax or argmax over the wrong dimension

With `dim=0` on a batch, softmax normalises each class over the examples: the probabilities of one example do not sum
to one, and they change with whoever else is in the batch. An `argmax` over dimension 0 picks an example for each
class, not a class for each example. With no `dim` at all PyTorch guesses from the number of dimensions (0 for one or
three, 1 for two or four).

❌
```python
import torch.nn.functional as F

for images, labels in test_loader:
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    probabilities = F.softmax(logits)  # ❌
    predictions = logits.argmax(dim=0)  # ❌
    correct += (predictions == labels).sum().item()
```

✅
```python
import torch.nn.functional as F

for images, labels in test_loader:
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    probabilities = F.softmax(logits, dim=1)
    predictions = logits.argmax(dim=1)
    correct += (predictions == labels).sum().item()
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html
https://docs.pytorch.org/docs/stable/generated/torch.argmax.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Change, Code, Kind, Loss, Problem, Tier, last_name, root_of

TIER = Tier.RISK
WORDS = ("oftmax|oftmin|argmax|max(",)
_FUNCTIONS = ("torch.nn.functional.softmax", "torch.nn.functional.log_softmax", "torch.nn.functional.softmin")
_MODULES = ("torch.nn.Softmax", "torch.nn.LogSoftmax", "torch.nn.Softmin")
_LABELS = re.compile(r"(^|_)(labels?|targets?|targ|truth|y|ys|y_true)(_batch|_\w)?$", re.I)
_TRUTH = frozenset(["y_true", "references", "ground_truth"])
_WANTS_CLASSES = re.compile(r"(^|_)(eval\w*|acc|accuracy|measure\w*|metrics?|decode)(_|$)", re.I)
_OVER_CLASSES = ("cross_entropy", "nll_loss")


def detect(code: Code) -> Iterator[Problem]:
    """Softmaxes without a dimension, and softmaxes and predictions over the batch."""
    yield from _implicit(code)
    yield from _over_the_batch(code)
    yield from _predictions(code)


def _implicit(code: Code) -> Iterator[Problem]:
    for call in (*code.calls(*_FUNCTIONS), *code.calls(*_MODULES)):
        position = 1 if code.origin(call) in _FUNCTIONS else 0
        if code.may_have(call, "dim", position) or (position == 1 and not call.args):
            continue
        yield code.problem(
            call,
            f"`{code.name(call)}` names no dimension: PyTorch takes 0 for one or three dimensions and 1 "
            "otherwise, so the same "
            "line normalises over another axis when the shape changes.",
            mend=[code.source.set_keyword(call, "dim", "-1")],
        )


def _softmaxes(code: Code) -> Iterator[tuple[ast.Call, ast.expr, object]]:
    for call in code.tree.all(ast.Call):
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if last not in ("softmax", "log_softmax") or code.activations.function_origin(call) != last:
            continue
        operand = code.axes.operand(call)
        if operand is not None:
            yield call, operand, code.axes.dimension(call)


def _over_the_batch(code: Code) -> Iterator[Problem]:
    softmaxes = list(_softmaxes(code))
    for call, operand, dim in softmaxes:
        if dim != 0:
            continue
        rows = code.axes.rows(operand, doing="softmax")
        why = (
            (rows.why if rows is not None and rows.certain else None)
            or _sibling(code, call, operand, softmaxes)
            or _judged(code, call)
            or _takes_a_class(code, call)
            or _is_attention(code, call, operand)
            or _model_runs_on_batches(code, call)
        )
        if why is not None:
            yield _normalises(code, call, why)
    for made in code.calls(*_MODULES):
        why = _runs_on_batches(code, made) if _constant(code, made) == 0 else None
        if why is not None:
            yield _normalises(code, made, why)


def _normalises(code: Code, call: ast.Call, why: str) -> Problem:
    return code.problem(
        call,
        f"`{code.name(call)}` normalises over the batch: {why}, so dimension 0 counts examples and each one's "
        "probabilities depend on the others.",
        mend=[_over_classes(code, call)],
    )


def _constant(code: Code, made: ast.Call) -> object:
    dim = code.argument(made, "dim", 0)
    return code.values.only(dim).constant if dim is not None else None


def _runs_on_batches(code: Code, made: ast.Call) -> str | None:
    """Why the layer runs over a batch: what it, or the `Sequential` that it ends, is given."""
    above = code.tree.parents.get(made)
    sequential = isinstance(above, ast.Call) and code.origin(above) == "torch.nn.Sequential"
    layer = above if sequential and isinstance(above, ast.Call) else made
    for run in code.tree.all(ast.Call):
        if not run.args or code.origin(run) is not None or all(v.call is not layer for v in code.values.of(run.func)):
            continue
        rows = code.axes.rows(run.args[0], doing="softmax")
        if rows is not None and rows.certain:
            return rows.why
        why = _judged(code, run) or _model_runs_on_batches(code, run)
        if why is not None:
            return why
    return None


def _over_classes(code: Code, call: ast.Call) -> Change | None:
    for keyword in call.keywords:
        if keyword.arg in ("dim", "axis"):
            return code.source.replace(keyword.value, "1")
    dim = code.argument(call, "dim", 0 if code.origin(call) is None else 1)
    return code.source.replace(dim, "1") if dim is not None else None


def _sibling(
    code: Code, call: ast.Call, operand: ast.expr, softmaxes: list[tuple[ast.Call, ast.expr, object]]
) -> str | None:
    """Another softmax in the same statement, of the same model's output, over the classes."""
    statement = code.tree.statement(call)
    made = _model_of(code, operand)
    if made is None:
        return None
    for other, its_operand, dim in softmaxes:
        beside = other is not call and code.tree.statement(other) is statement
        if beside and dim in (1, -1) and _model_of(code, its_operand) == made:
            return f"`{code.name(other)}` takes the classes of the same model's output from dimension {dim}"
    return None


def _judged(code: Code, call: ast.Call) -> str | None:
    """The loss that takes the classes of this very softmax from dimension 1."""
    for loss in code.activations.losses:
        if loss.name in ("nll_loss", "cross_entropy") and code.activations.of(loss.input).node is call:
            return f"line {loss.call.lineno} takes the loss of it with the classes in dimension 1"
    return None


def _takes_a_class(code: Code, call: ast.Call) -> str | None:
    """`softmax(logits, dim=0)[:, 1]`: a class is taken from dimension 1."""
    above = code.tree.parents.get(call)
    match above:
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Constant(value=int() as one)])):
            return f"class {one} is taken from dimension 1"
    return None


def _is_attention(code: Code, call: ast.Call, operand: ast.expr) -> str | None:
    """Scores of queries and keys, or weights of a batched product: dimension 0 is no axis to attend over."""
    for step in code.provenance.trace(operand):
        node = step.node
        if isinstance(node, ast.Call) and code.activations.function_origin(node) == "bmm":
            return f"`{code.name(node)}` is a batch of products"
        factors = node.args if isinstance(node, ast.Call) and last_name(node.func) == "matmul" else []
        factors = [node.right] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) else factors
        if any(_swaps_last(each) for each in factors):
            return f"line {node.lineno} makes scores of queries and keys"
    statement = code.tree.statement(call)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and statement.value is call:
        for product in code.method_calls("bmm"):
            if code.tree.function(product) is code.tree.function(call) and any(
                isinstance(each, ast.Name) and each.id == statement.targets[0].id for each in product.args
            ):
                return f"`{code.name(product)}` is a batch of products"
    return None


def _swaps_last(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "transpose":
        return False
    return {ast.unparse(each) for each in node.args} in ({"-1", "-2"}, {"1", "2"}, {"2", "3"})


def _model_runs_on_batches(code: Code, call: ast.Call) -> str | None:
    """The call that gives the model of this `forward` a batch of a loader, or of one."""
    function = code.tree.function(call)
    owner = code.tree.class_of(function) if function is not None else None
    if function is None or owner is None or function.name != "forward":
        return None
    if not isinstance(code.tree.statement(call), (ast.Return, ast.Assign)):
        return None
    for run in code.axes.runs.get(owner, ()):
        single = code.axes.one_row(run)
        if single is not None:
            return single
        steps = code.provenance.trace(run.args[0]) if isinstance(run.args[0], ast.Name) else ()
        if any(isinstance(each.node, ast.Name) and code.axes.is_batch(each.node) for each in steps):
            return f"line {run.lineno} gives the model the batches of a loader"
    return None


def _model_of(code: Code, operand: ast.expr) -> str | None:
    """The text of what was called for the operand, where that is a model."""
    calls = {each.value for each in code.names.reaching(operand)} if isinstance(operand, ast.Name) else {operand}
    called = {
        ast.unparse(each.func) for each in calls if isinstance(each, ast.Call) and code.kind(each.func) is Kind.MODEL
    }
    return called.pop() if len(called) == 1 and len(calls) == 1 else None


def _predictions(code: Code) -> Iterator[Problem]:
    for call in code.tree.all(ast.Call):
        operand = code.axes.operand(call) if _is_argmax(call) and code.axes.dimension(call) == 0 else None
        why = _why_wrong(code, call, operand) if operand is not None else None
        if operand is None or why is None:
            continue
        losses = [each for each in code.activations.losses if each.name in _OVER_CLASSES and _same(code, each, operand)]
        yield code.problem(
            call,
            f"`{code.name(operand)}` {why}, but `{code.name(call)}` picks along the batch: this is no class for each "
            "example.",
            mend=[_over_classes(code, call)],
            related=[(losses[0].call, "the loss of the same output")] if losses else [],
            tier=Tier.BUG,
        )


def _why_wrong(code: Code, call: ast.Call, operand: ast.expr) -> str | None:
    """Why a choice along dimension 0 is none of a class, where the result is used as one."""
    rows = code.axes.rows(operand, doing="argmax")
    argmax = last_name(call.func) == "argmax"
    if rows is not None and rows.single and argmax:
        return f"holds one row ({rows.why})"
    if rows is not None and rows.certain and argmax and rows.step:
        return f"holds the scores of each sequence ({rows.why})"
    if _is_measured(code, call):
        return "holds scores for each row, and the metric wants a class for each row"
    if _picks_per_row(code, call):
        return "holds scores for each row, and its choice is one index for each row"
    if not _is_compared(code, call):
        return None
    if rows is not None:
        return f"has its examples in dimension 0 ({rows.why})"
    counted = not _is_item(operand) and not code.axes.mixed(operand) and _is_counted(code, call)
    return "holds scores for each of the labels it is compared with" if counted else None


def _is_item(operand: ast.expr) -> bool:
    """One example taken out of a batch: its dimension 0 holds the classes."""
    match operand:
        case ast.Subscript(slice=ast.Constant(value=int())) | ast.Call(func=ast.Attribute(attr="squeeze")):
            return True
    return False


def _picks_per_row(code: Code, call: ast.Call) -> bool:
    """`values[range(len(values)), scores.argmax(0)]`: one index for each row is wanted."""
    match code.tree.parents.get(call):
        case ast.Tuple(elts=[ast.Call() as rows, second]) as pair if second is call:
            return last_name(rows.func) in ("range", "arange") and isinstance(
                code.tree.parents.get(pair), ast.Subscript
            )
    return False


def _is_measured(code: Code, call: ast.Call) -> bool:
    """Whether the result goes to a metric beside the truth: one of scikit-learn, or under names such as `y_true`."""
    above: ast.AST | None = code.tree.parents.get(call)
    while isinstance(above, ast.Attribute) or (isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute)):
        if isinstance(above, ast.Call) and _is_metric(code, above):
            return True
        above = code.tree.parents.get(above)
    if isinstance(above, ast.Dict):
        keys = {each.value for each in above.keys if isinstance(each, ast.Constant)}
        return bool(keys & _TRUTH)
    if isinstance(above, ast.Call):
        return _is_metric(code, above)
    names = _assigned(code, call)
    metrics = (each for each in code.tree.all(ast.Call) if names and _is_metric(code, each))
    return any(
        isinstance(each, ast.Name) and each.id in names
        for metric in metrics
        if code.tree.function(metric) is code.tree.function(call)
        for each in (*metric.args, *(keyword.value for keyword in metric.keywords))
    )


def _is_metric(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    return origin.startswith("sklearn.metrics.") or bool({each.arg for each in call.keywords} & _TRUTH)


def _assigned(code: Code, call: ast.Call) -> set[str]:
    """The names that the result gets."""
    statement = code.tree.statement(call)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _is_counted(code: Code, call: ast.Call) -> bool:
    """Whether the result's equality with something named labels is summed or averaged: both have an entry for "
    "each item."""
    function, statement = code.tree.function(call), code.tree.statement(call)
    names = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for equality in code.tree.all(ast.Compare, ast.Call):
        if code.tree.function(equality) is not function:
            continue
        sides = _sides(equality)
        mine = [each for each in sides if code.tree.inside(call, each) or last_name(root_of(each)) in names]
        others = [each for each in sides if each not in mine]
        labels = [
            each for each in others if _LABELS.search(last_name(each)) or _LABELS.search(last_name(root_of(each)))
        ]
        above = code.tree.parents.get(equality)
        if isinstance(above, ast.Assign) and len(above.targets) == 1:
            kept = [each for each in code.tree.all(ast.Attribute) if _is_same_name(each.value, above.targets[0])]
            above = next((each for each in kept if code.tree.function(each) is function), None)
        how = above.attr if isinstance(above, ast.Attribute) else ""
        how = last_name(above.func) if isinstance(above, ast.Call) else how
        if mine and labels and how in ("sum", "mean", "float"):
            return True
    return False


def _is_same_name(first: ast.expr, second: ast.expr) -> bool:
    return isinstance(first, ast.Name) and isinstance(second, ast.Name) and first.id == second.id


def _sides(node: ast.Compare | ast.Call) -> list[ast.expr]:
    """The two sides of `a == b`, `a.eq(b)` and `torch.eq(a, b)`; nothing for what is no equality."""
    match node:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return [left, right]
        case ast.Call(func=ast.Attribute(attr="eq", value=left), args=[right]):
            return [left, right]
        case ast.Call(func=ast.Attribute(attr="eq"), args=[left, right]):
            return [left, right]
    return []


def _is_argmax(call: ast.Call) -> bool:
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return last in ("argmax", "max")


def _same(code: Code, loss: Loss, operand: ast.expr) -> bool:
    if not isinstance(loss.input, ast.Name) or not isinstance(operand, ast.Name):
        return False
    return code.names.reaching(loss.input) == code.names.reaching(operand)


def _is_compared(code: Code, call: ast.Call) -> bool:
    """Whether the result is compared with something: `== labels`, `.eq(labels)`."""
    above: ast.AST | None = code.tree.parents.get(call)
    while isinstance(above, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(above, ast.Attribute) and above.attr in ("eq", "equal"):
            return True
        above = code.tree.parents.get(above)
    if isinstance(above, ast.Compare):
        return True
    names = _assigned(code, call)
    function = code.tree.function(call)
    for node in code.tree.all(ast.Compare, ast.Call):
        if code.tree.function(node) is not function:
            continue
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if isinstance(node, ast.Call) and _WANTS_CLASSES.search(last_name(node.func)):
            sides = [each for each in node.args if isinstance(each, ast.Name)]
        if isinstance(node, ast.Call) and (code.origin(node) or ast.unparse(node.func)).endswith(
            ("eq", "accuracy_score")
        ):
            sides = [*node.args, getattr(node.func, "value", node.func)]
        if any(isinstance(part, ast.Name) and part.id in names for side in sides for part in ast.walk(side)):
            return True
    return False
