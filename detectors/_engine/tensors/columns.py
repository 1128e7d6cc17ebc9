"""Columns: whether a tensor is `(N, 1)` or `(N,)`, where that can be read from the code.

A model that ends in `Linear(…, 1)` gives a column, a data frame's column is flat, `.view(-1)` is flat; followed through
assignments, loaders of a `TensorDataset`, splits, `forward` of this file's models and calls that keep the shape.
"""

import ast
from collections.abc import Iterator
from enum import Enum

from detectors._engine.data.splits import By, Splits
from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Function
from detectors._engine.tensors.activations import Activations
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values


class Column(Enum):
    """The shape of one value an item."""

    COLUMN = "(N, 1)"
    FLAT = "(N,)"
    UNKNOWN = "not known"


_KEEPS = frozenset(
    [
        *(
            "sigmoid",
            "relu",
            "exp",
            "tanh",
            "softplus",
            "log",
            "log1p",
            "abs",
            "clamp",
            "clip",
            "float",
            "double",
            "half",
        ),
        *("to", "cuda", "cpu", "long", "int", "detach", "clone", "type", "type_as", "numpy", "contiguous", "copy"),
        *("astype", "to_numpy", "requires_grad_", "transform", "fit_transform", "values", "data", "bfloat16"),
    ]
)
_MAKES = frozenset(["tensor", "as_tensor", "from_numpy", "FloatTensor", "LongTensor", "Tensor", "DoubleTensor"])
_ELEMENTWISE = frozenset(
    "ReLU Sigmoid Tanh Softplus Dropout Identity LeakyReLU ELU GELU SiLU Hardtanh BatchNorm1d LayerNorm".split()
)
_DEPTH = 24
Calls = tuple[ast.Call, ...]


