"""Loaders: every data loader a file makes, what data set it reads, and whether a training loop iterates it."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from detectors._engine.data.splits import Part, part_named
from detectors._engine.flow.loops import TrainingStep
from detectors._engine.names.libraries import Kind, kind_made_by
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values


class Style(Enum):
    """How a data set gives its items."""

    MAP = "by index"
    ITERABLE = "one after another"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, eq=False)
class Loader:
    """One loader: `name` is what it is assigned to, `part` what the names around it say, `trains` whether a loop with
    an optimizer step iterates it."""

    call: ast.Call
    dataset: ast.expr | None
    name: str
    part: Part | None
    trains: bool


_ITERABLE = re.compile(r"iter|stream|webdataset", re.I)
_MAP_STYLE = re.compile(r"torch\.utils\.data\.(TensorDataset|Subset|random_split)$|torchvision\.datasets\.[A-Z]\w*$")


class Loaders:
    """Answers for one file."""

    def __init__(
        self, tree: Tree, names: Names, values: Values, training_steps: Callable[[], list[TrainingStep]]
    ) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._training_steps = training_steps
        calls = [each for each in tree.all(ast.Call) if self._makes_loader(each)]
        trained = self._iterated_in_training() if calls else set()
        self.all = [self._loader(each, trained) for each in calls]

    def _makes_loader(self, call: ast.Call) -> bool:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        return "oader" in last and kind_made_by(self._names.origin(call.func) or "") is Kind.LOADER

    def _loader(self, call: ast.Call, trained: set[ast.AST]) -> Loader:
        dataset = next((each.value for each in call.keywords if each.arg == "dataset"), None)
        if dataset is None and call.args and not isinstance(call.args[0], ast.Starred):
            dataset = call.args[0]
        name = self._assigned_to(call)
        parts = {part_named(name), part_named(last_name(dataset))} - {None}
        is_given_back = isinstance(self._tree.parents.get(call), ast.Return)
        trains = call in trained or (is_given_back and name == "train_dataloader")  # what Lightning trains from
        return Loader(call, dataset, name, parts.pop() if len(parts) == 1 else None, trains)

    def _assigned_to(self, call: ast.Call) -> str:
        """The name the loader gets: its variable, its key, or the method that returns it."""
        parent = self._tree.parents.get(call)
        if isinstance(parent, (ast.Assign, ast.AnnAssign)):
            target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
            return last_name(target)
        if isinstance(parent, ast.Return):
            function = self._tree.function(call)
            return function.name if function is not None else ""
        if isinstance(parent, ast.Dict):
            key = parent.keys[parent.values.index(call)] if call in parent.values else None
            return str(key.value) if isinstance(key, ast.Constant) else ""
        return ""

    def _iterated_in_training(self) -> set[ast.AST]:
        loops = {loop for step in self._training_steps() for loop in step.step.loops if not isinstance(loop, ast.While)}
        found: set[ast.AST] = set()
        for loop in loops:
            iterable: ast.expr = loop.iter
            while isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.args:
                if iterable.func.id not in ("enumerate", "iter", "list", "tqdm"):
                    break
                iterable = iterable.args[0]
            for value in self._values.of(iterable):
                found |= {value.call} if value.call is not None else set()
                found |= self._shown(value.call) if value.call is not None else set()
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("run", "fit"):
                given = [*call.args, *(each.value for each in call.keywords)]
                for loader in (each for each in given if part_named(last_name(each)) is Part.TRAIN):
                    found |= {each.call for each in self._values.of(loader) if each.call is not None}
        return found

    def _shown(self, call: ast.Call) -> set[ast.AST]:
        """The loaders behind a progress bar: `batches = tqdm(loader)`."""
        if not call.args or (self._names.origin(call.func) or "").partition(".")[0] != "tqdm":
            return set()
        return {each.call for each in self._values.of(call.args[0]) if each.call is not None}

    def is_iterated(self, loader: Loader) -> bool:
        """Whether a loop of this file runs over the loader."""
        loops = self._tree.all(ast.For, ast.comprehension)
        return any(value.call is loader.call for loop in loops for value in self._values.of(loop.iter))

    # -- data sets ----------------------------------------------------------------------------------------

    def style(self, dataset: ast.expr | None) -> Style:
        """Whether the data set is known to be read by index."""
        styles = {self._style(each) for each in self._values.of(dataset)}
        return styles.pop() if len(styles) == 1 else Style.ITERABLE if Style.ITERABLE in styles else Style.UNKNOWN

    def _style(self, value: Value) -> Style:
        origin = value.origin or ""
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            return self._style_of_class(owner) if owner is not None else Style.UNKNOWN
        if _ITERABLE.search(origin):
            return Style.ITERABLE
        if _MAP_STYLE.match(origin):
            return Style.MAP
        given = value.call.args if value.call is not None else []
        rows = any(isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Slice) for each in given)
        return Style.MAP if rows and origin.endswith(("Dataset", "DataSet")) else Style.UNKNOWN

    def _style_of_class(self, owner: ast.ClassDef) -> Style:
        bases = self._values.classes.bases(owner)
        methods = {
            each.name for one in self._values.classes.lineage(owner) for each in one.body if isinstance(each, FUNCTIONS)
        }
        if any(_ITERABLE.search(each) for each in (*bases, owner.name)) or "__iter__" in methods:
            return Style.ITERABLE
        return Style.MAP if "__getitem__" in methods else Style.UNKNOWN
