"""Following: the bodies of called functions, read in place of the call."""

import ast
from collections.abc import Callable

from detectors._engine.flow.flags import told
from detectors._engine.flow.flow import Frontier
from detectors._engine.flow.frames import Frame
from detectors._engine.flow.trail import Trail
from detectors._engine.flow.unit import DefinedFunction
from detectors._engine.names.subjects import Subject
from detectors._engine.source.tree import FUNCTIONS, Function, named_parameters

_DEPTH = 6
_EVENTS = 5000

Block = Callable[[list[ast.stmt], Frame, Frontier], Frontier]
"""Builds statements in a frame from the ends of what was before, into new ends."""


class Follower:
    """Follows calls, bounded in depth and size."""

    def __init__(self, trail: Trail, block: Block) -> None:
        self._trail = trail
        self._block = block
        self.followed: set[ast.AST] = set()

    def called(self, call: ast.Call, frame: Frame) -> Function | None:
        """The function of the file being read that a call runs."""
        named = frame.function_named(call.func.id) if isinstance(call.func, ast.Name) else None
        if named is not None:
            return named
        if self._override(call, frame) is not None:
            return None
        values = self._trail.unit.values
        target = values.calls.callee(call)
        if isinstance(target, ast.ClassDef):
            target = values.classes.method(target, "__init__")
        return target if isinstance(target, FUNCTIONS) else None

    def can_follow(self, function: Function, frame: Frame) -> bool:
        """Whether the function is not being followed already, and there is room."""
        if any(each.function is function for each in frame.outward()):
            return False
        return len(frame.calls) < _DEPTH and len(self._trail.events) < _EVENTS

    def follow(
        self,
        function: Function,
        call: ast.Call,
        frame: Frame,
        frontier: Frontier,
        *,
        at_yield: Callable[[Frontier], Frontier] | None = None,
    ) -> Frontier:
        """A function of the file being read; `at_yield` builds what runs where it yields."""
        inner = Frame(function, (*frame.calls, call), parent=frame, at_yield=at_yield)
        self._bind_arguments(inner, function, call, frame)
        return self.body(inner, frontier)

    def imported(self, call: ast.Call, frame: Frame) -> DefinedFunction | None:
        """The eventful function or method of another file of the repository that a call runs."""
        found = self._override(call, frame) or self._trail.imports.eventful(call, self._trail.unit)
        return found if found is not None and self.can_follow(found.node, frame) else None

    def _override(self, call: ast.Call, frame: Frame) -> DefinedFunction | None:
        """The method of the analysed file that a base class elsewhere calls on `self`."""
        if not frame.selves or not isinstance(call.func, ast.Attribute):
            return None
        owner = self._trail.unit.values.class_held_by(call.func.value)
        match frame.selves.get(owner) if owner is not None else None:
            case ("class", ast.ClassDef() as own):
                method = self._trail.home.values.classes.method(own, call.func.attr)
                return DefinedFunction(self._trail.home, method) if method in self._trail.home.eventful else None
        return None

    def follow_imported(self, found: DefinedFunction, call: ast.Call, frame: Frame, frontier: Frontier) -> Frontier:
        """A function of another file: its arguments are this file's, its body is read there."""
        values, function = self._trail.unit.values, found.node
        owner = found.unit.tree.class_of(function)
        inner = Frame(function, (*frame.calls, call), parent=frame)
        parameters = [each.arg for each in named_parameters(function.args)]
        for parameter in parameters:
            argument = values.calls.argument_for(function, call, parameter, is_method=owner is not None)
            if argument is not None:
                inner.arguments[parameter] = frame.translated(values.subject(argument))
        if owner is not None:
            receiver = self._receiver(call, frame)
            inner.selves = dict.fromkeys(found.unit.values.classes.lineage(owner), receiver)
            inner.arguments.update(dict.fromkeys(parameters[:1], receiver))
        with self._trail.inside(found.unit, call):
            return self.body(inner, frontier)

    def _receiver(self, call: ast.Call, frame: Frame) -> Subject | None:
        """The object whose method is called; the new object where a class is."""
        values = self._trail.unit.values
        if not isinstance(call.func, ast.Attribute):
            return values.subject(call)
        own = self._trail.unit.tree.enclosing(call, ast.ClassDef) if _is_super(call.func.value) else None
        own = own or values.class_held_by(call.func.value)
        return frame.translated(("class", own) if own is not None else values.subject(call.func.value))

    def _bind_arguments(self, inner: Frame, function: Function, call: ast.Call, frame: Frame) -> None:
        if frame.wrapped is function:  # called with what the wrapper was called with
            inner.arguments = dict(frame.arguments)
        values, parameters = self._trail.unit.values, [each.arg for each in named_parameters(function.args)]
        if self._trail.unit.tree.class_of(function) is not None and parameters and isinstance(call.func, ast.Attribute):
            inner.arguments[parameters[0]] = frame.translated(values.subject(call.func.value))
        for parameter in parameters:
            argument = values.calls.argument_for(function, call, parameter)
            if argument is None:
                continue
            self._bind_flag(inner, parameter, argument, frame)
            inner.arguments.setdefault(parameter, frame.translated(values.subject(argument)))
            target = values.calls.target(argument) if isinstance(argument, (ast.Name, ast.Attribute)) else None
            if isinstance(target, FUNCTIONS):
                inner.functions[parameter] = target

    def _bind_flag(self, inner: Frame, parameter: str, argument: ast.expr, frame: Frame) -> None:
        flag = told(argument, frame, self._trail.unit.names)
        if flag is not None:
            inner.flags[parameter] = flag.value

    def body(self, frame: Frame, frontier: Frontier) -> Frontier:
        """The function's body with its decorators around it; ends where it returns."""
        function = frame.function
        assert function is not None
        self.followed.add(function)
        entered = 0
        for decorator in function.decorator_list:
            region = self._trail.unit.actions.region(decorator)
            wrapper = self._wrapper(decorator) if region is None else None
            if wrapper is not None and frame.wrapped is None and self.can_follow(wrapper[0], frame):
                return self._follow_wrapper(wrapper, function, frame, frontier)
            if region is not None:
                self._trail.regions.append((region, decorator))
                entered += 1
        ends = self._block(function.body, frame, frontier)
        del self._trail.regions[len(self._trail.regions) - entered :]
        return [*ends, *frame.returns]

    def _wrapper(self, decorator: ast.expr) -> tuple[Function, str] | None:
        """A decorator of this file: the function it puts in place, and the name it calls the original by."""
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        outer = self._trail.unit.values.calls.target(func) if isinstance(func, (ast.Name, ast.Attribute)) else None
        if not isinstance(outer, FUNCTIONS):
            return None
        inner = [each for each in outer.body if isinstance(each, FUNCTIONS)]
        if len(inner) == 1 and isinstance(decorator, ast.Call):  # a decorator with arguments: one level more
            outer, inner = inner[0], [each for each in inner[0].body if isinstance(each, FUNCTIONS)]
        if len(inner) != 1 or not outer.args.args or inner[0] not in self._trail.unit.eventful:
            return None
        return inner[0], outer.args.args[0].arg

    def _follow_wrapper(
        self, wrapper: tuple[Function, str], function: Function, frame: Frame, frontier: Frontier
    ) -> Frontier:
        inner = Frame(wrapper[0], frame.calls, dict(frame.arguments), parent=frame.parent)
        inner.wrapped, inner.wrapped_name = function, wrapper[1]
        self.followed.add(wrapper[0])
        ends = self._block(wrapper[0].body, inner, frontier)
        return [*ends, *inner.returns]


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
