"""Lasting modes: the switch that is still in force when a model is evaluated or trained.

What switched it may be in the same run, in the function beside this one that others call in turn, or nowhere: then a
mode is put back that nobody left.
"""

import ast
from collections.abc import Callable, Iterator

from detectors._engine.data.provenance import root_of
from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Flow
from detectors._engine.flow.loops import common_loop
from detectors._engine.flow.unit import Unit
from detectors._engine.names.bindings import Bound
from detectors._engine.names.subjects import Subject
from detectors._engine.source.tree import FUNCTIONS, Function, Loop
from detectors._engine.training.modes import Modes
from detectors._engine.training.passes import EvaluationPass, Passes, TrainingPass, covers


def is_same_model(first: Subject | None, entry: Function, second: Subject | None, other: Function) -> bool:
    """Whether two entries of a file mean one model: the same attribute of `self`, or their parameters of one name."""
    match first, second:
        case (("name", scope, name), ("name", scope_of_other, same)):
            is_given = name in {each.arg for each in (*entry.args.args, *entry.args.kwonlyargs)}
            return bool(name == same and scope is entry and scope_of_other is other and is_given)
        case (("attribute", ("class", _), _), ("attribute", ("class", _), _)):
            return first == second
    return False


class LastingModes:
    """Answers for one file."""

    def __init__(self, unit: Unit, modes: Modes, passes: Passes, flows: Callable[[], list[Flow]]) -> None:
        self._tree, self._names, self._values = unit.tree, unit.names, unit.values
        self._modes, self._passes, self._get_flows = modes, passes, flows

    @property
    def _flows(self) -> list[Flow]:
        return self._get_flows()

    # -- in train mode, where it is evaluated -------------------------------------------------------------

    def trained_before(self, each: EvaluationPass) -> Event | None:
        """What has the model in train mode when the evaluation reaches it: its training pass, or `train()`."""
        flow, forward = each.flow, each.forward
        model = forward.subject
        evals = [event for event in flow.of(Act.EVAL_MODE) if covers(event.subject, model)]
        is_handed_over = self._modes.comes_in_eval_mode(forward.target)
        trainings = [] if is_handed_over else self._passes.trainings(flow)
        starts = [training.event for training in trainings if training.model == model]
        starts += [
            event
            for event in flow.of(Act.TRAIN_MODE)
            if covers(event.subject, model)
            and not any(each.function is event.function for each in evals if event.guards)
            and not any("training" in guard.key for guard in event.guards)  # given back where it was so before
        ]

        def reaches(start: Event) -> bool:
            return flow.reaches(
                start,
                lambda event: event is forward,
                avoiding=lambda event: self._passes.switches(event, model) and event not in starts,
            )

        reaching = [start for start in starts if reaches(start) and _trains_on_that_way(flow, start, reaches)]
        return None if any(self._is_meant(flow, start, forward) for start in reaching) else next(iter(reaching), None)

    def _is_meant(self, flow: Flow, start: Event, forward: Event) -> bool:
        """Whether what runs the model for the evaluation calls `train()` just for it, as dropout is sampled: nothing
        trains in between."""
        if start.act is not Act.TRAIN_MODE or start.function not in self._running(forward):
            return False

        def may_train(event: Event) -> bool:
            return event.act in (Act.BACKWARD, Act.STEP) or event.may_touch(forward.subject)

        return not flow.reaches(start, may_train, avoiding=lambda event: event is forward)

    def trained_beside(self, each: EvaluationPass) -> Event | None:
        """The `train()` of the function beside this one that trains what this one evaluates.

        Both are for others to call. The one switches modes itself, so the other is expected to as well.
        """
        root, model = each.flow.root, each.forward.subject
        if root is None or each.flow.of(Act.EVAL_MODE) or not self._is_never_switched(each):
            return None  # what is switched may hold this model
        if self._tree.class_of(root) is None and self._is_evaluated_elsewhere(root, each):
            return None
        for flow in (other for other in self._beside(each.flow, root) if not _leads_to(other, root)):
            for training in self._passes.trainings(flow):
                start = flow.root
                if start is None or not any(
                    is_same_model(training.model, start, whole, root) for whole in _wholes(model)
                ):
                    continue
                switched = (one for one in flow.of(Act.TRAIN_MODE) if self._leaves_in_train_mode(flow, one, training))
                if (event := next(switched, None)) is not None:
                    return event
        return None

    def put_back(self, each: EvaluationPass) -> Event | None:
        """The `train()` after an evaluation in a function that neither trains nor calls `eval()`."""
        flow, forward = each.flow, each.forward
        if not forward.within(Region.NO_GRAD) or not self._is_never_switched(each):
            return None
        own = [event for event in flow.events if event.function is forward.function and event.calls == forward.calls]
        if any(event.act in (Act.BACKWARD, Act.STEP) for event in own):
            return None
        backs = [event for event in own if event.act is Act.TRAIN_MODE and event.subject == forward.subject]
        return next((event for event in backs if event.line > forward.line), None)

    def _beside(self, flow: Flow, root: Function) -> list[Flow]:
        """The other runs from the same class, or from no class."""
        owner = self._tree.class_of(root)
        return [
            other
            for other in self._flows
            if other is not flow and other.root is not None and self._tree.class_of(other.root) is owner
        ]

    def _leaves_in_train_mode(self, flow: Flow, switched: Event, training: TrainingPass) -> bool:
        """Whether `train()` for a training pass is the last word of a run: one that evaluates too may end in eval
        mode."""
        is_around = switched.calls == training.event.calls[: len(switched.calls)]
        if not is_around or not covers(switched.subject, training.model):
            return False
        return not flow.of(Act.EVAL_MODE) or flow.reaches(
            switched,
            lambda event: event is flow.end,
            avoiding=lambda event: event is not switched and self._passes.switches(event, training.model),
        )

    def _is_evaluated_elsewhere(self, root: Function, each: EvaluationPass) -> bool:
        """Whether another function switches what it calls by the same name to eval mode: it may run in between."""
        return any(
            flow.root is not None and is_same_model(event.subject, flow.root, each.forward.subject, root)
            for flow in self._flows
            for event in flow.of(Act.EVAL_MODE)
        )

    def _is_never_switched(self, each: EvaluationPass) -> bool:
        """Whether the model reaches the evaluation as the caller gave it, and nothing of the class only switches
        modes."""
        flow, forward = each.flow, each.forward
        model = forward.subject
        if not flow.reaches(
            flow.start, lambda event: event is forward, avoiding=lambda event: self._passes.switches(event, model)
        ):
            return False
        switching = {
            event.function
            for other in self._flows
            for event in other.of(Act.EVAL_MODE, Act.SOME_MODE)
            if event.subject == model or other is flow
        }
        runs = [event for other in self._flows for event in other.of(Act.FORWARD) if event.subject == model]
        return switching <= {function for run in runs for function in self._running(run)}

    def _running(self, run: Event) -> set[Function | None]:
        """The functions that run the model in this event, by themselves or through what they call."""
        return {run.function, *(self._tree.function(call) for call in run.calls)}

    # -- in eval mode, where it is trained ----------------------------------------------------------------

    def left_in_eval_mode(self, flow: Flow, training: TrainingPass) -> Event | None:
        """The `eval()` that is still in force when the training pass comes, or comes round again.

        One that reaches it within the same iteration is meant: fine-tuning with frozen statistics, attacks. Not so
        where a function evaluates the model in between.
        """
        evals = [each for each in flow.events if each.act is Act.EVAL_MODE and each.subject is not None]
        for switched in evals:
            if covers(switched.subject, training.model) and not self._is_put_back(flow, switched):
                loop = common_loop(switched, training.event)
                is_left = self._comes_round(flow, switched, training, loop) if loop else False
                if is_left or (loop is None and self._goes_on(flow, switched, training)):
                    return switched
        return None

    def _comes_round(self, flow: Flow, switched: Event, training: TrainingPass, loop: Loop) -> bool:
        def is_head(event: Event) -> bool:
            return event.act is Act.LOOP and event.node is loop

        def switches(event: Event) -> bool:
            return event is not switched and self._passes.switches(event, training.model)

        def trains(event: Event) -> bool:
            return event is training.event

        if flow.reaches(switched, trains, avoiding=lambda event: is_head(event) or switches(event), inside=loop):
            return _evaluates(flow, switched, training)
        head = flow.path(switched, is_head, avoiding=switches, inside=loop)
        return head is not None and flow.reaches(head, trains, avoiding=switches, inside=loop)

    def _goes_on(self, flow: Flow, switched: Event, training: TrainingPass) -> bool:
        """Whether a function that evaluates the model has returned, and the loops that train it come after it."""
        event = training.event
        has_returned = event.calls[: len(switched.calls)] != switched.calls
        return (
            has_returned
            and bool(event.loops)
            and _evaluates(flow, switched, training, without_gradients=True)
            and flow.reaches(
                switched,
                lambda each: each is event,
                avoiding=lambda each: each is not switched and self._passes.switches(each, training.model),
            )
        )

    def _is_put_back(self, flow: Flow, switched: Event) -> bool:
        """Whether a loop over several models switches each, and another loop of the function puts back each mode it
        noted: `train()` on what has the same name, under a condition."""
        name = ast.unparse(switched.target) if switched.target is not None else ""
        root = root_of(switched.target) if switched.target is not None else None
        if not isinstance(root, ast.Name) or all(each.how is not Bound.ITEM for each in self._names.reaching(root)):
            return False
        return any(
            event.function is switched.function
            and event.line > switched.line
            and event.guards
            and event.target is not None
            and ast.unparse(event.target) == name
            for event in flow.of(Act.TRAIN_MODE)
        )

    def left_by_another(self, flow: Flow, training: TrainingPass) -> Event | None:
        """The `eval()` of an evaluating function beside the training one, which never reverts it, of the same model."""
        root, model = flow.root, training.model
        if root is None or any(self._passes.switches(event, model) for event in flow.events):
            return None
        if self._is_made_by_run(model):
            return None
        found = None
        for other in self._beside(flow, root):
            if other.root is None or _leads_to(other, root):
                return None
            for event in other.events:
                if not is_same_model(model, root, event.subject, other.root):
                    continue
                if event.act in (Act.TRAIN_MODE, Act.SOME_MODE):
                    return None
                is_evaluation = event.act is Act.EVAL_MODE and any(
                    run.subject == event.subject and event.function in self._running(run)
                    for run in other.of(Act.FORWARD)
                )
                found = event if found is None and is_evaluation else found
        return found

    def _is_made_by_run(self, model: Subject | None) -> bool:
        """Whether a run that trains makes the model itself: it is in train mode then."""
        match model:
            case ("attribute", ("class", ast.ClassDef() as owner), str(name)):
                makers = {each.scope for each in self._values.classes.attribute_bindings(owner, name)}
                return not all(isinstance(each, FUNCTIONS) and each.name == "__init__" for each in makers)
        return False


