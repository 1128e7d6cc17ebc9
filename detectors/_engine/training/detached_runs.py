"""Detached runs: where a function runs a model with gradients on, and cuts every graph that this builds.

Little is asked of modes or names: what a function detaches itself, and lets out by no other way, nobody can
back-propagate. The same goes for what it only takes as numbers, where its class switches gradients off for the same
model in the method beside it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.flow.events import Act, Actions, Region
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.training.generations import GRADIENT_WORDS, WANTS_GRADIENTS
from detectors._engine.training.outflows import Outflow, Outflows
from detectors._engine.training.passes import PARTS
from detectors._engine.values.values import Values

_SWITCHING = (Region.NO_GRAD, Region.GRAD, Region.SOME_GRAD)
_OFF = (Region.NO_GRAD,)
_REPEATS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.DictComp, ast.GeneratorExp)
_SEES_TO_GRADIENTS = frozenset(["generate", "encode", "predict", "transcribe", "translate", "infer", "sample"])
"""Methods of models that switch gradients off in many a library."""


@dataclass(frozen=True, eq=False)
class DetachedRun:
    """One call of a model, or of a function of this file that runs it.

    `loop` is the loop or comprehension that repeats it; `sibling` the method of the same class that runs the model
    without gradients, where that is what says so and nothing is detached.
    """

    call: ast.Call
    model: ast.expr
    function: Function
    loop: ast.AST | None
    outflow: Outflow
    sibling: Function | None = None
    is_whole: bool = False
    """Whether the loop runs no model whose outputs leave it with their graph."""
    is_own: bool = False
    """Whether nothing in this file speaks of the function."""


class DetachedRuns:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, actions: Actions, outflows: Outflows) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._actions, self._outflows = actions, outflows
        self._runners: dict[Function, ast.expr | None] = {}
        self._uses: dict[str, list[ast.AST]] | None = None

    def all(self) -> Iterator[DetachedRun]:
        """The runs of models with gradients on whose outputs all end in their function, in source order."""
        for call in self._tree.all(ast.Call):
            function = self._tree.function(call)
            direct = self._run(call) or self._run_below(call)
            model = direct or self._target(call)
            if function is None or model is None or self._outflows.of(call).leaves or self._may_be_without(call):
                continue
            loop, outflow = self._loop(call, function), self._outflows.of(call)
            if (loop is None and self._works_with_gradients(function)) or self._speaks_of_gradients(loop or function):
                continue
            is_detached = bool(outflow.detached) and direct is not None
            sibling = None if outflow.detached or loop is None else self._sibling(function, call)
            if is_detached or sibling is not None:
                is_whole, is_own = self._is_whole(loop), not self._named(function.name)
                yield DetachedRun(call, model, function, loop, outflow, sibling, is_whole, is_own)

    def _is_whole(self, loop: ast.AST | None) -> bool:
        calls = (each for each in self._tree.below(loop) if isinstance(each, ast.Call)) if loop is not None else ()
        runs = [each for each in calls if any(action.act is Act.FORWARD for action in self._actions.of(each))]
        return loop is not None and not any(self._outflows.of(each).leaves for each in runs)

    def _speaks_of_gradients(self, where: ast.AST) -> bool:
        """Whether a name or a key in a loop or function is about derivatives."""
        function = where if isinstance(where, FUNCTIONS) else self._tree.function(where)
        words = {function.name} if function is not None else set()
        for each in self._tree.below(where):
            if isinstance(each, (ast.Name, ast.Attribute)):
                words.add(last_name(each))
            elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.isidentifier():
                words.add(each.value)
        return any(map(WANTS_GRADIENTS.search, words))

    # -- what is run --------------------------------------------------------------------------------------

    def _target(self, call: ast.Call) -> ast.expr | None:
        """The model that the call runs, by whatever method that leaves gradients as they are."""
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SEES_TO_GRADIENTS:
            return None
        return next((each.target for each in self._actions.of(call) if each.act is Act.FORWARD), None)

    def _run(self, call: ast.Call) -> ast.expr | None:
        """The model that the call itself runs, and not through a method that may see to gradients."""
        model = self._target(call)
        if isinstance(model, ast.Name) and self._is_any_callable(model):
            return None
        is_part = isinstance(call.func, ast.Attribute) and call.func.attr in PARTS
        if model is None or not (is_part or model is call.func) or self._values.calls.callee(call) is not None:
            return None
        return None if isinstance(call.func, ast.Name) and call.func.id == "self" else model

    def _is_any_callable(self, model: ast.Name) -> bool:
        """`model: Callable[[Batch], Batch]`: it may see to gradients itself."""
        bound = (each.node for each in self._names.reaching(model))
        return any(isinstance(each, ast.arg) and "Callable" in ast.unparse(each) for each in bound)

    def _run_below(self, call: ast.Call) -> ast.expr | None:
        """The model that a function of this file runs, as its caller names it: `self._loss(model, batch)`."""
        callee = self._values.calls.callee(call)
        if not isinstance(callee, FUNCTIONS):
            return None
        if callee not in self._runners:
            self._runners[callee] = self._run_in(callee)
        model = self._runners[callee]
        if not isinstance(model, ast.Name):
            return model
        given = self._values.calls.argument_for(callee, call, model.id)
        return given if isinstance(given, (ast.Name, ast.Attribute)) else None

    def _run_in(self, function: Function) -> ast.expr | None:
        """The model that a function runs with the gradients that its caller has."""
        if self._works_with_gradients(function) or self._values.calls.is_generator(function) or self._is_off(function):
            return None
        calls = (each for each in self._tree.below(function) if isinstance(each, ast.Call))
        runs = [each for each in calls if self._tree.function(each) is function and self._run(each) is not None]
        return self._run(runs[0]) if runs and not any(map(self._is_in_region, runs)) else None

    def _sibling(self, function: Function, call: ast.Call) -> Function | None:
        """The method of the same class that switches gradients off itself before it runs the model in the same way."""
        owner, run = self._tree.class_of(function), ast.unparse(call.func)
        for method in owner.body if owner is not None and run.startswith("self.") else ():
            if not isinstance(method, FUNCTIONS) or method is function:
                continue
            calls = (each for each in self._tree.below(method) if isinstance(each, ast.Call))
            runs = [each for each in calls if ast.unparse(each.func) == run]
            if runs and (self._is_off(method, _OFF) or all(self._is_in_region(each, _OFF) for each in runs)):
                return method
        return None

    # -- the loop -----------------------------------------------------------------------------------------

    def _loop(self, call: ast.Call, function: Function) -> ast.AST | None:
        """The outermost loop around the call in which nothing works with gradients."""
        found: ast.AST | None = None
        below: ast.AST = call
        for above in self._tree.ancestors(call):
            if above is function or isinstance(above, (*FUNCTIONS, ast.Lambda)):
                break
            is_iterated = below is getattr(above, "iter", None) or below in getattr(above, "generators", ())
            if isinstance(above, _REPEATS) and not is_iterated:
                if self._works_with_gradients(above):
                    break
                found = above
            below = above
        return found

    def _works_with_gradients(self, node: ast.AST) -> bool:
        return any(
            (isinstance(each, ast.Attribute) and each.attr in GRADIENT_WORDS)
            or (isinstance(each, ast.Name) and each.id in GRADIENT_WORDS)
            or (isinstance(each, ast.keyword) and each.arg in GRADIENT_WORDS)
            or (isinstance(each, ast.Call) and "backward" in last_name(each.func))
            for each in self._tree.below(node)
        )

    # -- gradients that are off ---------------------------------------------------------------------------

    def _is_off(self, function: Function, regions: tuple[Region, ...] = _SWITCHING) -> bool:
        return any(self._actions.region(each) in regions for each in function.decorator_list)

    def _is_in_region(self, node: ast.AST, regions: tuple[Region, ...] = _SWITCHING) -> bool:
        return any(
            self._actions.region(item.context_expr) in regions
            for above in self._tree.ancestors(node)
            if isinstance(above, (ast.With, ast.AsyncWith))
            for item in above.items
        )

    def _may_be_without(self, call: ast.Call) -> bool:
        """Whether a region, a decorator or a caller decides about gradients. Callers of a function are those that name
        anything like it; who gets the function itself calls it out of sight."""
        seen: set[Function | None] = set()
        rest: list[ast.AST] = [call]
        while rest:
            node = rest.pop()
            function = self._tree.function(node)
            if self._is_in_region(node) or (function is not None and self._is_off(function)):
                return True
            if function is not None and function not in seen:
                seen.add(function)
                used = self._named(function.name)
                if any(self._is_handed_on(each) for each in used):
                    return True
                rest += [function, *used]
        return False

    def _is_handed_on(self, use: ast.AST) -> bool:
        """Whether a function is an argument or kept: `minimize(energy, start)`."""
        above = self._tree.parents.get(use)
        if isinstance(above, ast.Call):
            return above.func is not use
        return isinstance(above, (ast.keyword, ast.Assign, ast.Dict, ast.List, ast.Tuple, ast.Return))

    def _named(self, name: str) -> list[ast.AST]:
        """The uses of anything of this name."""
        if self._uses is None:
            self._uses = defaultdict(list)
            for use in self._tree.all(ast.Name, ast.Attribute):
                if isinstance(use.ctx, ast.Load):
                    self._uses[use.id if isinstance(use, ast.Name) else use.attr].append(use)
        return self._uses[name]
