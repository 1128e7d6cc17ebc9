"""Reshapes: what a call or a subscript, as it is written, does to the first dimension of a tensor."""

import ast
import re

_CASTS = ("long", "int", "to", "cuda", "cpu")
_EXAMPLES = re.compile(r"^(b|bs|bsz|nb|batch|batch_?size|n_?batch|num_?batch|batches)$", re.I)
_CLASSES = re.compile(r"(vocab\w*|classes|num_labels|n_labels|n_?tokens?)$|\.(size\(-1\)|shape\[-1\])$", re.I)


def takes_a_step(node: ast.Subscript) -> bool:
    """`logits[:, -1, :]`: of every sequence in the batch, the last step."""
    match node.slice:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.UnaryOp() | ast.Constant(value=int()), *rest]):
            return all(isinstance(each, ast.Slice) for each in rest)
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Name(), ast.Slice(lower=None, upper=None)]):
            return True
    return False


def cuts_steps(node: ast.Subscript) -> bool:
    """`logits[i, :length, :]`: of one sequence the steps up to its end, with all that each step has."""
    match node.slice:
        case ast.Tuple(elts=[ast.Name(), ast.Slice(lower=None, upper=ast.expr()), ast.Slice(lower=None, upper=None)]):
            return True
    return False


def keeps_rows(call: ast.Call, name: str) -> bool:
    """Whether a reshaping leaves the batch in front and at least one dimension behind it."""
    method = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) != "torch"
    if name == "flatten":
        given = [*call.args[0 if method else 1 :], *(each.value for each in call.keywords if each.arg == "start_dim")]
        return bool(given) and isinstance(given[0], ast.Constant) and given[0].value == 1
    if len(call.args) != 2 or not method:
        return False
    first, second = (ast.unparse(each) for each in call.args)
    return (first == "-1" and second != "1") or (first.endswith((".size(0)", ".shape[0]")) and second == "-1")


def parts_rows(call: ast.Call) -> bool:
    """`x.view(batch_size, n, -1)`, `x.reshape(x.shape[0] // n, n, *x.shape[1:])`: a batch in front, more behind it."""
    if len(call.args) < 2 or not isinstance(call.func, ast.Attribute) or ast.unparse(call.args[1]) == "1":
        return False
    first = call.args[0]
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.FloorDiv):
        known = ast.unparse(first.left).endswith((".size(0)", ".shape[0]"))
        return known and ast.unparse(call.args[1]) == ast.unparse(first.right)
    return isinstance(first, ast.Name) and is_batch_size(first.id)


def is_batch_size(name: str) -> bool:
    """Whether this is how the number of examples in a batch is written."""
    return _EXAMPLES.match(name) is not None


def is_one_row(node: ast.expr) -> bool:
    """`x.unsqueeze(0)`, `x.reshape(1, -1)`, `x[None]`: one example."""
    match node:
        case ast.Call(func=ast.Attribute(attr="unsqueeze"), args=[ast.Constant(value=0)]):
            return True
        case ast.Call(func=ast.Attribute(attr="view" | "reshape"), args=[ast.Constant(value=1), _, *_]):
            return True
        case ast.Call(
            func=ast.Attribute(attr="view" | "reshape"), args=[ast.Tuple(elts=[ast.Constant(value=1), _, *_])]
        ):
            return True
        case ast.Call(func=ast.Attribute(attr="to" | "float" | "cuda" | "long", value=inner)):
            return is_one_row(inner)
        case ast.Call(func=ast.Attribute(attr="view" | "reshape"), args=[ast.BinOp(left=ast.Tuple(elts=[one]))]):
            return isinstance(one, ast.Constant) and one.value == 1  # `x.reshape((1,) + x.shape)`
        case ast.Subscript(slice=ast.Constant(value=None)):
            return True
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Constant(value=None), *_])):
            return True
    return False


def elements(node: ast.expr) -> list[ast.expr]:
    """The members of a list or tuple; anything else is the only one."""
    return node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]


def is_every_row(node: ast.expr) -> bool:
    """`range(len(x))` or `torch.arange(n).long()`: an index that goes through the rows."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CASTS:
        node = node.func.value
    last = node.func if isinstance(node, ast.Call) else None
    return isinstance(last, (ast.Name, ast.Attribute)) and ast.unparse(last).rpartition(".")[2] in ("range", "arange")


def counts_classes(node: ast.expr) -> bool:
    """`self.vocab_size`, `logits.size(-1)`: the number of classes, or the length of the last dimension."""
    return _CLASSES.search(ast.unparse(node).removesuffix("_size")) is not None
