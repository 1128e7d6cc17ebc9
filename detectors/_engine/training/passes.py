"""Passes: which forward calls train a model and which evaluate it, and the mode and gradients they run with.

A pass trains when its loop back-propagates. It evaluates when nothing around it does and something says so: gradients
are off,
the model is in eval mode, or the function and its data are called evaluation, validation, prediction and the like.
"""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Flow
from detectors._engine.flow.paths import Undecided
from detectors._engine.flow.unit import Unit
from detectors._engine.names.subjects import Subject, last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Loop
from detectors._engine.tensors.gradients import Gradients
from detectors._engine.training.modes import Modes

EVALUATION = re.compile(
    r"(^|_)(eval|evaluate|evaluation|evaluator|valid|validate|validation|val|test|testing|infer|inference|predict|prediction"
    r"|predictions|generate|generation|translate|benchmark)(_|$|\d)",
    re.I,
)
"""Names of functions that evaluate or run a finished model."""

EVALUATION_DATA = re.compile(
    r"(^|_)?(val|valid|validation|test|eval|dev|holdout|infer)(_|loader|iter|data|set|dl|$|\d)", re.I
)
"""Names of data that is evaluated on."""

_STEP = re.compile(r"(step|batch|forward|outputs?|loss)(_|$)", re.I)
"""Names of what evaluates one batch of many."""

DISCRETE = frozenset(
    "argmax multinomial topk item tolist numpy data max round sort categorical equal allclose detach".split()
)
"""Uses of an output through which no gradient flows on purpose."""

PARTS = frozenset("forward encoder decoder backbone feature_extractor net network transformer classifier head".split())
"""What a model's `forward` and its parts are called."""


@dataclass(frozen=True, eq=False)
class EvaluationPass:
    """A forward call that evaluates: the event, the loop of its own if it has one, and what says so."""

    flow: Flow
    forward: Event
    loop: Loop | None
    is_named: bool
    """The function around it, or the data its loop runs over, is called evaluation."""

    @property
    def is_direct(self) -> bool:
        """Whether the model itself or a part of it is called, not a method that may see to modes and gradients."""
        func = self.forward.node.func if isinstance(self.forward.node, ast.Call) else None
        return func is self.forward.target or (isinstance(func, ast.Attribute) and func.attr in PARTS)


@dataclass(frozen=True, eq=False)
class TrainingPass:
    """What trains a model: its forward call, or its optimizer's step where no forward call is in sight."""

    event: Event
    model: Subject
    target: ast.expr | None
    """The model in the author's words; None where only its optimizer is seen."""


def covers(switch: Subject | None, model: Subject | None) -> bool:
    """Whether switching the mode of one object switches the other: the same, or a part of it."""
    at = model
    while at is not None:
        if at == switch:
            return True
        match at:
            case ("attribute", ("class", owner), _):
                return isinstance(switch, tuple) and switch[0] == "name" and switch[2] == "self" and owner is not None
            case ("attribute" | "item", base, _):
                at = base
            case _:
                return False
    return False


