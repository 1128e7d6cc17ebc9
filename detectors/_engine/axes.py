"""Axes: whether dimension 0 of a tensor counts examples, with the classes in another.

Read backwards from an expression through what keeps its dimensions (assignments, elementwise functions, layers, a
model's `forward`, local functions, the callers of a parameter), and from what else is done with the same tensor. What
permutes dimensions or multiplies matrices ends the search: there, dimension 0 may be anything.
"""

import ast
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from detectors._engine.activations import Activations
from detectors._engine.bindings import Binding, Bound
from detectors._engine.libraries import Kind
from detectors._engine.names import Names
from detectors._engine.reshapes import (
    counts_classes,
    cuts_steps,
    elements,
    is_every_row,
    is_one_row,
    keeps_rows,
    takes_a_step,
)
from detectors._engine.shapes import Shapes
from detectors._engine.subjects import last_name
from detectors._engine.tree import FUNCTIONS, Function, Tree
from detectors._engine.values import Values

Calls = tuple[ast.Call, ...]
_LIMIT = 60
_NORMALISES = frozenset(["softmax", "log_softmax", "gumbel_softmax"])
_CHOOSES = frozenset(["argmax", "max", "topk", "sort"])
_ELEMENTWISE = frozenset(
    [
        *("softmax", "log_softmax", "gumbel_softmax", "sigmoid", "exp", "log", "relu", "gelu", "tanh", "leaky_relu"),
        *("detach", "cpu", "cuda", "to", "float", "double", "half", "clone", "contiguous", "numpy", "type", "clamp"),
        *("dropout", "elu", "abs", "div", "masked_fill", "nan_to_num", "data", "logits", "selu", "squeeze", "mean"),
        *("sum", "view", "reshape", "flatten", "index_select", "bfloat16", "softplus", "silu", "add", "mul", "neg"),
        *("from_numpy", "as_tensor"),
    ]
)
_LOOSE = frozenset(["squeeze", "mean", "sum"])  # with another dimension gone, what is left may be flat
_PER_EXAMPLE = frozenset(
    ["Linear", "Dropout", "ReLU", "GELU", "Tanh", "Sigmoid", "LeakyReLU", "ELU", "SiLU", "Softmax"]
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Why dimension 0 counts examples; `certain` where the tensor has another dimension beside it for sure, `single`
    where there is one example in it, `step` where it is one step of sequences."""

    why: str
    certain: bool = True
    single: bool = False
    step: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    node: ast.expr
    calls: Calls
    certain: bool = True


class Axes:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, activations: Activations, shapes: Shapes) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._activations = activations
        self._shapes = shapes

    def rows(self, operand: ast.expr, *, doing: str = "") -> Rows | None:
        """The best reason for which dimension 0 of the expression counts examples; None where it is not known.

        `doing` is the function that is applied to it: who applies the same over dimension 1 as well means both, as for
        similarities of images and texts.
        """
        reasons: list[Rows] = []
        telling = frozenset[str]().union(*(each for each in (_NORMALISES, _CHOOSES) if doing not in each))
        for place in self._same_rows(operand):
            if place is None:
                return None
            reason = self._reason(place, telling)
            if reason is not None:
                reasons.append(reason if place.certain else replace(reason, certain=False))
        return max(reasons, key=lambda each: (each.single, each.certain), default=None)

    def mixed(self, operand: ast.expr) -> bool:
        """Whether the expression comes of moved dimensions or a product of matrices: its axes may be anything."""
        return any(place is None for place in self._same_rows(operand))

    # -- backwards ----------------------------------------------------------------------------------------

    def _same_rows(self, operand: ast.expr) -> Iterator[_Place | None]:
        """Every expression that has its examples where the operand has them, nearest first; None where some step
        moves dimensions or multiplies matrices."""
        rest = deque([_Place(operand, ())])
        seen: set[tuple[ast.expr, Calls]] = set()
        while rest and len(seen) < _LIMIT:
            place = rest.popleft()
            if (place.node, place.calls) in seen:
                continue
            seen.add((place.node, place.calls))
            yield place
            if self._mixes(place.node):
                yield None
                return
            rest.extend(self._before(place))

    def _before(self, place: _Place) -> Iterator[_Place]:
        match place.node:
            case ast.Name() as name:
                for binding in self._names.reaching(name):
                    yield from self._bound(binding, place)
            case ast.Call() as call:
                yield from self._called(call, place)
            case ast.BinOp(left=left, right=right):
                number = isinstance(left, ast.Constant)
                yield _Place(right if number else left, place.calls, place.certain)
            case ast.IfExp(body=body, orelse=orelse):
                yield _Place(body, place.calls, place.certain)
                yield _Place(orelse, place.calls, place.certain)
            case ast.Attribute(attr=attr, value=value) if attr in _ELEMENTWISE:
                yield _Place(value, place.calls, place.certain)
            case ast.Subscript(slice=ast.Slice() | ast.Compare(), value=value):
                yield _Place(value, place.calls, place.certain)
            case ast.UnaryOp(operand=value):
                yield _Place(value, place.calls, place.certain)

    def _bound(self, binding: Binding, place: _Place) -> Iterator[_Place]:
        value = binding.value
        if binding.how is Bound.ASSIGNMENT and value is not None:
            yield _Place(value, place.calls, place.certain)
        elif binding.how is Bound.PART and isinstance(value, ast.Call):
            yield from self._returned(value, place, binding.index)
        elif binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
            given = self._given(binding.scope, binding.name, place.calls)
            yield from (_Place(each, place.calls[:-1], place.certain) for each in given if each is not None)

    def _given(self, function: Function, name: str, calls: Calls) -> Iterator[ast.expr | None]:
        """What callers give for a parameter: the call that led here, else all in sight, of a `forward` the model's."""
        if calls:
            yield self._values.calls.argument_for(function, calls[-1], name)
            return
        yield from self._values.calls.given_for(function, name)
        owner = self._tree.class_of(function)
        if owner is not None and function.name == "forward":
            yield from (self._values.calls.argument_for(function, each, name) for each in self.runs.get(owner, ()))

    def _called(self, call: ast.Call, place: _Place) -> Iterator[_Place]:
        name = self._activations.function_origin(call)
        operand = self.operand(call)
        if name in _ELEMENTWISE and operand is not None:
            if name in _LOOSE and self.dimension(call) in (None, 0):
                return
            if name in ("view", "reshape", "flatten") and not keeps_rows(call, name):
                return
            yield _Place(operand, place.calls, place.certain and name not in _LOOSE)
            return
        layers = {(each.origin or "").rpartition(".")[2] for each in self._values.of(call.func)}
        if call.args and layers and layers <= _PER_EXAMPLE:
            yield _Place(call.args[0], place.calls, place.certain)
            return
        yield from self._returned(call, place, ())

    def _returned(self, call: ast.Call, place: _Place, index: tuple[int, ...]) -> Iterator[_Place]:
        """What a function of this file, or the `forward` of a class of this file, returns at this call."""
        callee = self._values.calls.callee(call)
        if not isinstance(callee, FUNCTIONS):
            owner = self._values.class_held_by(call.func) if callee is None else None
            callee = self._values.classes.method(owner, "forward") if owner is not None else None
        if not isinstance(callee, FUNCTIONS) or call in place.calls or len(place.calls) > 3:
            return
        for statement in self._values.calls.returns(callee):
            value: ast.expr | None = statement.value
            for position in index:
                elements = value.elts if isinstance(value, ast.Tuple) else []
                value = elements[position] if position < len(elements) else None
            if value is not None:
                yield _Place(value, (*place.calls, call), place.certain)

    @cached_property
    def runs(self) -> dict[ast.ClassDef, list[ast.Call]]:
        """The calls of each module of this file."""
        found: dict[ast.ClassDef, list[ast.Call]] = {}
        for call in self._tree.all(ast.Call):
            if call.args and isinstance(call.func, (ast.Name, ast.Attribute)) and self._names.origin(call.func) is None:
                owner = self._values.class_held_by(call.func)
                if owner is not None:
                    found.setdefault(owner, []).append(call)
        return found

    # -- reasons ------------------------------------------------------------------------------------------

    def _reason(self, place: _Place, telling: frozenset[str]) -> Rows | None:
        if is_one_row(place.node):
            return Rows(f"line {place.node.lineno} puts a dimension of length one in front", single=True)
        match place.node:
            case ast.Call() as call:
                return self._of_call(call, telling)
            case ast.Subscript() as node if takes_a_step(node):
                flat = len(node.slice.elts) < 3 and "logits" not in ast.unparse(node.value)  # type: ignore[attr-defined]
                return Rows(f"line {node.lineno} takes one step of each sequence", not flat, step=True)
            case ast.Subscript() as node if cuts_steps(node):
                return Rows(f"line {node.lineno} cuts the steps of one sequence")
            case ast.Name() as name:
                if self.is_batch(name):
                    return Rows(f"`{name.id}` is a batch of the loader")
                return self._said(name) or self._used(name, telling)
        return None

    def _said(self, name: ast.Name) -> Rows | None:
        """What the author wrote beside the tensor."""
        said = {self._shapes.of(each) for each in self._names.reaching(name)}
        shape = said.pop() if len(said) == 1 else None
        if shape is None or not shape.has_batch_first:
            return None
        return Rows(f"line {shape.line} says {shape.text}", step=len(shape.dimensions) > 2)

    def _of_call(self, call: ast.Call, telling: frozenset[str]) -> Rows | None:
        name = self._activations.function_origin(call)
        if name in _NORMALISES & telling and self.dimension(call) == 1:
            return Rows(f"line {call.lineno} normalises it over the classes in dimension 1")
        if name in ("view", "reshape", "flatten"):
            return Rows(f"line {call.lineno} keeps the batch in front") if keeps_rows(call, name) else None
        if name in ("cat", "concat", "concatenate") and self.dimension(call) in (None, 0):
            return self._of_concatenation(call)
        layers = [each.origin or "" for each in self._values.of(call.func)]
        if any(each.startswith("torch.nn.BatchNorm") for each in layers):
            return Rows(f"line {call.lineno} keeps the batch in front")
        model = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr == "forward" else call.func
        if self._values.kind(model) is Kind.MODEL or any(each.startswith("<local>") for each in layers):
            return self._of_run(call)
        return None

    def _of_run(self, call: ast.Call) -> Rows | None:
        """A model that is given one example, or a batch of a loader."""
        single = self.one_row(call)
        if single is not None:
            return Rows(single, single=True)
        given = call.args[:1] or [each.value for each in call.keywords if each.arg is None]
        if any(isinstance(each, ast.Name) and self._is_of_batch(each) for each in given):
            return Rows(f"line {call.lineno} gives the model the batches of a loader")
        return None

    def _is_of_batch(self, name: ast.Name) -> bool:
        """Whether the name is a batch of a loader, moved to a device perhaps."""
        node: ast.expr = name
        for _ in range(4):
            if isinstance(node, ast.Name) and self.is_batch(node):
                return True
            written = self._written(node)
            operand = self.operand(written) if isinstance(written, ast.Call) else None
            kept = isinstance(written, ast.Call) and self._activations.function_origin(written) in _ELEMENTWISE
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

    def _of_concatenation(self, call: ast.Call) -> Rows | None:
        """Outputs of batches collected in a list and put one below the other."""
        if not call.args or not isinstance(call.args[0], (ast.Name, ast.Attribute)):
            return None
        collected = ast.unparse(call.args[0])
        for grown in self._tree.all(ast.Call):
            match grown.func:
                case ast.Attribute(attr="append", value=value) if ast.unparse(value) == collected:
                    if self._tree.loops(grown):
                        return Rows(f"line {call.lineno} puts the outputs of all batches one below the other", False)
        return None

    def _used(self, name: ast.Name, telling: frozenset[str]) -> Rows | None:
        """What another use of the same tensor says of its dimensions."""
        bindings = self._names.reaching(name)
        for use in self._uses.get(name.id, ()):
            if use is name or not bindings or self._names.reaching(use) != bindings:
                continue
            reason = self._says(use, telling)
            if reason is not None:
                return Rows(reason)
            line = self._flattened(use)
            if line is not None:
                return Rows(f"line {line} has the classes in the last dimension", step=True)
        return None

    def _flattened(self, use: ast.Name) -> int | None:
        """The line of a `.view(-1, vocabulary_size)` of the tensor."""
        above = self._tree.parents.get(use)
        call = self._tree.parents.get(above) if isinstance(above, ast.Attribute) else None
        if not isinstance(above, ast.Attribute) or not isinstance(call, ast.Call) or call.func is not above:
            return None
        is_flat = above.attr in ("view", "reshape") and len(call.args) == 2 and ast.unparse(call.args[0]) == "-1"
        return call.lineno if is_flat and counts_classes(call.args[1]) else None

    @cached_property
    def _uses(self) -> dict[str, list[ast.Name]]:
        found: dict[str, list[ast.Name]] = {}
        for name in self._tree.all(ast.Name):
            if isinstance(name.ctx, ast.Load):
                found.setdefault(name.id, []).append(name)
        return found

    @cached_property
    def _judged(self) -> dict[ast.expr, int]:
        """What the losses with the classes in dimension 1 are given, with their lines."""
        losses = (each for each in self._activations.losses if each.name in ("cross_entropy", "nll_loss"))
        return {each.input: each.call.lineno for each in losses}

    def _says(self, use: ast.Name, telling: frozenset[str]) -> str | None:
        if use in self._judged:
            return f"line {self._judged[use]} takes the loss with the classes in dimension 1"
        above = self._tree.parents.get(use)
        if isinstance(above, ast.Attribute):
            above = self._tree.parents.get(above)
        if isinstance(above, ast.Call) and self.operand(above) in (use, self._tree.parents.get(use)):
            name = self._activations.function_origin(above)
            if name in telling and self.dimension(above) == 1:
                return f"line {above.lineno} takes `{name}` of it over dimension 1"
        if self._counts_classes(use):
            return f"line {use.lineno} counts the classes in dimension 1"
        match above:
            case ast.Subscript(slice=ast.Tuple(elts=[rows, _]), value=value) if value is use and is_every_row(rows):
                return f"line {above.lineno} takes one entry of each row"
        return None

    def _counts_classes(self, use: ast.Name) -> bool:
        """`num_classes = x.size(1)`, `assert x.shape[1] == num_classes`."""
        size: ast.AST | None = self._tree.parents.get(use)
        for _ in range(2):
            size = self._tree.parents.get(size) if size is not None else None
            if isinstance(size, (ast.Call, ast.Subscript)) and ast.unparse(size) in (
                f"{use.id}.size(1)",
                f"{use.id}.shape[1]",
            ):
                above = self._tree.parents.get(size)
                above = self._tree.parents.get(above) if isinstance(above, ast.BoolOp) else above
                match above:
                    case ast.Assign(targets=[ast.Name(id=name)]):
                        return _COUNTS.fullmatch(name) is not None
                    case ast.Compare(left=left, ops=[ast.Eq()], comparators=[other]):
                        other = other if left is size else left
                        key = other.slice if isinstance(other, ast.Subscript) else other
                        said = key.value if isinstance(key, ast.Constant) else last_name(key)
                        return isinstance(said, str) and _COUNTS.fullmatch(said) is not None
                return False
        return False

    # -- what calls are about -----------------------------------------------------------------------------

    def operand(self, call: ast.Call) -> ast.expr | None:
        """The tensor that a function or method of torch works on."""
        if self._names.origin(call.func) is None and isinstance(call.func, ast.Attribute):
            return call.func.value
        return call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "input"), None)

    def dimension(self, call: ast.Call) -> object:
        """The constant dimension the call works over; None where it is not given or not constant."""
        position = 0 if self._names.origin(call.func) is None else 1
        given = next((each.value for each in call.keywords if each.arg in ("dim", "axis")), None)
        if given is None and len(call.args) > position:
            given = call.args[position]
        if isinstance(given, ast.UnaryOp) and isinstance(given.operand, ast.Constant):
            return -given.operand.value  # type: ignore[operator]
        return self._values.only(given).constant if given is not None else None

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

    def _mixes(self, node: ast.expr) -> bool:
        """Whether the expression is a product of matrices, or has its dimensions moved."""
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.MatMult) or any(
                isinstance(each, ast.BinOp) and isinstance(each.op, ast.MatMult) for each in (node.left, node.right)
            )
        name = self._activations.function_origin(node) if isinstance(node, ast.Call) else ""
        return name in _MIXING or (isinstance(node, ast.Attribute) and node.attr in ("T", "mT"))


_COUNTS = re.compile(r"n_class(es)?|num_class(es)?|num_labels|n_labels|nb_class(es)?|class_num", re.I)
_AROUND = ("enumerate", "tqdm", "tqdm.tqdm")
_MIXING = frozenset(
    [
        *("matmul", "mm", "bmm", "einsum", "cosine_similarity", "cdist", "t", "transpose", "permute", "movedim"),
        *("rearrange", "select", "stack", "swapaxes", "unbind", "chunk", "split", "outer"),
    ]
)
