"""Provenance: where data comes from, traced backwards from an expression to everything it was made from.

Through assignments, unpacking, column writes (`df[c] = …`), in-place calls, `.values`, arithmetic, concatenation, calls
out of sight (their result is made from their arguments), and local functions (their returns, with the parameters of
the very call). Sizes and names (`len(x)`, `df.columns`, `x.shape`) are not data.
"""

import ast
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Scope, Tree
from detectors._engine.values.values import Values

_LIMIT = 400
_DEPTH = 4
_NO_DATA = frozenset(
    [
        "shape",
        "size",
        "ndim",
        "dtype",
        "columns",
        "index",
        "device",
        "names",
        "classes_",
        "feature_names",
        "nrows",
        "ncols",
        "n_features_in_",
    ]
)
_SIZES = frozenset(
    [
        "len",
        "range",
        "int",
        "str",
        "print",
        "type",
        "isinstance",
        "id",
        "hash",
        "bool",
        "float",
        "open",
        "sorted_index",
        "getattr",
        "hasattr",
        "max",
        "min",
    ]
)
_SIZE_CALLS = frozenset(
    ["arange", "linspace", "zeros", "ones", "empty", "zeros_like", "ones_like", "empty_like", "full_like", "randint"]
)
_GROWING = frozenset({"append", "extend", "insert", "add", "update"})

