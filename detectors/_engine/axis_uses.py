"""Axis uses: what is done with the result of a softmax or an argmax along dimension 0 that contradicts the dimension.

Probabilities whose classes are taken from dimension 1 were meant to be normalised there; a choice that is used as an
index along dimension 1, or that stands for one entry of each row, was meant to be made along the row.
"""

import ast
import re
from collections.abc import Iterator

from detectors._engine.activations import Activations
from detectors._engine.axes import Axes
from detectors._engine.names import Names
from detectors._engine.shapes import Shapes
from detectors._engine.subjects import last_name
from detectors._engine.tree import Tree

_INDEXED = frozenset(["gather", "scatter", "scatter_", "take_along_dim", "take_along_axis", "index_fill"])
_REDUCES = frozenset(["any", "all", "sum", "max", "amax", "argmax", "mean"])
_CHOOSES = frozenset(["softmax", "log_softmax", "topk", "argmax", "multinomial", "sort", "argsort"])
_KEEPS = frozenset(
    ["float", "int", "long", "bool", "unsqueeze", "squeeze", "detach", "clone", "to", "cpu", "cuda", "values", "data"]
)
_DEEP = re.compile(r"\.(dim\(\)|ndim|ndimension\(\))|len\([\w.]+\.(shape|size\(\))\)")
_MEASURES = re.compile(r"(^|_)(metrics?|accuracy|criterion|loss_fn|loss_fct|score_fn|nll|cross_entropy)$", re.I)
_LABELS = re.compile(r"(^|_)(labels?|targets?|y|ys|y_true|truth)(_batch|_\w)?$", re.I)


