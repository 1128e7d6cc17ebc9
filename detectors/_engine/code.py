"""A Python file as detectors see it: one parse, and the engine's answers about it."""

import ast
from collections.abc import Iterable, Sequence
from functools import cached_property

from detectors._engine.accumulation import Intervals
from detectors._engine.activations import Activations
from detectors._engine.arguments import argument, may_have
from detectors._engine.axes import Axes
from detectors._engine.axis_uses import AxisUses
from detectors._engine.build import flows_of
from detectors._engine.choices import Choices
from detectors._engine.columns import Columns
from detectors._engine.definitions import Definitions
from detectors._engine.devices import uses_gpu
from detectors._engine.draws import Draws
from detectors._engine.endpoints import Endpoints
from detectors._engine.events import Actions
from detectors._engine.fallbacks import Fallbacks
from detectors._engine.finding import Related, Tier
from detectors._engine.finetuning import Finetuning
from detectors._engine.flow import Flow
from detectors._engine.frameworks import owning_framework
from detectors._engine.generations import Generations
from detectors._engine.gradients import Gradients
from detectors._engine.inference import Inference
from detectors._engine.keys import keys_in
from detectors._engine.libraries import OTHER_FRAMEWORKS, Kind
from detectors._engine.llm_calls import LlmCalls
from detectors._engine.loaders import Loaders
from detectors._engine.loops import TrainingStep, step_around, training_steps
from detectors._engine.losses import Losses
from detectors._engine.masks import Masks
from detectors._engine.mend import Change, Source
from detectors._engine.modes import Modes
from detectors._engine.modules import Modules
from detectors._engine.names import Names
from detectors._engine.neighbours import Neighbours, Repository
from detectors._engine.options import Options
from detectors._engine.passes import Passes
from detectors._engine.precision import Precision
from detectors._engine.preprocessing import Preprocessing
from detectors._engine.problems import EXCERPT, Excerpts, Problem, dedented
from detectors._engine.provenance import Provenance
from detectors._engine.ranks import Ranks
from detectors._engine.retrieval import Retrieval
from detectors._engine.runs import Runs
from detectors._engine.saved_modes import SavedMode, saved_modes
from detectors._engine.schedules import Schedules
from detectors._engine.secrets import Secret, digested, redacted
from detectors._engine.seeds import Seeds
from detectors._engine.shapes import Shapes
from detectors._engine.sources import Sources
from detectors._engine.splits import Splits
from detectors._engine.subjects import last_name
from detectors._engine.tensors import Tensors
from detectors._engine.tree import Function
from detectors._engine.unit import Unit
from detectors._engine.updates import Update, updates_of
from detectors._engine.values import Values
from detectors._engine.versions import NOT_PINNED, Versions


