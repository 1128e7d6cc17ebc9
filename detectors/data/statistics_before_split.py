"""Normalised with the statistics of all rows

A mean, spread, minimum or median of the whole data carries the held-out rows into every train row; a target mean by
group hands their answers over. Take the statistics from the train part and use those same numbers on the rest.

❌
```python
import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_csv("houses.csv")
frame = (frame - frame.mean()) / frame.std()  # ❌
train, test = train_test_split(frame, random_state=0)
```

✅
```python
import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_csv("houses.csv")
train, test = train_test_split(frame, random_state=0)
mean, std = train.mean(), train.std()
train, test = (train - mean) / std, (test - mean) / std
```

https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Split, Tier, is_some_rows, last_name, part_named, root_of

TIER = Tier.BUG
WORDS = ("mean|std|min(|median|quantile|max(", "split|cross_val|CV|[:|sample(|train")
_STATISTICS = frozenset(["mean", "std", "min", "max", "median", "quantile", "nanmean", "nanstd", "var", "amin", "amax"])
_ANSWERS = re.compile(r"^(y|ys|y_\w+|\w+_y|labels?|targets?|\w+_(labels?|targets?))$", re.I)
_ITEMWISE = (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.Lambda, ast.For)


def detect(code: Code) -> Iterator[Problem]:
    """Arithmetic and fills with statistics of the same data, before that data is split."""
    if code.is_test:
        return
    seen: set[ast.AST] = set()
    for split in code.splits.all:
        for data in split.data:
            for step in code.provenance.trace(data, stop=code.splits.is_part):
                if step.node in seen or any(code.tree.enclosing(each, *_ITEMWISE) for each in step.calls):
                    continue
                used = _used(code, step.node, split)
                if used is None or any(isinstance(each.node, (ast.ListComp, ast.GeneratorExp)) for each in step.path):
                    continue
                seen.add(step.node)
                yield _problem(code, step.node, used, split)


def _problem(code: Code, node: ast.expr, used: ast.expr, split: Split) -> Problem:
    by_group = isinstance(used, ast.Call) and _grouped_column(used) is not None
    what = "the target's means by group are taken" if by_group else f"`{code.name(used)}` is taken"
    harm = (
        "each row's feature knows answers of held-out rows" if by_group else "the train rows are moved by held-out rows"
    )
    return code.problem(
        node,
        f"Here {what} over all rows, and line {split.node.lineno} splits them only afterwards: {harm}.",
        show=[split.node],
        related=[(split.node, "the split")],
    )


def _used(code: Code, node: ast.expr, split: Split) -> ast.expr | None:
    """The statistic of all rows that goes into the data at this step."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        statistic = _statistic(code, node.right)
        if statistic is None or _is_one_item(node.left):
            return None
        return statistic if _is_of(code, statistic, node.left) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        scale = _statistic(code, node.right)
        is_scale = scale is not None and _is_by_column(code, scale) and _is_of(code, scale, node.left)
        return scale if is_scale else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "fillna" and node.args:
            statistic = _statistic(code, node.args[0])
            return statistic if statistic is not None and _is_of(code, statistic, node.func.value) else None
        grouped = node if node.func.attr == "transform" else _mapped(code, node)
        column = _grouped_column(grouped) if grouped is not None else None
        if grouped is not None and column is not None and _is_target(code, split, column):
            return grouped
    return None


