"""Trails: events as they are met while a flow is built, each with what is around it at that moment."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Frontier, Guard
from detectors._engine.flow.frames import Frame
from detectors._engine.flow.unit import Unit
from detectors._engine.source.tree import Loop


class Trail:
    """The events so far, the file they are read from, and the loops, conditions and regions they stand in."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.home = unit
        self.imports = unit.imports
        self.events: list[Event] = []
        self.loops: list[Loop] = []
        self.guards: list[Guard] = []
        self.regions: list[tuple[Region, ast.AST]] = []
        self._called_from: ast.Call | None = None  # the call of the home file, while another file is followed

    @contextmanager
    def inside(self, unit: Unit, call: ast.Call) -> Iterator[None]:
        """Reads another file, which the call leads to; its events stand at the home file's call."""
        home, called_from = self.unit, self._called_from
        self.unit, self._called_from = unit, called_from or call
        yield
        self.unit, self._called_from = home, called_from

    def event(self, act: Act, node: ast.AST, frame: Frame, target: ast.expr | None = None) -> Event:
        """A new event, connected to nothing yet."""
        event = Event(
            act,
            self._called_from or node,
            target,
            frame.translated(self.unit.values.subject(target)) if target is not None else None,
            frame.function,
            frame.calls,
            tuple(self.loops),
            tuple(self.guards),
            tuple(self.regions),
            is_imported=self._called_from is not None,
        )
        self.events.append(event)
        return event

    def opaque(self, call: ast.Call, frame: Frame) -> Event:
        """The event of code out of sight, with everything it is given."""
        values = self.unit.values
        event = self.event(Act.OPAQUE, call, frame)
        given = [*call.args, *(each.value for each in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        subjects = (frame.translated(values.subject(each)) for each in given)
        event.touches = frozenset(each for each in subjects if each is not None)
        if isinstance(call.func, ast.Attribute):
            event.subject = frame.translated(values.subject(call.func.value))
            owner = values.class_held_by(call.func.value)
            if owner is not None and values.classes.holds_outsider(owner, call.func.attr):
                event.touches -= {event.subject}
            elif owner is not None:
                event.touches |= {frame.translated(("class", owner))}
        return event

    @staticmethod
    def append(event: Event, frontier: Frontier) -> Frontier:
        """Connects the ends to the event, which is the new end."""
        connect(frontier, event)
        return [(event, None)]


def connect(frontier: Frontier, event: Event) -> None:
    """Adds the edges from the ends to the event."""
    for previous, guard in frontier:
        previous.next.append((event, guard))
