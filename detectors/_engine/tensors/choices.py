"""Choices: what the result of an argmax is used for: compared with labels, given to a metric, one index for each row.

Each use says that the choice was meant to be a class for each example.
"""

import ast
import re

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.axes import Axes

_LABELS = re.compile(
    r"(^|_)(labels?|label_ids|targets?|targ|truth|ground_truth\w*|y|ys|y_true|y_test)(_batch|_\w)?$", re.I
)
_PLACES = re.compile(r"(^|_)(idx|idxs|idcs|inds?|indices|index)$", re.I)
_COLLECTED = re.compile(r"(^|_)(labels?|classes|pred(s|icted|ictions?)?|y_hats?|y_pred)$", re.I)
_TRUTH = frozenset(["y_true", "references", "ground_truth"])
_WANTS_CLASSES = re.compile(r"(^|_)(eval\w*|acc|accuracy|measure\w*|metrics?|decode)(_|$)", re.I)


class Choices:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, axes: Axes) -> None:
        self._tree = tree
        self._names = names
        self._axes = axes

    def picks_per_row(self, call: ast.Call) -> bool:
        """`values[range(n), scores.argmax(0)]`, `found.argmax(0)[found.any(dim=1)]`: one index for each row."""
        match self._tree.parents.get(call):
            case ast.Tuple(elts=[_, second]) as pair if second is call:
                return self._pairs_rows(pair)
            case ast.Subscript(slice=ast.Call(func=ast.Attribute(attr="any" | "all")) as rows, value=value):
                return value is call and self._axes.dimension(rows) == 1
        names = self.assigned(call)
        function = self._tree.function(call)
        pairs = (each for each in self._tree.all(ast.Tuple) if names and self._tree.function(each) is function)
        return any(
            len(each.elts) == 2 and last_name(each.elts[1]) in names and self._pairs_rows(each) for each in pairs
        )

    def is_measured(self, call: ast.Call) -> bool:
        """Whether the result goes to a metric: one of scikit-learn or torchmetrics, or beside a `y_true`."""
        above: ast.AST | None = self._tree.parents.get(call)
        while isinstance(above, ast.Attribute) or isinstance(getattr(above, "func", None), ast.Attribute):
            if isinstance(above, ast.Call) and self._is_metric(above):
                return True
            above = self._tree.parents.get(above) if above is not None else None
        if isinstance(above, ast.Dict):
            keys = {each.value for each in above.keys if isinstance(each, ast.Constant)}
            return bool(keys & _TRUTH)
        if isinstance(above, ast.Call):
            return self._is_metric(above)
        names = self.assigned(call)
        metrics = (each for each in self._tree.all(ast.Call) if names and self._is_metric(each))
        return any(
            isinstance(each, ast.Name) and each.id in names
            for metric in metrics
            if self._tree.function(metric) is self._tree.function(call)
            for each in (*metric.args, *(keyword.value for keyword in metric.keywords))
        )

    def is_counted(self, call: ast.Call) -> bool:
        """Whether the result's equality with something named labels is summed or averaged: an entry for each item."""
        function, statement = self._tree.function(call), self._tree.statement(call)
        stored = (each for each in ast.walk(statement) if isinstance(each, ast.Name))
        names = {each.id for each in stored if isinstance(each.ctx, ast.Store)}
        for equality in self._tree.all(ast.Compare, ast.Call):
            if self._tree.function(equality) is not function:
                continue
            sides = _sides(equality)
            mine = [each for each in sides if self._tree.inside(call, each) or last_name(_object(each)) in names]
            others = [each for each in sides if each not in mine]
            labels = [
                each for each in others if _LABELS.search(last_name(each)) or _LABELS.search(last_name(_object(each)))
            ]
            above = self._tree.parents.get(equality)
            if isinstance(above, ast.Assign) and len(above.targets) == 1:
                kept = [each for each in self._tree.all(ast.Attribute) if _is_same_name(each.value, above.targets[0])]
                above = next((each for each in kept if self._tree.function(each) is function), None)
            how = above.attr if isinstance(above, ast.Attribute) else ""
            how = last_name(above.func) if isinstance(above, ast.Call) else how
            if mine and labels and how in ("sum", "mean", "float"):
                return True
        return False

    def is_compared(self, call: ast.Call) -> bool:
        """Whether the result is compared with something: `== labels`, `.eq(labels)`; what is looked for in a list of
        places (`best not in chosen`) is not."""
        above: ast.AST | None = self._tree.parents.get(call)
        while isinstance(above, (ast.Subscript, ast.Attribute, ast.Call)):
            if isinstance(above, ast.Attribute) and above.attr in ("eq", "equal"):
                return True
            above = self._tree.parents.get(above)
        if isinstance(above, ast.Compare):
            return True
        names = self.assigned(call)
        function = self._tree.function(call)
        for node in self._tree.all(ast.Compare, ast.Call):
            if self._tree.function(node) is not function:
                continue
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) and not _is_membership(node) else []
            if isinstance(node, ast.Call) and _WANTS_CLASSES.search(last_name(node.func)):
                sides = [each for each in node.args if isinstance(each, ast.Name)]
            if isinstance(node, ast.Call) and (self._names.origin(node.func) or ast.unparse(node.func)).endswith(
                ("eq", "accuracy_score")
            ):
                sides = [*node.args, getattr(node.func, "value", node.func)]
            if any(isinstance(part, ast.Name) and part.id in names for side in sides for part in ast.walk(side)):
                return True
        return False

    def is_collected(self, call: ast.Call) -> bool:
        """`labels.extend(choice.tolist())`: a list of labels grows by an entry for each example."""
        names, function = self.assigned(call), self._tree.function(call)
        for grown in self._tree.method_calls("extend"):
            assert isinstance(grown.func, ast.Attribute)
            if not _COLLECTED.search(last_name(grown.func.value)) or self._tree.function(grown) is not function:
                continue
            match grown.args:
                case [ast.Call(func=ast.Attribute(attr="tolist", value=value))]:
                    value = _object(value) if not isinstance(value, ast.Call) or value is not call else value
                    if value is call or (isinstance(value, ast.Name) and value.id in names):
                        return True
        return False

    def assigned(self, call: ast.Call) -> set[str]:
        """The names that the result gets."""
        statement = self._tree.statement(call)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}

    def _pairs_rows(self, pair: ast.Tuple) -> bool:
        """Whether a subscript goes through the rows and takes an entry of each."""
        rows = pair.elts[0]
        every = isinstance(rows, ast.Call) and last_name(rows.func) in ("range", "arange")
        return every and isinstance(self._tree.parents.get(pair), ast.Subscript)

    def _is_metric(self, call: ast.Call) -> bool:
        origin = self._names.origin(call.func) or ""
        return origin.startswith(("sklearn.metrics.", "torchmetrics.")) or bool(
            {each.arg for each in call.keywords} & _TRUTH
        )


