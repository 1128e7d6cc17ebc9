"""Updates: one optimizer step, the backward calls that feed it, and the stretch of code that repeats them.

That stretch is the loop around them, or the function somebody else calls once a batch. Questions about order are asked
within it: *does this happen between the backward and the step*.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Flow, Guard
from detectors._engine.flow.hidden import gives_gradients, is_bookkeeping, may_use
from detectors._engine.flow.loops import common_loop
from detectors._engine.source.tree import Loop


@dataclass(frozen=True, eq=False)
class Update:
    """A step and the backward calls in reach of it; `loop` is the innermost loop around them, None in a function
    that makes one update."""

    flow: Flow
    step: Event
    backwards: tuple[Event, ...]
    loop: Loop | None

    @property
    def events(self) -> list[Event]:
        """Everything that happens in the loop, or in the flow where there is none."""
        return [each for each in self.flow.events if self.loop is None or self.loop in each.loops]

    def of(self, *acts: Act) -> list[Event]:
        """The events of these acts."""
        return [each for each in self.events if each.act in acts]

    def is_next_round(self, event: Event) -> bool:
        """Whether the event starts another iteration."""
        return event.act is Act.LOOP and event.node is self.loop

    def is_before(
        self, first: Event, second: Event, *, avoiding: Callable[[Event], bool] = lambda event: False
    ) -> bool:
        """Whether the second can follow the first within one iteration."""
        return self.flow.reaches(
            first,
            lambda event: event is second,
            avoiding=lambda event: self.is_next_round(event) or avoiding(event),
            inside=self.loop,
        )

    def leads_to(self, first: Event, second: Event, *, avoiding: Callable[[Event], bool] = lambda event: False) -> bool:
        """Whether the second can follow the first, in this iteration or a later one."""
        return self.flow.reaches(first, lambda event: event is second, avoiding=avoiding, inside=self.loop)

    def is_step(self, event: Event) -> bool:
        """Whether the event steps this optimizer, here or elsewhere in the stretch."""
        return event.act is Act.STEP and event.subject == self.step.subject

    def clears(self, event: Event) -> bool:
        """Whether the event clears this optimizer's gradients for certain: by name, or all those of the "
        "only optimizer."""
        if event.act is not Act.ZERO_GRAD or isinstance(event.node, ast.stmt):
            return False
        if event.subject == self.step.subject:
            return event.subject is not None
        stepped = {each.subject for each in self.flow.of(Act.STEP)}
        return len(stepped) == 1 and event.subject is not None and event.node is not self.step.node

    def steps_or_clears(self, event: Event) -> bool:
        """Whether the event uses up these gradients for certain."""
        return self.is_step(event) or self.clears(event)

    def is_skipped_unless(self, guard: Guard, backward: Event) -> bool:
        """Whether gradients of the step are computed under the same condition: where it does not hold the whole update
        is left out, as a generator's is while the critic trains, and nothing is accumulated. The backward of the other
        branch (`else:`) is of the same update."""
        if any(each.key == guard.key and each.holds is not guard.holds for each in backward.guards):
            return False
        return any(
            (guard.key, guard.holds) in {(each.key, each.holds) for each in other.guards}
            and self.is_before(other, self.step)
            for other in self.of(Act.BACKWARD)
        )

    def may_clear(self, event: Event) -> bool:
        """Whether the event clears these gradients, or may."""
        if event.act is Act.ZERO_GRAD:
            stepped = {each.subject for each in self.flow.of(Act.STEP)} - {self.step.subject}
            return event.subject is None or event.subject not in stepped
        return event.act is Act.OPAQUE and may_use(event, self.step.subject) and not is_bookkeeping(event)

    @property
    def starved_by(self) -> Event | None:
        """The clearing after which the step runs without gradients on every path; None where any may reach it."""
        if self._is_given_a_closure or not self.flow.of(Act.ZERO_GRAD):
            return None
        if any(self.leads_to(each, self.step, avoiding=self.clears) for each in self.backwards):
            return None
        for clear in self.events:
            if not self.clears(clear) or not self.is_before(clear, self.step, avoiding=gives_gradients):
                continue
            writes = (each for each in self.events if each.act is Act.OPAQUE and gives_gradients(each))
            if not any(
                self.is_before(clear, each) and self.leads_to(each, self.step, avoiding=self.clears) for each in writes
            ):
                return clear
        return None

    @property
    def _is_given_a_closure(self) -> bool:
        call = self.step.node
        return isinstance(call, ast.Call) and call.args != [] and call.args[0] is not self.step.target


def updates_of(flows: list[Flow]) -> Iterator[Update]:
    """Every update of a file."""
    for flow in flows:
        backwards = [each for each in flow.of(Act.BACKWARD) if not each.within(Region.NO_GRAD)]
        for step in flow.of(Act.STEP) if backwards else ():
            feeding = [(each, common_loop(each, step)) for each in backwards]
            loops = [loop for _, loop in feeding if loop is not None]
            innermost = max(loops, key=lambda loop: step.loops.index(loop)) if loops else None
            own = tuple(each for each, loop in feeding if loop is innermost)
            if innermost is not None or not any(each.loops for each in (step, *own)):
                yield Update(flow, step, own, innermost)


def accumulated_updates_of(flows: list[Flow]) -> Iterator[Update]:
    """The updates of functions that somebody else calls: one step, after a loop of its own in which all the backward
    calls are that it is the next to use."""
    for flow in flows:
        steps = [each for each in flow.of(Act.STEP) if not each.loops]
        for step in steps:
            feeding = [
                each
                for each in flow.of(Act.BACKWARD)
                if len(each.loops) == 1 and not each.within(Region.NO_GRAD) and _is_next(flow, each, step)
            ]
            if feeding and len({each.loops for each in feeding}) == 1:
                yield Update(flow, step, tuple(feeding), None)


def _is_next(flow: Flow, backward: Event, step: Event) -> bool:
    """Whether the step is the first that comes after the backward call."""
    others = {each.subject for each in flow.of(Act.STEP)} - {step.subject}
    return flow.reaches(
        backward,
        lambda event: event is step,
        avoiding=lambda event: event.act is Act.STEP and event.subject in others,
    )
