"""The parts of a split under each other's names

`train_test_split(X, y)` gives the parts of one array after the other: `X_train, X_test, y_train, y_test`. Unpacked in
another order, rows stand where labels should: a model is fitted to parts that do not belong together, or fails on
their lengths.

❌
```python
from sklearn.model_selection import train_test_split

X_train, y_train, X_test, y_test = train_test_split(X, y, random_state=0)  # ❌
model.fit(X_train, y_train)
```

✅
```python
from sklearn.model_selection import train_test_split

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model.fit(X_train, y_train)
```

https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.train_test_split.html
"""

import ast
from collections.abc import Iterator

from detectors import By, Change, Code, Part, Problem, Tier, last_name, part_named

TIER = Tier.BUG
WORDS = ("train_test_split", "train", "test|val|dev|eval|holdout")


def detect(code: Code) -> Iterator[Problem]:
    """Unpackings of `train_test_split` whose names say other parts than their places."""
    for assign in code.tree.all(ast.Assign):
        split, targets = code.splits.of(assign.value), assign.targets[0]
        if split is None or split.by is not By.FUNCTION or split.call is None or not isinstance(targets, ast.Tuple):
            continue
        given, names = split.call.args, targets.elts
        if len(given) < 2 or len(names) != 2 * len(given) or any(isinstance(each, ast.Starred) for each in given):
            continue
        if _is_mixed_up([part_named(last_name(each)) for each in names]):
            yield code.problem(
                assign,
                f"`{code.name(split.call.func)}` gives both parts of `{code.name(given[0])}`, then both parts of "
                f"`{code.name(given[1])}`: here `{code.name(names[1])}` gets the held-out rows of "
                f"`{code.name(given[0])}`.",
                mend=[_in_order(code, targets)],
            )


def _is_mixed_up(parts: list[Part | None]) -> bool:
    """Whether every place has the name of a part, and the pairs contradict each other."""
    if None in parts:
        return False
    held_out = [part is not Part.TRAIN for part in parts]
    pairs = set(zip(held_out[::2], held_out[1::2], strict=True))
    return len(set(held_out)) == 2 and pairs not in ({(False, True)}, {(True, False)})


def _in_order(code: Code, targets: ast.Tuple) -> Change | None:
    """The same names by twos, where they come as all train parts and then all held-out parts."""
    half = len(targets.elts) // 2
    first, second = targets.elts[:half], targets.elts[half:]
    if {part_named(last_name(each)) for each in first} != {Part.TRAIN}:
        return None
    names = [code.source.of(each) for pair in zip(first, second, strict=True) for each in pair]
    return code.source.replace(targets, ", ".join(names))