class Passes:
    """Evaluation and training passes of one file."""

    def __init__(self, unit: Unit, modes: Modes, gradients: Gradients, flows: Callable[[], list[Flow]]) -> None:
        self._unit, self._tree, self._modes, self._gradients = unit, unit.tree, modes, gradients
        self._get_flows = flows

    @property
    def _flows(self) -> list[Flow]:
        return self._get_flows()

    # -- what trains --------------------------------------------------------------------------------------

    def trained(self, flow: Flow) -> list[Event]:
        """The forward events that feed a backward in their own innermost loop (or function, outside loops)."""
        backwards = flow.of(Act.BACKWARD)
        if not backwards:
            return []
        found = []
        for forward in flow.of(Act.FORWARD):
            if forward.within(Region.NO_GRAD) or forward.subject is None:
                continue
            loop = forward.loops[-1] if forward.loops else None
            same = [each for each in backwards if each.loops[: len(forward.loops)] == forward.loops]
            heads = {id(loop)}
            if same and flow.reaches(
                forward,
                lambda event, same=same: event in same,  # type: ignore[misc]
                avoiding=lambda event, heads=heads: event.act is Act.LOOP and id(event.node) in heads,  # type: ignore[misc]
            ):
                found.append(forward)
        return found

    def trainings(self, flow: Flow) -> list[TrainingPass]:
        """What trains in the flow: `trained`, and the steps of optimizers whose one model no forward call in sight
        belongs to, as where a loss is computed by a method out of sight."""
        found = [TrainingPass(each, each.subject, each.target) for each in self.trained(flow) if each.subject]
        run = [each.subject for each in flow.of(Act.FORWARD)]
        for step in flow.of(Act.STEP):
            models = self._gradients.trained_by(step.target)
            is_fed = any(each.loops == step.loops for each in flow.of(Act.BACKWARD))
            if len(models) == 1 and is_fed and not any(covers(model, each) for model in models for each in run):
                found += [TrainingPass(step, model, None) for model in models]
        return found

    # -- what evaluates -----------------------------------------------------------------------------------

    @cached_property
    def evaluations(self) -> list[EvaluationPass]:
        """Every forward call that evaluates a model, in each flow it is reached in, as far as its paths can be told."""
        found: list[EvaluationPass] = []
        for flow in self._flows if self._unit.runs_models else []:
            with suppress(Undecided):
                found += self._evaluations_of(flow)
        return found

    def _evaluations_of(self, flow: Flow) -> Iterator[EvaluationPass]:
        backwards = [*flow.of(Act.BACKWARD), *flow.of(Act.STEP)]
        for forward in flow.of(Act.FORWARD):
            loop = self._own_loop(forward)
            if loop is not None:
                is_beside = any(loop in each.loops and _is_of_one_call(forward, each) for each in backwards)
            else:
                is_beside = self._holds_backward(forward, backwards)
            if is_beside or self._is_step_of_training(flow, forward):
                if not self.is_interlude(flow, forward):
                    continue
                loop = None
            is_named = self._is_named_evaluation(forward, loop)
            if (
                is_named
                or forward.within(Region.NO_GRAD)
                or self.is_in_eval_mode(flow, forward)
                or self._is_finished(forward)
            ):
                yield EvaluationPass(flow, forward, loop, is_named)

    def _is_step_of_training(self, flow: Flow, forward: Event) -> bool:
        """Whether the caller of the forward's function back-propagates what it gives: `infer` in a training step."""
        backwards = [
            each
            for each in flow.of(Act.BACKWARD)
            if each.loops == forward.loops and each.calls == forward.calls[: len(each.calls)] != forward.calls
        ]
        return bool(backwards) and flow.reaches(
            forward, lambda event: event in backwards, avoiding=lambda event: self.switches(event, forward.subject)
        )

    def _is_finished(self, forward: Event) -> bool:
        """Whether the model was loaded with its weights in a file that trains nothing."""
        return not self._trains_something and self._modes.loading(forward.target) is not None

    @cached_property
    def _trains_something(self) -> bool:
        return any(event.act in (Act.BACKWARD, Act.STEP) for flow in self._flows for event in flow.events)

    def _holds_backward(self, forward: Event, backwards: list[Event]) -> bool:
        return any(each.function is forward.function and each.calls == forward.calls for each in backwards)

    def _own_loop(self, forward: Event) -> Loop | None:
        """The innermost loop of the forward call's own function that holds it."""
        own = self._tree.loops(forward.node)
        return own[0] if own else None

    def _is_named_evaluation(self, forward: Event, loop: Loop | None) -> bool:
        if forward.function is not None and EVALUATION.search(forward.function.name):
            return True
        return isinstance(loop, (ast.For, ast.AsyncFor)) and self.is_evaluation_data(loop.iter)

    def is_evaluation_data(self, iterable: ast.expr) -> bool:
        """Whether an iterable is called validation or test data, through `enumerate`, `tqdm` and the like."""
        while isinstance(iterable, ast.Call) and iterable.args:
            iterable = iterable.args[0]
        return bool(EVALUATION_DATA.search(last_name(iterable)))

    def is_switched_here(self, each: EvaluationPass) -> bool:
        """Whether the function around an evaluation pass calls `eval()` on its model itself."""
        return any(
            event.function is each.forward.function
            and event.calls == each.forward.calls
            and covers(event.subject, each.forward.subject)
            for event in each.flow.of(Act.EVAL_MODE)
        )

    def keeps_mode(self, each: EvaluationPass) -> bool:
        """Whether what is called leaves the model's mode alone: the model itself, a part, or a method that does."""
        return each.is_direct or self._modes.keeps_mode(each.forward.node)

    def caller_that_evaluates(self, each: EvaluationPass) -> ast.Call | None:
        """The call of the forward's function that makes it an evaluation, where the function only runs the model: from
        a loop, or without gradients. None where it goes through the data, trains, or is a whole prediction."""
        forward = each.forward
        name = forward.function.name if forward.function is not None else ""
        if EVALUATION.search(name) and not _STEP.search(name):
            return None
        trains = each.flow.of(Act.BACKWARD, Act.STEP)
        if each.loop is not None or not forward.calls or any(event.function is forward.function for event in trains):
            return None
        call = forward.calls[-1]
        loops = self._tree.loops(call)
        region = next((node for region, node in reversed(forward.regions) if region is Region.NO_GRAD), None)
        is_here = region is not None and forward.function in (self._tree.function(region), self._decorated.get(region))
        if is_here or any(loop in event.loops for loop in loops[:1] for event in trains):
            return None
        return call if loops or region is not None else None

    @cached_property
    def _decorated(self) -> dict[ast.AST, Function]:
        return {decorator: each for each in self._tree.all(*FUNCTIONS) for decorator in each.decorator_list}

    # -- modes --------------------------------------------------------------------------------------------

    def switches(self, event: Event, model: Subject | None) -> bool:
        """Whether the event sets the model's mode, or may."""
        if event.act in (Act.TRAIN_MODE, Act.EVAL_MODE, Act.SOME_MODE):
            return event.subject is None or covers(event.subject, model)
        if event.act is not Act.OPAQUE or not event.may_touch(model):
            return False
        name = _called(event.node)
        if event.subject == model:  # a method of the model
            words = _SWITCHES if event.touches == {model} else _SWITCHES_WITH_DATA
            return words.search(name) is not None
        return not _KEEPS_MODE.search(name)

    def is_interlude(self, flow: Flow, forward: Event) -> bool:
        """Whether the model runs in eval mode, and goes back to train mode before anything is back-propagated."""
        if not flow.of(Act.BACKWARD) or not self.is_in_eval_mode(flow, forward):
            return False
        backs = {each for each in flow.of(Act.TRAIN_MODE) if covers(each.subject, forward.subject)}
        return bool(backs) and not flow.reaches(
            forward, lambda event: event.act is Act.BACKWARD, avoiding=lambda event: event in backs
        )

    def is_in_eval_mode(self, flow: Flow, forward: Event) -> bool:
        """Whether every path to the forward call comes through `model.eval()` last."""
        evals = [each for each in flow.of(Act.EVAL_MODE) if covers(each.subject, forward.subject)]
        if not evals:
            return False

        def is_forward(event: Event) -> bool:
            return event is forward

        def switches(event: Event) -> bool:
            return self.switches(event, forward.subject)

        if flow.reaches(flow.start, is_forward, avoiding=switches):
            return False
        others = [each for each in flow.events if each not in evals and self.switches(each, forward.subject)]
        return not any(flow.reaches(each, is_forward, avoiding=switches) for each in others)


