"""Categories encoded before the split

An encoder fitted on all rows knows the categories of the held-out rows. In use, a new category arrives that no code
was made for; the evaluation never shows what happens then. Fit the encoder on the train part, with a rule for unknown
categories, or give it the categories.

❌
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder

encoder = OrdinalEncoder()
X[["city"]] = encoder.fit_transform(X[["city"]])  # ❌
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
```

✅
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
X_train[["city"]] = encoder.fit_transform(X_train[["city"]])
X_test[["city"]] = encoder.transform(X_test[["city"]])
```

https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
https://scikit-learn.org/stable/modules/preprocessing.html#encoding-categorical-features
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Learns, Problem, Tier, last_name, root_of

TIER = Tier.RISK
WORDS = ("Encoder|Binarizer|DictVectorizer|get_dummies|factorize", "split|cross_val|CV|curve|[:|train")
_TARGET = re.compile(r"^(y|ys|labels?|targets?|class(es)?|y_\w+|encoded_y|\w*_(labels?|targets?))$", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Fits of encoders, and calls of pandas' encoders, whose data is split only later."""
    if code.is_test:
        return
    told: set[tuple[object, ast.AST]] = set()
    for leak in code.preprocessing.leaks:
        fit = leak.fit
        again = (fit.subject or fit.call, leak.split.node)
        if fit.learns is not Learns.CODES or again in told:
            continue  # one encoder for column after column is one thing to say
        told.add(again)
        target = is_target(code, fit.call, fit.data)
        yield code.problem(
            fit.call,
            f"The categories of `{code.name(fit.data)}` are taken from all rows, and line "
            f"{leak.split.node.lineno} splits "
            "them only afterwards: a category that the train part does not have goes unnoticed.",
            tier=Tier.ADVICE if target else None,
            show=[leak.split.node],
            related=[(leak.split.node, "the split")],
        )
    yield from _by_pandas(code)


def is_target(code: Code, call: ast.Call, data: ast.expr) -> bool:
    """Whether labels are encoded, not features."""
    statement = code.tree.statement(call)
    written = statement.targets[0] if isinstance(statement, ast.Assign) else data
    key = data.slice.value if isinstance(data, ast.Subscript) and isinstance(data.slice, ast.Constant) else ""
    names = [last_name(root_of(data)), last_name(written), last_name(data), str(key)]
    return any(_TARGET.match(each) for each in names) or "Label" in (code.values.only(call.func).origin or "")


def _by_pandas(code: Code) -> Iterator[Problem]:
    calls = {*code.calls("pandas.get_dummies", "pandas.factorize"), *code.method_calls("factorize")}
    calls = {each for each in calls if each.args or code.origin(each) is None}
    if not calls:
        return
    for split in code.splits.all:
        for data in split.data:
            for step in code.provenance.trace(data, stop=code.splits.is_part):
                call = step.node
                if not isinstance(call, ast.Call) or call not in calls:
                    continue
                calls.discard(call)
                encoded = call.args[0] if call.args else call.func.value  # type: ignore[attr-defined]
                if code.splits.comes_from_part(encoded):
                    continue
                yield code.problem(
                    call,
                    f"The codes of `{code.name(encoded)}` are made from all rows, and line {split.node.lineno} "
                    "splits them "
                    "only afterwards: nothing says how a category unseen in training is coded.",
                    tier=Tier.ADVICE,
                    show=[split.node],
                    related=[(split.node, "the split")],
                )
