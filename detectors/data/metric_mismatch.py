"""A metric is given what it does not measure

Ranking and probability metrics (ROC-AUC, average precision, log loss, Brier) given class predictions score one
threshold, not the ranking. Of a model with one output a class, the raw output of one class ranks by half of the
evidence. Arguments the wrong way round swap precision and recall. And a checkpoint or early stopping that looks for
the highest loss keeps the worst model.

❌
```python
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, roc_auc_score

classifier = LogisticRegression().fit(X_train, y_train)
y_pred = classifier.predict(X_test)
auc = roc_auc_score(y_test, y_pred)  # ❌
precision = precision_score(y_pred, y_test)  # ❌
```

✅
```python
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, roc_auc_score

classifier = LogisticRegression().fit(X_train, y_train)
y_pred = classifier.predict(X_test)
auc = roc_auc_score(y_test, classifier.predict_proba(X_test)[:, 1])
precision = precision_score(y_test, y_pred)
```

https://scikit-learn.org/stable/modules/model_evaluation.html
https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.ModelCheckpoint.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import REGRESSOR, Activation, Change, Code, Function, Problem, Tier, last_name, root_of

TIER = Tier.BUG
WORDS = (
    "roc_auc_score|average_precision_score|log_loss|brier_score|roc_curve|precision|recall|r2_score|accuracy_score"
    "|classification_report|confusion_matrix|monitor|metric_for_best_model|f1_score",
)
_METRICS = "sklearn.metrics."
_RANKING = frozenset(
    ["roc_auc_score", "average_precision_score", "log_loss", "brier_score_loss", "roc_curve", "precision_recall_curve"]
)
_ASYMMETRIC = {
    "precision_score": "precision and recall change places",
    "recall_score": "precision and recall change places",
    "roc_auc_score": "the labels are ranked by the scores' place",
    "average_precision_score": "the labels are ranked by the scores' place",
    "log_loss": "the labels are read as probabilities",
    "r2_score": "it is measured against the variance of the predictions",
    "classification_report": "precision and recall change places, and support counts predictions",
    "confusion_matrix": "the matrix is transposed, and errors are read as their opposite",
    "precision_recall_fscore_support": "precision and recall change places",
}
_CLASS_METRICS = ("accuracy_score", "f1_score", "precision_score", "recall_score", "classification_report")
_CLASSIFIER = re.compile(
    r"(sklearn|xgboost|lightgbm|catboost|imblearn)\.(\w+\.)*(\w*Classifier|LogisticRegression(CV)?|SVC|NuSVC|\w+NB"
    r"|LinearDiscriminantAnalysis|QuadraticDiscriminantAnalysis)$"
)
_PREDICTED = re.compile(
    r"^(y_?(pred|hat|predicted)s?(_\w+)?|pred(s|ictions?|icted)?(_labels?)?|(test|val)_preds?|y_?p)$", re.I
)
_TRUE = re.compile(
    r"^(y_?(true|test|val|valid|gt|gold|actual|target)s?|(true|gt|gold)_?(labels?)?|labels?|targets?|ground_?truth"
    r"|actuals?)$",
    re.I,
)
_LOWER = re.compile(r"(^|[_/.])(loss|mse|rmse|mae|mape|error|err|perplexity|ppl|wer|cer|nll|fid|eer|bpc|bpb)$", re.I)
_HIGHER = re.compile(
    r"(^|[_/.])(acc|acc1|accuracy|f1|f1_?score|auc|roc_?auc|auroc|map|ap|precision|recall|iou|miou|dice|bleu|rouge\w*|psnr"
    r"|ssim|r2|mcc|kappa|ndcg|mrr)$",
    re.I,
)
_STOPPERS = re.compile(r"(^|\.)(EarlyStopping|ModelCheckpoint)$")


def detect(code: Code) -> Iterator[Problem]:
    """Metrics given predictions of the wrong form or in the wrong order, and directions that contradict a name."""
    if code.is_test:
        return
    halves: set[Function | None] = set()
    for call in code.tree.all(ast.Call):
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if last in _RANKING or last in _ASYMMETRIC or last in _CLASS_METRICS:
            if (code.origin(call) or "").startswith(_METRICS):
                yield from _of_metric(code, call, (code.origin(call) or "").rpartition(".")[2], halves)
        elif _STOPPERS.search(last) or any(each.arg == "metric_for_best_model" for each in call.keywords):
            yield from _direction(code, call)


def _of_metric(code: Code, call: ast.Call, metric: str, halves: set[Function | None]) -> Iterator[Problem]:
    true, given = _arguments(code, call)
    if true is None or given is None:
        return
    if (
        metric in _ASYMMETRIC
        and _is_swapped(code, true, given)
        and not any(each.arg == "y_true" for each in call.keywords)
    ):
        yield code.problem(
            call,
            f"`{metric}` takes the true labels first, but gets `{code.name(true)}` before `{code.name(given)}`: "
            f"{_ASYMMETRIC[metric]}.",
            mend=[
                code.source.replace(true, code.source.of(given)),
                code.source.replace(given, code.source.of(true)),
            ],
        )
    elif metric in _RANKING:
        yield from _of_ranking(code, call, metric, given, halves)
    elif metric in _CLASS_METRICS and _predicted_by(code, given, REGRESSOR) is not None:
        model = _predicted_by(code, given, REGRESSOR)
        yield code.problem(
            call,
            f"`{metric}` counts equal classes, but `{code.name(model)}` is a regressor: its predictions are "
            "numbers on a scale.",
        )


def _arguments(code: Code, call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    if any(isinstance(each, ast.Starred) for each in call.args):
        return None, None
    given = next(
        (code.argument(call, name) for name in ("y_score", "y_prob", "y_proba", "y_pred") if code.argument(call, name)),
        None,
    )
    return code.argument(call, "y_true", 0), given or (call.args[1] if len(call.args) > 1 else None)


def _of_ranking(
    code: Code, call: ast.Call, metric: str, given: ast.expr, halves: set[Function | None]
) -> Iterator[Problem]:
    """Scores of the wrong form; `halves` are the functions that have been told of the raw output of one class."""
    model = _predicted_by(code, given, _CLASSIFIER)
    if model is not None:
        yield code.problem(
            call,
            f"`{metric}` wants scores or probabilities, but `{code.name(given)}` holds the classes that "
            f"`{code.name(model)}.predict` chose: one threshold is scored, not the ranking.",
            mend=[_with_probabilities(code, given)],
        )
    elif _is_decided(code, given):
        yield code.problem(
            call,
            f"`{metric}` wants scores or probabilities, but `{code.name(given)}` has been turned into classes before.",
        )
    elif code.tree.function(call) not in halves and _is_half_a_logit(code, given):
        halves.add(code.tree.function(call))
        yield code.problem(
            call,
            f"`{code.name(given)}` is the raw output of one class, trained with cross-entropy against the "
            "others: without "
            f"softmax over all of them `{metric}` ranks by an arbitrary offset.",
        )


def _assigned(code: Code, node: ast.expr) -> ast.expr:
    """What a name was assigned, where that is one expression; conversions are looked through."""
    for _ in range(6):
        if isinstance(node, ast.Name):
            bindings = code.names.reaching(node)
            value = bindings[0].value if len(bindings) == 1 and not bindings[0].index else None
            if value is None or not isinstance(code.tree.statement(bindings[0].node), ast.Assign):
                return node
            node = value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr not in ("cpu", "numpy", "detach", "ravel", "flatten", "tolist", "copy", "squeeze"):
                return node
            node = node.func.value
        elif isinstance(node, ast.Call) and (returned := _returned(code, node)) is not None:
            node = returned
        elif isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        else:
            return node
    return node


def _returned(code: Code, call: ast.Call) -> ast.expr | None:
    """The one thing that a function of this file gives."""
    callee = code.values.calls.callee(call)
    given = code.values.calls.returns(callee) if isinstance(callee, ast.FunctionDef) else []
    return given[0].value if len(given) == 1 else None


def _predicted_by(code: Code, node: ast.expr, made_by: re.Pattern[str]) -> ast.expr | None:
    """The model whose `predict` gave the expression, where all it can be is made so."""
    call = _assigned(code, node)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "predict":
        return None
    origins = [each.origin or "" for each in code.values.of(call.func.value)]
    fitted = [_fitted_origin(code, each) for each in code.values.of(call.func.value)]
    known = all(made_by.match(each) or made_by.match(other) for each, other in zip(origins, fitted, strict=True))
    return call.func.value if origins and known else None


def _fitted_origin(code: Code, value: object) -> str:
    """`LogisticRegression().fit(X, y)` is what was fitted."""
    call = getattr(value, "call", None)
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "fit":
        return code.values.only(call.func.value).origin or ""
    return ""


def _with_probabilities(code: Code, given: ast.expr) -> Change | None:
    """The probabilities of the second class in the place of the classes; two classes are what these metrics expect."""
    call = _assigned(code, given)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    if code.tree.function(call) is not code.tree.function(given):
        return None
    arguments = ", ".join(code.source.of(each) for each in call.args)
    return code.source.replace(given, f"{code.source.of(call.func.value)}.predict_proba({arguments})[:, 1]")


def _is_decided(code: Code, node: ast.expr) -> bool:
    value = _assigned(code, node)
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("astype", "int", "long")
    ):
        return isinstance(value.func.value, ast.Compare)
    name = value.func.attr if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else ""
    if name == "round" and isinstance(value, ast.Call):  # to whole numbers, where no number of digits is given
        given = value.args[1:] if code.origin(value) is not None else value.args
        return not given and not value.keywords
    return name == "argmax" or (
        isinstance(value, ast.Compare) and len(value.ops) == 1 and isinstance(value.ops[0], (ast.Gt, ast.GtE))
    )


def _is_half_a_logit(code: Code, node: ast.expr) -> bool:
    """`logits[:, 1]` of what cross-entropy is given in the same file."""
    value = _assigned(code, node)
    if not isinstance(value, ast.Subscript) or not isinstance(value.slice, ast.Tuple) or len(value.slice.elts) != 2:
        return False
    if not isinstance(value.slice.elts[0], ast.Slice) or not isinstance(value.slice.elts[1], ast.Constant):
        return False
    base = root_of(_inner(value))
    if code.activations.of(base).activation not in (None, Activation.LOGITS):
        return False
    for loss in code.activations.losses:
        own = root_of(loss.input)
        if loss.name != "cross_entropy" or not isinstance(own, ast.Name) or not isinstance(base, ast.Name):
            continue
        if code.names.reaching(own) == code.names.reaching(base) and code.tree.scope(own) is code.tree.scope(base):
            return True
    return False


def _inner(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("detach", "cpu", "numpy"):
                return node
            node = node.func.value
        else:
            node = node.value
    return node


def _is_swapped(code: Code, first: ast.expr, second: ast.expr) -> bool:
    names = last_name(first), last_name(second)
    if not _TRUE.match(names[1]) or _TRUE.match(names[0]):
        return False
    value = _assigned(code, first)
    method = value.func.attr if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else ""
    return _PREDICTED.match(names[0]) is not None or method in ("predict", "predict_proba", "argmax")


# -- directions -------------------------------------------------------------------------------------------------


def _direction(code: Code, call: ast.Call) -> Iterator[Problem]:
    for_trainer = code.argument(call, "metric_for_best_model")
    monitor = for_trainer or code.argument(call, "monitor")
    name = monitor.value if isinstance(monitor, ast.Constant) and isinstance(monitor.value, str) else ""
    lower, higher = _LOWER.search(name) is not None, _HIGHER.search(name) is not None
    if lower == higher:
        return
    key = "greater_is_better" if for_trainer is not None else "mode"
    mode = code.argument(call, key)
    if mode is None:
        origin = code.origin(call) or ""
        if not higher or for_trainer is not None or code.may_have(call, "mode") or not origin.startswith("lightning."):
            return
        said = "its default `mode` looks for the lowest value"
    else:
        value = mode.value if isinstance(mode, ast.Constant) else None
        wrong = (value in ("max", True) and lower) or (value in ("min", False) and higher)
        if not wrong or value is None:
            return
        said = f"`{key}={ast.unparse(mode)}` looks for the {'highest' if lower else 'lowest'}"
    right = ("False" if lower else "True") if for_trainer is not None else ("'min'" if lower else "'max'")
    yield code.problem(
        call,
        f"`{name}` is best when it is {'low' if lower else 'high'}, but {said}: the worst model counts as the best.",
        mend=[code.source.set_keyword(call, key, right)],
    )
