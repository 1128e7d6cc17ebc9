"""Paths through a flow on which no two conditions contradict each other

Two steps: which events lie on any way from the start to a goal, conditions aside; then, among those alone, a search in
which every state remembers what was assumed. What is assumed is two bits for each test that occurs more than once.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors._engine.flow.flow import Event, Guard

    Judges = Callable[[Event], bool]

_STATES = 10_000
"""Of one question."""
_ALL_STATES = 60_000
"""Of all questions to one flow: a second of work."""


class Undecided(Exception):
    """A question has too many paths to be answered; who asked it knows nothing, and is silent."""


class Conditions:
    """The tests of a flow that are taken together, as bits: of the n-th test bit 2n says it held, 2n + 1 it did not."""

    def __init__(self, events: "Iterable[Event]", paired: frozenset[str]) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[frozenset[str]] = []
        self._cleared: dict[frozenset[str], int] = {}
        for guard in (guard for event in events for _, guard in event.next if guard is not None):
            if guard.key in paired and guard.key not in self._numbers:
                self._numbers[guard.key] = len(self._names)
                self._names.append(guard.names)

    def bit(self, guard: "Guard | None") -> int:
        """The bit of a guard; 0 where nothing else depends on its test."""
        if guard is None or guard.key not in self._numbers:
            return 0
        return 1 << (2 * self._numbers[guard.key] + (not guard.holds))

    def after(self, event: "Event", assumed: int) -> int:
        """What still holds after an event: nothing about the names that it binds."""
        if not assumed or not event.binds:
            return assumed
        cleared = self._cleared.get(event.binds)
        if cleared is None:
            cleared = sum(3 << (2 * n) for n, names in enumerate(self._names) if names & event.binds)
            self._cleared[event.binds] = cleared
        return assumed & ~cleared


def opposite(bit: int) -> int:
    """The bit that a bit contradicts."""
    return bit << 1 if bit.bit_length() % 2 else bit >> 1


def on_the_way(start: "Event", goal: "Judges", avoiding: "Judges", stays: "Judges") -> "dict[int, bool]":
    """The events (by id, goals with True) on a way from just after `start` to a goal, conditions aside."""
    before: dict[int, list[Event]] = {}
    goals: list[Event] = []
    rest = [start]
    while rest:
        event = rest.pop()
        for following, _ in event.next:
            known = before.get(id(following))
            if known is not None:
                known.append(event)
            elif stays(following):
                before[id(following)] = [event]
                if goal(following):
                    goals.append(following)
                elif not avoiding(following):
                    rest.append(following)
    useful = {id(each): True for each in goals}
    rest = goals
    while rest:
        for each in before.get(id(rest.pop()), ()):
            if id(each) not in useful:
                useful[id(each)] = False
                rest.append(each)
    return useful


class Paths:
    """The search in one flow; it answers so many questions and no more."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._left = _ALL_STATES

    def first(self, start: "Event", useful: dict[int, bool]) -> "Event | None":
        """The first goal that a path meets, of the events that are on the way to one.

        Raises:
            Undecided: there are too many paths.
        """
        conditions = self._conditions
        assumed = 0
        for guard in start.guards:
            bit = conditions.bit(guard)
            assumed = (assumed & ~opposite(bit)) | bit if bit else assumed
        rest = [(start, assumed)]
        seen: set[tuple[int, int]] = set()
        while rest:
            event, assumed = rest.pop()
            for following, condition in event.next:
                is_goal = useful.get(id(following))
                bit = conditions.bit(condition)
                if is_goal is None or (bit and assumed & opposite(bit)):
                    continue
                if is_goal:
                    self._left -= len(seen)
                    return following
                state = (id(following), conditions.after(following, assumed | bit))
                if state not in seen:
                    seen.add(state)
                    rest.append((following, state[1]))
            if len(seen) > min(_STATES, self._left):
                self._left -= len(seen)
                raise Undecided
        self._left -= len(seen)
        return None
