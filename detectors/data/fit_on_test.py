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
import re
from collections.abc import Iterator

from detectors import By, Code, Fit, Learns, Part, Problem, Tier, last_name, part_named, root_of

TIER = Tier.BUG
_JOINS = (
    "numpy.concatenate",
    "numpy.vstack",
    "pandas.concat",
    "scipy.sparse.vstack",
    "torch.cat",
)
_ANSWERS = re.compile(r"(^|_)(y|ys|labels?|targets?)(_|$)", re.I)
WORDS = (".fit(|fit_transform|fit_resample|fit_sample", "test|val|dev|eval|split|holdout")


def detect(code: Code) -> Iterator[Problem]:
    """Fits of transformers on what is held out, and of a trained estimator on the test part."""
    if code.is_test:
        return
    for fit in code.preprocessing.fits:
        other = _fitted_before(code, fit)
        part = _held_out(code, fit.data) or (_part_by_name(fit.data) if other is not None else None)
        if part is None or not part.is_held_out or "oracle" in code.name(fit.transformer).lower():
            continue
        yield _problem(code, fit, part, other)
    yield from _of_both(code)
    yield from _in_helper(code)
    yield from _of_unknown_make(code)
    yield from _estimators(code)


def _part_by_name(data: ast.expr) -> Part | None:
    return part_named(last_name(root_of(data)))


def _fitted_before(code: Code, fit: Fit) -> Fit | None:
    """Another fit of the same transformer, on what is not held out."""
    for other in code.preprocessing.fits:
        if other is fit or not _is_same_or_twin(code, fit, other):
            continue
        part = code.splits.part(other.data) or _part_by_name(other.data)
        if part is None or not part.is_held_out:
            return other
    return None


def _is_same_or_twin(code: Code, fit: Fit, other: Fit) -> bool:
    """Whether the other fit is of the same transformer, or of one of the same make for the train part of the pair
    `X_train` and `X_test`."""
    if fit.subject is not None and other.subject == fit.subject:
        return True
    pair = _without_part(fit.data), _without_part(other.data)
    if pair[0] != pair[1] or _part_by_name(other.data) is not Part.TRAIN or other.call.lineno > fit.call.lineno:
        return False
    make = code.values.only(fit.transformer).origin
    return make is not None and make == code.values.only(other.transformer).origin


def _without_part(data: ast.expr) -> str:
    """The name without the word for the part: `X` for `X_train`."""
    return re.sub(r"_?(train(ing)?|test(ing)?|val(id(ation)?)?)_?", "", ast.unparse(data), flags=re.I)


def _held_out(code: Code, data: ast.expr) -> Part | None:
    """The held-out part that the data is by origin, whatever the call."""
    parts = code.splits.parts(data)
    known = [each for each in Part if each in parts and each.is_held_out]
    return known[-1] if known and len(known) == len(parts) else None


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


def _of_both(code: Code) -> Iterator[Problem]:
    """A transformer fitted on the train part put together with the part that scores are measured on."""
    for fit in code.preprocessing.fits:
        joined = _joined(code, fit.data) if fit.learns is not Learns.CODES else []
        parts = {_part_by_origin_or_name(code, each): each for each in joined}
        held_out = next((part for part in (Part.TEST, Part.VALIDATION) if part in parts), None)
        if Part.TRAIN not in parts or held_out is None or not _has_answers(code, held_out):
            continue
        by_origin = code.splits.part(parts[held_out]) is held_out
        if not by_origin and any(each.by is By.FUNCTION for each in code.splits.all):
            continue  # what is named for the test part has no labels where another is split off
        yield code.problem(
            fit.call,
            f"`{code.name(fit.transformer)}` learns from `{code.name(parts[Part.TRAIN])}` together with the "
            f"{held_out.value} part `{code.name(parts[held_out])}`, on which scores are measured: only the train part "
            "is there to learn from.",
            tier=None if by_origin else Tier.RISK,
        )


def _joined(code: Code, data: ast.expr) -> list[ast.expr]:
    """The pieces that data is put together from: `np.concatenate([a, b])`, `pd.concat([a, b])`, `list(a) + list(b)`."""
    data = code.names.written(data)
    if isinstance(data, ast.BinOp) and isinstance(data.op, ast.Add):
        sides = [code.names.written(each) for each in (data.left, data.right)]
        lists = [each.args[0] for each in sides if isinstance(each, ast.Call) and ast.unparse(each.func) == "list"]
        return lists if len(lists) == len(sides) else []
    side = code.argument(data, "axis", 1) if isinstance(data, ast.Call) else None
    is_rows = side is None or ast.unparse(side) in ("0", "'index'")
    if isinstance(data, ast.Call) and code.origin(data) in _JOINS and data.args and is_rows:
        pieces = code.names.written(data.args[0])
        return list(pieces.elts) if isinstance(pieces, (ast.List, ast.Tuple)) else []
    return []


def _part_by_origin_or_name(code: Code, data: ast.expr) -> Part | None:
    return code.splits.part(data) or _part_by_name(data)


def _has_answers(code: Code, part: Part) -> bool:
    """Whether the file knows the labels of the part, so that it measures on it and does not only predict."""
    names = {each.id for each in code.tree.all(ast.Name)}
    return any(part_named(each) is part and _ANSWERS.search(each) for each in names)


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
    """A model fitted on the train part and then again on the test part, or on all rows and measured on some of them."""
    fitted = code.estimators.fits
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
    for each in code.estimators.overtrained:
        measured = each.measure.args[0]
        yield code.problem(
            each.fit,
            f"`{code.name(_owner(each.fit))}` is trained on all of `{code.name(each.fit.args[0])}`, the test part "
            f"included, and line {each.measure.lineno} measures it on `{code.name(measured)}`: it has seen these rows.",
            show=[each.measure],
            related=[(each.split.node, "the split"), (each.measure, "where it is measured")],
        )


def _owner(call: ast.Call) -> ast.expr:
    return call.func.value  # type: ignore[attr-defined,no-any-return]
