"""Splits: where data is divided into train, validation and test parts, and which part an expression is.

A split is known by its origin (`train_test_split`, a splitter's `.split`, `cross_val_score`, a search's `.fit`,
`random_split`), by the index arrays such a split gives (`X[train_index]`), or by two subsets of one object that are
named for a train part and a held-out part (`train = df[:n]`, `test = df[n:]`), or by rows that a flag chooses.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from detectors._engine.data.flagged import Flagged
from detectors._engine.data.provenance import Provenance, root_of
from detectors._engine.names.bindings import Binding
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values


class Part(Enum):
    """A part of the data."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"

    @property
    def is_held_out(self) -> bool:
        """Whether the part is there to measure on."""
        return self is not Part.TRAIN


class By(Enum):
    """What makes the split."""

    FUNCTION = "train_test_split"
    FOLDS = "folds"
    CROSS_VALIDATION = "cross-validation"
    SEARCH = "search"
    RANDOM = "random_split"
    SUBSETS = "subsets"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One division of data: the node that makes it and the expressions that are divided."""

    node: ast.expr
    data: tuple[ast.expr, ...]
    by: By

    @property
    def call(self) -> ast.Call | None:
        """The call, None where subsets make the split."""
        return self.node if isinstance(self.node, ast.Call) else None


_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TRAIN = frozenset(
    ["train", "training", "trainset", "tr", "fit", "trainval", "xtrain", "ytrain", "traindata", "trains"]
)
_TEST = frozenset(["test", "testing", "testset", "te", "holdout", "unseen", "xtest", "ytest", "testdata", "tests"])
_VALIDATION = frozenset(
    ["val", "valid", "validation", "dev", "eval", "evaluation", "valset", "devset", "xval", "yval", "evalset"]
)

_MODEL_SELECTION = re.compile(r"(sklearn|cuml|dask_ml|sklearnex)\.(model_selection|cross_validation)\.")
_SPLITTER = re.compile(
    r"(sklearn|cuml)\.model_selection\.(_split\.)?(\w*KFold|\w*ShuffleSplit|TimeSeriesSplit|LeaveOneOut|LeavePOut"
    r"|LeaveOneGroupOut|LeavePGroupsOut|PredefinedSplit)$|iterstrat\.ml_stratifiers\.\w+$"
)
_SEARCH = re.compile(
    r"(sklearn|dask_ml|cuml)\.model_selection\.(\w*SearchCV)$|skopt\.BayesSearchCV$|sklearn\.linear_model\.\w+CV$"
)
_CROSS_VALIDATION = frozenset(
    [
        "cross_val_score",
        "cross_val_predict",
        "cross_validate",
        "learning_curve",
        "validation_curve",
        "permutation_test_score",
    ]
)


@cache
def part_named(name: str) -> Part | None:
    """The part a name says it is; weak evidence."""
    words = {each.lower() for each in _WORD.findall(name)}
    parts = {part for part, own in _NAMED.items() if words & own}
    return parts.pop() if len(parts) == 1 else None


_NAMED = {Part.TRAIN: _TRAIN, Part.VALIDATION: _VALIDATION, Part.TEST: _TEST}


class Splits:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, provenance: Provenance) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._provenance = provenance
        self._made: dict[ast.AST, Split] = {}
        self._subsets: dict[ast.AST, Split] = {}
        self.all: list[Split] = []
        self._find()

    def _find(self) -> None:
        for call in self._tree.all(ast.Call):
            split = self._of_call(call)
            if split is not None:
                self._made[call] = split
                self.all.append(split)
        if self._made:
            self._find_indexed()
        self._find_subsets()
        for subset in Flagged(self._tree, self._names, self._values, part_named).subsets():
            self.all.append(Split(subset, (subset.value,), By.SUBSETS))
            self._subsets.setdefault(subset, self.all[-1])

    def of(self, node: ast.AST | None) -> Split | None:
        """The split a call makes, or the split a subset is a side of."""
        if node is None:
            return None
        return self._made.get(node) or self._subsets.get(node)

    def _of_call(self, call: ast.Call) -> Split | None:
        func = call.func
        last = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if last == "train_test_split":
            origin = self._names.origin(func)
            if origin is not None and _MODEL_SELECTION.match(origin):
                data = tuple(each for each in call.args if not isinstance(each, ast.Starred))
                data += tuple(each.value for each in call.keywords if each.arg in ("X", "y", "arrays"))
                return Split(call, data, By.FUNCTION)
            if origin is None and isinstance(func, ast.Attribute) and self._is_hub_dataset(func.value):
                return Split(call, (func.value,), By.FUNCTION)
            return None
        if last == "random_split" and self._names.origin(func) in ("torch.utils.data.random_split",):
            return Split(call, tuple(call.args[:1]), By.RANDOM)
        if last in _CROSS_VALIDATION and _MODEL_SELECTION.match(self._names.origin(func) or ""):
            data = tuple(call.args[1:3]) + tuple(each.value for each in call.keywords if each.arg in ("X", "y"))
            return Split(call, data, By.CROSS_VALIDATION)
        if last == "split" and self._is_method_of(func, _SPLITTER):
            data = tuple(call.args[:1]) + tuple(each.value for each in call.keywords if each.arg == "X")
            return Split(call, data, By.FOLDS) if data else None
        if last == "fit" and call.args and self._is_method_of(func, _SEARCH):
            return Split(call, tuple(call.args[:2]), By.SEARCH)
        return None

    def _is_method_of(self, func: ast.expr, made_by: re.Pattern[str]) -> bool:
        return isinstance(func, ast.Attribute) and any(
            made_by.match(each.origin or "") for each in self._values.of(func.value)
        )

    def _is_hub_dataset(self, node: ast.expr) -> bool:
        return any(
            (each.origin or "").startswith(("datasets.load_dataset", "datasets.Dataset"))
            for each in self._values.of(node)
        )

    def _find_indexed(self) -> None:
        """`X[train_index]`, where the index comes from a split."""
        for subscript in self._tree.all(ast.Subscript):
            if not isinstance(subscript.slice, ast.Name):
                continue
            split = self._split_bound(subscript.slice)
            if split is not None and split.by in (By.FOLDS, By.FUNCTION):
                self._subsets[subscript] = split
                self.all.append(Split(subscript, (subscript.value,), split.by))

    def _split_bound(self, name: ast.Name) -> Split | None:
        splits = {self._split_of(each) if each.index else None for each in self._names.reaching(name)}
        return splits.pop() if len(splits) == 1 else None

    def _split_of(self, binding: Binding) -> Split | None:
        """The split whose result the binding unpacks."""
        made = _unwrapped(binding.value)
        return self._made.get(made) if made is not None else None

    def _find_subsets(self) -> None:
        """`train = df[:n]` and `test = df[n:]`: two subsets of one object under the names of two parts."""
        groups: dict[Hashable, list[tuple[Part, ast.expr, ast.expr]]] = defaultdict(list)
        targets = ((each, assign.value) for assign in self._tree.all(ast.Assign) for each in assign.targets)
        for name, value in (pair for target, assigned in targets for pair in _pairs(target, assigned)):
            part = part_named(last_name(name)) if isinstance(name, (ast.Name, ast.Attribute)) else None
            subset = _subset_in(value) if part is not None else None
            if part is None or subset is None:
                continue
            whole = self._provenance.bindings(_object_of(subset)) or self._values.subject(_object_of(subset))
            if whole:
                groups[whole].append((part, subset, value))
        for sides in groups.values():
            if len({part for part, _, _ in sides}) < 2 or not any(part is Part.TRAIN for part, _, _ in sides):
                continue
            texts = {ast.dump(subset) for _, subset, _ in sides}
            if len(texts) < 2:
                continue
            split = Split(sides[0][1], (_object_of(sides[0][1]),), By.SUBSETS)
            self.all.append(split)
            for _, subset, _ in sides:
                self._subsets[subset] = split

    # -- parts --------------------------------------------------------------------------------------------

    def is_part(self, node: ast.AST) -> bool:
        """Whether the expression itself is the result of a split."""
        split = self.of(node)
        return split is not None and split.by in (By.FUNCTION, By.FOLDS, By.RANDOM, By.SUBSETS)

    def comes_from_part(self, node: ast.expr) -> bool:
        """Whether the expression is made from one part of a split, not from the whole."""
        return any(self.is_part(step.node) for step in self._provenance.trace(node, stop=self.is_part))

    def behind(self, node: ast.expr) -> set[Split]:
        """The splits of which the expression comes from a part."""
        steps = self._provenance.trace(node, stop=self.is_part)
        return {split for step in steps if (split := self.of(step.node)) is not None and self.is_part(step.node)}

    def part(self, node: ast.expr) -> Part | None:
        """The part the expression is by origin; None where it is the whole, mixed, or not known."""
        parts = self.parts(node)
        return parts.copy().pop() if len(parts) == 1 else None

    def parts(self, node: ast.expr) -> set[Part | None]:
        """Every part the expression is made from by origin; None stands for one whose name contradicts it."""
        steps = self._provenance.trace(node, stop=self.is_part)
        return {part for step in steps for part in self._part_of_step(step.node)}

    def _part_of_step(self, node: ast.expr) -> Iterator[Part | None]:
        if isinstance(node, ast.Name):
            for binding in self._names.reaching(node):
                split = self._split_of(binding)
                if split is not None:
                    yield _part_at(split, binding)
        elif isinstance(node, ast.Subscript) and node in self._subsets:
            if isinstance(node.slice, ast.Name) and self._subsets[node].by in (By.FOLDS, By.FUNCTION):
                yield from self._part_of_step(node.slice)
            else:
                yield self._part_of_subset(node)
        elif isinstance(node, ast.Call) and node in self._subsets:
            yield self._part_of_subset(node)

    def _part_of_subset(self, node: ast.expr) -> Part | None:
        statement = self._tree.statement(node)
        if not isinstance(statement, ast.Assign):
            return None
        for name, value in _pairs(statement.targets[0], statement.value):
            if self._tree.inside(node, value):
                return part_named(last_name(name))
        return None


def _part_at(split: Split, binding: Binding) -> Part | None:
    """Which part an unpacked target of a split holds: every second one of `train_test_split` is held out."""
    if not binding.index:
        return None
    position = binding.index[-1]
    if split.by is By.FUNCTION:
        named = part_named(binding.name)
        if position % 2 == 0:
            return Part.TRAIN if named in (Part.TRAIN, None) else None
        return named if named in (Part.VALIDATION, Part.TEST) else Part.TEST if named is None else None
    if split.by is By.FOLDS:
        return Part.TRAIN if position == 0 else Part.VALIDATION
    if split.by is By.RANDOM:
        return part_named(binding.name)
    return None


def _unwrapped(node: ast.expr | None) -> ast.expr | None:
    """The split call inside `enumerate(…)`, `next(…)`, `list(…)` or `tqdm(…)`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        if node.func.id not in ("enumerate", "next", "list", "iter", "tqdm"):
            break
        node = node.args[0]
    return node


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The names of an assignment with the expression each gets."""
    if isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
            yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


_SAME_ROWS = frozenset(["copy", "reset_index", "to_numpy", "astype", "float", "clone", "to"])


def _subset_in(value: ast.expr) -> ast.expr | None:
    """The rows of an object that an expression takes: `df[:n]`, `df[mask]`, `df.sample(…)`, `df.drop(train.index)`."""
    while True:
        match value:
            case ast.Call(func=ast.Attribute(attr=attr, value=inner)) if attr in _SAME_ROWS:
                value = inner
            case ast.Attribute(attr="values" | "T", value=inner):
                value = inner
            case ast.Call(func=ast.Attribute(attr="sample" | "query" | "head" | "tail")):
                return value
            case ast.Call(func=ast.Attribute(attr="drop"), args=[ast.Attribute(attr="index")]):
                return value
            case ast.Subscript(slice=ast.Slice() | ast.Compare() | ast.UnaryOp() | ast.BinOp() | ast.Tuple()):
                return value if _takes_rows(value) else None
            case ast.Subscript(slice=ast.Name() | ast.Subscript() | ast.Call()):
                return value
            case _:
                return None


def _object_of(subset: ast.expr) -> ast.expr:
    """The object that a subset is taken of."""
    while True:
        match subset:
            case ast.Call(func=ast.Attribute(value=inner)) | ast.Subscript(value=inner):
                subset = inner
            case _:
                return root_of(subset)


def is_some_rows(node: ast.AST) -> bool:
    """`data[:n]`, `data[start:, 0]`, `data.loc[rows, "a"]`: the first axis is cut for certain."""
    if not isinstance(node, ast.Subscript):
        return False
    first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
    bounded = isinstance(first, ast.Slice) and (first.lower is not None or first.upper is not None)
    chosen = isinstance(node.value, ast.Attribute) and node.value.attr in ("loc", "iloc")
    return bounded or (chosen and not isinstance(first, ast.Slice))


def _takes_rows(node: ast.Subscript) -> bool:
    """Whether a subscript takes some of the rows, not columns: `X[:n]`, `X[:n, :]`, `df[df.year < 2019]`."""
    rows = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
    if isinstance(rows, ast.Slice):
        return rows.lower is not None or rows.upper is not None
    return isinstance(rows, (ast.Compare, ast.UnaryOp, ast.BinOp, ast.Name))