def _mapped(code: Code, node: ast.Call) -> ast.Call | None:
    """The means by group behind `frame[key].map(means)`, where they are of the same whole frame."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "map" or len(node.args) != 1:
        return None
    bindings = code.names.reaching(node.args[0]) if isinstance(node.args[0], ast.Name) else ()
    means = bindings[0].value if len(bindings) == 1 and not bindings[0].index else node.args[0]
    if not isinstance(means, ast.Call) or _grouped_column(means) is None:
        return None
    whole = means.func.value.value.func.value  # type: ignore[attr-defined]
    one, other = root_of(whole), root_of(node.func.value)
    same = isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id
    part = part_named(last_name(one)) is not None or code.splits.comes_from_part(whole)
    return means if same and not part else None


def _statistic(code: Code, node: ast.expr) -> ast.Call | None:
    """The call that takes a statistic over the rows, itself or behind a name; None for one taken over columns."""
    if isinstance(node, ast.Name):
        bindings = code.names.reaching(node)
        value = bindings[0].value if len(bindings) == 1 and not bindings[0].index else None
        node = value if value is not None and isinstance(bindings[0].node, ast.Assign) else node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _STATISTICS:
        return None
    axis = code.argument(node, "axis", 1 if code.origin(node) else 0)
    if axis is not None and not (isinstance(axis, ast.Constant) and axis.value in (0, None, "index")):
        return None if node.func.attr != "quantile" else node
    return None if any(each.arg in ("dim", "keepdims", "keepdim") for each in node.keywords) else node


def _is_by_column(code: Code, statistic: ast.Call) -> bool:
    """Whether the spread or largest value is of each column, and no one number for all pixels of all images."""
    if last_name(statistic.func) not in ("std", "max", "nanmax", "nanstd", "amax"):
        return False
    if any(each.arg == "axis" for each in statistic.keywords) or code.origin(statistic) is not None:
        return any(each.arg == "axis" for each in statistic.keywords)
    calls = (each.node for each in code.provenance.trace(statistic) if isinstance(each.node, ast.Call))
    return any((code.origin(each) or "").startswith("pandas.") for each in calls)


def _is_of(code: Code, statistic: ast.Call, data: ast.expr) -> bool:
    """Whether the statistic is of the same whole object, not of a train part or of one item."""
    whole = statistic.args[0] if code.origin(statistic) and statistic.args else statistic.func.value  # type: ignore[attr-defined]
    one, other = root_of(whole), root_of(data)
    if any(is_some_rows(each) for each in ast.walk(whole)):
        return False
    if not isinstance(one, ast.Name) or not isinstance(other, ast.Name) or one.id != other.id:
        return (
            isinstance(one, ast.Attribute) and ast.dump(one) == ast.dump(other) and part_named(last_name(one)) is None
        )
    if part_named(one.id) is not None or code.splits.comes_from_part(whole):
        return False
    return not any(isinstance(each.node, (ast.For, ast.comprehension)) for each in code.names.reaching(one))


def _is_one_item(node: ast.expr) -> bool:
    """`price[-1]`: one value against the others of its series, no data that is moved."""
    index = node.slice if isinstance(node, ast.Subscript) else None
    number = index.operand if isinstance(index, ast.UnaryOp) else index
    return isinstance(number, ast.Constant) and isinstance(number.value, int)


def _grouped_column(call: ast.Call) -> str | None:
    """The column of `frame.groupby(key)["column"].transform("mean")` and of `frame.groupby(key)["column"].mean()`."""
    func = call.func
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Subscript):
        return None
    grouped, column = func.value.value, func.value.slice
    given = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value in _STATISTICS
    is_mean = given if func.attr == "transform" else func.attr in _STATISTICS
    by = isinstance(grouped, ast.Call) and isinstance(grouped.func, ast.Attribute) and grouped.func.attr == "groupby"
    name = column.value if isinstance(column, ast.Constant) else None
    return name if is_mean and by and isinstance(name, str) else None


def _is_target(code: Code, split: Split, column: str) -> bool:
    """Whether the second thing that is split is this column, or it is called an answer where it is taken out."""
    if len(split.data) == 1:
        taken = (each for each in code.tree.all(ast.Assign) if _column_of(each.value) == column)
        return any(_ANSWERS.search(last_name(each.targets[0])) for each in taken)
    for data in split.data[1:2]:
        for step in code.provenance.trace(data):
            if isinstance(step.node, ast.Subscript) and isinstance(step.node.slice, ast.Constant):
                return step.node.slice.value == column
    return False


def _column_of(node: ast.expr) -> str | None:
    """`frame["price"]`, `frame[["price"]].values`, `frame.pop("price")`: the one column that is taken."""
    while isinstance(node, ast.Attribute) and node.attr == "values":
        node = node.value
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(name)) | ast.List(elts=[ast.Constant(value=str(name))])):
            return name
        case ast.Call(func=ast.Attribute(attr="pop"), args=[ast.Constant(value=str(name))]):
            return name
    return None
