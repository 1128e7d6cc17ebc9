"""A time series is split at random

Rows with lags or rolling means know their neighbours. Split at random, the train part holds the hours before and
after each test row, and the score is of filling gaps, not of telling the future. Cut at a time, or use
`TimeSeriesSplit`.

❌
```python
import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_csv("load.csv")
frame["yesterday"] = frame["load"].shift(24)
frame["week"] = frame["load"].rolling(168).mean()
train, test = train_test_split(frame.dropna(), random_state=0)  # ❌
```

✅
```python
import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_csv("load.csv")
frame["yesterday"] = frame["load"].shift(24)
frame["week"] = frame["load"].rolling(168).mean()
train, test = train_test_split(frame.dropna(), shuffle=False)
```

https://scikit-learn.org/stable/modules/cross_validation.html#cross-validation-of-time-series-data
"""

import ast
import re
from collections.abc import Iterator

from detectors import By, Code, Problem, Split, Tier

TIER = Tier.RISK
WORDS = (
    "shift|rolling|pct_change|ewm|diff|sort_values|sort_index",
    "train_test_split|KFold|random_split|cross_val|ShuffleSplit|sample(",
)
_LAGS = frozenset(["shift", "rolling", "pct_change", "ewm", "diff"])
_TIME = re.compile(r"(^|_)(date|time|timestamp|datetime|day|month|year|hour|week|ts)(_|$)", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Random splits of data that is made of lags, rolling windows or is ordered by time."""
    if code.is_test:
        return
    for split in code.splits.all:
        if not _is_random(code, split):
            continue
        series = next((each for data in split.data if (each := _series(code, data)) is not None), None)
        if series is None:
            continue
        node, why = series
        yield code.problem(
            split.node,
            f"`{code.name(split.data[0])}` is a time series (line {node.lineno} {why}), and is split at random "
            "here: the train part "
            "holds the rows around each held-out row.",
            good=_in_order(code, split),
            related=[(node, why)],
        )


def _in_order(code: Code, split: Split) -> str:
    """The author's `train_test_split` with `shuffle=False`, which takes no random state and no strata."""
    statement = code.tree.statement(split.node)
    if split.by is not By.FUNCTION or split.call is None or not isinstance(statement, ast.Assign):
        return ""
    call = split.call
    kept = [ast.unparse(each) for each in call.args]
    dropped = ("random_state", "shuffle", "stratify")
    kept += [f"{each.arg}={ast.unparse(each.value)}" for each in call.keywords if each.arg and each.arg not in dropped]
    targets = ast.unparse(statement.targets[0]).strip("()")
    return f"{targets} = {ast.unparse(call.func)}({', '.join([*kept, 'shuffle=False'])})"


def _is_random(code: Code, split: Split) -> bool:
    call = split.call
    if call is None or split.by is By.SUBSETS:
        return call is not None and isinstance(call.func, ast.Attribute) and call.func.attr == "sample"
    shuffle = code.argument(call, "shuffle")
    if split.by is By.FUNCTION:
        given = shuffle is not None or code.may_have(call, "shuffle")
        return not given or (isinstance(shuffle, ast.Constant) and shuffle.value is True)
    if split.by is By.FOLDS and isinstance(call.func, ast.Attribute):
        value = code.values.only(call.func.value)
        origin = (value.origin or "").rpartition(".")[2]
        if origin.endswith("ShuffleSplit") and "Group" not in origin:
            return True
        shuffled = code.argument(value.call, "shuffle") if value.call is not None else None
        return origin in ("KFold", "StratifiedKFold") and isinstance(shuffled, ast.Constant) and shuffled.value is True
    return split.by is By.RANDOM


def _series(code: Code, data: ast.expr) -> tuple[ast.Call, str] | None:
    """What says that the data is a series, and how."""
    for step in code.provenance.trace(data, stop=code.splits.is_part):
        call = step.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or code.origin(call) is not None:
            continue
        if call.func.attr in _LAGS and _is_frame(code, call.func.value):
            return call, "takes values of earlier rows"
        if (
            call.func.attr == "sort_values"
            and _TIME.search(_first_name(code, call))
            and _is_frame(code, call.func.value)
        ):
            return call, "orders it by time"
    return None


def _is_frame(code: Code, node: ast.expr) -> bool:
    """Whether the object comes from pandas, and is not grouped by something else than time."""
    steps = list(code.provenance.trace(node))
    if any(isinstance(each.node, ast.Call) and getattr(each.node.func, "attr", "") == "groupby" for each in steps):
        return False
    calls = (each.node for each in steps if isinstance(each.node, ast.Call))
    return any((code.origin(each) or "").startswith("pandas.") for each in calls)


def _first_name(code: Code, call: ast.Call) -> str:
    by = code.argument(call, "by", 0)
    if isinstance(by, (ast.List, ast.Tuple)):
        by = by.elts[0] if by.elts else None
    return by.value if isinstance(by, ast.Constant) and isinstance(by.value, str) else ""
