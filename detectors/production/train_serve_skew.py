"""Training and serving preprocess with different numbers

The model learned inputs normalised with one mean and standard deviation and is served inputs normalised with others.
Nothing fails; accuracy in production is just below what was measured. Keep the numbers in one place.

❌
```python
from torchvision import transforms

train_transform = transforms.Compose([
    transforms.RandomResizedCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
serve_transform = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),  # ❌
])
```

✅
```python
from torchvision import transforms

normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
train_transform = transforms.Compose([
    transforms.RandomResizedCrop(224),
    transforms.ToTensor(),
    normalize,
])
serve_transform = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    normalize,
])
```

https://developers.google.com/machine-learning/guides/rules-of-ml#training-serving_skew
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("Normalize(|.fit_transform(",)

_TRAIN = re.compile(r"(^|_)(train|training|fit)(_|$)", re.I)
_SERVE = re.compile(r"(^|_)(val|valid|validation|test|eval|serve|serving|infer|inference|predict|prod)(_|$)", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Transforms that serve with other constants than those beside them that train; transformers fitted in requests."""
    if code.is_test:
        return
    yield from _fitted_while_serving(code)
    scopes: dict[ast.AST, list[tuple[ast.Call, tuple[object, ...], str]]] = {}
    for call in code.method_calls("Normalize"):
        constants, name = _constants(code, call), _kept_as(code, call)
        if constants and name:
            scopes.setdefault(code.tree.scope(call), []).append((call, constants, name))
    for found in scopes.values():
        train = [each for each in found if _TRAIN.search(each[2])]
        serve = [each for each in found if _SERVE.search(each[2]) and not _TRAIN.search(each[2])]
        if len({each[1] for each in train}) != 1:
            continue
        for call, constants, name in serve:
            if _rest(name, _SERVE) == _rest(train[0][2], _TRAIN) and constants != train[0][1]:
                yield code.problem(
                    call,
                    f"`{name}` normalises with other numbers than `{train[0][2]}` at line {train[0][0].lineno}: the "
                    "model is given inputs it was not trained on.",
                    mend=[code.source.replace(call, code.source.of(train[0][0]))],
                    related=[(train[0][0], "the training side")],
                )


def _fitted_while_serving(code: Code) -> Iterator[Problem]:
    """A transformer that is fitted on what a request brings, before a model predicts from it."""
    calls = code.method_calls("fit_transform") if code.endpoints.all else []
    fits = {each.call: each for each in code.preprocessing.fits} if calls else {}
    for call in calls:
        endpoint = code.endpoints.around(call)
        if call not in fits or endpoint is None or not code.endpoints.from_request(fits[call].data):
            continue
        function = code.tree.function(call)
        later = (each for each in code.method_calls("predict", "predict_proba") if code.tree.function(each) is function)
        predicted = next((each for each in later if each.lineno >= call.lineno), None)
        if predicted is None or any(code.tree.function(each) is function for each in code.method_calls("fit")):
            continue
        yield code.problem(
            call,
            f"`{endpoint.function.name}` fits `{code.name(fits[call].transformer)}` on what the request brings: each "
            f"request is scaled or coded in its own way, which is not that of the data that "
            f"`{code.name(predicted.func).rpartition('.')[0]}` learned from. Load the one fitted in training, and "
            "`transform`.",
            mend=[
                code.source.replace(call.func, code.source.of(call.func).removesuffix("fit_transform") + "transform")
            ],
            related=[(predicted, "predicts from it")],
        )


def _constants(code: Code, call: ast.Call) -> tuple[object, ...]:
    """Mean and standard deviation, where both are literals."""
    given = [code.argument(call, "mean", 0), code.argument(call, "std", 1)]
    values = [code.values.only(each).node for each in given if each is not None]
    try:
        return tuple(tuple(ast.literal_eval(each)) for each in values if each is not None) if len(values) == 2 else ()
    except (ValueError, TypeError, SyntaxError):
        return ()


def _kept_as(code: Code, call: ast.Call) -> str:
    """The name of the transform the call is part of: a variable or the key of a dict."""
    below: ast.AST = call
    for above in code.tree.ancestors(call):
        if isinstance(above, ast.Dict) and below in above.values:
            key = above.keys[above.values.index(below)]
            return str(key.value) if isinstance(key, ast.Constant) else ""
        if isinstance(above, ast.Assign):
            return last_name(above.targets[0]) if len(above.targets) == 1 else ""
        if isinstance(above, ast.stmt):
            return ""
        below = above
    return ""


def _rest(name: str, role: re.Pattern[str]) -> str:
    return role.sub("_", name).strip("_").lower()
