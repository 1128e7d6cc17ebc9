"""Estimators: models with `fit` and `predict`, what each fit trains on, and what it is measured on afterwards.

scikit-learn, XGBoost, LightGBM and CatBoost are known by their origin; pipelines and searches count as models.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.data.preprocessing import Preprocessing
from detectors._engine.data.splits import By, Part, Split, Splits
from detectors._engine.names.bindings import Binding
from detectors._engine.names.names import Names
from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values

_LIBRARIES = ("sklearn.", "xgboost.", "lightgbm.", "catboost.", "imblearn.")
_MEASURES = ("predict", "predict_proba", "decision_function", "score")
_SAME_ROWS = frozenset(["copy", "to_numpy", "astype", "reset_index", "drop"])
_DIVIDES = (By.FUNCTION, By.SUBSETS)
REGRESSOR = re.compile(
    r"(sklearn|xgboost|lightgbm|catboost)\.(\w+\.)*(\w*Regressor|LinearRegression|Ridge(CV)?|Lasso(CV)?|ElasticNet(CV)?"
    r"|SVR|LinearSVR|NuSVR)$"
)
"""The origins of models that predict numbers on a scale."""


@dataclass(frozen=True, slots=True, eq=False)
class Overtrained:
    """A fit on all rows of a split, and the call that then measures the model on the split's test part."""

    fit: ast.Call
    measure: ast.Call
    split: Split


class Estimators:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, splits: Splits, preprocessing: Preprocessing) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._splits, self._preprocessing = splits, preprocessing

    @cached_property
    def fits(self) -> list[ast.Call]:
        """Every fit of a model of known make, in source order; transformers are no models."""
        transformers = {each.call for each in self._preprocessing.fits}
        calls = (each for each in self._tree.method_calls("fit") if each.args and each not in transformers)
        return [each for each in calls if self.is_estimator(owner_of(each))]

    def is_estimator(self, node: ast.expr) -> bool:
        """Whether the object is certainly a model of a library that fits and predicts."""
        origins = {each.origin or "" for each in self._values.of(node)}
        return bool(origins) and all(each.startswith(_LIBRARIES) for each in origins)

    @cached_property
    def overtrained(self) -> list[Overtrained]:
        """The fits on everything that a split divides, where the model is then measured on the test part."""
        splits = [each for each in self._splits.all if each.by in _DIVIDES]
        return [found for fit in self.fits if splits for found in self._overtrained(fit, splits)]

    def _overtrained(self, fit: ast.Call, splits: list[Split]) -> Iterator[Overtrained]:
        given = self._whole(fit.args[0])
        split = next((each for each in splits if given and given in map(self._whole, each.data)), None)
        if split is None or not self._is_together(split.node, fit):
            return
        for measure in self._measured(fit):
            part = measure.args[0]
            if self._splits.part(part) is Part.TEST and split in self._splits.behind(part):
                yield Overtrained(fit, measure, split)
                return

    def _measured(self, fit: ast.Call) -> Iterator[ast.Call]:
        """The calls that ask the model between this fit and its next, in the same function."""
        subject = self._values.subject(owner_of(fit))
        same = [each for each in self.fits if self._is_together(each, fit) and each.lineno > fit.lineno]
        again = [each.lineno for each in same if self._values.subject(owner_of(each)) == subject]
        for call in self._tree.method_calls(*_MEASURES):
            later = fit.lineno < call.lineno < min(again, default=call.lineno + 1) and self._is_together(call, fit)
            if later and call.args and subject is not None and self._values.subject(owner_of(call)) == subject:
                yield call

    def _is_together(self, one: ast.AST, other: ast.AST) -> bool:
        return self._tree.function(one) is self._tree.function(other)

    def _whole(self, node: ast.expr) -> frozenset[Binding]:
        """What binds the object whose rows the expression has, all of them: `data` for `data.drop("y", axis=1)`."""
        while True:
            match node:
                case ast.Attribute(attr="values", value=inner):
                    node = inner
                case ast.Call(func=ast.Attribute(attr=attr, value=inner)) if attr in _SAME_ROWS:
                    if attr == "drop" and not _drops_columns(node):
                        return frozenset()
                    node = inner
                case ast.Subscript(value=inner, slice=ast.Constant(value=str()) | ast.List()):
                    node = inner
                case ast.Name():
                    return frozenset(self._names.reaching(node))
                case _:
                    return frozenset()


def owner_of(call: ast.Call) -> ast.expr:
    """The object whose method is called."""
    return call.func.value if isinstance(call.func, ast.Attribute) else call.func


def _drops_columns(call: ast.Call) -> bool:
    axis = next((each.value for each in call.keywords if each.arg == "axis"), call.args[1] if call.args[1:] else None)
    by_axis = isinstance(axis, ast.Constant) and axis.value in (1, "columns")
    return by_axis or any(each.arg == "columns" for each in call.keywords)