Calls = tuple[ast.Call, ...]
Place = tuple[ast.expr, Calls]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One expression the data passed through; `calls` are the local calls that lead into its function."""

    node: ast.expr
    calls: Calls
    after: "Step | None" = None

    @property
    def path(self) -> Iterator["Step"]:
        """From this step on to the expression that was asked about."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.after


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A statement that changes an object in place: what is put in, and where."""

    statement: ast.stmt
    values: tuple[ast.expr, ...]


class Provenance:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._writes: dict[tuple[Scope, str], list[Write]] | None = None

    def trace(self, node: ast.expr, *, stop: Callable[[ast.expr], bool] = lambda node: False) -> Iterator[Step]:
        """Every expression this one is made from, nearest first, itself included; not beyond where `stop` holds."""
        first = Step(node, ())
        rest = deque([first])
        seen: set[tuple[ast.AST, Calls]] = {(node, ())}
        while rest and len(seen) < _LIMIT:
            step = rest.popleft()
            yield step
            if stop(step.node):
                continue
            for before, calls in self._made_from(step.node, step.calls):
                if (before, calls) not in seen:
                    seen.add((before, calls))
                    rest.append(Step(before, calls, step))

    def bindings(self, node: ast.expr) -> frozenset[Binding]:
        """The bindings behind the object an expression is (part of): `df[cols].values` is of `df`."""
        base = root_of(node)
        return frozenset(self._names.reaching(base)) if isinstance(base, ast.Name) else frozenset()

    # -- one step back ------------------------------------------------------------------------------------

    def _made_from(self, node: ast.expr, calls: Calls) -> Iterator[Place]:
        match node:
            case ast.Name():
                yield from self._made_from_name(node, calls)
            case ast.Attribute():
                yield from self._made_from_attribute(node, calls)
            case ast.Call():
                yield from self._made_from_call(node, (), calls)
            case ast.Subscript():
                yield from self._item(node, calls)
            case ast.BinOp():
                yield node.left, calls
                yield node.right, calls
            case ast.Compare():
                for side in (node.left, *node.comparators):
                    yield side, calls
            case ast.IfExp():
                yield node.body, calls
                yield node.orelse, calls
            case ast.BoolOp():
                for operand in node.values:
                    yield operand, calls
            case ast.UnaryOp():
                yield node.operand, calls
            case ast.Starred() | ast.Await() | ast.NamedExpr():
                yield node.value, calls
            case ast.List() | ast.Tuple() | ast.Set():
                for element in node.elts:
                    yield element, calls
            case ast.Dict():
                for value in node.values:
                    yield value, calls
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                yield node.elt, calls

    def _item(self, node: ast.Subscript, calls: Calls) -> Iterator[Place]:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        for whole in self._values.of(node.value) if key is not None else ():
            if isinstance(whole.node, ast.Dict):
                keys = [each.value if isinstance(each, ast.Constant) else None for each in whole.node.keys]
                if key in keys:
                    yield whole.node.values[keys.index(key)], calls
                    return
        if isinstance(key, int) and isinstance(node.value, ast.Call):
            yield from self._part(node.value, (key,), calls)
        else:
            yield node.value, calls

    def _made_from_name(self, node: ast.Name, calls: Calls) -> Iterator[Place]:
        bindings = self._names.reaching(node)
        for binding in bindings:
            if binding.how is Bound.PARAMETER:
                yield from self._given(binding, calls)
            elif binding.how is Bound.PART and binding.value is not None:
                yield from self._part(binding.value, binding.index, calls)
            elif binding.how is Bound.ITEM and binding.value is not None:
                yield self._iterated(binding.value, binding.index), calls
            elif binding.value is not None:
                yield binding.value, calls
        for write in self._reaching_writes(node, bindings):
            for value in write.values:
                yield value, calls

    def _given(self, binding: Binding, calls: Calls) -> Iterator[Place]:
        scope = binding.scope
        if not isinstance(scope, FUNCTIONS):
            return
        if calls:
            argument = self._values.calls.argument_for(scope, calls[-1], binding.name)
            if argument is not None:
                yield argument, calls[:-1]
            return
        for given in self._values.calls.given_for(scope, binding.name):
            if given is not None:
                yield given, ()

    def _part(self, value: ast.expr, index: tuple[int, ...], calls: Calls) -> Iterator[Place]:
        node: ast.expr = value
        for depth, position in enumerate(index):
            if isinstance(node, (ast.Tuple, ast.List)) and position < len(node.elts):
                node = node.elts[position]
            elif isinstance(node, ast.Call):
                yield from self._made_from_call(node, index[depth:], calls)
                return
            else:
                break
        yield node, calls

    @staticmethod
    def _iterated(value: ast.expr, index: tuple[int, ...]) -> ast.expr:
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.args:
            if value.func.id == "enumerate" and index[:1] == (1,):
                return Provenance._iterated(value.args[0], index[1:])
            if value.func.id == "zip" and index and index[0] < len(value.args):
                return value.args[index[0]]
        return value

    def _made_from_attribute(self, node: ast.Attribute, calls: Calls) -> Iterator[Place]:
        if node.attr in _NO_DATA or self._names.origin(node) is not None:
            return
        owner = self._values.class_held_by(node.value)
        if owner is None:
            yield node.value, calls
            return
        for binding in self._values.classes.attribute_bindings(owner, node.attr):
            if binding.value is None:
                continue
            if binding.how is Bound.PART:
                yield from self._part(binding.value, binding.index, ())
            else:
                yield binding.value, ()
        for write in self._all_writes().get((owner, node.attr), ()):
            for value in write.values:
                yield value, ()

    def _made_from_call(self, call: ast.Call, index: tuple[int, ...], calls: Calls) -> Iterator[Place]:
        """What the call's result (its element at `index`) is made from; the call itself where that is out of sight."""
        callee = self._values.calls.callee(call)
        if isinstance(callee, FUNCTIONS):
            if len(calls) >= _DEPTH or call in calls:
                return
            for statement in self._values.calls.returns(callee):
                if statement.value is not None and index:
                    yield from self._part(statement.value, index, (*calls, call))
                elif statement.value is not None:
                    yield statement.value, (*calls, call)
            return
        if index:
            yield call, calls
            return
        if callee is not None and len(calls) < _DEPTH and call not in calls:
            yield from self._held_by_instance(callee, call, calls)
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if (isinstance(call.func, ast.Name) and last in _SIZES) or last in _SIZE_CALLS:
            return
        if isinstance(call.func, ast.Attribute) and self._names.origin(call.func) is None:
            yield call.func.value, calls
        for argument in (*call.args, *(each.value for each in call.keywords)):
            yield argument, calls

    def _held_by_instance(self, owner: ast.ClassDef, call: ast.Call, calls: Calls) -> Iterator[Place]:
        """What a new object of a class of this file keeps: the attributes its `__init__` sets."""
        made = self._values.classes.method(owner, "__init__")
        for binding in self._values.classes.all_attribute_bindings(owner) if made is not None else ():
            if binding.value is not None and self._tree.function(binding.node) is made:
                if binding.how is Bound.PART:
                    yield from self._part(binding.value, binding.index, (*calls, call))
                else:
                    yield binding.value, (*calls, call)

    # -- changes in place ---------------------------------------------------------------------------------

    def _reaching_writes(self, use: ast.Name, bindings: tuple[Binding, ...]) -> Iterator[Write]:
        scope = bindings[0].scope if bindings else self._tree.module
        writes = self._all_writes().get((scope, use.id))
        if not writes:
            return
        bound = min((each.node.lineno for each in bindings if hasattr(each.node, "lineno")), default=0)
        same = self._tree.scope(use) is scope
        above = {use, *self._tree.ancestors(use)}
        for write in writes:
            line = write.statement.lineno
            if write.statement in above or line < bound or (same and line >= use.lineno):
                continue
            if not self._other_branch(write.statement, above):
                yield write

    def _other_branch(self, statement: ast.stmt, above: set[ast.AST]) -> bool:
        below: ast.AST = statement
        for parent in self._tree.ancestors(statement):
            if parent in above:
                if not isinstance(parent, ast.If):
                    return False
                mine = parent.body if below in parent.body else parent.orelse
                return not any(each in above for each in mine) and any(
                    each in above for each in (*parent.body, *parent.orelse)
                )
            below = parent
        return False

    def _all_writes(self) -> dict[tuple[Scope, str], list[Write]]:
        """Changes in place, by the scope (or class, for attributes) and the name of the object."""
        if self._writes is None:
            self._writes = defaultdict(list)
            for assign in self._tree.all(ast.Assign):
                for target in assign.targets:
                    if isinstance(target, (ast.Subscript, ast.Attribute)):
                        self._add_write(target, assign, (assign.value,))
            for update in self._tree.all(ast.AugAssign):
                if isinstance(update.target, (ast.Subscript, ast.Attribute)):
                    self._add_write(update.target, update, (update.value,))
            for statement in self._tree.all(ast.Expr):
                call = statement.value
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                    continue
                if call.func.attr in _GROWING:
                    self._add_write(call.func.value, statement, (*call.args, *(k.value for k in call.keywords)))
                elif any(each.arg == "inplace" for each in call.keywords):
                    self._add_write(call.func.value, statement, (call,))
        return self._writes

    def _add_write(self, target: ast.expr, statement: ast.stmt, values: tuple[ast.expr, ...]) -> None:
        assert self._writes is not None
        base = root_of(target)
        if isinstance(base, ast.Attribute) and base is not target:
            owner = self._values.class_held_by(base.value)
            if owner is not None:
                self._writes[owner, base.attr].append(Write(statement, values))
        elif isinstance(base, ast.Name) and base.id not in ("self", "cls"):
            bindings = self._names.bindings.of(base.id, self._tree.scope(base))
            scope = bindings[0].scope if bindings else self._tree.module
            self._writes[scope, base.id].append(Write(statement, values))


def root_of(node: ast.expr) -> ast.expr:
    """The object an expression is a part or view of: `df` for `df.loc[rows, "a"].values`."""
    while True:
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                return node
            case ast.Attribute() | ast.Subscript() | ast.Starred():
                node = node.value
            case _:
                return node
