"""Gradients: where autograd records, what is back-propagated, and which models an optimizer trains."""

import ast
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.flow.events import Act, Actions, Region
from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.libraries import Kind, kind_made_by
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import Subject, last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.tensors.tensor_methods import JOINING, KEEPERS
from detectors._engine.values.values import Values

_NO_GRAD_STEPS = frozenset(
    """
    validation_step test_step predict_step on_validation_epoch_end on_test_epoch_end validation_epoch_end
    test_epoch_end on_validation_batch_end on_validation_end on_test_end
    """.split()
)
_LOSS_NAME = ("loss", "nll", "elbo", "objective", "cost")
_SWITCHES: dict[Region | None, bool | None] = {Region.NO_GRAD: False, Region.GRAD: True, Region.SOME_GRAD: None}


class Gradients:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, actions: Actions) -> None:
        self._tree, self._names, self._values, self._actions = tree, names, values, actions
        self._switched: dict[ast.AST, bool | None] = {}

    # -- gradients on or off ------------------------------------------------------------------------------

    def on(self, node: ast.AST) -> bool | None:
        """Whether autograd records what is computed at the node; None where callers out of sight decide."""
        below, above = node, self._tree.parents.get(node)
        while above is not None and not isinstance(above, FUNCTIONS):
            if isinstance(above, (ast.With, ast.AsyncWith)) and isinstance(below, ast.stmt):
                for item in reversed(above.items):
                    region = self._actions.region(item.context_expr)
                    if region in _SWITCHES:
                        return _SWITCHES[region]
            below, above = above, self._tree.parents.get(above)
        if self._is_switched_globally:
            return None
        return True if above is None else self._on_in(above)

    def _on_in(self, function: Function) -> bool | None:
        if function not in self._switched:
            self._switched[function] = None  # a recursion decides nothing
            self._switched[function] = self._find_on_in(function)
        return self._switched[function]

    def _find_on_in(self, function: Function) -> bool | None:
        for decorator in function.decorator_list:
            region = self._actions.region(decorator)
            if region in _SWITCHES:
                return _SWITCHES[region]
        if function.name in _NO_GRAD_STEPS:
            return False
        if any(self._tree.function(call) is function for call in self.backward_calls):
            return True
        states = {self.on(call) for call in self._values.calls.sites(function)}
        return states.pop() if len(states) == 1 else None

    @cached_property
    def _is_switched_globally(self) -> bool:
        calls = (each.value for each in self._tree.all(ast.Expr) if isinstance(each.value, ast.Call))
        return any(last_name(each.func) == "set_grad_enabled" for each in calls)

    # -- what was back-propagated -------------------------------------------------------------------------

    @cached_property
    def backward_calls(self) -> list[ast.Call]:
        """Every call that computes gradients."""
        return [call for call, _ in self._backwards]

    @cached_property
    def _backwards(self) -> list[tuple[ast.Call, ast.expr]]:
        found = []
        for call in self._tree.all(ast.Call):
            if "backward" in last_name(call.func):
                targets = (each.target for each in self._actions.of(call) if each.act is Act.BACKWARD)
                found += [(call, target) for target in targets if target is not None]
        return found

    @cached_property
    def _backpropagated(self) -> dict[Binding | Subject, ast.Call]:
        found: dict[Binding | Subject, ast.Call] = {}
        for call, target in self._backwards:
            rest: list[ast.expr] = [target]
            while rest:
                rest += self._behind(rest.pop(), call, found)
        return found

    def _behind(self, leaf: ast.expr, call: ast.Call, found: dict[Binding | Subject, ast.Call]) -> list[ast.expr]:
        """Notes that the call back-propagates what the leaf holds; what that was computed from."""
        if isinstance(leaf, ast.Name):
            new = [each for each in self._names.reaching(leaf) if each not in found]
            found.update((each, call) for each in new)
            return [source for each in new for source in self._sources(each)]
        if not isinstance(leaf, ast.Attribute):
            return list(_parts(leaf))
        subject = self._values.subject(leaf)
        if subject is not None:
            found.setdefault(subject, call)
        return []

    def _sources(self, binding: Binding) -> list[ast.expr]:
        """What a back-propagated binding was computed from by arithmetic alone."""
        if binding.value is None or binding.how not in (Bound.ASSIGNMENT, Bound.UPDATE):
            return []
        value = binding.value
        if isinstance(value, ast.Name):
            return [value]
        if binding.how is Bound.UPDATE:
            return list(_parts(value)) or [value]
        terms = value.elts if isinstance(value, ast.Tuple) else [value]
        sides = [side for term in terms for side in _sides(term)]
        return [*_parts(value), *(each for each in sides if self._is_output(each))]

    def _is_output(self, term: ast.Name) -> bool:
        """Whether a term of a sum is what running a model gave, whatever its name."""
        bindings = self._names.reaching(term)
        return bool(bindings) and all(
            each.how in (Bound.ASSIGNMENT, Bound.PART)
            and isinstance(each.value, ast.Call)
            and any(action.act is Act.FORWARD for action in self._actions.of(each.value))
            for each in bindings
        )

    def backpropagated_by(self, node: ast.expr) -> ast.Call | None:
        """The `backward()` call that this very value goes through; None where there is none in sight."""
        if isinstance(node, ast.Name):
            for binding in self._names.reaching(node):
                if binding in self._backpropagated:
                    return self._backpropagated[binding]
        if isinstance(node, ast.Attribute):
            subject = self._values.subject(node)
            return self._backpropagated.get(subject) if subject is not None else None
        return None

    def like_backpropagated(self, binding: Binding) -> ast.Call | None:
        """The `backward()` that another name goes through, which gets the same part of the same call, word for word:
        what the function returns has a graph. None where gradients are off."""
        call = binding.value
        if not isinstance(call, ast.Call) or self.on(call) is not True:
            return None
        for other, backward in self._backpropagated.items():
            if not isinstance(other, Binding) or other.how is not binding.how or other.index != binding.index:
                continue
            same = isinstance(other.value, ast.Call) and other.value is not call and other.scope is binding.scope
            if same and other.value is not None and ast.unparse(other.value) == ast.unparse(call):
                return backward
        return None

    # -- what is trained ----------------------------------------------------------------------------------

    def is_trained(self, model: ast.expr | None) -> bool:
        """Whether an optimizer of this file was given the model's parameters."""
        subject = self._values.subject(model)
        return subject is not None and subject in self._trained

    def trains(self, model: Subject) -> bool:
        """Whether an optimizer of this file was given the parameters of this object."""
        return model in self._trained

    def trained_by(self, optimizer: ast.expr | None) -> set[Subject]:
        """The models whose parameters, and nothing else, the optimizer was given; none where that is not certain."""
        call = self._values.only(optimizer).call
        if call is None or not call.args or self._values.kind(optimizer) is not Kind.OPTIMIZER:
            return set()
        given = call.args[0]
        parts = given.elts if isinstance(given, (ast.List, ast.Tuple)) else [given]
        found: set[Subject] = set()
        for part in parts:
            while isinstance(part, ast.Call) and last_name(part.func) in ("list", "chain") and len(part.args) == 1:
                part = part.args[0]
            if not (isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)):
                return set()
            subject = self._values.subject(part.func.value) if part.func.attr == "parameters" else None
            if subject is None:
                return set()
            found.add(subject)
        return found

    @cached_property
    def _trained(self) -> set[Subject]:
        found: set[Subject] = set()
        for call in self._tree.all(ast.Call):
            func = call.func
            if not isinstance(func, ast.Attribute) or func.attr not in ("parameters", "named_parameters"):
                continue
            subject = self._values.subject(func.value)
            if subject is not None and self._goes_to_optimizer(call):
                found.add(subject)
        return found

    def _goes_to_optimizer(self, node: ast.AST) -> bool:
        for above in self._tree.ancestors(node):
            if isinstance(above, ast.Call):
                origin = self._names.origin(above.func) or ""
                if kind_made_by(origin) is Kind.OPTIMIZER or "optim" in last_name(above.func).lower():
                    return True
            elif isinstance(above, ast.stmt):
                return False
        return False


