"""Builds the flows of a file: statements into events, calls of this file's functions followed in place."""

import ast
from collections import Counter

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flags import told
from detectors._engine.flow.flow import Event, Flow, Frontier, Guard
from detectors._engine.flow.follow import Follower
from detectors._engine.flow.frames import Frame, LoopExits
from detectors._engine.flow.opaque import is_opaque
from detectors._engine.flow.trail import Trail, connect
from detectors._engine.flow.unit import Unit
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Loop


class FlowBuilder:
    """Builds one flow; bounded in depth and size, what lies beyond is an OPAQUE event."""

    def __init__(self, unit: Unit) -> None:
        self._trail = Trail(unit)
        self._follower = Follower(self._trail, self._block)

    @property
    def followed(self) -> set[ast.AST]:
        """The functions whose bodies the flow holds."""
        return self._follower.followed

    def build(self, root: Function | None) -> Flow:
        """The flow from the root on."""
        frame = Frame(root)
        start = Event(Act.JOIN, root or self._trail.unit.tree.module, function=root)
        self._trail.events.append(start)
        if root is not None:
            ends = self._follower.body(frame, [(start, None)])
        else:
            ends = self._block(self._trail.unit.tree.module.body, frame, [(start, None)])
        end = Event(Act.JOIN, start.node, function=root)
        self._trail.append(end, ends)
        tests = Counter(
            guard.key for event in self._trail.events if event.act is Act.BRANCH for _, guard in event.next[:1] if guard
        )
        paired = frozenset(key for key, count in tests.items() if count > 1)
        return Flow(root, self._trail.events, start, end, paired)

    # -- statements ---------------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt], frame: Frame, frontier: Frontier) -> Frontier:
        for statement in statements:
            if not frontier:
                break
            frontier = self._statement(statement, frame, frontier)
        return frontier

    def _statement(self, statement: ast.stmt, frame: Frame, frontier: Frontier) -> Frontier:
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
            case ast.Break() | ast.Continue() if frame.exits:
                exits = frame.exits[-1]
                (exits.breaks if isinstance(statement, ast.Break) else exits.continues).extend(frontier)
                return []
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return frontier
        frontier = self._expressions(statement, frame, frontier)
        return self._binding(statement, frame, frontier)

    def _expressions(self, statement: ast.stmt, frame: Frame, frontier: Frontier) -> Frontier:
        if statement not in self._trail.unit.busy:
            return frontier
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                frontier = self._expression(child, frame, frontier)
        return frontier

    def _binding(self, statement: ast.stmt, frame: Frame, frontier: Frontier) -> Frontier:
        """The event of names changing their value, and of `p.grad = None` and `model.training = False`."""
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
            targets = [statement.target]
        elif isinstance(statement, ast.Delete):
            targets = statement.targets
        if not targets:
            return frontier
        if any(isinstance(each, ast.Attribute) and each.attr == "grad" for each in targets):
            is_cleared = not isinstance(statement, (ast.AugAssign, ast.AnnAssign)) and _is_nothing(statement)
            act = Act.ZERO_GRAD if is_cleared else Act.OPAQUE
            return self._trail.append(self._trail.event(act, statement, frame), frontier)
        for each in targets:
            if isinstance(each, ast.Attribute) and each.attr == "training":
                frontier = self._trail.append(self._trail.event(Act.SOME_MODE, statement, frame, each.value), frontier)
        binds = self._trail.unit.bound(statement, targets)
        if not binds & self._trail.unit.tested:
            return frontier
        event = self._trail.event(Act.JOIN, statement, frame)
        event.binds = binds
        return self._trail.append(event, frontier)

    def _if(self, statement: ast.If, frame: Frame, frontier: Frontier) -> Frontier:
        frontier = self._expression(statement.test, frame, frontier)
        branch = self._trail.event(Act.BRANCH, statement, frame)
        self._trail.append(branch, frontier)
        yes, no = self._trail.unit.guards(statement.test)
        if isinstance(yes.test, ast.Constant):
            taken = statement.body if bool(yes.test.value) is yes.holds else statement.orelse
            return self._block(taken, frame, [(branch, None)])
        flag = told(statement.test, frame, self._trail.unit.names) if frame.flags else None
        if flag is not None:
            return self._block(statement.body if flag.value else statement.orelse, frame, [(branch, None)])
        return [
            *self._guarded(statement.body, yes, frame, branch),
            *self._guarded(statement.orelse, no, frame, branch),
        ]

    def _guarded(self, body: list[ast.stmt], guard: Guard, frame: Frame, branch: Event) -> Frontier:
        self._trail.guards.append(guard)
        ends = self._block(body, frame, [(branch, guard)])
        self._trail.guards.pop()
        return ends

    def _loop(self, loop: Loop, frame: Frame, frontier: Frontier) -> Frontier:
        endless = isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant) and bool(loop.test.value)
        if not isinstance(loop, ast.While):
            frontier = self._expression(loop.iter, frame, frontier)
        self._trail.loops.append(loop)
        frame.exits.append(LoopExits())
        head = self._trail.event(Act.LOOP, loop, frame)
        if not isinstance(loop, ast.While):
            head.binds = self._trail.unit.bound(loop, [loop.target])
        ends = self._trail.append(head, frontier)
        if isinstance(loop, ast.While):
            ends = self._expression(loop.test, frame, ends)
        ends = self._block(loop.body, frame, ends)
        exits = frame.exits.pop()
        latch = self._trail.event(Act.JOIN, loop, frame)
        around = self._trail.append(latch, [*ends, *exits.continues])
        connect(around, head)
        self._trail.loops.pop()
        after = [] if endless else around
        after = self._block(loop.orelse, frame, after) if loop.orelse else after
        return [*after, *exits.breaks]

    def _with(self, items: list[ast.withitem], body: list[ast.stmt], frame: Frame, frontier: Frontier) -> Frontier:
        if not items:
            return self._block(body, frame, frontier)
        context = items[0].context_expr
        call = context if isinstance(context, ast.Call) else None
        function = self._trail.unit.values.calls.callee(call) if call is not None else None
        if call is not None and isinstance(function, FUNCTIONS) and self._is_context_manager(function):
            if self._follower.can_follow(function, frame):
                rest = items[1:]
                return self._follower.follow(
                    function, call, frame, frontier, at_yield=lambda ends: self._with(rest, body, frame, ends)
                )
            return self._with(items[1:], body, frame, self._trail.append(self._trail.opaque(call, frame), frontier))
        frontier = self._expression(context, frame, frontier)
        region = self._region(context, frame)
        if region is None:
            return self._with(items[1:], body, frame, frontier)
        self._trail.regions.append((region, context))
        frontier = self._trail.append(self._trail.event(Act.ENTER, context, frame), frontier)
        frontier = self._with(items[1:], body, frame, frontier)
        self._trail.regions.pop()
        return self._trail.append(self._trail.event(Act.EXIT, context, frame), frontier) if frontier else frontier

    def _region(self, context: ast.expr, frame: Frame) -> Region | None:
        """What the `with` item does in this call: `set_grad_enabled(train)` where it is told `train`."""
        region = self._trail.unit.actions.region(context)
        if region is not Region.SOME_GRAD or not frame.flags or not isinstance(context, ast.Call):
            return region
        given = [*context.args, *(each.value for each in context.keywords)]
        flag = told(given[0], frame, self._trail.unit.names) if len(given) == 1 else None
        is_switch = last_name(context.func) == "set_grad_enabled"
        if flag is None or not is_switch:
            return region
        return Region.GRAD if flag.value else Region.NO_GRAD

    def _act(self, act: Act, call: ast.Call, frame: Frame) -> Act:
        """What the call does in this call of the function: `model.train(is_training)` where it is told."""
        if act is not Act.SOME_MODE or not frame.flags:
            return act
        given = [*call.args, *(each.value for each in call.keywords)]
        flag = told(given[0], frame, self._trail.unit.names) if len(given) == 1 else None
        return act if flag is None else Act.TRAIN_MODE if flag.value else Act.EVAL_MODE

    def _is_context_manager(self, function: Function) -> bool:
        origins = [self._trail.unit.names.origin(each) or "" for each in function.decorator_list]
        return any(each.endswith("contextmanager") for each in origins)

    def _try(self, statement: ast.Try, frame: Frame, frontier: Frontier) -> Frontier:
        start = self._trail.append(self._trail.event(Act.JOIN, statement, frame), frontier)
        ends = self._block(statement.body, frame, start)
        ends = self._block(statement.orelse, frame, ends)
        for handler in statement.handlers:
            ends = [*ends, *self._block(handler.body, frame, start)]
        return self._block(statement.finalbody, frame, ends) if statement.finalbody else ends

    def _match(self, statement: ast.Match, frame: Frame, frontier: Frontier) -> Frontier:
        frontier = self._expression(statement.subject, frame, frontier)
        branch = self._trail.append(self._trail.event(Act.BRANCH, statement, frame), frontier)
        ends: Frontier = list(branch)
        for case in statement.cases:
            ends += self._block(case.body, frame, branch)
        return ends

    # -- expressions --------------------------------------------------------------------------------------

    def _expression(self, node: ast.AST | None, frame: Frame, frontier: Frontier) -> Frontier:
        if node is None or node not in self._trail.unit.busy:
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

    def _choice(self, node: ast.IfExp, frame: Frame, frontier: Frontier) -> Frontier:
        branch = self._trail.append(self._trail.event(Act.BRANCH, node, frame), frontier)
        return [*self._expression(node.body, frame, branch), *self._expression(node.orelse, frame, branch)]

    def _call(self, call: ast.Call, frame: Frame, frontier: Frontier) -> Frontier:
        if isinstance(call.func, ast.Attribute):
            frontier = self._expression(call.func.value, frame, frontier)
        for argument in (*call.args, *call.keywords):
            frontier = self._expression(argument, frame, frontier)
        actions = self._trail.unit.actions.of(call)
        if actions:
            if actions[0].act in (Act.STEP, Act.SCALER_STEP):
                frontier = self._closures(call, frame, frontier)
            for action in actions:
                event = self._trail.event(self._act(action.act, call, frame), call, frame, action.target)
                frontier = self._trail.append(event, frontier)
            return frontier
        function = self._follower.called(call, frame)
        if function is not None and function in self._trail.unit.eventful:
            if self._follower.can_follow(function, frame):
                return self._follower.follow(function, call, frame, frontier)
            return self._trail.append(self._trail.opaque(call, frame), frontier)
        imported = self._follower.imported(call, frame) if function is None else None
        if imported is not None:
            return self._follower.follow_imported(imported, call, frame, frontier)
        if function is None and is_opaque(call, self._trail.unit.names):
            frontier = self._closures(call, frame, frontier)
            event = self._trail.opaque(call, frame)
            return self._trail.append(event, frontier) if event.touches else frontier
        return frontier

    def _closures(self, call: ast.Call, frame: Frame, frontier: Frontier) -> Frontier:
        """Functions of this file that are handed to a call may run in it: `optimizer.step(closure)`."""
        for argument in (*call.args, *(each.value for each in call.keywords)):
            if not isinstance(argument, (ast.Name, ast.Attribute)):
                continue
            function = self._trail.unit.values.calls.target(argument)
            if not isinstance(function, FUNCTIONS) or function not in self._trail.unit.eventful:
                continue
            if self._follower.can_follow(function, frame):
                probe = ast.copy_location(ast.Call(func=argument, args=[], keywords=[]), argument)
                frontier = self._follower.follow(function, probe, frame, frontier)
        return frontier


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