class Code:
    """One version of one file. Everything is computed when it is first asked for, and kept."""

    def __init__(
        self,
        text: str,
        path: str = "module.py",
        repository: Repository | None = None,
        versions: Versions = NOT_PINNED,
    ) -> None:
        """Parses the text; `repository` is where the files it imports can be read, `versions` what is pinned here.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: the text is no Python.
        """
        self.text = text
        self.path = path
        self.versions = versions
        self.unit = Unit(text, path, Neighbours(repository) if repository is not None else None)
        self.tree = self.unit.tree

    def close(self) -> None:
        """Lets go of all answers: they refer to one another in circles, and would wait for the garbage collector."""
        for event in (event for flow in vars(self).get("flows", ()) for event in flow.events):
            event.next.clear()
        for part in filter(None, (vars(self.unit).get("values"), self.unit, self)):
            vars(part).clear()

    @cached_property
    def source(self) -> Source:
        """The lines, and the changes that can be made to them."""
        return Source(self.text, self.tree)

    @property
    def names(self) -> Names:
        """Bindings and origins."""
        return self.unit.names

    @property
    def values(self) -> Values:
        """What expressions hold."""
        return self.unit.values

    @property
    def actions(self) -> Actions:
        """What calls do."""
        return self.unit.actions

    @cached_property
    def flows(self) -> list[Flow]:
        """The runs of this file, with events in order."""
        return flows_of(self.unit)

    @cached_property
    def training_steps(self) -> list[TrainingStep]:
        """Every optimizer step that repeats in a loop with the backward calls that feed it."""
        return list(training_steps(self.flows)) if self._may_step else []

    @cached_property
    def updates(self) -> list[Update]:
        """Every optimizer step with the backward calls that feed it, in a loop or in a function of its own."""
        return list(updates_of(self.flows)) if self._may_step else []

    @property
    def _may_step(self) -> bool:
        """Whether it can be worth while to build the flows for an optimizer's step."""
        return bool(self.method_calls("step"))

    @cached_property
    def definitions(self) -> Definitions:
        """What names were written as."""
        return Definitions(self.names, self.values)

    @cached_property
    def intervals(self) -> Intervals:
        """Conditions that hold every k-th time."""
        return Intervals(self.definitions)

    @cached_property
    def schedules(self) -> Schedules:
        """Learning-rate schedules and the unit they count."""
        return Schedules(self.names, self.values, self.definitions)

    @cached_property
    def losses(self) -> Losses:
        """What back-propagated expressions are computed from."""
        return Losses(self.tree, self.names, self.values, self.actions)

    @cached_property
    def precision(self) -> Precision:
        """Gradient scalers and autocast regions."""
        return Precision(self.names, self.values, self.definitions)

    @cached_property
    def passes(self) -> Passes:
        """Which forward calls train and which evaluate, and in which mode."""
        return Passes(self.unit, self.modes, lambda: self.flows)

    @cached_property
    def generations(self) -> list[tuple[Function, ast.Call]]:
        """A model's own methods that generate with gradients on, with the call that runs the model."""
        found = Generations(self.tree, self.names, self.values, self.actions, self.modules)
        return list(found.with_gradients())

    @cached_property
    def saved_modes(self) -> list[SavedMode]:
        """The modes of models that functions save, to restore them."""
        return list(saved_modes(self.tree))

    @cached_property
    def modes(self) -> Modes:
        """What train and eval mode change in a model, and in which of them it was made."""
        return Modes(self.unit, self.unit.imports)

    def framework(self, node: ast.AST) -> str:
        """The framework's class that the class around the node derives from, "" where this file drives its own loop."""
        return owning_framework(self.tree, self.values, node)

    @cached_property
    def provenance(self) -> Provenance:
        """Where data comes from."""
        return Provenance(self.tree, self.names, self.values)

    @cached_property
    def splits(self) -> Splits:
        """Where data is divided into train, validation and test parts."""
        return Splits(self.tree, self.names, self.values, self.provenance)

    @cached_property
    def seeds(self) -> Seeds:
        """What sets seeds, who holds one and who asks for one."""
        return Seeds(self.tree, self.names, self.values)

    @cached_property
    def draws(self) -> Draws:
        """Which calls take random numbers."""
        return Draws(self.tree, self.names, self.values, self.modules, lambda: self.training_steps)

    @cached_property
    def runs(self) -> Runs:
        """Whether this file starts a training run, and where."""
        return Runs(self.tree, lambda: self.training_steps)

    @cached_property
    def options(self) -> Options:
        """What this file offers on its command line."""
        return Options(self.tree, self.values)

    @cached_property
    def tensors(self) -> Tensors:
        """What expressions hold of the autograd graph."""
        return Tensors(self.names, self.values, self.actions, self.gradients)

    @cached_property
    def sources(self) -> Sources:
        """What values are computed from with their gradients."""
        return Sources(self.names, self.values, self.actions, self.gradients)

    @cached_property
    def gradients(self) -> Gradients:
        """Where autograd records, and what is back-propagated."""
        return Gradients(self.tree, self.names, self.values, self.actions)

    @cached_property
    def uses_gpu(self) -> bool:
        """Whether this file puts anything on a CUDA device."""
        return uses_gpu(self.tree, self.names)

    @cached_property
    def modules(self) -> Modules:
        """The `nn.Module` classes of this file."""
        return Modules(self.tree, self.names, self.values)

    @cached_property
    def ranks(self) -> Ranks:
        """Process groups, collectives and rank guards."""
        return Ranks(self.tree, self.names, self.values)

    @cached_property
    def activations(self) -> Activations:
        """What was applied last to a tensor, and the losses that take it."""
        return Activations(self.unit)

    @cached_property
    def axes(self) -> Axes:
        """Whether dimension 0 of a tensor counts examples."""
        return Axes(self.tree, self.names, self.values, self.activations, self.shapes)

    @cached_property
    def shapes(self) -> Shapes:
        """What comments and docstrings say of dimensions."""
        return Shapes(self.text, self.tree)

    @cached_property
    def axis_uses(self) -> AxisUses:
        """What is done with results along dimension 0."""
        return AxisUses(self.tree, self.names, self.activations, self.axes, self.shapes)

    @cached_property
    def choices(self) -> Choices:
        """What the results of argmaxes are used for."""
        return Choices(self.tree, self.names, self.axes)

    @cached_property
    def loaders(self) -> Loaders:
        """The data loaders this file makes."""
        return Loaders(self.tree, self.names, self.values, lambda: self.training_steps)

    @cached_property
    def columns(self) -> Columns:
        """Which tensors are `(N, 1)` and which `(N,)`."""
        return Columns(self.names, self.values, self.activations, self.splits)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Transformers that learn from data, and where they are fitted."""
        return Preprocessing(self.tree, self.names, self.values, self.provenance, self.splits)

    @cached_property
    def packages(self) -> frozenset[str]:
        """The outside packages the file imports anywhere, by their first name."""
        imports = [alias.name for each in self.tree.all(ast.Import) for alias in each.names]
        froms = [each.module or "" for each in self.tree.all(ast.ImportFrom) if not each.level]
        return frozenset(each.partition(".")[0] for each in (*imports, *froms))

    @cached_property
    def endpoints(self) -> Endpoints:
        """What a server runs for each request."""
        return Endpoints(self.tree, self.names, self.values, self.packages)

    @cached_property
    def llm_calls(self) -> LlmCalls:
        """Clients and calls of language models."""
        return LlmCalls(self.tree, self.names, self.values)

    @cached_property
    def fallbacks(self) -> Fallbacks:
        """Endpoints and the failures of the models that they call."""
        return Fallbacks(self.text, self.unit, self.endpoints, self.llm_calls)

    @cached_property
    def finetuning(self) -> Finetuning:
        """Tokenizers, models, Trainers and adapters."""
        return Finetuning(self.tree, self.names, self.values, self.definitions, self.versions)

    @cached_property
    def masks(self) -> Masks:
        """Attention masks that are in hand and not given."""
        return Masks(self.tree, self.names, self.values)

    @cached_property
    def inference(self) -> Inference:
        """Where weights are loaded and models are run."""
        return Inference(self.tree, self.names, self.values, self.llm_calls)

    @cached_property
    def retrieval(self) -> Retrieval:
        """Splitters, retrievers and rerankers."""
        return Retrieval(self.tree, self.names, self.values)

    @cached_property
    def secrets(self) -> list[tuple[Secret, int, ast.expr | None]]:
        """The keys in this file, comments included, with their lines and the literal that holds each.

        No text that leaves a problem has any of them in it.
        """
        return keys_in(self.text, self.tree, self.names)

    @cached_property
    def is_torch(self) -> bool:
        """Whether modes, gradients and steps in this file are PyTorch's: it is imported, or no other framework is."""
        return "torch" in self.packages or not self.packages & OTHER_FRAMEWORKS

    @cached_property
    def is_test(self) -> bool:
        """Whether the file is a test or a fixture of one: rules of training hygiene are off there."""
        if self.packages & {"unittest", "pytest"}:
            return True
        parts = self.path.replace("\\", "/").split("/")
        in_tests = any(each in ("tests", "test", "testing") for each in parts[:-1])
        return in_tests or parts[-1].startswith(("test_", "tests.py", "conftest")) or parts[-1].endswith("_test.py")

    @property
    def is_notebook(self) -> bool:
        """Whether the file is a notebook: its author waits for it, so what a service has to withstand is advice."""
        return self.path.lower().endswith(".ipynb")

    def step_around(self, node: ast.AST) -> TrainingStep | None:
        """The training step with which the node always runs."""
        return step_around(self.tree, self.training_steps, node)

    # -- short cuts detectors use most --------------------------------------------------------------------

    def origin(self, node: ast.AST | None) -> str | None:
        """The dotted origin of a name, an attribute or of what a call calls."""
        return self.names.origin(node.func if isinstance(node, ast.Call) else node)

    def kind(self, node: ast.AST | None) -> Kind:
        """The kind of object an expression holds."""
        return self.values.kind(node)

    def calls(self, *origins: str) -> list[ast.Call]:
        """The calls of these dotted origins, in source order."""
        return self.names.calls(*origins)

    def method_calls(self, *names: str) -> list[ast.Call]:
        """The calls of methods of these names, on anything, in source order."""
        return self.tree.method_calls(*names)

    def argument(self, call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
        """The expression given for an argument; None where it is not given in sight (see `may_have`)."""
        return argument(call, name, position)

    def may_have(self, call: ast.Call, name: str, position: int | None = None) -> bool:
        """Whether the argument is given or may be, through `*args` or `**kwargs`."""
        return may_have(call, name, position)

    def name(self, node: ast.AST | None) -> str:
        """The object's name in the author's words, for messages: `self.optimizer`, short code otherwise."""
        if node is None:
            return ""
        text = self.shown(ast.unparse(node))
        return text if len(text) <= 60 and "\n" not in text else last_name(node) or text[:57] + "…"

    def shown(self, text: str) -> str:
        """A text of this file as it may be repeated. Cut it only after that: half a key is not known as one."""
        return redacted(text, self._hidden)

    @cached_property
    def _hidden(self) -> list[Secret]:
        return [secret for secret, _, _ in self.secrets]

    # -- findings -----------------------------------------------------------------------------------------

    def problem(
        self,
        node: ast.AST,
        message: str,
        *,
        fix: Iterable[Change | None] = (),
        good: str = "",
        mend: Iterable[Change | None] = (),
        show: Iterable[ast.AST] = (),
        related: Sequence[tuple[ast.AST, str]] = (),
        tier: Tier | None = None,
    ) -> Problem:
        """A finding at the node.

        `fix` are changes that are safe to apply; `mend` changes that only make the ✅ block; `good` is that block
        written out, where neither is given. `show` are nodes whose lines the ❌ block should hold too, where they
        are near. `related` are other nodes that belong to it, each with its role.
        """
        fixing = tuple(each for each in fix if each is not None)
        mending = fixing or tuple(each for each in mend if each is not None)
        line: int = node.lineno  # type: ignore[attr-defined]
        excerpts = Excerpts(self.tree, self.source)
        shown = excerpts.shown(node)
        first, last = excerpts.around(shown, mending, show)
        text = self.source.lines[line - 1].strip()
        mended = good or (excerpts.mended(first, last, mending) if mending else "")
        if self._hidden and any(self.shown(each.text or "") != (each.text or "") for each in self.source.edits(fixing)):
            fixing = ()  # a suggestion repeats whole lines
        return Problem(
            line=line,
            end_line=min(shown[1], line + EXCERPT),
            message=self.shown(message),
            bad=self.shown(dedented(self.source.lines[first - 1 : last])),
            good=self.shown(mended),
            definition=self.tree.definition(node),
            text=digested(text, self._hidden),
            fix=fixing,
            related=tuple(Related(each.lineno, self.shown(role)) for each, role in related),  # type: ignore[attr-defined]
            tier=tier,
            source=self.source,
        )
