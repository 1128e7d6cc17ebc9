"""Batches: which names hold the batches of a loader, and which runs of a model are given them."""

import ast

from detectors._engine.activations import Activations
from detectors._engine.axis_calls import ELEMENTWISE, AxisCalls
from detectors._engine.bindings import Bound
from detectors._engine.libraries import Kind
from detectors._engine.names import Names
from detectors._engine.reshapes import elements, is_one_row
from detectors._engine.tree import Tree
from detectors._engine.values import Values

_AROUND = ("enumerate", "tqdm", "tqdm.tqdm")


class Batches:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, activations: Activations, calls: AxisCalls) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._activations, self._calls = activations, calls

    def is_batch(self, name: ast.Name) -> bool:
        """Whether the name is bound by iterating a loader of known make."""
        for binding in self._names.reaching(name):
            loop = binding.node
            if not isinstance(loop, (ast.For, ast.AsyncFor)):
                continue
            iterable: ast.expr = loop.iter
            while isinstance(iterable, ast.Call) and iterable.args and ast.unparse(iterable.func) in _AROUND:
                iterable = iterable.args[0]
            whole = isinstance(self._tree.parents.get(name), ast.keyword)  # `model(**batch)`
            if self._values.kind(iterable) is Kind.LOADER and (isinstance(loop.target, ast.Tuple) or whole):
                return True
        return False

    def given_to(self, call: ast.Call) -> str | None:
        """Where a model is given a batch of a loader, what says so."""
        given = call.args[:1] or [each.value for each in call.keywords if each.arg is None]
        if any(isinstance(each, ast.Name) and self._is_of_batch(each) for each in given):
            return f"line {call.lineno} gives the model the batches of a loader"
        return None

    def _is_of_batch(self, name: ast.Name) -> bool:
        """Whether the name is a batch of a loader, moved to a device perhaps."""
        node: ast.expr = name
        for _ in range(4):
            if isinstance(node, ast.Name) and self.is_batch(node):
                return True
            written = self._written(node)
            operand = self._calls.operand(written) if isinstance(written, ast.Call) else None
            kept = isinstance(written, ast.Call) and self._activations.function_origin(written) in ELEMENTWISE
            node = operand if kept and operand is not None else written
        return False

    def one_row(self, run: ast.Call) -> str | None:
        """Where a model is given one example, what says so."""
        if any(is_one_row(self._written(each)) for argument in run.args for each in elements(argument)):
            return f"line {run.lineno} gives the model a batch of one"
        return None

    def _written(self, node: ast.expr) -> ast.expr:
        bindings = self._names.reaching(node) if isinstance(node, ast.Name) else ()
        only = bindings[0] if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT else None
        return only.value if only is not None and only.value is not None else node
