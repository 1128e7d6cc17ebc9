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

from detectors import Change, Code, Kind, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("oftmax|oftmin|argmax|max(",)
_FUNCTIONS = ("torch.nn.functional.softmax", "torch.nn.functional.log_softmax", "torch.nn.functional.softmin")
_MODULES = ("torch.nn.Softmax", "torch.nn.LogSoftmax", "torch.nn.Softmin")
_LABELS = re.compile(r"(^|_)(labels?|targets?|y|ys|y_true)(_batch|_\w)?$", re.I)
_MEASURES = re.compile(r"(^|_)(eval\w*|acc|accuracy|measure\w*|metrics?)(_|$)", re.I)
_MOVES = frozenset(["t", "transpose", "permute", "squeeze", "mean", "sum", "movedim", "rearrange", "select", "stack"])


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


def _dim(code: Code, call: ast.Call) -> object:
    """The constant dimension of a softmax or argmax call; None where it is not given or not constant."""
    method = code.origin(call) is None
    dim = code.argument(call, "dim", 0 if method else 1) or code.argument(call, "axis")
    value = code.values.only(dim).constant if dim is not None else None
    negative = isinstance(dim, ast.UnaryOp) and isinstance(dim.operand, ast.Constant)
    return -dim.operand.value if negative else value  # type: ignore[union-attr]


def _operand(code: Code, call: ast.Call) -> ast.expr | None:
    if code.origin(call) is None and isinstance(call.func, ast.Attribute):
        return call.func.value
    return call.args[0] if call.args else None


def _softmaxes(code: Code) -> Iterator[tuple[ast.Call, ast.expr, object]]:
    for call in code.tree.all(ast.Call):
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if last not in ("softmax", "log_softmax") or code.activations.function_origin(call) != last:
            continue
        operand = _operand(code, call)
        if operand is not None:
            yield call, operand, _dim(code, call)


def _over_the_batch(code: Code) -> Iterator[Problem]:
    softmaxes = list(_softmaxes(code))
    for call, operand, dim in softmaxes:
        if dim != 0:
            continue
        why = (
            _batched(code, operand)
            or _sibling(code, call, operand, softmaxes)
            or _judged(code, call)
            or _takes_a_class(code, call)
            or _is_attention(code, call, operand)
            or _model_runs_on_batches(code, call)
        )
        if why is None:
            continue
        yield code.problem(
            call,
            f"`{code.name(call)}` normalises over the batch: {why}, so dimension 0 counts examples and each one's "
            "probabilities depend on the others.",
            mend=[_over_classes(code, call)],
        )


def _over_classes(code: Code, call: ast.Call) -> Change | None:
    for keyword in call.keywords:
        if keyword.arg in ("dim", "axis"):
            return code.source.replace(keyword.value, "1")
    dim = code.argument(call, "dim", 0 if code.origin(call) is None else 1)
    return code.source.replace(dim, "1") if dim is not None else None


def _batched(code: Code, operand: ast.expr) -> str | None:
    """Why dimension 0 is known to be the batch; None where it is not known."""
    for step in code.provenance.trace(operand):
        node = step.node
        if isinstance(node, ast.Call):
            name = code.activations.function_origin(node)
            if name in _MOVES:
                return None
            if _keeps_batch(code, node, name):
                return f"line {node.lineno} keeps the batch in front"
        if isinstance(node, ast.Subscript):
            if _takes_a_step(node):
                return f"line {node.lineno} takes one step of each sequence"
            if not isinstance(node.slice, (ast.Tuple, ast.Slice)):
                return None
        if isinstance(node, ast.Name) and _is_of_loader(code, node):
            return f"`{node.id}` is a batch of the loader"
    return None


def _takes_a_step(node: ast.Subscript) -> bool:
    """`logits[:, -1, :]`: of every sequence in the batch, the last step."""
    match node.slice:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.UnaryOp() | ast.Constant(value=int()), *rest]):
            return all(isinstance(each, ast.Slice) for each in rest)
    return False


def _keeps_batch(code: Code, call: ast.Call, name: str) -> bool:
    if name == "flatten":
        start = code.argument(call, "start_dim", 1 if code.origin(call) else 0)
        return isinstance(start, ast.Constant) and start.value == 1
    if name in ("view", "reshape") and len(call.args) == 2 and code.origin(call) is None:
        first, second = (ast.unparse(each) for each in call.args)
        return (first == "-1" and second != "1") or (first.endswith((".size(0)", ".shape[0]")) and second == "-1")
    return any((each.origin or "").startswith("torch.nn.BatchNorm") for each in code.values.of(call.func))