def _object(node: ast.expr) -> ast.expr:
    """What a side of a comparison is of: `labels` for `labels[rows].long().cpu()`."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        inner = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Call) and not isinstance(inner, ast.Attribute):
            return node
        if isinstance(node, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == "self":
            return node
        node = inner
    return node


def _is_membership(node: ast.Compare) -> bool:
    """Whether places are looked for among places: `best not in chosen`, `(best == chosen_idx).any()`."""
    is_among = all(isinstance(each, (ast.In, ast.NotIn)) for each in node.ops)
    return is_among or any(_PLACES.search(last_name(_object(each))) for each in node.comparators)


def _is_same_name(first: ast.expr, second: ast.expr) -> bool:
    return isinstance(first, ast.Name) and isinstance(second, ast.Name) and first.id == second.id


def _sides(node: ast.Compare | ast.Call) -> list[ast.expr]:
    """The two sides of `a == b`, `a != b`, `a.eq(b)` and `torch.eq(a, b)`; nothing for what asks for no equality."""
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            return [left, right]
        case ast.Call(func=ast.Attribute(attr="eq" | "ne", value=left), args=[right]):
            return [left, right]
        case ast.Call(func=ast.Attribute(attr="eq" | "ne"), args=[left, right]):
            return [left, right]
    return []
