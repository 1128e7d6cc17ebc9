"""Batches: which names hold the batches of a loader, and which runs of a model are given them."""

import ast
import re

from detectors._engine.names.bindings import Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axis_calls import ELEMENTWISE, AxisCalls
from detectors._engine.tensors.reshapes import elements, is_one_row
from detectors._engine.values.values import Values

_AROUND = ("enumerate", "tqdm", "tqdm.tqdm")


class Batches:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, activations: Activations, calls: AxisCalls) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._activations, self._calls = activations, calls

    def is_batch(self, name: ast.Name) -> bool:
        """Whether the name is bound by iterating a loader of known make."""
        whole = isinstance(self._tree.parents.get(name), ast.keyword)  # `model(**batch)`
        return self._loops_over_loader(name, alone=whole)

    def _loops_over_loader(self, name: ast.Name, *, alone: bool) -> bool:
        """Whether a loop over a loader binds the name, beside others or alone."""
        for binding in self._names.reaching(name):
            loop = binding.node
            if not isinstance(loop, (ast.For, ast.AsyncFor)) or not (alone or isinstance(loop.target, ast.Tuple)):
                continue
            if self._values.kind(_iterated(loop.iter, binding.index)) is Kind.LOADER:
                return True
        return False

    def given_to(self, call: ast.Call) -> str | None:
        """Where a model is given a batch of a loader, or encoded texts, what says so."""
        given = call.args[:1] or [each.value for each in call.keywords if each.arg is None]
        if any(isinstance(each, ast.Name) and self._is_of_batch(each) for each in given):
            return f"line {call.lineno} gives the model the batches of a loader"
        return self.encoded(call)

    def encoded(self, call: ast.Call) -> str | None:
        """`model(**tokenizer(texts, return_tensors="pt"))`: a tokenizer that makes tensors puts a batch in front."""
        for opened in (each.value for each in call.keywords if each.arg is None):
            bindings = self._names.reaching(opened) if isinstance(opened, ast.Name) else ()
            written = [each.value for each in bindings if each.how is Bound.ASSIGNMENT] if bindings else [opened]
            if written and all(each is not None and _is_encoding(each) for each in written):
                return f"line {call.lineno} gives the model a batch of encoded texts"
        return None

    def _is_of_batch(self, name: ast.Name) -> bool:
        """Whether the name is a batch of a loader, moved to a device perhaps."""
        node: ast.expr = name
        for _ in range(4):
            if isinstance(node, ast.Name) and self.is_batch(node):
                return True
            if isinstance(node, ast.Name) and self._is_filled_from_batch(node):
                return True
            written = self._written(node)
            if isinstance(written, ast.DictComp) and self._goes_through_batch(written.generators[0].iter):
                return True
            operand = self._calls.operand(written) if isinstance(written, ast.Call) else None
            kept = isinstance(written, ast.Call) and self._activations.function_origin(written) in ELEMENTWISE
            node = operand if kept and operand is not None else written
        return False

    def _is_filled_from_batch(self, name: ast.Name) -> bool:
        """`inputs = {}`, and then `inputs[key] = value.to(device)` for every item of a batch."""
        written = self._written(name)
        if not isinstance(written, ast.Dict) or written.keys:
            return False
        bindings = self._names.reaching(name)
        for store in self._tree.all(ast.Subscript):
            if isinstance(store.ctx, ast.Store) and isinstance(store.value, ast.Name) and store.value.id == name.id:
                loops = (each for each in self._tree.loops(store) if isinstance(each, ast.For))
                if self._names.reaching(store.value) == bindings and any(
                    self._goes_through_batch(each.iter) for each in loops
                ):
                    return True
        return False

    def _goes_through_batch(self, iterated: ast.expr) -> bool:
        """`batch.items()`, where the batch comes from a loader."""
        match iterated:
            case ast.Call(func=ast.Attribute(attr="items", value=ast.Name() as name), args=[]):
                return self._loops_over_loader(name, alone=True)
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


def _iterated(iterable: ast.expr, index: tuple[int, ...]) -> ast.expr:
    """What a loop goes through for the part of its target at this index: `loader` of `zip(steps, loader)`."""
    while isinstance(iterable, ast.Call) and iterable.args:
        name = ast.unparse(iterable.func)
        if name == "zip" and index and index[0] < len(iterable.args):
            iterable, index = iterable.args[index[0]], index[1:]
        elif name in _AROUND:
            iterable = iterable.args[0]
        else:
            break
    return iterable


def _is_encoding(node: ast.expr) -> bool:
    """`tokenizer(texts, return_tensors="pt").to(device)`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("to", "cuda"):
        node = node.func.value
    if not isinstance(node, ast.Call) or not re.search("tokeni[sz]er", last_name(node.func), re.I):
        return False
    return any(each.arg == "return_tensors" and isinstance(each.value, ast.Constant) for each in node.keywords)
