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

from detectors import Change, Code, Kind, Loss, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("oftmax|oftmin|argmax|max(",)
_FUNCTIONS = ("torch.nn.functional.softmax", "torch.nn.functional.log_softmax", "torch.nn.functional.softmin")
_MODULES = ("torch.nn.Softmax", "torch.nn.LogSoftmax", "torch.nn.Softmin")
_CLASSES = re.compile(r"(^|[ _])(pred\w*|labels?|class(es)?|y_hats?)( |_|$)", re.I)
_PREDICTED = re.compile(r"(^|[ _])(pred(s|icted|ictions?)?|y_hats?)( |_|$)", re.I)
_TAKES = ("max", "argmax", "gather", "topk")
_OVER_CLASSES = ("cross_entropy", "nll_loss")


def detect(code: Code) -> Iterator[Problem]:
    """Softmaxes without a dimension, and softmaxes and predictions over the batch."""
    if not code.is_test:
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
            mend=[code.source.set_keyword(call, "dim", "1" if _is_of_images(code, call) else "-1")],
        )


def _is_of_images(code: Code, call: ast.Call) -> bool:
    """Whether a convolution gives what is normalised: its classes are in dimension 1."""
    operand = call.args[0] if call.args else None
    written = [each.value for each in code.names.reaching(operand)] if isinstance(operand, ast.Name) else [operand]
    return any(
        isinstance(each, ast.Call)
        and any(re.match(r"torch\.nn\.Conv\dd$", value.origin or "") for value in code.values.of(each.func))
        for each in written
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
            moved = code.axes.moved_from_front(operand, dim)
            if moved is not None and code.activations.function_origin(moved) == "bmm":
                yield _normalises_moved(code, call, moved)
            continue
        rows = code.axes.rows(operand, doing="softmax")
        why = (
            (rows.why if rows is not None and rows.certain else None)
            or _sibling(code, call, operand, softmaxes)
            or _judged(code, call)
            or _takes_a_class(code, call)
            or _is_attention(code, call, operand)
            or _model_runs_on_batches(code, call)
            or code.axis_uses.of_probabilities(call)
            or code.distributions.batch_said(call)
        )
        if why is not None:
            yield _normalises(code, call, why)
            continue
        another = code.distributions.along_another(call)
        if another is not None:
            yield _disagrees(code, call, another)
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


def _normalises_moved(code: Code, call: ast.Call, product: ast.Call) -> Problem:
    return code.problem(
        call,
        f"`{code.name(call)}` normalises over what was dimension 0 before it was transposed: `{code.name(product)}` is "
        "a batch of products, so that dimension counts examples and each one's probabilities depend on the others.",
        related=[(product, "the batch is in front here")],
    )


def _disagrees(code: Code, call: ast.Call, another: str) -> Problem:
    return code.problem(
        call,
        f"`{code.name(call)}` normalises over dimension 0, but {another}: there, the entries that are taken together "
        "do not sum to one.",
        mend=[_over_classes(code, call, "-1")],
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
        why = _judged(code, run) or _is_attention(code, run, run.args[0]) or _model_runs_on_batches(code, run)
        why = why or code.axis_uses.of_probabilities(run)
        if why is not None:
            return why
    return None


def _over_classes(code: Code, call: ast.Call, classes: str = "1") -> Change | None:
    for keyword in call.keywords:
        if keyword.arg in ("dim", "axis"):
            return code.source.replace(keyword.value, classes)
    dim = code.argument(call, "dim", 0 if code.origin(call) is None else 1)
    return code.source.replace(dim, classes) if dim is not None else None


def _sibling(
    code: Code, call: ast.Call, operand: ast.expr, softmaxes: list[tuple[ast.Call, ast.expr, object]]
) -> str | None:
    """Another softmax over the classes in the same statement: of the same model's output, or one that is compared."""
    made, above = _model_of(code, operand), code.tree.parents.get(call)
    for other, its_operand, dim in softmaxes:
        if other is call or dim not in (1, -1):
            continue
        if isinstance(above, ast.Call) and code.tree.parents.get(other) is above:
            return f"`{code.name(other)}`, which it is compared with, has its classes in dimension {dim}"
        beside = code.tree.statement(other) is code.tree.statement(call)
        if made is not None and beside and _model_of(code, its_operand) == made:
            return f"`{code.name(other)}` takes the classes of the same model's output from dimension {dim}"
    return None


def _judged(code: Code, call: ast.Call) -> str | None:
    """The loss that takes the classes of this very softmax from dimension 1."""
    for loss in code.activations.losses:
        if loss.name in ("nll_loss", "cross_entropy") and code.activations.of(loss.input).node is call:
            return f"line {loss.call.lineno} takes the loss of it with the classes in dimension 1"
    return None


def _takes_a_class(code: Code, call: ast.Call) -> str | None:
    """`softmax(logits, dim=0)[:, 1]` or `.max(1)`: classes are taken from dimension 1."""
    above = code.tree.parents.get(call)
    match above:
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Constant(value=int() as one)])):
            return f"class {one} is taken from dimension 1"
    above = code.tree.parents.get(above) if isinstance(above, ast.Attribute) else above
    takes = isinstance(above, ast.Call) and code.activations.function_origin(above) in _TAKES
    if isinstance(above, ast.Call) and takes and code.axes.dimension(above) == 1 and not code.axes.mixed(call):
        return f"`{last_name(above.func)}` takes from it along dimension 1"
    return None