class AxisUses:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, activations: Activations, axes: Axes, shapes: Shapes) -> None:
        self._tree, self._names = tree, names
        self._activations, self._axes, self._shapes = activations, axes, shapes

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
        return self._normalised_otherwise(call)

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

    def _normalised_otherwise(self, call: ast.Call) -> str | None:
        """The same tensor normalised over its last dimension, where another condition holds, with or without a log."""
        name = self._activations.function_origin(call)
        operand = self._axes.operand(call)
        for other, dimension in self._other_ways(call, operand):
            its = self._activations.function_origin(other)
            if {name, its} == {"softmax", "log_softmax"} and dimension in (-1, 1, 2):
                return f"line {other.lineno} takes `{its}` of it over dimension {dimension}"
        return None

    # -- argmax -------------------------------------------------------------------------------------------

    def of_choice(self, call: ast.Call, operand: ast.expr) -> str | None:
        """What a choice along dimension 0 is used for that wants one entry of each row, in words; None where nothing
        says so."""
        return (
            self._used_as_index(call)
            or self._one_way_of_two(call, operand)
            or self._beside_rows(call, operand)
            or self._is_target(call, operand)
            or self._said_to_keep_batch(call)
        )

    def _used_as_index(self, call: ast.Call) -> str | None:
        for use in self._results(call):
            node: ast.AST = use
            above = self._tree.parents.get(node)
            for _ in range(3):  # `index.unsqueeze(1).long()`
                run = self._called_on(node)
                if run is None or last_name(run.func) not in _KEEPS:
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

    def _one_way_of_two(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`if x.dim() > 1: x = x.argmax(0)`, and the same choice along another dimension under another condition."""
        statement = self._tree.statement(call)
        above = self._tree.parents.get(statement)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if isinstance(above, ast.If) and statement in above.body and not above.orelse and target is not None:
            same = ast.unparse(target) == ast.unparse(operand)
            if same and isinstance(operand, ast.Name) and self._asks_for_more(above.test, operand.id):
                return f"line {above.lineno} asks whether each row holds scores or is a choice already"
        otherwise = isinstance(above, ast.If) and statement in above.orelse
        if isinstance(above, ast.If) and otherwise and self._asks_for_one(above.test, operand):
            same = target is not None and ast.unparse(target) == ast.unparse(operand)
            if same or any(
                isinstance(each, ast.Assign) and ast.unparse(each.value) == ast.unparse(operand) for each in above.body
            ):
                return f"line {above.lineno} asks whether each row holds scores or is a choice already"
        if isinstance(above, ast.If) and otherwise and isinstance(operand, ast.Name):
            classes = re.compile(rf"{operand.id}\.(size\(1\)|shape\[1\]) == 1")
            if classes.fullmatch(ast.unparse(above.test)):
                return f"line {above.lineno} counts the classes in dimension 1"
        for other, dimension in self._other_ways(call, operand):
            if dimension in (-1, 1, 2) and self._activations.function_origin(other) in (
                "softmax",
                "log_softmax",
                "topk",
            ):
                return f"line {other.lineno} has its entries in dimension {dimension}"
        return None

    @staticmethod
    def _asks_for_one(test: ast.expr, operand: ast.expr) -> bool:
        """`x.dim() == 1`, where the other branch has the scores."""
        text = ast.unparse(operand)
        return ast.unparse(test) in (f"{text}.dim() == 1", f"{text}.ndim == 1", f"len({text}.shape) == 1")

    @staticmethod
    def _asks_for_more(test: ast.expr, name: str) -> bool:
        """`x.dim() > 1`, `x.ndim == 2`."""
        match test:
            case ast.Compare(
                left=left, ops=[ast.Gt() | ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=1 | 2)]
            ):
                text = ast.unparse(left)
                wanted = (2,) if isinstance(test.ops[0], ast.Eq) else (1,)
                count = test.comparators[0].value if isinstance(test.comparators[0], ast.Constant) else None
                return text.startswith((f"{name}.", f"len({name}.")) and bool(_DEEP.search(text)) and count in wanted
        return False

    def _other_ways(self, call: ast.Call, operand: ast.expr | None) -> Iterator[tuple[ast.Call, object]]:
        """The normalisations and choices of the same tensor in the other branch of the `if` around the call."""
        branch = next((each for each in self._tree.ancestors(call) if isinstance(each, (ast.If, ast.IfExp))), None)
        if branch is None or operand is None or self._tree.inside(call, branch.test):
            return
        text, same_end = _core(operand), self._end(call)
        for other in self._tree.below(branch):
            if not isinstance(other, ast.Call) or other is call or self._is_beside(call, other, branch):
                continue
            if last_name(other.func) not in _CHOOSES or self._end(other) != same_end:
                continue
            its = self._axes.operand(other)
            if its is not None and _core(its) == text:
                yield other, self._along(other)

    def _along(self, call: ast.Call) -> object:
        """The dimension; of `topk(x, k)`, which has a number before it, the last where none is named."""
        if last_name(call.func) != "topk":
            return self._axes.dimension(call)
        return next((self._axes.dimension(call) for each in call.keywords if each.arg == "dim"), -1)

    def _is_beside(self, call: ast.AST, other: ast.AST, branch: ast.If | ast.IfExp) -> bool:
        """Whether both run under the same outcome of the condition."""
        parts = [branch.body, branch.orelse]
        sides = [each if isinstance(each, list) else [each] for each in parts]
        places = [
            next((index for index, side in enumerate(sides) if any(self._tree.inside(node, one) for one in side)), 2)
            for node in (call, other)
        ]
        return places[0] == places[1] or 2 in places

    def _end(self, call: ast.Call) -> str:
        """Where the result goes: the name it is assigned to, or that it is returned."""
        statement = self._tree.statement(call)
        if isinstance(statement, ast.Assign):
            names = [each for target in statement.targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            return names[-1].id if names else ""
        return "return" if isinstance(statement, ast.Return) else ""

    def _beside_rows(self, call: ast.Call, operand: ast.expr) -> str | None:
        """`where(x.any(dim=-1), x.argmax(0), …)`: an entry for each row, taken with a choice of the same tensor."""
        text, node = _core(operand), call
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
            if its is not None and _core(its) == text and self._axes.dimension(each) in (-1, 1):
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
        while isinstance(given, ast.Call) and given is not result and last_name(given.func) in _KEEPS:
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


def _core(node: ast.expr) -> str:
    """The tensor an expression is about, without scaling and moves: `logits` for `logits.float() / t`."""
    while True:
        match node:
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _KEEPS and attr != "squeeze":
                node = value
            case ast.BinOp(left=left, op=ast.Div()):
                node = left
            case ast.BinOp(left=ast.Constant(), op=ast.Mult(), right=right):
                node = right
            case _:
                return re.sub(r"\(?\b\d+\.?\d* \* ", "", ast.unparse(node)).replace("(", "").replace(")", "")