def _is_of_one_call(forward: Event, other: Event) -> bool:
    """Whether an event happens in the same call of the forward's function, or below it."""
    return other.calls[: len(forward.calls)] == forward.calls


def _called(node: ast.AST) -> str:
    return last_name(node.func) if isinstance(node, ast.Call) else ""


_SWITCHES = re.compile(r"train|eval|mode|infer|predict|test|valid", re.I)
_SWITCHES_WITH_DATA = re.compile(
    r"train|eval|mode|infer|predict|test|valid|generat|sampl|translat|transcrib|fit|learn|run|freez|switch|step|epoch|setup|prepare",
    re.I,
)
_KEEPS_MODE = re.compile(
    r"(^|_)(load|save|log|print|count|watch|summary|optimizer|optim|scheduler|loss|crit|criterion|clip|update|register|append|add|"
    r"reset|gather|track|tokenizer|tokenize|accuracy|score|average|unwrap|init|wrap|ddp|parallel|checkpoint|param|parameters|len|metric|plot|write|str|size|device|dataset|dataloader|loader|backward|collate|assemble|inputs?)",
    re.I,
)


__all__ = ["DISCRETE", "EVALUATION", "FUNCTIONS", "EvaluationPass", "Function", "Passes", "TrainingPass", "covers"]
