"""Axes: whether dimension 0 of a tensor counts examples, with the classes in another.

Told by how the tensor was made, by what the author wrote beside it, and by what else is done with it.
"""

import ast
import re
from dataclasses import dataclass, replace
from functools import cached_property

from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axis_calls import AxisCalls
from detectors._engine.tensors.axis_trail import AxisTrail, Place
from detectors._engine.tensors.batches import Batches
from detectors._engine.tensors.reshapes import (
    counts_classes,
    cuts_steps,
    is_every_row,
    is_one_row,
    keeps_rows,
    parts_rows,
    takes_a_step,
)
from detectors._engine.tensors.shapes import Shapes
from detectors._engine.values.values import Values

_NORMALISES = frozenset(["softmax", "log_softmax", "gumbel_softmax"])
_CHOOSES = frozenset(["argmax", "max", "topk", "sort"])
_COUNTS = re.compile(r"n_class(es)?|num_class(es)?|num_labels|n_labels|nb_class(es)?|class_num", re.I)


@dataclass(frozen=True, slots=True)
class Rows:
    """Why dimension 0 counts examples; `certain` where the tensor has another dimension beside it for sure, `single`
    where there is one example in it, `step` where it is one step of sequences."""

    why: str
    certain: bool = True
    single: bool = False
    step: bool = False


class Axes:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, activations: Activations, shapes: Shapes) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._activations = activations
        self._shapes = shapes
        self._calls = AxisCalls(names, values, activations)
        self._trail = AxisTrail(tree, names, values, activations, self._calls)
        self._batches = Batches(tree, names, values, activations, self._calls)

    def rows(self, operand: ast.expr, *, doing: str = "") -> Rows | None:
        """The best reason for which dimension 0 of the expression counts examples; None where it is not known.

        `doing` is the function that is applied to it: who applies the same over dimension 1 as well means both, as for
        similarities of images and texts.
        """
        reasons: list[Rows] = []
        telling = frozenset[str]().union(*(each for each in (_NORMALISES, _CHOOSES) if doing not in each))
        for place in self._trail.same_rows(operand):
            if place is None:
                return None
            reason = self._reason(place, telling)
            if reason is not None:
                reasons.append(reason if place.certain else replace(reason, certain=False))
        return max(reasons, key=lambda each: (each.single, each.certain), default=None)

    def mixed(self, operand: ast.expr) -> bool:
        """Whether the expression comes of moved dimensions or a product of matrices: its axes may be anything."""
        return any(place is None for place in self._trail.same_rows(operand))

    def moved_from_front(self, operand: ast.expr, dimension: object) -> ast.Call | None:
        """The call whose dimension 0 has become this dimension of the expression: `torch.bmm(a, b)` for the last
        dimension of `torch.bmm(a, b).transpose(0, 2)`; None where no transposition in sight does that."""
        written = self._written(operand)
        if not isinstance(written, ast.Call) or self._activations.function_origin(written) != "transpose":
            return None
        method = self._names.origin(written.func) is None
        swapped = [self._values.only(each).constant for each in written.args[0 if method else 1 :]]
        is_last = swapped in ([0, 2], [2, 0]) and dimension in (-1, 2)
        is_middle = swapped in ([0, 1], [1, 0]) and dimension == 1
        moved = self._calls.operand(written) if is_last or is_middle else None
        made = self._written(moved) if moved is not None else None
        return made if isinstance(made, ast.Call) else None

    def _written(self, node: ast.expr) -> ast.expr | None:
        bindings = self._names.reaching(node) if isinstance(node, ast.Name) else ()
        return bindings[0].value if len(bindings) == 1 else node

    def is_output(self, operand: ast.expr) -> bool:
        """Whether the expression is what a model gives, with its dimensions as they are."""
        places = [each for each in self._trail.same_rows(operand) if each is not None]
        called = (each.node.func for each in places if isinstance(each.node, ast.Call))
        return not self.mixed(operand) and any(map(self._is_model, called))

    def _is_model(self, func: ast.expr) -> bool:
        owner = self._values.class_held_by(func)
        is_module = owner is not None and "torch.nn.Module" in self._values.classes.bases(owner)
        return is_module or self._values.kind(func) is Kind.MODEL

    @property
    def runs(self) -> dict[ast.ClassDef, list[ast.Call]]:
        """The calls of each module of this file."""
        return self._trail.runs

    def operand(self, call: ast.Call) -> ast.expr | None:
        """The tensor that a function or method of torch works on."""
        return self._calls.operand(call)

    def dimension(self, call: ast.Call) -> object:
        """The constant dimension the call works over; None where it is not given or not constant."""
        return self._calls.dimension(call)

    def is_batch(self, name: ast.Name) -> bool:
        """Whether the name is bound by iterating a loader of known make."""
        return self._batches.is_batch(name)

    def one_row(self, run: ast.Call) -> str | None:
        """Where a model is given one example, what says so."""
        return self._batches.one_row(run)

    # -- reasons ------------------------------------------------------------------------------------------

    def _reason(self, place: Place, telling: frozenset[str]) -> Rows | None:
        if is_one_row(place.node):
            return Rows(f"line {place.node.lineno} puts a dimension of length one in front", single=True)
        match place.node:
            case ast.Call() as call:
                return self._of_call(call, telling)
            case ast.Subscript() as node if takes_a_step(node):
                flat = len(node.slice.elts) < 3 and "logits" not in ast.unparse(node.value)  # type: ignore[attr-defined]
                return Rows(f"line {node.lineno} takes one step of each sequence", not flat, step=True)
            case ast.Subscript(value=ast.Call() as run, slice=ast.Constant(value=0)):
                encoded = self._batches.encoded(run)
                return Rows(encoded) if encoded is not None else None
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
            kept = keeps_rows(call, name) or (name != "flatten" and parts_rows(call))
            return Rows(f"line {call.lineno} keeps the batch in front") if kept else None
        if name in ("cat", "concat", "concatenate") and self.dimension(call) in (None, 0):
            return self._of_concatenation(call)
        layers = [each.origin or "" for each in self._values.of(call.func)]
        if any(each.startswith("torch.nn.BatchNorm") for each in layers):
            return Rows(f"line {call.lineno} keeps the batch in front")
        model = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr == "forward" else call.func
        if self._values.kind(model) is Kind.MODEL or any(each.startswith("<local>") for each in layers):
            return self._of_run(call)
        encoded = self._batches.encoded(call)
        return Rows(encoded) if encoded is not None else None

    def _of_run(self, call: ast.Call) -> Rows | None:
        """A model that is given one example, or a batch of a loader."""
        single = self._batches.one_row(call)
        if single is not None:
            return Rows(single, single=True)
        given = self._batches.given_to(call)
        return Rows(given) if given is not None else None

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
