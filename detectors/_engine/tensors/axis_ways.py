"""Axis ways: what the other branch of a condition does with the same tensor, where one has a softmax or a choice.

The same tensor normalised over its last dimension, or taken as a choice already, where another condition holds: the
classes lie in the same dimension either way.
"""

import ast
import re
from collections.abc import Iterator

from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axes import Axes

_CHOOSES = frozenset(["softmax", "log_softmax", "topk", "argmax", "multinomial", "sort", "argsort"])
KEEPS = frozenset(
    ["float", "int", "long", "bool", "unsqueeze", "squeeze", "detach", "clone", "to", "cpu", "cuda", "values", "data"]
)
"""What leaves the entries of a tensor as they are."""
_DEEP = re.compile(r"\.(dim\(\)|ndim|ndimension\(\))|len\([\w.]+\.(shape|size\(\))\)")


class AxisWays:
    """Answers for one file."""

    def __init__(self, tree: Tree, activations: Activations, axes: Axes) -> None:
        self._tree, self._activations, self._axes = tree, activations, axes

    def normalised_otherwise(self, call: ast.Call) -> str | None:
        """The same tensor normalised over its last dimension, where another condition holds, with or without a log."""
        name = self._activations.function_origin(call)
        operand = self._axes.operand(call)
        for other, dimension in self._other_ways(call, operand):
            its = self._activations.function_origin(other)
            if {name, its} == {"softmax", "log_softmax"} and dimension in (-1, 1, 2):
                return f"line {other.lineno} takes `{its}` of it over dimension {dimension}"
        return None

    def chosen_otherwise(self, call: ast.Call, operand: ast.expr) -> str | None:
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
        squeezed = self._squeezed_otherwise(statement, operand)
        if squeezed is not None:
            return f"line {squeezed} takes it from the last dimension where it is a choice already"
        for other, dimension in self._other_ways(call, operand):
            if dimension in (-1, 1, 2) and self._activations.function_origin(other) in (
                "softmax",
                "log_softmax",
                "topk",
            ):
                return f"line {other.lineno} has its entries in dimension {dimension}"
        return None

    def _squeezed_otherwise(self, statement: ast.stmt, operand: ast.expr) -> int | None:
        """The line of `y = y.squeeze(-1)`, where the other branch has `y = y.argmax(0)`."""
        above = self._tree.parents.get(statement)
        if not isinstance(above, ast.If) or not isinstance(statement, ast.Assign):
            return None
        target, text = ast.unparse(statement.targets[0]), ast.unparse(operand)
        for other in above.orelse if statement in above.body else above.body:
            if not isinstance(other, ast.Assign) or ast.unparse(other.targets[0]) != target:
                continue
            if ast.unparse(other.value) in (f"{text}.squeeze(-1)", f"{text}.squeeze(1)", f"{text}.squeeze(dim=-1)"):
                return other.lineno
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
        text, same_end = core(operand), self._end(call)
        for other in self._tree.below(branch):
            if not isinstance(other, ast.Call) or other is call or self._is_beside(call, other, branch):
                continue
            if last_name(other.func) not in _CHOOSES or not self._ends_alike(other, same_end, branch):
                continue
            its = self._axes.operand(other)
            if its is not None and core(its) == text:
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

    def _ends_alike(self, other: ast.Call, end: str, branch: ast.If | ast.IfExp) -> bool:
        """Whether both ways give the same name a value; the best few are often worked on before they do."""
        if self._end(other) == end:
            return True
        if last_name(other.func) != "topk" or not isinstance(branch, ast.If):
            return False
        sides = (branch.body, branch.orelse)
        stored = [
            {each.id for one in side for each in ast.walk(one) if isinstance(each, ast.Name) and _is_store(each)}
            for side in sides
        ]
        return all(end in each for each in stored)

    def _end(self, call: ast.Call) -> str:
        """Where the result goes: the name it is assigned to, or that it is returned."""
        statement = self._tree.statement(call)
        if isinstance(statement, ast.Assign):
            names = [each for target in statement.targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            return names[-1].id if names else ""
        return "return" if isinstance(statement, ast.Return) else ""


def core(node: ast.expr) -> str:
    """The tensor an expression is about, without scaling and moves: `logits` for `logits.float() / t`."""
    while True:
        match node:
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in KEEPS and attr != "squeeze":
                node = value
            case ast.BinOp(left=left, op=ast.Div()):
                node = left
            case ast.BinOp(left=ast.Constant(), op=ast.Mult(), right=right):
                node = right
            case _:
                return re.sub(r"\(?\b\d+\.?\d* \* ", "", ast.unparse(node)).replace("(", "").replace(")", "")


def _is_store(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
