"""Fitted on all rows, split afterwards

A scaler, imputer, vectorizer, PCA, feature selector or resampler that is fitted before the split has seen the rows
that are held out. The score is then measured on data that helped to prepare the training, and is better than the
model will be in use. Split first, fit on the train part, and only transform the rest (a `Pipeline` does so inside
cross-validation).

❌
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

scaler = StandardScaler()
X = scaler.fit_transform(X)  # ❌
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
```

✅
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

scaler = StandardScaler()
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)
```

https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
https://imbalanced-learn.org/stable/common_pitfalls.html#data-leakage
"""

import ast
from collections.abc import Iterator

from detectors import By, Code, Leak, Learns, Problem, Tier

TIER = Tier.BUG
WORDS = (
    "fit_transform|.fit(|fit_resample|fit_sample|scale(|quantile_transform|power_transform",
    "split|cross_val|CV|curve|[:|train",
)


def detect(code: Code) -> Iterator[Problem]:
    """Fits of what learns statistics or makes rows, whose data is split only later."""
    if code.is_test:
        return
    for leak in code.preprocessing.leaks:
        fit = leak.fit
        if fit.learns is Learns.CODES:
            continue
        made = isinstance(fit.transformer, ast.Call)
        who = code.name(fit.transformer.func if isinstance(fit.transformer, ast.Call) else fit.transformer)
        whose = f"a `{who}`" if made else f"`{who}`"
        yield code.problem(
            fit.call,
            f"{whose[0].upper()}{whose[1:]} is fitted on all of `{code.name(fit.data)}`, and {after(leak)}: "
            + (
                "rows made from held-out rows end up in the train part."
                if fit.learns is Learns.RESAMPLING
                else "what it learns comes from the held-out rows too."
            ),
            good=mended(code, leak),
            tier=Tier.RISK if leak.of_train else None,
            show=[leak.split.node],
            related=[(leak.split.node, "the split")],
        )


def after(leak: Leak) -> str:
    """Where the data is split, for the message."""
    line = leak.split.node.lineno
    if leak.split.by in (By.CROSS_VALIDATION, By.SEARCH):
        return f"line {line} cross-validates on it"
    return f"line {line} splits it only afterwards"


def mended(code: Code, leak: Leak) -> str:
    """The author's split and then the fit on its train part, where both are plain assignments of one block."""
    fit, split = leak.fit, leak.split
    first, second = code.tree.statement(fit.call), code.tree.statement(split.node)
    if split.by is not By.FUNCTION or not fit.transforms or first not in code.tree.block(second):
        return ""
    if not isinstance(first, ast.Assign) or first.value is not fit.call or not isinstance(second, ast.Assign):
        return ""
    target, parts = first.targets[0], second.targets[0]
    given = [ast.unparse(each) for each in split.data]
    name = ast.unparse(target)
    position = 2 * given.index(name) if name in given else -1
    if fit.learns is Learns.RESAMPLING or not isinstance(parts, ast.Tuple) or not 0 <= position < len(parts.elts) - 1:
        return ""
    if isinstance(fit.call.func, ast.Name) or len(fit.call.args) > 1:
        return ""
    scaler, lines = ast.unparse(fit.transformer), []
    if isinstance(fit.transformer, ast.Call):
        lines, scaler = [f"scaler = {scaler}"], "scaler"
    train, test = (ast.unparse(each) for each in parts.elts[position : position + 2])
    if name != ast.unparse(fit.data):
        text = code.source.of(second).replace(f"({name},", f"({ast.unparse(fit.data)},", 1)
    else:
        text = code.source.of(second)
    text = text.replace("\n" + " " * second.col_offset, "\n")
    return "\n".join(
        [text, *lines, f"{train} = {scaler}.fit_transform({train})", f"{test} = {scaler}.transform({test})"]
    )