def _is_attention(code: Code, call: ast.Call, operand: ast.expr) -> str | None:
    """Scores of queries and keys, or weights of a batched product: dimension 0 is no axis to attend over."""
    for step in code.provenance.trace(operand):
        node = step.node
        if _moves_front(node):
            return None
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


def _moves_front(node: ast.AST) -> bool:
    """`x.transpose(0, 2)`, `x.permute(2, 0, 1)`: another dimension comes to the front."""
    if not isinstance(node, ast.Call) or last_name(node.func) not in ("transpose", "permute", "movedim", "swapaxes"):
        return False
    given = [ast.unparse(each) for each in node.args]
    return given[:1] != ["0"] if last_name(node.func) == "permute" else "0" in given


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
        operand = code.axes.operand(call) if _is_argmax(code, call) and code.axes.dimension(call) == 0 else None
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
    used = code.axis_uses.of_choice(call, operand) if argmax and not _is_item(operand) else None
    used = used or (code.row_pairs.of_choice(call, operand) if argmax else None)
    if used is not None:
        return f"holds scores for each row ({used})"
    if code.choices.is_measured(call):
        return "holds scores for each row, and the metric wants a class for each row"
    if argmax and code.choices.is_collected(call) and code.axes.is_output(operand):
        return "holds scores for each example, and the list grows by a class for each"
    if code.choices.picks_per_row(call):
        return "holds scores for each row, and its choice is one index for each row"
    if _normalised_last(code, operand) and _CLASSES.search(" ".join(code.choices.assigned(call))):
        return "is normalised over its last dimension, the classes"
    if rows is not None and rows.certain and argmax and _PREDICTED.search(" ".join(code.choices.assigned(call))):
        return f"has its examples in dimension 0 ({rows.why})"
    if not code.choices.is_compared(call):
        return None
    if rows is not None:
        return f"has its examples in dimension 0 ({rows.why})"
    counted = not _is_item(operand) and not code.axes.mixed(operand) and code.choices.is_counted(call)
    return "holds scores for each of the labels it is compared with" if counted else None


def _normalised_last(code: Code, operand: ast.expr) -> bool:
    """`argmax(softmax(x, dim=-1), dim=0)`, under a name or not: two dimensions of one tensor."""
    written = [each.value for each in code.names.reaching(operand)] if isinstance(operand, ast.Name) else [operand]
    softmaxes = (each for each in written if isinstance(each, ast.Call))
    return any(
        code.activations.function_origin(each) in ("softmax", "log_softmax") and code.axes.dimension(each) == -1
        for each in softmaxes
    )


def _is_item(operand: ast.expr) -> bool:
    """One example taken out of a batch: its dimension 0 holds the classes."""
    match operand:
        case ast.Subscript(slice=ast.Constant(value=int())) | ast.Call(func=ast.Attribute(attr="squeeze")):
            return True
    return False


def _is_argmax(code: Code, call: ast.Call) -> bool:
    """Whether the call picks indices: of `max`, more than its values is taken."""
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if code.origin(call) == "builtins.max":
        return False
    match code.tree.parents.get(call):
        case ast.Attribute(attr="values") | ast.Subscript(slice=ast.Constant(value=0)) if last == "max":
            return False
    return last in ("argmax", "max")


def _same(code: Code, loss: Loss, operand: ast.expr) -> bool:
    if not isinstance(loss.input, ast.Name) or not isinstance(operand, ast.Name):
        return False
    return code.names.reaching(loss.input) == code.names.reaching(operand)
