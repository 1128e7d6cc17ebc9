"""Fitted on the test part

A transformer learns its means, categories or components from the train part and applies them to everything else.
Fitted again on the test part, it moves the test rows by other numbers than the model was trained with (and no score
says how the model will do in use, where there is nothing to fit on). A resampled test part no longer has the balance
of the real data.

❌
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.fit_transform(X_test)  # ❌
```

✅
```python
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)
```

https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
"""

import ast
from collections.abc import Iterator

from detectors import Code, Fit, Learns, Part, Problem, Tier, last_name, part_named, root_of

TIER = Tier.BUG
WORDS = (".fit(|fit_transform|fit_resample|fit_sample", "test|val|dev|eval|split|holdout")


def detect(code: Code) -> Iterator[Problem]:
    """Fits of transformers on what is held out, and of a trained estimator on the test part."""
    if code.is_test:
        return
    for fit in code.preprocessing.fits:
        other = _fitted_before(code, fit)
        by_origin = code.splits.part(fit.data)
        part = by_origin or (_part_by_name(fit.data) if other is not None else None)
        if part is None or not part.is_held_out or "oracle" in code.name(fit.transformer).lower():
            continue
        yield _problem(code, fit, part, other)
    yield from _in_helper(code)
    yield from _of_unknown_make(code)
    yield from _estimators(code)


def _part_by_name(data: ast.expr) -> Part | None:
    return part_named(last_name(root_of(data)))


def _fitted_before(code: Code, fit: Fit) -> Fit | None:
    """Another fit of the same transformer, on what is not held out."""
    for other in code.preprocessing.fits:
        if other is fit or fit.subject is None or other.subject != fit.subject:
            continue
        part = code.splits.part(other.data) or _part_by_name(other.data)
        if part is None or not part.is_held_out:
            return other
    return None


def _problem(code: Code, fit: Fit, part: Part, other: Fit | None) -> Problem:
    who, data = code.name(fit.transformer), code.name(fit.data)
    if fit.learns is Learns.RESAMPLING:
        return code.problem(
            fit.call,
            f"`{data}` is the {part.value} part, and `{who}` resamples it: scores measured on it no longer "
            "speak of the "
            "balance of the real data.",
        )
    func = fit.call.func
    mend = None
    if fit.transforms and other is not None and isinstance(func, ast.Attribute):
        mend = code.source.replace(func, f"{code.source.of(func.value)}.transform")
    if other is not None:
        message = (
            f"`{who}` was fitted on `{code.name(other.data)}` at line {other.call.lineno} and is fitted anew on the "
            f"{part.value} part `{data}`: the model gets other numbers here than it was trained with."
        )
    else:
        message = (
            f"`{who}` learns from `{data}`, which is the {part.value} part: only the train part is there to learn from."
        )
    related = [(other.call, "the fit on the train part")] if other is not None else []
    return code.problem(fit.call, message, mend=[mend], related=related)


def _in_helper(code: Code) -> Iterator[Problem]:
    """A function that makes and fits its own transformer, and is called for the train part and for the test part."""
    for fit in code.preprocessing.fits:
        function, data = code.tree.function(fit.call), root_of(fit.data)
        if function is None or not fit.transforms or not isinstance(data, ast.Name) or not _made_inside(code, fit):
            continue
        parts: dict[Part, ast.expr] = {}
        for given in code.values.calls.given_for(function, data.id):
            part = code.splits.part(given) if given is not None else None
            if given is not None and part is not None:
                parts.setdefault(part, given)
        held_out_part = next((part for part in parts if part.is_held_out), None)
        if held_out_part is None or Part.TRAIN not in parts:
            continue
        train, held_out = parts[Part.TRAIN], parts[held_out_part]
        yield code.problem(
            fit.call,
            f"`{code.name(fit.transformer)}` is fitted anew in each call: on `{code.name(train)}` at line "
            f"{train.lineno}, and on the {held_out_part.value} part `{code.name(held_out)}` at line "
            f"{held_out.lineno}, so the model gets other numbers there than it was trained with.",
            related=[(train, "the train part"), (held_out, "the held-out part")],
        )


def _made_inside(code: Code, fit: Fit) -> bool:
    function = code.tree.function(fit.call)
    made = [each.call for each in code.values.of(fit.transformer)]
    return bool(made) and all(each is not None and code.tree.function(each) is function for each in made)


def _of_unknown_make(code: Code) -> Iterator[Problem]:
    """One object of unknown make that is fitted to what is named train, and fits and transforms what is named test."""
    known = {each.call for each in code.preprocessing.fits}
    calls = [each for each in code.method_calls("fit_transform", "fit") if each.args and each not in known]
    for call in calls:
        part = _part_by_name(call.args[0])
        if part is None or not part.is_held_out or call.func.attr == "fit":  # type: ignore[attr-defined]
            continue
        subject = code.values.subject(_owner(call))
        same = [each for each in calls if subject is not None and code.values.subject(_owner(each)) == subject]
        other = next((each for each in same if _part_by_name(each.args[0]) is Part.TRAIN), None)
        if other is None or other.lineno > call.lineno or code.tree.function(other) is not code.tree.function(call):
            continue
        who = code.name(_owner(call))
        yield code.problem(
            call,
            f"`{who}` was fitted on `{code.name(other.args[0])}` at line {other.lineno} and is fitted anew on "
            f"`{code.name(call.args[0])}`: the model gets other numbers here than it was trained with.",
            mend=[code.source.replace(call.func, f"{code.source.of(_owner(call))}.transform")],
            related=[(other, "the fit on the train part")],
        )


def _estimators(code: Code) -> Iterator[Problem]:
    """A model of scikit-learn fitted on the train part and then again on the test part."""
    fitted = [each for each in code.method_calls("fit") if each.args and _is_estimator(code, each.func)]
    if len(fitted) < 2:
        return
    on_train = {code.values.subject(_owner(each)) for each in fitted if code.splits.part(each.args[0]) is Part.TRAIN}
    for call in fitted:
        subject = code.values.subject(_owner(call))
        if subject is None or subject not in on_train or code.splits.part(call.args[0]) is not Part.TEST:
            continue
        if part_named(last_name(root_of(call.args[0]))) is not Part.TEST or "oracle" in code.name(call.func).lower():
            continue
        yield code.problem(
            call,
            f"`{code.name(_owner(call))}` is trained on the test part `{code.name(call.args[0])}`: nothing is left to "
            "measure it on.",
        )


def _owner(call: ast.Call) -> ast.expr:
    return call.func.value  # type: ignore[attr-defined,no-any-return]


def _is_estimator(code: Code, func: ast.expr) -> bool:
    origins = {each.origin or "" for each in code.values.of(func.value)}  # type: ignore[attr-defined]
    return bool(origins) and all(
        each.startswith(("sklearn.", "xgboost.", "lightgbm.", "catboost.")) for each in origins
    )