class Columns:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, activations: Activations, splits: Splits) -> None:
        self._names = names
        self._values = values
        self._activations = activations
        self._splits = splits
        self._busy: set[tuple[ast.AST, Calls, tuple[int, ...]]] = set()

    def of(self, node: ast.expr) -> Column:
        """The shape, unknown where it can be several."""
        return self._of(node, (), ())

    def _of(self, node: ast.expr | None, calls: Calls, index: tuple[int, ...]) -> Column:
        if node is None or (node, calls, index) in self._busy or len(self._busy) > _DEPTH:
            return Column.UNKNOWN
        key = (node, calls, index)
        self._busy.add(key)
        try:
            found = set(self._find(node, calls, index))
        finally:
            self._busy.discard(key)
        return found.pop() if len(found) == 1 else Column.UNKNOWN

    def _find(self, node: ast.expr, calls: Calls, index: tuple[int, ...]) -> Iterator[Column]:
        match node:
            case ast.Name():
                for binding in self._names.reaching(node):
                    yield self._of_binding(binding, calls, index)
            case ast.Tuple() | ast.List() if index:
                yield self._of(node.elts[index[0]] if index[0] < len(node.elts) else None, calls, index[1:])
            case ast.Attribute(attr="values" | "data", value=value):
                yield self._of(value, calls, index)
            case ast.Attribute(attr="target", value=value) if self._made_by(value, "sklearn.datasets."):
                yield Column.FLAT
            case ast.Subscript():
                yield self._of_subscript(node, calls, index)
            case ast.BinOp(left=left, right=ast.Constant()):
                yield self._of(left, calls, index)
            case ast.Call():
                yield self._of_call(node, calls, index)
            case _:
                yield Column.UNKNOWN

    def _of_binding(self, binding: Binding, calls: Calls, index: tuple[int, ...]) -> Column:
        if binding.how is Bound.ASSIGNMENT:
            return self._of(binding.value, calls, index)
        if binding.how is Bound.PART:
            return self._of(binding.value, calls, (*binding.index, *index))
        if binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
            return self._given(binding.scope, binding.name, calls, index)
        if binding.how is Bound.ITEM and binding.value is not None:
            return self._item(binding.value, binding.index)
        return Column.UNKNOWN

    def _given(self, function: Function, name: str, calls: Calls, index: tuple[int, ...]) -> Column:
        if calls:
            return self._of(self._values.calls.argument_for(function, calls[-1], name), calls[:-1], index)
        found = {self._of(each, (), index) for each in self._values.calls.given_for(function, name)}
        return found.pop() if len(found) == 1 else Column.UNKNOWN

    def _item(self, iterable: ast.expr, index: tuple[int, ...]) -> Column:
        """One batch of a loader over a `TensorDataset`."""
        while isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.args:
            if iterable.func.id not in ("enumerate", "tqdm"):
                break
            index = index[1:] if iterable.func.id == "enumerate" else index
            iterable = iterable.args[0]
        found = {self._batch(value, index) for value in self._values.of(iterable)}
        return found.pop() if len(found) == 1 else Column.UNKNOWN

    def _batch(self, loader: Value, index: tuple[int, ...]) -> Column:
        if loader.kind is not Kind.LOADER or loader.call is None or not loader.call.args or len(index) != 1:
            return Column.UNKNOWN
        found = set()
        for dataset in self._values.of(loader.call.args[0]):
            tensors = dataset.call.args if dataset.origin == "torch.utils.data.TensorDataset" and dataset.call else []
            found.add(self._of(tensors[index[0]], (), ()) if index[0] < len(tensors) else Column.UNKNOWN)
        return found.pop() if len(found) == 1 else Column.UNKNOWN

    def _made_by(self, node: ast.expr, *prefixes: str) -> bool:
        return any((each.origin or "").startswith(prefixes) for each in self._values.of(node))

    def _of_subscript(self, node: ast.Subscript, calls: Calls, index: tuple[int, ...]) -> Column:
        taken = self._of_table(node) if not index else None
        if taken is not None:
            return taken
        if self._made_by(node.value, "pandas.read_", "pandas.DataFrame") and not index:
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                return Column.FLAT
            if isinstance(node.slice, ast.List) and len(node.slice.elts) == 1:
                return Column.COLUMN
            return Column.UNKNOWN
        if isinstance(node.slice, ast.Slice):
            return self._of(node.value, calls, index)
        if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2 and not index:
            last = node.slice.elts[1]
            is_new = isinstance(last, ast.Constant) and last.value is None
            inner = self._of(node.value, calls, index) if is_new else Column.UNKNOWN
            return Column.COLUMN if inner is Column.FLAT else Column.UNKNOWN
        return Column.UNKNOWN

    def _of_table(self, node: ast.Subscript) -> Column | None:
        """`table[:, 0]` and `table[:, [0]]` of what is read from a file as rows and columns."""
        table = node.value
        while isinstance(table, ast.Attribute) and table.attr in ("iloc", "loc", "values"):
            table = table.value
        if not self._made_by(table, "pandas.read_", "numpy.loadtxt", "numpy.genfromtxt"):
            return None
        match node.slice:
            case ast.Tuple(elts=[ast.Slice(), ast.List(elts=[_])]):
                return Column.COLUMN
            case ast.Tuple(elts=[ast.Slice(), ast.Constant() as one]) if one.value is not None:
                return Column.FLAT
            case ast.Tuple(elts=[ast.Slice(), ast.UnaryOp(operand=ast.Constant())]):
                return Column.FLAT
        return None

    def _of_call(self, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Column:
        split = self._splits.of(call)
        if split is not None and split.by is By.FUNCTION and split.call is call and len(index) == 1:
            part = index[0] // 2
            return self._of(split.data[part], calls, ()) if part < len(split.data) else Column.UNKNOWN
        origin = self._names.origin(call.func)
        if origin is not None and origin.startswith("sklearn.datasets.") and index == (1,):
            told = any(each.arg in ("n_targets", None) for each in call.keywords)
            return Column.UNKNOWN if told or ("make_" not in origin and not _returns_pair(call)) else Column.FLAT
        if index:
            return self._of_called(call, calls, index)
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self":
            return self._of_called(call, calls, ())  # a layer, whatever its name
        name = origin.rpartition(".")[2] if origin else call.func.attr if isinstance(call.func, ast.Attribute) else ""
        operand = call.args[0] if origin and call.args else getattr(call.func, "value", None)
        shape = call.args[1:] if origin else call.args
        if origin is None and name in ("transform", "fit_transform"):
            operand = call.args[0] if call.args else None
        return self._reshaped(call, name, operand, shape, calls)

    def _reshaped(
        self, call: ast.Call, name: str, operand: ast.expr | None, shape: list[ast.expr], calls: Calls
    ) -> Column:
        numbers = [_number(each) for each in shape]
        if name in ("view", "reshape"):
            if numbers == [-1]:
                return Column.FLAT
            return Column.COLUMN if numbers[1:] == [1] else Column.UNKNOWN
        if name in ("view_as", "reshape_as", "expand_as") and shape:
            return self._of(shape[0], calls, ())
        if name in ("flatten", "ravel"):
            return Column.UNKNOWN if shape or call.keywords else Column.FLAT
        if name in ("squeeze", "unsqueeze"):
            inner = self._of(operand, calls, ())
            dims = numbers or [_number(each.value) for each in call.keywords]
            wanted, given = (Column.COLUMN, Column.FLAT) if name == "squeeze" else (Column.FLAT, Column.COLUMN)
            return given if inner is wanted and (not dims or dims[0] in (1, -1)) else Column.UNKNOWN
        if name in _KEEPS or name in _MAKES or name in ("array", "asarray", "Variable"):
            return self._of(operand, calls, ())
        if name == "pop" and operand is not None and self._made_by(operand, "pandas."):
            return Column.FLAT
        return self._of_called(call, calls, ())

    def _of_called(self, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Column:
        callee = self._values.calls.callee(call)
        if isinstance(callee, FUNCTIONS):
            return self._returned(callee, call, calls, index)
        if callee is not None:
            return Column.UNKNOWN
        found = {self._of_module(value, call, calls, index) for value in self._values.of(call.func)}
        return found.pop() if len(found) == 1 else Column.UNKNOWN

    def _of_module(self, value: Value, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Column:
        origin = value.origin or ""
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            forward = self._values.classes.method(owner, "forward") if owner is not None else None
            return self._returned(forward, call, calls, index) if forward is not None else Column.UNKNOWN
        if not origin.startswith("torch.nn.") or index or value.call is None:
            return Column.UNKNOWN
        name = origin.rpartition(".")[2]
        if name == "Sequential":
            return self._last_of(value.call)
        if name in _ELEMENTWISE and call.args:
            return self._of(call.args[0], calls, ())
        return _gives_column(name, value.call)

    def _last_of(self, sequential: ast.Call) -> Column:
        for layer in reversed(sequential.args):
            value = self._values.only(layer)
            name = (value.origin or "").rpartition(".")[2]
            if value.call is None or not (value.origin or "").startswith("torch.nn."):
                return Column.UNKNOWN
            if name == "Sequential":
                return self._last_of(value.call)
            if name not in _ELEMENTWISE:
                return _gives_column(name, value.call)
        return Column.UNKNOWN

    def _returned(self, function: Function, call: ast.Call, calls: Calls, index: tuple[int, ...]) -> Column:
        if call in calls or len(calls) > 3:
            return Column.UNKNOWN
        found = {self._of(each.value, (*calls, call), index) for each in self._values.calls.returns(function)}
        return found.pop() if len(found) == 1 else Column.UNKNOWN


def _returns_pair(call: ast.Call) -> bool:
    return any(
        each.arg == "return_X_y" and isinstance(each.value, ast.Constant) and each.value.value for each in call.keywords
    )


def _number(node: ast.expr) -> object:
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return -value
    return None


def _gives_column(name: str, made: ast.Call) -> Column:
    """`Linear(…, 1)` gives a column."""
    if name != "Linear":
        return Column.UNKNOWN
    out = (
        made.args[1] if len(made.args) > 1 else next((k.value for k in made.keywords if k.arg == "out_features"), None)
    )
    return Column.COLUMN if out is not None and _number(out) == 1 else Column.UNKNOWN