def _sides(node: ast.expr) -> Iterator[ast.Name]:
    """The names that are added up."""
    if isinstance(node, ast.Name):
        yield node
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield from (*_sides(node.left), *_sides(node.right))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of arithmetic that surely are tensors of the loss: `loss` in `scaler.scale(loss / 4)`."""
    match node:
        case ast.Call(func=ast.Attribute(attr="scale"), args=[only]):
            yield only
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in KEEPERS:
            if not isinstance(value, ast.Name) or value.id not in ("torch", "F", "np", "self"):
                yield value
            elif attr in JOINING and node.args:
                yield node.args[0]
        case ast.Call(func=ast.Attribute(attr="stack" | "cat" | "sum" | "mean") | ast.Name(id="sum"), args=[first, *_]):
            yield first
        case ast.BinOp(op=ast.Div() | ast.Pow(), left=left):
            yield left
        case ast.BinOp(op=ast.Mult(), left=ast.Constant(), right=right):
            yield right
        case ast.BinOp(op=ast.Mult(), left=left, right=ast.Constant()):
            yield left
        case ast.BinOp(op=ast.Mult() | ast.Add() | ast.Sub(), left=left, right=right):
            for side in (left, right):
                if not isinstance(side, ast.Name) or any(each in side.id.lower() for each in _LOSS_NAME):
                    yield side
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            yield from elements
        case ast.NamedExpr(value=value) | ast.Subscript(value=value):
            yield value
