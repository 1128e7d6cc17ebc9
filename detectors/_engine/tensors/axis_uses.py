"""Axis uses: what is done with the result of a softmax or an argmax along dimension 0 that contradicts the dimension.

Probabilities whose classes are taken from dimension 1 were meant to be normalised there; a choice that is used as an
index along dimension 1, or that stands for one entry of each row, was meant to be made along the row.
"""

import ast
import re
from collections.abc import Iterator

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axes import Axes
from detectors._engine.tensors.axis_ways import KEEPS, AxisWays, core
from detectors._engine.tensors.shapes import Shapes

_INDEXED = frozenset(["gather", "scatter", "scatter_", "take_along_dim", "take_along_axis", "index_fill"])
_REDUCES = frozenset(["any", "all", "sum", "max", "amax", "argmax", "mean"])
_DIVIDES = frozenset(["div", "floor_divide", "remainder", "divmod", "fmod"])
_MEASURES = re.compile(r"(^|_)(metrics?|accuracy|criterion|loss_fn|loss_fct|score_fn|nll|cross_entropy)$", re.I)
_LABELS = re.compile(r"(^|_)(labels?|targets?|y|ys|y_true|truth)(_batch|_\w)?$", re.I)


class AxisUses:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, activations: Activations, axes: Axes, shapes: Shapes) -> None:
        self._tree, self._names = tree, names
        self._activations, self._axes, self._shapes = activations, axes, shapes
        self._ways = AxisWays(tree, activations, axes)

    # -- softmax ------------------------------------------------------------------------------------------

    def of_probabilities(self, call: ast.Call) -> str | None:
        """What takes the classes of a softmax over dimension 0 from another dimension, in words."""
        for use in self._results(call):
            above = self._tree.parents.get(use)
            taken = self._taken(above, use)
            if taken is not None and not self._axes.mixed(call):
                return taken
            if isinstance(above, ast.BinOp) and isinstance(above.op, ast.Mult):
                for product in self._results(above):
                    total = self._called_on(product)
                    if total is not None and last_name(total.func) == "sum" and self._axes.dimension(total) == 1:
                        return f"line {total.lineno} adds its products up over dimension 1"
            if isinstance(above, ast.Call) and self._is_measured(above, use):
                return f"`{last_name(above.func)}` takes it with the label of each example"
        return self._ways.normalised_otherwise(call)

    def _taken(self, above: ast.AST | None, use: ast.AST) -> str | None:
        """`.max(dim=1)`, `.gather(1, …)`: a class for each example."""
        run = self._called_on(use)
        if run is None and isinstance(above, ast.Call) and above.args and above.args[0] is use:
            run = above
        if run is None or self._activations.function_origin(run) not in ("max", "argmax", "gather", "topk"):
            return None
        dimension = self._axes.dimension(run)
        is_last = dimension == -1 and last_name(run.func) == "gather"
        if dimension == 1 or is_last:
            return f"line {run.lineno} takes from it along dimension {dimension}"
        return None

    def _is_measured(self, run: ast.Call, use: ast.AST) -> bool:
        """`metric(probabilities, labels)`."""
        if len(run.args) != 2 or run.args[0] is not use or not _MEASURES.search(last_name(run.func)):
            return False
        return _LABELS.search(last_name(run.args[1])) is not None

    # -- argmax -------------------------------------------------------------------------------------------

    def of_choice(self, call: ast.Call, operand: ast.expr) -> str | None:
        """What a choice along dimension 0 is used for that wants one entry of each row, in words; None where nothing
        says so."""
        return (
            self._used_as_index(call)
            or self._ways.chosen_otherwise(call, operand)
            or self._beside_rows(call, operand)
            or self._is_unravelled(call, operand)
            or self._is_target(call, operand)
            or self._said_to_keep_batch(call)
        )

    def _used_as_index(self, call: ast.Call) -> str | None:
        for use in self._results(call):
            node: ast.AST = use
            above = self._tree.parents.get(node)
            for _ in range(3):  # `index.unsqueeze(1).long()`
                run = self._called_on(node)
                if run is None or last_name(run.func) not in KEEPS:
                    break
                node, above = run, self._tree.parents.get(run)
            above = self._tree.parents.get(above) if isinstance(above, ast.keyword) else above
            if isinstance(above, ast.Call) and last_name(above.func) in ("tensor", "as_tensor") and node in above.args:
                node, above = above, self._tree.parents.get(above)
            if not isinstance(above, ast.Call):
                continue
            name = self._activations.function_origin(above)
            dimension = self._axes.dimension(above)
            along = isinstance(dimension, int) and (dimension > 0 or dimension == -1)
            if name in _INDEXED and along and self._axes.operand(above) is not node:
                return f"line {above.lineno} uses the choice as an index along dimension {dimension}"
            if last_name(above.func) == "one_hot" and self._counts_last(above, call):
                return f"line {above.lineno} takes the choice for an entry of the last dimension"
        return None

    def _counts_last(self, one_hot: ast.Call, call: ast.Call) -> bool:
        """`one_hot(choice, num_classes=x.size(-1))`."""
        count = one_hot.args[1] if len(one_hot.args) > 1 else next((k.value for k in one_hot.keywords), None)
        return count is not None and bool(
            re.search(r"\.(size\((-1|1|2)\)|(shape|size\(\))\[(-1|1|2)\])$", ast.unparse(count))
        )

    def _is_unravelled(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`x.view(-1, rows * columns).argmax(0) // columns`: an index into what was flattened behind the batch."""
        bindings = self._names.reaching(operand) if isinstance(operand, ast.Name) else ()
        flattened = bindings[0].value if len(bindings) == 1 else operand
        match flattened:
            case ast.Call(
                func=ast.Attribute(attr="view" | "reshape"), args=[_, ast.BinOp(op=ast.Mult(), left=left, right=right)]
            ):
                factors = (ast.unparse(left), ast.unparse(right))
            case _:
                return None
        for use in self._results(call):
            divisor = _divisor_of(self._tree.parents.get(use), use)
            if divisor is not None and ast.unparse(divisor) in factors:
                return f"line {divisor.lineno} divides the choice as an index into the last dimension"
        return None

    def _beside_rows(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`where(x.any(dim=-1), x.argmax(0), …)`: an entry for each row, taken with a choice of the same tensor."""
        text, node = core(operand), call
        for above in self._tree.ancestors(call):
            if isinstance(above, ast.stmt):
                return None
            if isinstance(above, ast.Call) and last_name(above.func) == "where" and len(above.args) == 3:
                return self._reduced_in(above, node, text)
            node = above  # type: ignore[assignment]
        return None

    def _reduced_in(self, where: ast.Call, node: ast.AST, text: str) -> str | None:
        for each in where.args:
            if each is node or not isinstance(each, ast.Call) or last_name(each.func) not in _REDUCES:
                continue
            its = self._axes.operand(each)
            if its is not None and core(its) == text and self._axes.dimension(each) in (-1, 1):
                return f"line {each.lineno} asks `{last_name(each.func)}` of each row"
        return None

    def _is_target(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`cross_entropy(scores[:, a:b], truth[:, a:b].argmax(0))`, `criterion(scores, scores.argmax(0))`."""
        several = isinstance(operand, ast.Subscript) and isinstance(operand.slice, ast.Tuple)
        for use in self._results(call):
            run = self._tree.parents.get(use)
            if not isinstance(run, ast.Call) or len(run.args) < 2 or run.args[1] is not use:
                continue
            is_loss = re.search(r"cross_?entropy|nll|criterion|loss", last_name(run.func), re.I) is not None
            own = isinstance(operand, ast.Name) and ast.unparse(run.args[0]) == operand.id
            same = several and isinstance(run.args[0], ast.Subscript)
            if is_loss and (own or (same and ast.unparse(run.args[0].slice) == ast.unparse(operand.slice))):  # type: ignore[attr-defined]
                return f"line {run.lineno} takes the choice for the class of each row"
        return None

    def _said_to_keep_batch(self, call: ast.Call) -> str | None:
        """The comment beside the choice says that the batch is still there, in front."""
        statement = self._tree.statement(call)
        shape = self._shapes.beside(statement) if isinstance(statement, ast.Assign) else None
        if shape is None or not shape.has_batch_first or statement.value is not call:  # type: ignore[attr-defined]
            return None
        return f"line {shape.line} says that {shape.text} is left"

    # -- results ------------------------------------------------------------------------------------------

    def _results(self, call: ast.expr) -> Iterator[ast.AST]:
        """The call (of a `max`, its second part), and every use of the name that its result gets."""
        result: ast.AST = call
        above = self._tree.parents.get(call)
        match above:
            case ast.Subscript(value=value, slice=ast.Constant(value=1)) if value is call:
                result = above
            case ast.Attribute(attr="indices"):
                result = above
        yield result
        statement = self._tree.statement(call)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        given: ast.AST | None = statement.value if isinstance(statement, ast.Assign) else None
        while isinstance(given, ast.Call) and given is not result and last_name(given.func) in KEEPS:
            given = given.func.value if isinstance(given.func, ast.Attribute) else None
        if given is not result or not isinstance(target, ast.Name):
            return
        function = self._tree.function(call)
        for use in self._tree.all(ast.Name):
            if use.id == target.id and isinstance(use.ctx, ast.Load) and self._tree.function(use) is function:
                bindings = self._names.reaching(use)
                if any(each.node is statement for each in bindings):
                    yield use

    def _called_on(self, node: ast.AST) -> ast.Call | None:
        """The method call on the node: `x.sum(1)` for `x`."""
        above = self._tree.parents.get(node)
        run = self._tree.parents.get(above) if isinstance(above, ast.Attribute) and above.value is node else None
        return run if isinstance(run, ast.Call) and run.func is above else None


def _divisor_of(above: ast.AST | None, use: ast.AST) -> ast.expr | None:
    """What an index is divided by: `index // n`, `index % n`, `torch.div(index, n, rounding_mode="floor")`."""
    match above:
        case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Mod(), right=right) if left is use:
            return right
        case ast.Call(args=[first, second]) if first is use and last_name(above.func) in _DIVIDES:
            return second
    return None