def _wholes(model: Subject | None) -> Iterator[Subject | None]:
    """The model, and what it is a part of: `model.decoder` is trained with `model`."""
    yield model
    while isinstance(model, tuple) and model[0] == "attribute":
        model = model[1]
        yield model


def _leads_to(flow: Flow, function: Function) -> bool:
    return any(event.function is function for event in flow.events)


def _trains_on_that_way(flow: Flow, start: Event, reaches: Callable[[Event], bool]) -> bool:
    """Whether the run that goes on to evaluate has trained: one told not to passes the same forward call."""
    if start.act is not Act.FORWARD:
        return True
    return any(each.loops[: len(start.loops)] == start.loops and reaches(each) for each in flow.of(Act.BACKWARD))


def _evaluates(flow: Flow, switched: Event, training: TrainingPass, *, without_gradients: bool = False) -> bool:
    """Whether the model is evaluated after `eval()`: in a function of its own, or here, without gradients."""
    event = training.event
    runs = [
        run
        for run in flow.of(Act.FORWARD)
        if run.function is switched.function and run.subject == training.model and run is not event
    ]
    if switched.function is event.function:
        return any(run.within(Region.NO_GRAD) and switched.line < run.line < event.line for run in runs)
    if without_gradients:
        runs = [run for run in runs if run.within(Region.NO_GRAD)]
    return switched.calls != event.calls and bool(runs)
