"""Preprocessing: transformers that learn from the data they are fitted on, where they are fitted, and what of it is
later split.

Stateless transformers (`Normalizer`, `HashingVectorizer`, `FunctionTransformer`, …) learn nothing and are not here.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from detectors._engine.data.provenance import Provenance, Step, root_of
from detectors._engine.data.splits import Part, Split, Splits, is_some_rows, part_named
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import Subject, last_name
from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values


class Learns(Enum):
    """What a fit takes from the data."""

    STATISTICS = "statistics"
    RESAMPLING = "new rows made from others"
    CODES = "codes of categories"


_LEARNS: tuple[tuple[Learns, re.Pattern[str]], ...] = (
    (
        Learns.STATISTICS,
        re.compile(
            r"(sklearn|cuml|dask_ml|sklearnex)\.preprocessing\.(StandardScaler|MinMaxScaler|MaxAbsScaler|RobustScaler"
            r"|QuantileTransformer|PowerTransformer|KBinsDiscretizer|SplineTransformer|TargetEncoder)$"
            r"|sklearn\.impute\.(SimpleImputer|KNNImputer|IterativeImputer)$|sklearn\.preprocessing\.Imputer$"
            r"|sklearn\.feature_extraction\.text\.(CountVectorizer|TfidfVectorizer|TfidfTransformer)$"
            r"|(sklearn|cuml)\.decomposition\.[A-Z]\w*$|umap\.UMAP$"
            r"|sklearn\.feature_selection\.(Select\w+|RFE|RFECV|VarianceThreshold|GenericUnivariateSelect|Sequential\w+)$"
            r"|sklearn\.(discriminant_analysis\.LinearDiscriminantAnalysis|cross_decomposition\.\w+)$"
            r"|category_encoders\.(\w+\.)*(TargetEncoder|LeaveOneOutEncoder|CatBoostEncoder|JamesSteinEncoder"
            r"|MEstimateEncoder|WOEEncoder|GLMMEncoder)$|boruta\.BorutaPy$"
        ),
    ),
    (
        Learns.RESAMPLING,
        re.compile(r"imblearn\.(over_sampling|under_sampling|combine)\.(\w+\.)*[A-Z]\w*$"),
    ),
    (
        Learns.CODES,
        re.compile(
            r"(sklearn|cuml)\.preprocessing\.(LabelEncoder|OrdinalEncoder|OneHotEncoder|LabelBinarizer"
            r"|MultiLabelBinarizer)$|sklearn\.feature_extraction\.DictVectorizer$|category_encoders\.(\w+\.)*(OrdinalEncoder|OneHotEncoder|BinaryEncoder"
            r"|CountEncoder|HelmertEncoder|BaseNEncoder)$"
        ),
    ),
)
_FUNCTIONS = re.compile(
    r"sklearn\.preprocessing\.(scale|minmax_scale|maxabs_scale|robust_scale|quantile_transform|power_transform)$"
)
_COMPOSITE = re.compile(
    r"sklearn\.(pipeline\.(Pipeline|make_pipeline|FeatureUnion|make_union)"
    r"|compose\.(ColumnTransformer|make_column_transformer))$|imblearn\.pipeline\.(Pipeline|make_pipeline)$"
)
_ANSWERS = re.compile(r"feature_selection\.(?!Variance)|TargetEncoder$|LeaveOneOutEncoder$|CatBoostEncoder$|BorutaPy$")
"""What learns from the rows' answers: cross-validation after it is biased even where the test part is held out."""
_FITS = frozenset({"fit", "fit_transform", "fit_resample", "fit_sample", "partial_fit"})
_DEPTH = 4


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One call that fits a transformer: on what data, and the transformer's identity (None: made in place)."""

    call: ast.Call
    learns: Learns
    transformer: ast.expr
    subject: Subject | None
    data: ast.expr

    @property
    def part_by_name(self) -> Part | None:
        """The part that the data's name says it is; weak evidence."""
        return part_named(last_name(_base(self.data)))

    @property
    def transforms(self) -> bool:
        """Whether the call's own result is the transformed data."""
        return not isinstance(self.call.func, ast.Attribute) or self.call.func.attr not in ("fit", "partial_fit")


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """A fit on data that is split only afterwards."""

    fit: Fit
    split: Split
    of_train: bool = False
    """Whether all this is inside the train part, by origin or by a name on the way: the test part is untouched."""


