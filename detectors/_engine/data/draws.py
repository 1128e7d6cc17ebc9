"""Draws: which calls take random numbers, from whose generator, and which models begin with them."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.flow.loops import TrainingStep
from detectors._engine.names.libraries import DATA_PARALLEL, Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import SAME_OBJECT, last_name, without_methods
from detectors._engine.source.tree import Function, Tree, named_parameters
from detectors._engine.values.arguments import argument, may_have
from detectors._engine.values.modules import Modules
from detectors._engine.values.values import Values

_DRAWS = frozenset(["shuffle", "permutation", "randperm", "randint", "rand", "randn", "choice", "sample", "normal"])
_HOPS = 6
"""From a wrapped model back to where it is made: as many names and `.to(device)` at most."""
_RANDOM_SPLITS = (
    "sklearn.model_selection.train_test_split",
    "torch.utils.data.random_split",
    "sklearn.model_selection.KFold",
    "sklearn.model_selection.StratifiedKFold",
    "sklearn.model_selection.ShuffleSplit",
    "sklearn.model_selection.StratifiedShuffleSplit",
)


@dataclass(frozen=True, slots=True)
class RandomSplit:
    """A call that divides data at random."""

    call: ast.Call
    origin: str
    has_no_more: bool = False
    """Whether what `**kwargs` brings is known to hold no seed."""

    @property
    def library(self) -> str:
        """Whose random numbers it draws: those of `torch` or `numpy`."""
        return "torch" if self.origin.startswith("torch.") else "numpy"

    @property
    def keyword(self) -> str:
        """The argument that makes it repeatable."""
        return "generator" if self.library == "torch" else "random_state"

    @property
    def value(self) -> str:
        """Something to give for that argument."""
        return "torch.Generator().manual_seed(0)" if self.library == "torch" else "0"

    @property
    def is_unseeded(self) -> bool:
        """Whether it is given neither a seed nor a generator, for certain."""
        call = self.call
        if self.has_no_more:
            return not any(each.arg in ("random_state", "generator") for each in call.keywords)
        if may_have(call, "random_state") or may_have(call, "generator", 2 if self.library == "torch" else None):
            return False
        if any(isinstance(each, ast.Starred) for each in call.args) and self.origin.endswith("train_test_split"):
            return len(call.args) == 1 and not any(each.arg is None for each in call.keywords)
        shuffle = argument(call, "shuffle")
        if self.origin.endswith("KFold"):
            return isinstance(shuffle, ast.Constant) and shuffle.value is True
        return not (isinstance(shuffle, ast.Constant) and shuffle.value is False)


class Draws:
    """Answers for one file; `steps` gives its training steps where they are needed."""

    def __init__(
        self, tree: Tree, names: Names, values: Values, modules: Modules, steps: Callable[[], list[TrainingStep]]
    ) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._modules = modules
        self._steps = steps

    @cached_property
    def unseeded_splits(self) -> list[RandomSplit]:
        """The splits that differ on every run unless something seeds the process, in source order."""
        splits = (
            RandomSplit(each, self._names.origin(each.func) or "", self._has_no_more(each))
            for each in self._names.calls(*_RANDOM_SPLITS)
        )
        drawn = (RandomSplit(each, "pandas.DataFrame.sample") for each in self._drawn_from_frames())
        found = [each for each in (*splits, *drawn) if each.is_unseeded]
        return sorted(found, key=lambda each: (each.call.lineno, each.call.col_offset))

    def _drawn_from_frames(self) -> Iterator[ast.Call]:
        """`train = frame.sample(frac=0.8)`, where `frame.drop(train.index)` is the other part."""
        drawn = {each: self._tree.statement(each) for each in self._tree.method_calls("sample")}
        names = {
            last_name(statement.targets[0]): call
            for call, statement in drawn.items()
            if isinstance(statement, ast.Assign) and statement.value is call
        }
        for drop in self._tree.method_calls("drop") if names else ():
            match drop.args:
                case [ast.Attribute(attr="index", value=ast.Name(id=name))] if name in names:
                    yield names[name]

    def _has_no_more(self, call: ast.Call) -> bool:
        """Whether the call hands on the `**kwargs` of a function that takes `random_state` by its name."""
        given = [each.value for each in call.keywords if each.arg is None]
        function = self._tree.function(call)
        rest = function.args.kwarg if function is not None else None
        if function is None or rest is None or len(given) != 1 or ast.unparse(given[0]) != rest.arg:
            return False
        shuffle = argument(call, "shuffle")
        named = any(each.arg == "random_state" for each in named_parameters(function.args))
        return named and not isinstance(shuffle, ast.Constant)

    @cached_property
    def forgotten_seeds(self) -> list[tuple[ast.Call, ast.Call, ast.expr]]:
        """The calls that divide data without a seed where another call of the same function, in the same class or
        function, is given one: with that call and its seed."""
        found: list[tuple[ast.Call, ast.Call, ast.expr]] = []
        calls: dict[tuple[ast.AST | None, str], list[ast.Call]] = {}
        for call in self._tree.all(ast.Call):
            if last_name(call.func) == "train_test_split":
                owner = self._tree.enclosing(call, ast.ClassDef) or self._tree.function(call)
                calls.setdefault((owner, ast.unparse(call.func)), []).append(call)
        for same in calls.values():
            seeded = [(each, seed) for each in same if (seed := argument(each, "random_state")) is not None]
            bare = [each for each in same if not may_have(each, "random_state") and argument(each, "shuffle") is None]
            if seeded and len(bare) == 1:
                found.append((bare[0], *seeded[0]))
        return found

    def first(self) -> ast.Call | None:
        """What a seed of the whole script is for: its first draw, else the first model that it makes and trains."""
        calls = list(self._tree.all(ast.Call))
        models = (each for each in calls if self.makes_model(each) and self._is_trained(each))
        return next((each for each in calls if self.is_random(each)), None) or next(models, None)

    def is_random(self, call: ast.Call) -> bool:
        """Whether the call draws from the process-wide generator of torch, NumPy or Python."""
        origin = self._names.origin(call.func) or ""
        return origin.rpartition(".")[2] in _DRAWS and origin.startswith(("torch.", "numpy.random", "random."))

    def first_in(self, function: ast.FunctionDef) -> ast.Call | None:
        """The first call in the function that draws random numbers for training: a draw, or the making of a model
        where the function trains."""
        calls = [each for each in ast.walk(function) if isinstance(each, ast.Call)]
        calls.sort(key=lambda each: (each.lineno, each.col_offset))
        trains = function in self._training
        return next((each for each in calls if self.is_random(each) or (trains and self.makes_model(each))), None)

    @cached_property
    def _training(self) -> set[Function | None]:
        """The functions with a training step, and those that call them for it."""
        steps = [each.step for each in self._steps()]
        return {each.function for each in steps} | {self._tree.function(call) for each in steps for call in each.calls}

    # -- models -------------------------------------------------------------------------------------------

    def makes_model(self, call: ast.Call) -> bool:
        """Whether the call makes a model anew, by its kind or by the name it is given."""
        if any(each.kind is Kind.MODEL and each.call is call for each in self._values.of(call)):
            return "from_pretrained" not in ast.unparse(call.func)
        statement = self._tree.statement(call)
        if not isinstance(statement, ast.Assign) or without_methods(statement.value, SAME_OBJECT) is not call:
            return False
        is_class = isinstance(call.func, ast.Name) and call.func.id[:1].isupper()
        return is_class and last_name(statement.targets[0]) in ("model", "net", "network")

    def models_for(self, training: TrainingStep) -> Iterator[ast.Call]:
        """The makings of trained models with random weights where the step is, or around it."""
        around = (self._tree.function(each) for each in training.step.calls)
        functions = {training.flow.root, training.step.function, *around, None}
        near = (each for each in self._tree.all(ast.Call) if self._tree.function(each) in functions)
        made = (each for each in near if self.makes_model(each) and self._is_trained(each))
        drawn = (self._wrapped(each) for each in made)
        return (each for each in drawn if each is not None and self._may_draw_weights(each))

    def _wrapped(self, call: ast.Call) -> ast.Call | None:
        """What draws the weights of what the call makes: what wraps a model draws none of its own."""
        given = call.args[0] if call.args else None
        is_wrapper = DATA_PARALLEL.match(self._names.origin(call.func) or "") is not None
        if not is_wrapper and (given is None or self._values.only(given).kind is not Kind.MODEL):
            return call
        made: ast.expr | None = call.args[0] if call.args else None
        for _ in range(_HOPS):
            if isinstance(made, ast.Name):
                written = [each.value for each in self._names.reaching(made)]
                made = written[0] if len(written) == 1 else None
            elif isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in SAME_OBJECT:
                made = made.func.value
            else:
                break
        return made if isinstance(made, ast.Call) else None

    def _is_trained(self, call: ast.Call) -> bool:
        """Whether the parameters of what the call makes are asked for somewhere, as an optimizer does."""
        return call in self._asked

    @cached_property
    def _asked(self) -> set[ast.AST | None]:
        owners = [
            each.func.value for each in self._tree.method_calls("parameters") if isinstance(each.func, ast.Attribute)
        ]
        asked: set[ast.AST | None] = {value.call for owner in owners for value in self._values.of(owner)}
        held = [
            arg
            for call in asked
            if isinstance(call, ast.Call)
            for arg in (*call.args, *(each.value for each in call.keywords))
        ]
        return asked | {value.call for each in held if isinstance(each, ast.Name) for value in self._values.of(each)}

    def _may_draw_weights(self, call: ast.Call) -> bool:
        """Whether what the call makes may begin with random weights: a class of this file only where it is a module
        of torch's or makes layers, since what derives from another library's model may begin with constants, as a
        Gaussian process does."""
        owner = self._values.calls.callee(call)
        if not isinstance(owner, ast.ClassDef):
            return True
        bases = self._values.classes.outer_bases(owner)
        is_of_torch = any(each.startswith("torch.nn.") for each in bases) and self._modules.is_module_class(owner)
        return is_of_torch or self._modules.has_parameters(call)
