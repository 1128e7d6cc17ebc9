"""Loops: training steps and evaluation passes, recognised by what they do."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Flow
from detectors._engine.flow.hidden import may_use
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Loop, Tree

_ITERATED = ("enumerate", "zip", "values", "items")


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """A step of one optimizer with the backward calls that can feed it, inside the loop that repeats them.

    `loop` is the innermost loop around both. Of one step written once, every flow it is reached in gives one.
    """

    flow: Flow
    step: Event
    backwards: tuple[Event, ...]
    loop: Loop

    @property
    def events(self) -> list[Event]:
        """Everything that happens in the loop."""
        return [each for each in self.flow.events if self.loop in each.loops]

    def clears(self, event: Event) -> bool:
        """Whether the event clears this optimizer's gradients, or may: a model's, all of them, code out of sight
        that is given the optimizer."""
        if event.act is Act.ZERO_GRAD:
            return event.subject == self.step.subject or not self._is_other_optimizer(event)
        return may_use(event, self.step.subject)

    def _is_other_optimizer(self, event: Event) -> bool:
        stepped = {each.subject for each in self.flow.of(Act.STEP)}
        return event.subject in stepped

    @property
    def optimizer_is_fresh(self) -> bool:
        """Whether each iteration makes the optimizer anew (attacks, per-sample fitting): no old gradients then."""
        match self.step.subject:
            case ("name", _, name):
                made = [each for each in ast.walk(self.loop) if isinstance(each, ast.Name) and each.id == name]
                taken = {id(part) for part in self._taken_from_outside}
                return any(isinstance(each.ctx, ast.Store) and id(each) not in taken for each in made)
        return False

    @property
    def _taken_from_outside(self) -> list[ast.AST]:
        """The targets of inner loops over something the iteration does not make: `for optimizer in optimizers`."""
        inner = [each for each in ast.walk(self.loop) if isinstance(each, ast.For) and each is not self.loop]
        stored = {
            each.id for each in ast.walk(self.loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
        return [
            part
            for each in inner
            if not any(isinstance(name, ast.Name) and name.id in stored for name in ast.walk(each.iter))
            and not any(
                isinstance(call, ast.Call) and last_name(call.func) not in _ITERATED for call in ast.walk(each.iter)
            )
            for part in ast.walk(each.target)
        ]

    @property
    def is_conditional(self) -> bool:
        """Whether the step depends on a condition that its backward does not: accumulation, most often."""
        outside = {guard.key for backward in self.backwards for guard in backward.guards}
        return any(guard.key not in outside for guard in self.step.guards)


def training_steps(flows: list[Flow]) -> Iterator[TrainingStep]:
    """Every training step of a file."""
    for flow in flows:
        backwards = [each for each in flow.of(Act.BACKWARD) if not each.within(Region.NO_GRAD)]
        if not backwards:
            continue
        for step in flow.of(Act.STEP):
            feeding = [(each, common_loop(each, step)) for each in backwards]
            loops = [loop for _, loop in feeding if loop is not None]
            if not loops:
                continue
            innermost = max(loops, key=lambda loop: step.loops.index(loop))
            own = tuple(each for each, loop in feeding if loop is innermost)
            yield TrainingStep(flow, step, own, innermost)


def common_loop(first: Event, second: Event) -> Loop | None:
    """The innermost loop around both events."""
    common = None
    for one, other in zip(first.loops, second.loops, strict=False):
        if one is not other:
            break
        common = one
    return common


def step_around(tree: Tree, steps: list[TrainingStep], node: ast.AST) -> TrainingStep | None:
    """The training step with which the node always runs: in the body of its loop, or in the function the loop calls
    for each batch, under no condition of its own."""
    function = tree.function(node)
    loops = tree.loops(node)
    for training in steps:
        if loops and loops[0] is training.loop:
            container: ast.AST = training.loop
        elif not loops and function is not None and tree.function(training.loop) is not function:
            if function not in {each.function for each in (*training.backwards, training.step)}:
                continue
            container = function
        else:
            continue
        if not _is_conditional(tree, node, container):
            return training
    return None


def _is_conditional(tree: Tree, node: ast.AST, container: ast.AST) -> bool:
    below = node
    for above in tree.ancestors(node):
        if above is container:
            return False
        if isinstance(above, (ast.If, ast.IfExp)) and below is not above.test:
            return True
        if isinstance(above, (ast.ExceptHandler, ast.Lambda, ast.BoolOp, ast.Assert, *FUNCTIONS)):
            return True
        below = above
    return True