class Preprocessing:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, provenance: Provenance, splits: Splits) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._provenance = provenance
        self._splits = splits

    @cached_property
    def fits(self) -> list[Fit]:
        """Every fit of a transformer whose origin is known, in source order."""
        return [fit for call in self._tree.all(ast.Call) if (fit := self._fit(call)) is not None]

    @cached_property
    def _fit_of(self) -> dict[ast.AST, Fit]:
        return {each.call: each for each in self.fits}

    def _fit(self, call: ast.Call) -> Fit | None:
        func = call.func
        data = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("X", "y")), None)
        if data is None or isinstance(data, ast.Starred):
            return None
        if isinstance(func, ast.Attribute) and func.attr == "apply" and isinstance(data, ast.Attribute):
            handed = self.learns(data.value) if data.attr == "fit_transform" and len(call.args) == 1 else None
            return Fit(call, handed, data.value, None, func.value) if handed is not None else None
        if isinstance(func, ast.Attribute) and func.attr in _FITS:
            learns = self.learns(func.value)
            if learns is not None and not (func.attr == "fit" and self._ends_in_estimator(func.value)):
                subject = self._values.subject(func.value)
                return Fit(call, learns, func.value, None if _is_fresh(func.value) else subject, data)
        elif _FUNCTIONS.match(self._names.origin(func) or ""):
            return Fit(call, Learns.STATISTICS, func, None, data)
        return None

    def learns(self, transformer: ast.expr, depth: int = 0) -> Learns | None:
        """What the object learns when it is fitted; None where it is no transformer, stateless, or not known."""
        found: set[Learns | None] = set()
        for value in self._values.of(transformer):
            if value.origin == "builtins.NoneType":
                continue
            origin = value.origin or ""
            own = next((learns for learns, pattern in _LEARNS if pattern.match(origin)), None)
            if own is not None and value.call is not None and self._is_told(value.call):
                own = None
            if own is None and value.call is not None and _COMPOSITE.match(origin) and depth < _DEPTH:
                own = self._learned_by_members(value.call, depth)
            found.add(own)
        return found.pop() if len(found) == 1 else self._strongest(found)

    @staticmethod
    def _strongest(found: set[Learns | None]) -> Learns | None:
        return Learns.STATISTICS if found == {Learns.STATISTICS, Learns.CODES} else None

    @staticmethod
    def _is_told(call: ast.Call) -> bool:
        """Whether the constructor is given what would be learnt: a constant to fill in, categories, a vocabulary."""
        for keyword in call.keywords:
            constant = isinstance(keyword.value, ast.Constant) and keyword.value.value
            if keyword.arg is None or (keyword.arg == "strategy" and constant in (False, "constant")):
                return True
            if keyword.arg in ("categories", "vocabulary", "classes", "mapping") and constant not in ("auto", None):
                return True
        return False

    def _learned_by_members(self, call: ast.Call, depth: int) -> Learns | None:
        learned = {self.learns(member, depth + 1) for member in self._members(call)} - {None}
        order = (Learns.RESAMPLING, Learns.STATISTICS, Learns.CODES)
        return next((each for each in order if each in learned), None)

    def _members(self, call: ast.Call) -> Iterator[ast.expr]:
        """The steps of a pipeline or column transformer that can be seen."""
        rest: list[ast.expr] = [*call.args, *(each.value for each in call.keywords)]
        for node in rest:
            for value in self._values.of(node):
                if isinstance(value.node, (ast.List, ast.Tuple)) and len(rest) < 60:
                    rest += value.node.elts
                elif value.call is not None:
                    yield node

    def _ends_in_estimator(self, node: ast.expr) -> bool:
        """Whether a pipeline's last step is not a transformer we know: its `fit` trains a model."""
        for value in self._values.of(node):
            if value.call is None or "ipeline" not in (value.origin or ""):
                continue
            members = list(self._members(value.call))
            if not members or self.learns(members[-1]) is None:
                return True
        return False

    # -- fitted, then split -------------------------------------------------------------------------------

    @cached_property
    def leaks(self) -> list[Leak]:
        """Every fit whose data is split afterwards, with the first such split."""
        found: dict[ast.AST, Leak] = {}
        if not self.fits:
            return []
        for split in self._splits.all:
            for fit in self._fitted_before(split):
                if fit.call in found or not self._is_on_everything(fit, split):
                    continue
                outer = self._splits.behind(fit.data)
                if not outer or (split not in outer and self._biases(fit)):
                    found[fit.call] = Leak(fit, split, bool(outer) or self._is_named_train(fit))
        return sorted(found.values(), key=lambda each: (each.fit.call.lineno, each.fit.call.col_offset))

    def _fitted_before(self, split: Split) -> Iterator[Fit]:
        """The fits that the split data comes through, and those on the same data that transform its parts."""
        seen: set[object] = set()
        for data in split.data:
            for step in self._provenance.trace(data, stop=self._splits.is_part):
                if isinstance(step.node, ast.Name):
                    seen.update(self._names.reaching(step.node))
                yield from self._fitted_at(step)
        for fit in self.fits:
            if self._provenance.bindings(fit.data) & seen and self._transforms_parts(fit, split):
                yield fit

    def _fitted_at(self, step: Step) -> Iterator[Fit]:
        """The fits that shaped the data at this step: its own, or those of the transformer that transforms it."""
        node = step.node
        if not isinstance(node, ast.Call):
            return
        own = self._fit_of.get(node)
        if own is not None:
            if own.transforms:
                yield own
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "transform":
            subject = self._values.subject(node.func.value)
            if isinstance(node.func.value, ast.Call):  # `StandardScaler().fit(X).transform(X)`
                chained = self._fit_of.get(node.func.value)
                if chained is not None:
                    yield chained
            yield from (each for each in self.fits if subject is not None and each.subject == subject)

    def _is_on_everything(self, fit: Fit, split: Split) -> bool:
        """Whether the fit saw the rows that the split later holds out."""
        named = fit.part_by_name
        if self._tree.inside(fit.call, split.node) or (named is not None and named.is_held_out):
            return False
        if self._is_refit(fit) or self._is_on_some_rows(fit, split):
            return False
        return self._tree.function(fit.call) is not self._tree.function(split.node) or (
            fit.call.lineno <= (split.node.end_lineno or 0)
        )

    def _biases(self, fit: Fit) -> bool:
        """Whether a fit on one part says too much where that part is divided again: of made-up rows and of answers."""
        origins = (each.origin or "" for each in self._values.of(fit.transformer))
        return fit.learns is Learns.RESAMPLING or any(_ANSWERS.search(each) for each in origins)

    def _is_named_train(self, fit: Fit) -> bool:
        """Whether the data, or what it is made from, is called the train part."""
        steps = (each.node for each in self._provenance.trace(fit.data))
        return any(isinstance(each, ast.Name) and part_named(each.id) is Part.TRAIN for each in steps)

    def _is_on_some_rows(self, fit: Fit, split: Split) -> bool:
        """Whether only chosen rows are fitted on, or rows that are taken out before the split."""
        if fit.transforms:
            return False  # what is split is what was fitted on
        base = root_of(fit.data)
        written = self._names.written(base)
        renamed = written is not base and ast.unparse(root_of(written)) != ast.unparse(base)
        if any(is_some_rows(each) for each in ast.walk(fit.data)) or (renamed and is_some_rows(written)):
            return True
        fitted = self._provenance.bindings(fit.data)
        steps = (step.node for data in split.data for step in self._provenance.trace(data))
        return any(fitted and self._provenance.bindings(rows) == fitted for rows in map(_dropped, steps) if rows)

    def _is_refit(self, fit: Fit) -> bool:
        """Whether the same transformer is also fitted on a part: which fit counts is not known."""
        others = (each for each in self.fits if each is not fit and fit.subject and each.subject == fit.subject)
        return any(self._splits.comes_from_part(each.data) for each in others)

    def _is_result(self, node: ast.expr, fit: Fit) -> bool:
        """Whether the name holds what the fit returned: `scaler = StandardScaler().fit(X)`."""
        bindings = self._names.reaching(node) if isinstance(node, ast.Name) else ()
        return bool(bindings) and all(each.value is fit.call for each in bindings)

    def _transforms_parts(self, fit: Fit, split: Split) -> bool:
        """Whether the fitted transformer is used on a side of the split: `scaler.transform(X_train)`."""
        if fit.transforms:
            return False
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "transform" and call.args:
                if not self._is_result(call.func.value, fit) and (
                    fit.subject is None or self._values.subject(call.func.value) != fit.subject
                ):
                    continue
                steps = self._provenance.trace(call.args[0], stop=self._splits.is_part)
                if any(self._splits.of(step.node) is split for step in steps):
                    return True
        return False


def _dropped(node: ast.expr) -> ast.expr | None:
    """`rows` of `frame.drop(rows.index)`."""
    match node:
        case ast.Call(func=ast.Attribute(attr="drop"), args=[ast.Attribute(attr="index", value=rows)]):
            return rows
    return None


def _base(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Attribute):
                return node.args[0] if node.args else node
            node = node.func.value
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            return node
        else:
            node = node.value
    return node


def _is_fresh(node: ast.expr) -> bool:
    return isinstance(node, ast.Call)


__all__ = ["Fit", "Leak", "Learns", "Part", "Preprocessing"]
