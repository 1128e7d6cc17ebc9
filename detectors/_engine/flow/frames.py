"""Frames: the calls being followed while a flow is built, and what their parameters stand for."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from detectors._engine.flow.flow import Frontier
from detectors._engine.names.subjects import Subject
from detectors._engine.source.tree import Function


@dataclass
class LoopExits:
    """Where control leaves the body of a loop early."""

    breaks: Frontier = field(default_factory=list)
    continues: Frontier = field(default_factory=list)


@dataclass
class Frame:
    """One call being followed: who it is, what its parameters stand for, where its returns go."""

    function: Function | None
    calls: tuple[ast.Call, ...] = ()
    arguments: dict[str, Subject | None] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    parent: "Frame | None" = None
    returns: Frontier = field(default_factory=list)
    at_yield: Callable[[Frontier], Frontier] | None = None
    wrapped: Function | None = None
    wrapped_name: str = ""
    selves: dict[ast.ClassDef, Subject | None] = field(default_factory=dict)
    """What `self` is in the methods of these classes, where they are in another file than the caller."""
    exits: list["LoopExits"] = field(default_factory=list)
    flags: dict[str, bool | str | None] = field(default_factory=dict)
    """The parameters that this call gives a truth value, None or a text, or leaves at such a default."""

    def outward(self) -> Iterator["Frame"]:
        """This frame and those around it."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    def function_named(self, name: str) -> Function | None:
        """The function that a parameter of this name stands for, or that a wrapper calls by it."""
        for frame in self.outward():
            if frame.wrapped is not None and frame.wrapped_name == name:
                return frame.wrapped
            if name in frame.functions:
                return frame.functions[name]
        return None

    def translated(self, subject: Subject | None) -> Subject | None:
        """The subject in the words of the outermost caller."""
        match subject:
            case ("name", scope, name):
                own = next((each for each in self.outward() if each.function is scope), None)
                if own is not None and name in own.arguments:
                    return own.arguments[name] or subject
            case ("class", owner):
                return next((each.selves[owner] for each in self.outward() if owner in each.selves), subject)
            case ("attribute", base, name):
                return ("attribute", self.translated(base), name)
            case ("item", base, index):
                return ("item", self.translated(base), index)
        return subject
