"""What is known of a file's models and of how they are trained."""

import ast
from functools import cached_property

from detectors._engine.file import File
from detectors._engine.flow.build import flows_of
from detectors._engine.flow.flow import Flow
from detectors._engine.flow.loops import TrainingStep, step_around, training_steps
from detectors._engine.source.tree import Function
from detectors._engine.tensors.gradients import Gradients
from detectors._engine.tensors.keeping import Keeping
from detectors._engine.tensors.sources import Sources
from detectors._engine.tensors.tensors import Tensors
from detectors._engine.training.accumulation import Intervals
from detectors._engine.training.detached_runs import DetachedRun, DetachedRuns
from detectors._engine.training.generations import Generations
from detectors._engine.training.lasting_modes import LastingModes
from detectors._engine.training.losses import Losses
from detectors._engine.training.meant_modes import MeantModes
from detectors._engine.training.modes import Modes
from detectors._engine.training.outflows import Outflows
from detectors._engine.training.passes import Passes
from detectors._engine.training.precision import Precision
from detectors._engine.training.ranks import Ranks
from detectors._engine.training.runs import Runs
from detectors._engine.training.saved_modes import LeftContext, SavedMode, left_contexts, saved_modes
from detectors._engine.training.schedules import Schedules
from detectors._engine.training.updates import Update, accumulated_updates_of, updates_of
from detectors._engine.values.devices import uses_gpu
from detectors._engine.values.frameworks import owning_framework
from detectors._engine.values.modules import Modules


class TrainingAnswers(File):
    """Flows and steps, gradients, modes, precision, processes."""

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

    @cached_property
    def accumulated_updates(self) -> list[Update]:
        """Every optimizer step of a function that somebody else calls, whose backward calls are in a loop before it."""
        return list(accumulated_updates_of(self.flows)) if self._may_step else []

    @property
    def _may_step(self) -> bool:
        """Whether it can be worth while to build the flows for an optimizer's step."""
        return bool(self.method_calls("step"))

    def step_around(self, node: ast.AST) -> TrainingStep | None:
        """The training step with which the node always runs."""
        return step_around(self.tree, self.training_steps, node)

    def framework(self, node: ast.AST) -> str:
        """The framework's class that the class around the node derives from, "" where this file drives its own loop."""
        return owning_framework(self.tree, self.values, node)

    @cached_property
    def intervals(self) -> Intervals:
        """Conditions that hold every k-th time."""
        return Intervals(self.tree, self.definitions)

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
    def gradients(self) -> Gradients:
        """Where autograd records, and what is back-propagated."""
        return Gradients(self.tree, self.names, self.values, self.actions)

    @cached_property
    def tensors(self) -> Tensors:
        """What expressions hold of the autograd graph."""
        return Tensors(self.names, self.values, self.actions, self.gradients)

    @cached_property
    def outflows(self) -> Outflows:
        """What becomes of a value, and of its graph, in the function around it."""
        return Outflows(self.tree, self.names, self.values, self.tensors)

    @cached_property
    def sources(self) -> Sources:
        """What values are computed from with their gradients."""
        return Sources(self.names, self.values, self.actions, self.gradients)

    @cached_property
    def keeping(self) -> Keeping:
        """What values are stored in, and whether that outlives an iteration."""
        return Keeping(self.tree, self.names, self.values)

    @cached_property
    def modules(self) -> Modules:
        """The `nn.Module` classes of this file."""
        return Modules(self.tree, self.names, self.values)

    @cached_property
    def modes(self) -> Modes:
        """What train and eval mode change in a model, and in which of them it was made."""
        return Modes(self.unit, self.unit.imports)

    @cached_property
    def saved_modes(self) -> list[SavedMode]:
        """The modes of models that functions save, to restore them."""
        return list(saved_modes(self.tree))

    @cached_property
    def left_contexts(self) -> list[LeftContext]:
        """The context managers that leave a model in eval mode."""
        return list(left_contexts(self.tree, self.names)) if "contextmanager" in self.text else []

    @cached_property
    def passes(self) -> Passes:
        """Which forward calls train and which evaluate, and in which mode."""
        return Passes(self.unit, self.modes, self.gradients, lambda: self.flows)

    @cached_property
    def lasting_modes(self) -> LastingModes:
        """The switch that is still in force where a model is evaluated or trained."""
        return LastingModes(self.unit, self.modes, self.passes, lambda: self.flows)

    @cached_property
    def meant_modes(self) -> MeantModes:
        """Which evaluations are to run in train mode."""
        return MeantModes(self.tree, self.values, self.modes)

    @cached_property
    def generations(self) -> list[tuple[Function, ast.Call]]:
        """A model's own methods that generate with gradients on, with the call that runs the model."""
        found = Generations(self.tree, self.names, self.values, self.actions, self.modules)
        return list(found.with_gradients())

    @cached_property
    def detached_runs(self) -> list[DetachedRun]:
        """Runs of models with gradients on, in loops that cut off all that comes of them."""
        may_say_so = any(each in self.text for each in ("detach", ".data", "no_grad", "inference_mode"))
        return (
            list(DetachedRuns(self.tree, self.names, self.values, self.actions, self.outflows).all())
            if may_say_so
            else []
        )

    @cached_property
    def uses_gpu(self) -> bool:
        """Whether this file puts anything on a CUDA device."""
        return uses_gpu(self.tree, self.names)

    @cached_property
    def ranks(self) -> Ranks:
        """Process groups, collectives and rank guards."""
        return Ranks(self.tree, self.names, self.values)

    @cached_property
    def runs(self) -> Runs:
        """Whether this file starts a training run, and where."""
        return Runs(self.tree, lambda: self.training_steps)