def _is_of_loader(code: Code, name: ast.Name) -> bool:
    """Whether the name is bound by iterating a loader of known make."""
    for binding in code.names.reaching(name):
        loop = binding.node
        iterable = loop.iter if isinstance(loop, (ast.For, ast.AsyncFor)) else None
        if (
            isinstance(iterable, ast.Call)
            and ast.unparse(iterable.func) in ("enumerate", "tqdm", "tqdm.tqdm")
            and iterable.args
        ):
            iterable = iterable.args[0]
        pairs = isinstance(loop, (ast.For, ast.AsyncFor)) and isinstance(loop.target, ast.Tuple)
        if iterable is not None and pairs and code.kind(iterable) is Kind.LOADER:
            return True
    return False


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
    """The loop that gives the model of this `forward` the batches of a loader."""
    function = code.tree.function(call)
    owner = code.tree.class_of(function) if function is not None else None
    if (
        function is None
        or owner is None
        or function.name != "forward"
        or not isinstance(code.tree.statement(call), ast.Return)
    ):
        return None
    for run in code.tree.all(ast.Call):
        if not run.args or not isinstance(run.func, (ast.Name, ast.Attribute)) or code.origin(run) is not None:
            continue
        if isinstance(run.args[0], ast.Name) and code.values.class_held_by(run.func) is owner:
            steps = code.provenance.trace(run.args[0])
            if any(isinstance(each.node, ast.Name) and _is_of_loader(code, each.node) for each in steps):
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
    calls = [each for each in code.tree.all(ast.Call) if _is_argmax(each) and _dim(code, each) == 0]
    if not calls:
        return
    judged = [each for each in code.activations.losses if each.name in ("cross_entropy", "nll_loss")]
    for call in calls:
        operand = _operand(code, call)
        losses = [each for each in judged if operand is not None and _same(code, each.input, operand)]
        if operand is None or not (_is_compared(code, call) or _is_measured(code, call)):
            continue
        if losses:
            why = f"has its classes in dimension 1 (line {losses[0].call.lineno} takes the loss so)"
        elif _is_output_for_batch(code, operand):
            why = "is the model's output for a batch of the loader"
        elif _is_measured(code, call):
            why = "holds scores for each row, and the metric wants a class for each row"
        elif _is_counted(code, call):
            why = "holds scores for each of the labels it is compared with"
        else:
            continue
        yield code.problem(
            call,
            f"`{code.name(operand)}` {why}, but `{code.name(call)}` picks along the batch: this is no class for each "
            "example.",
            mend=[_over_classes(code, call)],
            related=[(losses[0].call, "the loss of the same output")] if losses else [],
            tier=Tier.BUG,
        )


def _is_measured(code: Code, call: ast.Call) -> bool:
    """Whether the result is given to a metric of scikit-learn as it is."""
    above: ast.AST | None = code.tree.parents.get(call)
    while isinstance(above, ast.Attribute) or (isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute)):
        if isinstance(above, ast.Call) and (code.origin(above) or "").startswith("sklearn.metrics."):
            return True
        above = code.tree.parents.get(above)
    return isinstance(above, ast.Call) and (code.origin(above) or "").startswith("sklearn.metrics.")


def _is_counted(code: Code, call: ast.Call) -> bool:
    """Whether the result's equality with something named labels is summed or averaged: both have an entry for "
    "each item."""
    function, statement = code.tree.function(call), code.tree.statement(call)
    names = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for compare in code.tree.all(ast.Compare):
        if code.tree.function(compare) is not function or not isinstance(compare.ops[0], ast.Eq):
            continue
        sides = [compare.left, compare.comparators[0]]
        mine = [each for each in sides if code.tree.inside(call, each) or last_name(each) in names]
        labels = [each for each in sides if each not in mine and _LABELS.search(last_name(each))]
        above = code.tree.parents.get(compare)
        how = above.attr if isinstance(above, ast.Attribute) else ""
        how = last_name(above.func) if isinstance(above, ast.Call) else how
        if mine and labels and how in ("sum", "mean", "float"):
            return True
    return False


def _is_output_for_batch(code: Code, operand: ast.expr) -> bool:
    """Whether the expression is what a model gives for a batch of a loader, as it is."""
    bindings = code.names.reaching(operand) if isinstance(operand, ast.Name) else ()
    call = bindings[0].value if len(bindings) == 1 and not bindings[0].index else operand
    if isinstance(call, ast.Subscript) and _takes_a_step(call):
        return True
    if not isinstance(call, ast.Call) or code.kind(call.func) is not Kind.MODEL:
        return False
    return _batched(code, call) is not None


def _is_argmax(call: ast.Call) -> bool:
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return last in ("argmax", "max")


def _same(code: Code, first: ast.expr, second: ast.expr) -> bool:
    first = first.value if isinstance(first, ast.Subscript) and isinstance(first.slice, ast.Name) else first
    second = second.value if isinstance(second, ast.Attribute) and second.attr == "data" else second
    if not isinstance(first, ast.Name) or not isinstance(second, ast.Name):
        return False
    return code.names.reaching(first) == code.names.reaching(second)


def _is_compared(code: Code, call: ast.Call) -> bool:
    """Whether the result is compared with something: `== labels`, `.eq(labels)`."""
    above: ast.AST | None = code.tree.parents.get(call)
    while isinstance(above, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(above, ast.Attribute) and above.attr in ("eq", "equal"):
            return True
        above = code.tree.parents.get(above)
    if isinstance(above, ast.Compare):
        return True
    statement = code.tree.statement(call)
    if not isinstance(statement, ast.Assign):
        return False
    names = {each.id for target in statement.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    function = code.tree.function(call)
    for node in code.tree.all(ast.Compare, ast.Call):
        if code.tree.function(node) is not function:
            continue
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if isinstance(node, ast.Call) and _MEASURES.search(last_name(node.func)):
            sides = [each for each in node.args if isinstance(each, ast.Name)]
        if isinstance(node, ast.Call) and (code.origin(node) or ast.unparse(node.func)).endswith(
            ("eq", "accuracy_score")
        ):
            sides = [*node.args, getattr(node.func, "value", node.func)]
        if any(isinstance(part, ast.Name) and part.id in names for side in sides for part in ast.walk(side)):
            return True
    return False
