"""Flow: the events of a run in the order they can happen, local calls followed, loops with their back edge.

A `Flow` starts at the module's top level or at a function nobody in this file calls. Its events form a graph: an edge
means "can happen next". Questions are asked as paths: *does every path from this step round to the next backward
clear the gradients* is `not flow.reaches(step, backward, avoiding=clears)`. Two `if`s over the same unchanged
condition are taken together, so `if ready: step()` and `if ready: zero_grad()` belong to each other. A loop is taken
to run at least once.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.paths import Conditions, Paths, on_the_way
from detectors._engine.names.subjects import Subject
from detectors._engine.source.tree import Function, Loop


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition that holds: the test (its `not`s folded in) and whether it was true.

    `key` is the test's text; `names` the names and dotted attributes it depends on.
    """

    test: ast.expr
    holds: bool
    key: str
    names: frozenset[str]


def guard_of(test: ast.expr, holds: bool) -> Guard:
    """The guard of a test."""
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, holds = test.operand, not holds
    parts = [each for each in ast.walk(test) if isinstance(each, (ast.Name, ast.Attribute))]
    return Guard(test, holds, ast.unparse(test), frozenset(ast.unparse(each) for each in parts))


@dataclass(eq=False, slots=True)
class Event:
    """One thing that happens in a flow.

    `node` is where it is written; `subject` the object it acts on (of code out of sight: the object whose method it
    is), translated to the flow's outermost names;
    `loops` the loops around it, outermost first, through all calls; `calls` the calls that led here.
    """

    act: Act
    node: ast.AST
    target: ast.expr | None = None
    subject: Subject | None = None
    function: Function | None = None
    calls: tuple[ast.Call, ...] = ()
    loops: tuple[Loop, ...] = ()
    guards: tuple[Guard, ...] = ()
    regions: tuple[tuple[Region, ast.AST], ...] = ()
    binds: frozenset[str] = frozenset()
    touches: frozenset[Subject] = frozenset()
    is_imported: bool = False
    """Written in another file of the repository; `node` is then this file's call that leads there."""
    next: list[tuple["Event", Guard | None]] = field(default_factory=list)

    def within(self, region: Region) -> bool:
        """Whether the innermost gradient/precision region of this family around the event is this one."""
        gradients = (Region.NO_GRAD, Region.GRAD, Region.SOME_GRAD)
        family = gradients if region in gradients else (region,)
        return next((each for each, _ in reversed(self.regions) if each in family), None) is region

    def may_touch(self, subject: Subject | None) -> bool:
        """Whether this is code out of sight that is given the object, or the object it is an attribute of."""
        while self.touches and subject is not None:
            if subject in self.touches:
                return True
            subject = subject[1] if isinstance(subject, tuple) and subject[0] in ("attribute", "item") else None
        return False

    @property
    def line(self) -> int:
        """Where it is written, 1-based."""
        return self.node.lineno  # type: ignore[attr-defined,no-any-return]


Frontier = list[tuple[Event, Guard | None]]


@dataclass
class Flow:
    """The events of one run, from `root` on (None: the module's top level)."""

    root: Function | None
    events: list[Event]
    start: Event
    end: Event
    """Where the run returns, from whatever path."""
    paired: frozenset[str] = frozenset()
    """The texts of tests that occur more than once."""

    def of(self, *acts: Act) -> list[Event]:
        """The events of these acts that are written in this file, in the order they were met.

        Those of imported functions are met on paths, but are for their own file to report.
        """
        return [each for each in self.events if each.act in acts and not each.is_imported]

    def reaches(
        self,
        start: Event,
        goal: Callable[[Event], bool],
        *,
        avoiding: Callable[[Event], bool] = lambda event: False,
        inside: Loop | None = None,
    ) -> bool:
        """Whether a path leads from just after `start` to a goal without meeting an event to avoid.

        With `inside`, the path must not leave that loop.

        Raises:
            Undecided: there are too many paths to tell.
        """
        return self.path(start, goal, avoiding=avoiding, inside=inside) is not None

    def path(
        self,
        start: Event,
        goal: Callable[[Event], bool],
        *,
        avoiding: Callable[[Event], bool] = lambda event: False,
        inside: Loop | None = None,
    ) -> Event | None:
        """The first goal a path from `start` meets; None where there is none.

        Raises:
            Undecided: there are too many paths to tell.
        """

        def stays(event: Event) -> bool:
            return inside is None or inside in event.loops

        useful = on_the_way(start, goal, avoiding, stays)
        return self._paths.first(start, useful) if useful else None

    @cached_property
    def _paths(self) -> Paths:
        return Paths(Conditions(self.events, self.paired))
