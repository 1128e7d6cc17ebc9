"""Builds the flows of a file: statements into events, calls of this file's functions followed in place."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from detectors._engine.events import Act, Region
from detectors._engine.flow import Event, Flow, Frontier, Guard, guard_of
from detectors._engine.subjects import Subject
from detectors._engine.tree import FUNCTIONS, Function, Loop
from detectors._engine.unit import Unit

_DEPTH = 6
_EVENTS = 5000
_HARMLESS = (
    "builtins.", "torch.", "numpy.", "math.", "logging.", "os.", "time.", "tqdm", "random.", "json.", "sys.", "re.",
    "collections.", "itertools.", "functools.", "wandb.", "mlflow.", "matplotlib.", "copy.", "datetime.", "pandas.",
    "shutil.", "pathlib.",
)  # fmt: skip
_PLAIN = frozenset(
    """
    item parameters named_parameters state_dict modules children to cuda cpu numpy detach clone float double half long
    int type append extend items keys values get format join split strip startswith endswith size dim view reshape
    permute transpose unsqueeze squeeze mean sum max min argmax tolist info debug warning error add_scalar set_postfix
    contiguous expand repeat flatten eq ne any all abs sqrt pow exp log softmax repeat_interleave new_zeros
    """.split()
)
"""Methods of tensors, containers, modules and loggers that neither step, clear nor switch anything."""


@dataclass
class _Frame:
    """One call being followed: who it is, what its parameters stand for, where its returns go."""

    function: Function | None
    calls: tuple[ast.Call, ...] = ()
    arguments: dict[str, Subject | None] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    parent: "_Frame | None" = None
    returns: Frontier = field(default_factory=list)
    at_yield: Callable[[Frontier], Frontier] | None = None
    wrapped: Function | None = None
    wrapped_name: str = ""


@dataclass
class _LoopExits:
    breaks: Frontier = field(default_factory=list)
    continues: Frontier = field(default_factory=list)


class FlowBuilder:
    """Builds one flow; bounded in depth and size, what lies beyond is an OPAQUE event."""

    def __init__(self, unit: Unit) -> None:
        self._home = unit
        self._enter(unit)
        self._called_from: ast.Call | None = None  # the call of the home file, while another file is followed
        self._events: list[Event] = []
        self._loops: list[Loop] = []
        self._exits: list[_LoopExits] = []
        self._guards: list[Guard] = []
        self._regions: list[tuple[Region, ast.AST]] = []
        self.followed: set[ast.AST] = set()

    def _enter(self, unit: Unit) -> None:
        self._unit = unit
        self._tree, self._names, self._values, self._actions = unit.tree, unit.names, unit.values, unit.actions
        self._eventful = unit.eventful

    def build(self, root: Function | None) -> Flow:
        """The flow from the root on."""
        frame = _Frame(root)
        start = Event(Act.JOIN, root or self._tree.module, function=root)
        self._events.append(start)
        if root is not None:
            self._follow_body(frame, [(start, None)])
        else:
            self._block(self._tree.module.body, frame, [(start, None)])
        tests = Counter(
            guard.key for event in self._events if event.act is Act.BRANCH for _, guard in event.next[:1] if guard
        )
        return Flow(root, self._events, start, frozenset(key for key, count in tests.items() if count > 1))

    # -- statements ---------------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt], frame: _Frame, frontier: Frontier) -> Frontier:
        for statement in statements:
            if not frontier:
                break
            frontier = self._statement(statement, frame, frontier)
        return frontier

    def _statement(self, statement: ast.stmt, frame: _Frame, frontier: Frontier) -> Frontier:
        match statement:
            case ast.If():
                return self._if(statement, frame, frontier)
            case ast.For() | ast.AsyncFor() | ast.While():
                return self._loop(statement, frame, frontier)
            case ast.With() | ast.AsyncWith():
                return self._with(statement.items, statement.body, frame, frontier)
            case ast.Try():
                return self._try(statement, frame, frontier)
            case ast.Match():
                return self._match(statement, frame, frontier)
            case ast.Return():
                frame.returns += self._expression(statement.value, frame, frontier)
                return []
            case ast.Raise():
                return []
            case ast.Break() | ast.Continue() if self._exits:
                exits = self._exits[-1]
                (exits.breaks if isinstance(statement, ast.Break) else exits.continues).extend(frontier)
                return []
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return frontier
        frontier = self._expressions(statement, frame, frontier)
        return self._binding(statement, frame, frontier)

    def _expressions(self, statement: ast.stmt, frame: _Frame, frontier: Frontier) -> Frontier:
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                frontier = self._expression(child, frame, frontier)
        return frontier

    def _binding(self, statement: ast.stmt, frame: _Frame, frontier: Frontier) -> Frontier:
        """The event of names changing their value, and of `p.grad = None`."""
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
            targets = [statement.target]
        elif isinstance(statement, ast.Delete):
            targets = statement.targets
        binds = frozenset(_bound_names(targets))
        if any(isinstance(each, ast.Attribute) and each.attr == "grad" for each in targets):
            is_cleared = not isinstance(statement, (ast.AugAssign, ast.AnnAssign)) and _is_nothing(statement)
            act = Act.ZERO_GRAD if is_cleared else Act.OPAQUE
            return self._append(self._event(act, statement, frame), frontier)
        if not binds or not self._matters(binds):
            return frontier
        event = self._event(Act.JOIN, statement, frame)
        event.binds = binds
        return self._append(event, frontier)

    def _matters(self, binds: frozenset[str]) -> bool:
        return bool(binds & self._tested)

    @property
    def _tested(self) -> frozenset[str]:
        """The names any `if` or `while` of the file depends on."""
        if not hasattr(self, "_tested_names"):
            tests = [each.test for each in self._tree.all(ast.If, ast.While)]
            parts = (part for test in tests for part in ast.walk(test))
            self._tested_names = frozenset(
                ast.unparse(each) for each in parts if isinstance(each, (ast.Name, ast.Attribute))
            )
        return self._tested_names

    def _if(self, statement: ast.If, frame: _Frame, frontier: Frontier) -> Frontier:
        frontier = self._expression(statement.test, frame, frontier)
        branch = self._event(Act.BRANCH, statement, frame)
        self._append(branch, frontier)
        yes, no = guard_of(statement.test, True), guard_of(statement.test, False)
        if isinstance(yes.test, ast.Constant):
            taken = statement.body if bool(yes.test.value) is yes.holds else statement.orelse
            return self._block(taken, frame, [(branch, None)])
        return [
            *self._guarded(statement.body, yes, frame, branch),
            *self._guarded(statement.orelse, no, frame, branch),
        ]

    def _guarded(self, body: list[ast.stmt], guard: Guard, frame: _Frame, branch: Event) -> Frontier:
        self._guards.append(guard)
        ends = self._block(body, frame, [(branch, guard)])
        self._guards.pop()
        return ends

    def _loop(self, loop: Loop, frame: _Frame, frontier: Frontier) -> Frontier:
        endless = isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant) and bool(loop.test.value)
        if not isinstance(loop, ast.While):
            frontier = self._expression(loop.iter, frame, frontier)
        self._loops.append(loop)
        self._exits.append(_LoopExits())
        head = self._event(Act.LOOP, loop, frame)
        if not isinstance(loop, ast.While):
            head.binds = frozenset(_bound_names([loop.target]))
        ends = self._append(head, frontier)
        if isinstance(loop, ast.While):
            ends = self._expression(loop.test, frame, ends)
        ends = self._block(loop.body, frame, ends)
        exits = self._exits.pop()
        latch = self._event(Act.JOIN, loop, frame)
        around = self._append(latch, [*ends, *exits.continues])
        self._connect(around, head)
        self._loops.pop()
        after = [] if endless else around
        after = self._block(loop.orelse, frame, after) if loop.orelse else after
        return [*after, *exits.breaks]

    def _with(self, items: list[ast.withitem], body: list[ast.stmt], frame: _Frame, frontier: Frontier) -> Frontier:
        if not items:
            return self._block(body, frame, frontier)
        context = items[0].context_expr
        call = context if isinstance(context, ast.Call) else None
        function = self._values.calls.callee(call) if call is not None else None
        if call is not None and isinstance(function, FUNCTIONS) and self._is_context_manager(function):
            if self._can_follow(function, frame):
                rest = items[1:]
                return self._follow(
                    function, call, frame, frontier, at_yield=lambda ends: self._with(rest, body, frame, ends)
                )
            return self._with(items[1:], body, frame, self._append(self._opaque(call, frame), frontier))
        frontier = self._expression(context, frame, frontier)
        region = self._actions.region(context)
        if region is None:
            return self._with(items[1:], body, frame, frontier)
        self._regions.append((region, context))
        frontier = self._append(self._event(Act.ENTER, context, frame), frontier)
        frontier = self._with(items[1:], body, frame, frontier)
        self._regions.pop()
        return self._append(self._event(Act.EXIT, context, frame), frontier) if frontier else frontier

    def _is_context_manager(self, function: Function) -> bool:
        origins = [self._names.origin(each) or "" for each in function.decorator_list]
        return any(each.endswith("contextmanager") for each in origins)

    def _try(self, statement: ast.Try, frame: _Frame, frontier: Frontier) -> Frontier:
        start = self._append(self._event(Act.JOIN, statement, frame), frontier)
        ends = self._block(statement.body, frame, start)
        ends = self._block(statement.orelse, frame, ends)
        for handler in statement.handlers:
            ends = [*ends, *self._block(handler.body, frame, start)]
        return self._block(statement.finalbody, frame, ends) if statement.finalbody else ends

    def _match(self, statement: ast.Match, frame: _Frame, frontier: Frontier) -> Frontier:
        frontier = self._expression(statement.subject, frame, frontier)
        branch = self._append(self._event(Act.BRANCH, statement, frame), frontier)
        ends: Frontier = list(branch)
        for case in statement.cases:
            ends += self._block(case.body, frame, branch)
        return ends

    # -- expressions --------------------------------------------------------------------------------------

    def _expression(self, node: ast.AST | None, frame: _Frame, frontier: Frontier) -> Frontier:
        if node is None or isinstance(node, (ast.Lambda, ast.Constant, ast.Name)):
            return frontier
        if isinstance(node, ast.Call):
            return self._call(node, frame, frontier)
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            frontier = self._expression(node.value, frame, frontier)
            return frame.at_yield(frontier) if frame.at_yield is not None else frontier
        if isinstance(node, ast.IfExp):
            return self._choice(node, frame, self._expression(node.test, frame, frontier))
        for child in ast.iter_child_nodes(node):
            frontier = self._expression(child, frame, frontier)
        return frontier

    def _choice(self, node: ast.IfExp, frame: _Frame, frontier: Frontier) -> Frontier:
        branch = self._append(self._event(Act.BRANCH, node, frame), frontier)
        return [*self._expression(node.body, frame, branch), *self._expression(node.orelse, frame, branch)]

    def _call(self, call: ast.Call, frame: _Frame, frontier: Frontier) -> Frontier:
        if isinstance(call.func, ast.Attribute):
            frontier = self._expression(call.func.value, frame, frontier)
        for argument in (*call.args, *call.keywords):
            frontier = self._expression(argument, frame, frontier)
        actions = self._actions.of(call)
        if actions:
            if actions[0].act in (Act.STEP, Act.SCALER_STEP):
                frontier = self._closures(call, frame, frontier)
            for action in actions:
                event = self._event(action.act, call, frame, action.target)
                frontier = self._append(event, frontier)
            return frontier
        function = self._called(call, frame)
        if function is not None and function in self._eventful:
            if self._can_follow(function, frame):
                return self._follow(function, call, frame, frontier)
            return self._append(self._opaque(call, frame), frontier)
        imported = self._unit.imported(call) if function is None else None
        if imported is not None and self._can_follow(imported[1], frame):
            return self._follow_imported(*imported, call, frame, frontier)
        if function is None and self._is_opaque(call):
            frontier = self._closures(call, frame, frontier)
            event = self._opaque(call, frame)
            return self._append(event, frontier) if event.touches else frontier
        return frontier

    def _called(self, call: ast.Call, frame: _Frame) -> Function | None:
        if isinstance(call.func, ast.Name):
            at: _Frame | None = frame
            while at is not None:
                if at.wrapped is not None and at.wrapped_name == call.func.id:
                    return at.wrapped
                if call.func.id in at.functions:
                    return at.functions[call.func.id]
                at = at.parent
        target = self._values.calls.callee(call)
        if isinstance(target, ast.ClassDef):
            target = self._values.classes.method(target, "__init__")
        return target if isinstance(target, FUNCTIONS) else None

    def _can_follow(self, function: Function, frame: _Frame) -> bool:
        at: _Frame | None = frame
        while at is not None:
            if at.function is function:
                return False
            at = at.parent
        return len(frame.calls) < _DEPTH and len(self._events) < _EVENTS

    def _closures(self, call: ast.Call, frame: _Frame, frontier: Frontier) -> Frontier:
        """Functions of this file that are handed to a call may run in it: `optimizer.step(closure)`."""
        for argument in (*call.args, *(each.value for each in call.keywords)):
            if not isinstance(argument, (ast.Name, ast.Attribute)):
                continue
            probe = ast.Call(func=argument, args=[], keywords=[])
            ast.copy_location(probe, argument)
            function = self._values.calls.target(argument)
            if isinstance(function, FUNCTIONS) and function in self._eventful and self._can_follow(function, frame):
                frontier = self._follow(function, probe, frame, frontier)
        return frontier

    def _is_opaque(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _PLAIN:
            return False
        origin = self._names.origin(call.func)
        return origin is None or not origin.startswith(_HARMLESS)

    def _opaque(self, call: ast.Call, frame: _Frame) -> Event:
        event = self._event(Act.OPAQUE, call, frame)
        given = [*call.args, *(each.value for each in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        subjects = (self._translated(self._values.subject(each), frame) for each in given)
        event.touches = frozenset(each for each in subjects if each is not None)
        if isinstance(call.func, ast.Attribute):
            event.subject = self._translated(self._values.subject(call.func.value), frame)
            owner = self._values.class_held_by(call.func.value)
            event.touches |= {("class", owner)} if owner is not None else set()
        return event

    # -- following calls ----------------------------------------------------------------------------------

    def _follow(
        self,
        function: Function,
        call: ast.Call,
        frame: _Frame,
        frontier: Frontier,
        *,
        at_yield: Callable[[Frontier], Frontier] | None = None,
    ) -> Frontier:
        inner = _Frame(function, (*frame.calls, call), parent=frame, at_yield=at_yield)
        self._bind_arguments(inner, function, call, frame)
        return self._follow_body(inner, frontier)

    def _follow_imported(
        self, unit: Unit, function: Function, call: ast.Call, frame: _Frame, frontier: Frontier
    ) -> Frontier:
        """A function of another file: its arguments are this file's, its body is read there; its events stand at
        this file's call."""
        home, called_from = self._unit, self._called_from
        inner = _Frame(function, (*frame.calls, call), parent=frame)
        parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        for parameter in parameters:
            argument = home.values.calls.argument_for(function, call, parameter)
            if argument is not None:
                inner.arguments[parameter] = self._translated(home.values.subject(argument), frame)
        self._called_from = called_from or call
        self._enter(unit)
        ends = self._follow_body(inner, frontier)
        self._enter(home)
        self._called_from = called_from
        return ends

    def _bind_arguments(self, inner: _Frame, function: Function, call: ast.Call, frame: _Frame) -> None:
        if frame.wrapped is function:  # called with what the wrapper was called with
            inner.arguments = dict(frame.arguments)
        parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        if self._tree.class_of(function) is not None and parameters and isinstance(call.func, ast.Attribute):
            inner.arguments[parameters[0]] = self._translated(self._values.subject(call.func.value), frame)
        for parameter in parameters:
            argument = self._values.calls.argument_for(function, call, parameter)
            if argument is None:
                continue
            inner.arguments.setdefault(parameter, self._translated(self._values.subject(argument), frame))
            target = self._values.calls.target(argument) if isinstance(argument, (ast.Name, ast.Attribute)) else None
            if isinstance(target, FUNCTIONS):
                inner.functions[parameter] = target

    def _follow_body(self, frame: _Frame, frontier: Frontier) -> Frontier:
        """The function's body with its decorators around it; ends where it returns."""
        function = frame.function
        assert function is not None
        self.followed.add(function)
        entered = 0
        for decorator in function.decorator_list:
            region = self._actions.region(decorator)
            wrapper = self._wrapper(decorator) if region is None else None
            if wrapper is not None and frame.wrapped is None and self._can_follow(wrapper[0], frame):
                return self._follow_wrapper(wrapper, function, frame, frontier)
            if region is not None:
                self._regions.append((region, decorator))
                entered += 1
        exits, self._exits = self._exits, []
        ends = self._block(function.body, frame, frontier)
        self._exits = exits
        del self._regions[len(self._regions) - entered :]
        return [*ends, *frame.returns]

    def _wrapper(self, decorator: ast.expr) -> tuple[Function, str] | None:
        """A decorator of this file: the function it puts in place, and the name it calls the original by."""
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        outer = self._values.calls.target(func) if isinstance(func, (ast.Name, ast.Attribute)) else None
        if not isinstance(outer, FUNCTIONS):
            return None
        inner = [each for each in outer.body if isinstance(each, FUNCTIONS)]
        if len(inner) == 1 and isinstance(decorator, ast.Call):  # a decorator with arguments: one level more
            outer, inner = inner[0], [each for each in inner[0].body if isinstance(each, FUNCTIONS)]
        if len(inner) != 1 or not outer.args.args or inner[0] not in self._eventful:
            return None
        return inner[0], outer.args.args[0].arg

    def _follow_wrapper(
        self, wrapper: tuple[Function, str], function: Function, frame: _Frame, frontier: Frontier
    ) -> Frontier:
        inner = _Frame(wrapper[0], frame.calls, dict(frame.arguments), parent=frame.parent)
        inner.wrapped, inner.wrapped_name = function, wrapper[1]
        self.followed.add(wrapper[0])
        ends = self._block(wrapper[0].body, inner, frontier)
        return [*ends, *inner.returns]

    # -- events -------------------------------------------------------------------------------------------

    def _event(self, act: Act, node: ast.AST, frame: _Frame, target: ast.expr | None = None) -> Event:
        event = Event(
            act,
            self._called_from or node,
            target,
            self._translated(self._values.subject(target), frame) if target is not None else None,
            frame.function,
            frame.calls,
            tuple(self._loops),
            tuple(self._guards),
            tuple(self._regions),
            is_imported=self._called_from is not None,
        )
        self._events.append(event)
        return event

    def _translated(self, subject: Subject | None, frame: _Frame) -> Subject | None:
        """The subject in the words of the outermost caller."""
        match subject:
            case ("name", scope, name):
                at: _Frame | None = frame
                while at is not None and at.function is not scope:
                    at = at.parent
                if at is not None and name in at.arguments:
                    return at.arguments[name] or subject
            case ("attribute", base, name):
                return ("attribute", self._translated(base, frame), name)
            case ("item", base, index):
                return ("item", self._translated(base, frame), index)
        return subject

    def _append(self, event: Event, frontier: Frontier) -> Frontier:
        self._connect(frontier, event)
        return [(event, None)]

    @staticmethod
    def _connect(frontier: Frontier, event: Event) -> None:
        for previous, guard in frontier:
            previous.next.append((event, guard))


def _bound_names(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            yield from _bound_names(target.elts)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            yield ast.unparse(target)
        elif isinstance(target, (ast.Subscript, ast.Starred)):
            yield from _bound_names([target.value])


def _is_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Delete):
        return True
    value = statement.value if isinstance(statement, ast.Assign) else None
    return isinstance(value, ast.Constant) and value.value is None


def flows_of(unit: Unit) -> list[Flow]:
    """All flows of a file: from its top level, and from every function with events that nothing else runs."""
    flows: list[Flow] = []
    followed: set[ast.AST] = set()

    def build(root: Function | None) -> None:
        builder = FlowBuilder(unit)
        flows.append(builder.build(root))
        followed.update(builder.followed)

    build(None)
    roots = [each for each in unit.tree.all(*FUNCTIONS) if each in unit.eventful]
    for function in (each for each in roots if not unit.values.calls.sites(each)):
        if function not in followed:
            build(function)
    for function in roots:
        if function not in followed:
            build(function)
    return flows
