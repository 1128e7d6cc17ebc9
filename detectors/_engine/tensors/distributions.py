"""Distributions: along which dimension the entries of one distribution lie, by what is done with probabilities.

Log-probabilities are weighted and added up over the classes, an entry is gathered from the classes, probabilities add
up to a cumulative distribution along the classes, a divergence compares two over the same classes. Where that is
another dimension than the softmax was taken over, one of the two is wrong.
"""

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.names.names import Names
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axes import Axes
from detectors._engine.tensors.einsums import einsum_of
from detectors._engine.tensors.shapes import Shapes

_ELEMENTWISE = frozenset(
    [
        "log",
        "exp",
        "detach",
        "clone",
        "to",
        "float",
        "double",
        "half",
        "cpu",
        "cuda",
        "clamp",
        "clamp_min",
        "contiguous",
    ]
)
_LIMIT = 40


@dataclass(frozen=True, slots=True)
class _Use:
    """An expression with the entries of the probabilities; `logged` where there is a logarithm in it, `weighted`
    where they are multiplied with something."""

    node: ast.expr
    logged: bool = False
    weighted: bool = False


class Distributions:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, activations: Activations, axes: Axes, shapes: Shapes) -> None:
        self._tree, self._names, self._activations = tree, names, activations
        self._axes, self._shapes = axes, shapes

    def along_another(self, call: ast.Call) -> str | None:
        """What takes the classes of a softmax over dimension 0 from another dimension, in words."""
        uses = list(self._uses(call))
        operand = self._axes.operand(call)
        mixed = self._axes.mixed(call)
        deep = self._is_surely_deep(call, operand, uses)
        for use in uses:
            found = self._two_classes(use.node) or self._contracted(use.node) or self._compared(use.node)
            found = found or (self._added_up(use) if deep else None)
            found = found or (self._gathered(use.node) if use.logged and (deep or mixed) else None)
            found = found or (self._along_last(use.node) if deep and not mixed else None)
            if found is not None:
                return found
        return None

    def _is_surely_deep(self, call: ast.Call, operand: ast.expr | None, uses: list[_Use]) -> bool:
        """Whether there is more than one dimension, by what else is done with the tensor or the probabilities, or
        since the author normalises the same tensor over the last dimension elsewhere.

        Weights of one dimension are multiplied with tensors of more and added up over the last with good reason.
        """
        if operand is None:
            return False
        if any(map(self._has_more, [operand, *(each.node for each in uses)])):
            return True
        function = self._tree.function(call)
        for other in self._tree.all(ast.Call):
            if other is call or self._tree.function(other) is not function:
                continue
            its = self._axes.operand(other)
            if its is None or not isinstance(operand, ast.Name) or ast.unparse(its) != operand.id:
                continue
            normalises = self._activations.function_origin(other) in ("softmax", "log_softmax")
            if normalises and self._axes.dimension(other) in (-1, 1):
                return True
        return False

    def batch_said(self, call: ast.Call) -> str | None:
        """The comment beside the softmax, where it says that there is a batch in front."""
        statement = self._tree.statement(call)
        shape = self._shapes.beside(statement) if isinstance(statement, ast.Assign) else None
        if shape is None or not shape.has_batch_first or statement.value is not call:  # type: ignore[attr-defined]
            return None
        return f"line {shape.line} says {shape.text}"

    # -- forwards -----------------------------------------------------------------------------------------

    def _uses(self, call: ast.Call) -> Iterator[_Use]:
        """The softmax and what is computed from it entry by entry, under names as well, nearest first."""
        logged = self._activations.function_origin(call) == "log_softmax"
        rest = deque([_Use(call, logged)])
        seen: set[ast.expr] = set()
        while rest and len(seen) < _LIMIT:
            use = rest.popleft()
            if use.node in seen:
                continue
            seen.add(use.node)
            yield use
            rest.extend(self._after(use))

    def _after(self, use: _Use) -> Iterator[_Use]:
        node, above = use.node, self._tree.parents.get(use.node)
        match above:
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                other = right if left is node else left
                yield _Use(above, use.logged or self._is_logarithm(other), True)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Div()) if not self._is_divisor(node, above):
                yield _Use(above, use.logged, use.weighted)
            case ast.UnaryOp():
                yield _Use(above, use.logged, use.weighted)
            case ast.Attribute(attr=attr) if attr in _ELEMENTWISE:
                run = self._tree.parents.get(above)
                if isinstance(run, ast.Call) and run.func is above:
                    yield _Use(run, use.logged or attr == "log", use.weighted)
            case ast.Call(args=[first, *_]) if first is node:
                name = self._activations.function_origin(above)
                if name in _ELEMENTWISE:
                    yield _Use(above, use.logged or name == "log", use.weighted)
            case ast.Assign(targets=[ast.Name() as target]):
                yield from (_Use(each, use.logged, use.weighted) for each in self._loads(target, above))

    def _is_divisor(self, node: ast.expr, above: ast.BinOp) -> bool:
        return isinstance(above.op, ast.Div) and above.right is node

    def _is_logarithm(self, node: ast.expr) -> bool:
        """`p.log()`, `torch.log(p + eps)`, `log_softmax(x)`, or a name that one of these is given."""
        bindings = self._names.reaching(node) if isinstance(node, ast.Name) else ()
        written = [each.value for each in bindings] if bindings else [node]
        calls = (part for each in written if each is not None for part in ast.walk(each) if isinstance(part, ast.Call))
        return any(self._activations.function_origin(each) in ("log", "log_softmax") for each in calls)

    def _loads(self, target: ast.Name, statement: ast.Assign) -> Iterator[ast.Name]:
        function = self._tree.function(statement)
        for use in self._tree.all(ast.Name):
            if use.id != target.id or not isinstance(use.ctx, ast.Load) or self._tree.function(use) is not function:
                continue
            if any(each.node is statement for each in self._names.reaching(use)):
                yield use

    # -- what the uses say --------------------------------------------------------------------------------

    def _run_on(self, node: ast.expr) -> ast.Call | None:
        """`x.sum(1)` and `torch.sum(x, 1)` for `x`."""
        above = self._tree.parents.get(node)
        if isinstance(above, ast.Attribute):
            run = self._tree.parents.get(above)
            return run if isinstance(run, ast.Call) and run.func is above else None
        return above if isinstance(above, ast.Call) and above.args and above.args[0] is node else None

    def _over(self, node: ast.expr, *names: str) -> tuple[ast.Call, int] | None:
        """The call of one of these functions on the node, over the last dimension or one behind the first."""
        run = self._run_on(node)
        if run is None or self._activations.function_origin(run) not in names:
            return None
        dimension = self._axes.dimension(run)
        return (run, dimension) if dimension in (-1, 1, 2) and isinstance(dimension, int) else None

    def _added_up(self, use: _Use) -> str | None:
        """`-(p * p.log()).sum(-1)`: an entropy or a cross-entropy."""
        found = self._over(use.node, "sum") if use.logged and use.weighted else None
        if found is None:
            return None
        return f"line {found[0].lineno} adds its weighted logarithms up over dimension {found[1]}"

    def _gathered(self, node: ast.expr) -> str | None:
        found = self._over(node, "gather")
        return f"line {found[0].lineno} takes from it along dimension {found[1]}" if found is not None else None

    def _along_last(self, node: ast.expr) -> str | None:
        """`p.cumsum(-1)`, `p.argmax(-1)`, where there is another dimension for sure."""
        found = self._over(node, "cumsum", "argmax", "topk")
        if found is None:
            return None
        verb = "adds it up" if self._activations.function_origin(found[0]) == "cumsum" else "chooses from it"
        return f"line {found[0].lineno} {verb} along dimension {found[1]}"

    def _two_classes(self, node: ast.expr) -> str | None:
        """`p[:, 1] - p[:, 0]`: two classes of each row beside each other."""
        above = self._tree.parents.get(node)
        beside = self._tree.parents.get(above) if isinstance(above, ast.Subscript) and above.value is node else None
        if not isinstance(beside, ast.BinOp) or not isinstance(beside.op, (ast.Sub, ast.Div)):
            return None
        sides = (beside.left, beside.right)
        classes = [_class_taken(each) for each in sides if isinstance(each, ast.Subscript)]
        same = {ast.unparse(each.value) for each in sides if isinstance(each, ast.Subscript)}
        if len(classes) != 2 or None in classes or classes[0] == classes[1] or len(same) != 1:
            return None
        return f"line {beside.lineno} compares its classes {classes[0]} and {classes[1]} in dimension 1"

    def _compared(self, node: ast.expr) -> str | None:
        """`kl_div(log_softmax(student, 1), softmax(teacher, 0))`: two distributions that lie along two dimensions."""
        for loss in self._activations.losses:
            if loss.name != "kl_div" or not (loss.input is node or loss.target is node):
                continue
            other = self._softmax_of(loss.target if loss.input is node else loss.input)
            dimension = self._axes.dimension(other) if other is not None else None
            if other is not None and dimension in (-1, 1, 2):
                return f"line {loss.call.lineno} compares it with one over dimension {dimension} (line {other.lineno})"
        return None

    def _softmax_of(self, node: ast.expr, depth: int = 4) -> ast.Call | None:
        """The softmax that an expression is, under a name or through what works entry by entry."""
        if isinstance(node, ast.Name):
            bindings = self._names.reaching(node)
            value = bindings[0].value if len(bindings) == 1 else None
            return self._softmax_of(value, depth - 1) if value is not None and depth else None
        if not isinstance(node, ast.Call):
            return None
        name, operand = self._activations.function_origin(node), self._axes.operand(node)
        if name in ("softmax", "log_softmax"):
            return node
        return self._softmax_of(operand, depth - 1) if name in _ELEMENTWISE and operand is not None and depth else None

    def _contracted(self, node: ast.expr) -> str | None:
        """Weights of a batched product: `einsum("bhij,bhjd->bhid", weights, values)`."""
        above = self._tree.parents.get(node)
        einsum = einsum_of(above) if isinstance(above, ast.Call) else None
        if einsum is None:
            return None
        letters = einsum.letters_of(node)
        if letters is None or not einsum.is_kept_everywhere(letters[0]):
            return None
        gone = [each for each in letters[1:] if each not in einsum.output]
        return f"line {einsum.call.lineno} weighs with it over `{gone[0]}`, not `{letters[0]}`" if gone else None

    # -- how many dimensions ------------------------------------------------------------------------------

    def _has_more(self, node: ast.expr) -> bool:
        """Whether a use of the same tensor says that there is more than one dimension."""
        if not isinstance(node, ast.Name):
            return False
        bindings, function = self._names.reaching(node), self._tree.function(node)
        for use in self._tree.all(ast.Name):
            if use.id == node.id and self._tree.function(use) is function and self._is_deep(use):
                reaching = self._names.reaching(use)
                if not reaching or not bindings or set(reaching) & set(bindings):
                    return True
        return False

    def _is_deep(self, use: ast.Name) -> bool:
        """`x[..., :1]`, `x[mask, :]`, `x.shape[-2]`, `x.size(1)`, `x.transpose(1, 2)`."""
        above = self._tree.parents.get(use)
        if isinstance(above, ast.Subscript) and above.value is use and isinstance(above.slice, ast.Tuple):
            return not any(isinstance(each, ast.Constant) and each.value is None for each in above.slice.elts)
        run = self._tree.parents.get(above) if isinstance(above, ast.Attribute) and above.value is use else None
        match run:
            case ast.Call(func=ast.Attribute(attr="size"), args=[]):
                sizes = self._tree.parents.get(run)
                return isinstance(sizes, ast.Subscript) and ast.unparse(sizes.slice) in ("1", "-2", ":-1")
            case ast.Subscript(value=ast.Attribute(attr="shape"), slice=index):
                return ast.unparse(index) in ("1", "2", "-2", "-3", ":-1")
            case ast.Call(func=ast.Attribute(attr="size"), args=[index]):
                return ast.unparse(index) in ("1", "2", "-2", "-3")
            case ast.Call(func=ast.Attribute(attr="transpose")):
                return True
        return False


def _class_taken(node: ast.Subscript) -> int | None:
    """The class that `p[:, 1]` takes of each row."""
    match node.slice:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None), ast.Constant(value=int() as one)]):
            return one
    return None
