"""Generations: the methods in which a model runs itself round after round and picks from its outputs."""

import ast
import re
from collections.abc import Iterator

from detectors._engine.flow.events import Actions, Region
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.values.modules import Modules
from detectors._engine.values.values import Values

GRADIENT_WORDS = frozenset(
    """
    requires_grad requires_grad_ retain_grad grad grad_fn autograd backward enable_grad jacobian hessian vjp jvp func
    adapt inner_update
    """.split()
)
"""Names that say gradients are worked with."""

WANTS_GRADIENTS = re.compile(
    r"grad(?!_norm$)|attack|adversar|perturb|salien|attribution|optim|backward|explain|(^|_)forces?(_|$)", re.I
)
"""Names that say outputs may be differentiated, or are derivatives: the forces of an energy."""

_GENERATES = re.compile(
    r"(^|_)(generate|generation|sample|predict|translate|infer|inference|greedy|beam_search|complete|caption)(_|$|\d)",
    re.I,
)
_TRAINS = re.compile(
    r"(^|_)(train|training|loss|losses|log_probs?|logp|logprobs?|entropy|reward|rewards|advantage|gumbel_softmax|teacher_forc\w*"
    r"|rsample|reparam\w*|straight_through)(_|$)",
    re.I,
)
_MODES = frozenset(["training", "was_training", "train"])
"""What a method that keeps its model's mode speaks of; no sign of training beside `eval`."""
_RUNS = re.compile(r"(^|_)(net|network|model|decoder|transformer|backbone|lm|gpt|llm)$", re.I)
_PICKS = frozenset("argmax multinomial topk tolist categorical".split())
_GRADIENT_REGIONS = (Region.NO_GRAD, Region.GRAD, Region.SOME_GRAD)


class Generations:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, actions: Actions, modules: Modules) -> None:
        self._tree, self._names, self._values, self._actions = tree, names, values, actions
        self._modules = modules

    def with_gradients(self) -> Iterator[tuple[Function, ast.Call]]:
        """The generating methods that nothing in the file runs without gradients, with the call that runs the model."""
        for owner in self._modules.classes:
            for method in owner.body:
                if isinstance(method, FUNCTIONS) and self._generates(method):
                    run = next(self._runs(method), None)
                    if run is not None and not self._is_called_otherwise(method):
                        yield method, run

    def _generates(self, method: Function) -> bool:
        if not _GENERATES.search(method.name) or not method.args.args:
            return False
        if not all(self._leaves_gradients(each) for each in method.decorator_list):
            return False
        words = {each.attr for each in self._tree.below(method) if isinstance(each, ast.Attribute)}
        words |= {each.id for each in self._tree.below(method) if isinstance(each, ast.Name)}
        words |= {each.arg for each in method.args.args + method.args.kwonlyargs}
        told = words - _MODES if "eval" in words else words
        return not words & GRADIENT_WORDS and not any(_TRAINS.search(each) for each in told | {method.name})

    def _leaves_gradients(self, decorator: ast.expr) -> bool:
        """Whether a decorator of this file has nothing to do with gradients; one out of sight may switch them off."""
        if self._actions.region(decorator) in _GRADIENT_REGIONS:
            return False
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        target = self._values.calls.target(func)
        return target is not None and "grad" not in ast.unparse(target)

    def _runs(self, method: Function) -> Iterator[ast.Call]:
        """The calls of the model, or of a model in it, in a loop that picks from what comes out: a part that runs its
        own layers is run by somebody out of sight."""
        own = method.args.args[0].arg
        for call in self._tree.below(method):
            if not isinstance(call, ast.Call) or not self._runs_self(call.func, own):
                continue
            loops = self._tree.loops(call)
            if loops and self._picks(loops[-1]) and not self._is_in_region(call):
                yield call

    def _runs_self(self, func: ast.expr, own: str) -> bool:
        if isinstance(func, ast.Attribute) and func.attr == "forward":
            func = func.value
        if isinstance(func, ast.Name):
            return func.id == own
        is_part = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == own
        if not is_part or self._values.calls.target(func) is not None:
            return False
        origin = self._values.only(func).origin
        if origin is None:  # what the class was given: a wrapper of what is called a model
            return _RUNS.search(last_name(func)) is not None
        return not origin.startswith("torch.nn.") and self._modules.makes(func)

    @staticmethod
    def _picks(loop: ast.AST) -> bool:
        return any(isinstance(each, ast.Attribute) and each.attr in _PICKS for each in ast.walk(loop))

    def _is_in_region(self, node: ast.AST) -> bool:
        return any(
            self._actions.region(item.context_expr) in _GRADIENT_REGIONS
            for above in self._tree.ancestors(node)
            if isinstance(above, (ast.With, ast.AsyncWith))
            for item in above.items
        )

    def _is_called_otherwise(self, method: Function) -> bool:
        """Whether a caller in sight switches gradients off, or trains with what it gets."""
        for call in self._values.calls.sites(method):
            caller = self._tree.function(call)
            if self._is_in_region(call) or (caller is not None and _TRAINS.search(caller.name)):
                return True
            if caller is not None and (caller.name == "forward" or self._switches(caller)):
                return True
        named = [each for each in self._tree.all(ast.Call) if last_name(each.func) == method.name]
        return any(self._is_in_region(each) for each in named)

    def _switches(self, caller: Function) -> bool:
        return any(self._actions.region(each) in _GRADIENT_REGIONS for each in caller.decorator_list)
