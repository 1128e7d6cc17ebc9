"""Values: what an expression can hold.

A value is where it was made (the call, the literal, the class), followed through assignments, unpacking, parameters
(from the call sites in this file), attributes of `self`, returns of local functions and the calls that hand their
argument back. Where that is not known the value is `UNKNOWN`, and detectors are silent.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.classes import Classes
from detectors._engine.names.elsewhere import Elsewhere
from detectors._engine.names.libraries import OTHER_FRAMEWORKS, WRAPPERS, Kind, kind_made_by, kind_suggested_by
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import PREPARES, SAME_OBJECT, Subject, Subjects, last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.values.calls import Calls
from detectors._engine.values.value import UNKNOWN, Value

_DEPTH = 12
_STEPS = 1_500
"""Of one question: functions that call each other with their own parameters branch without end."""
_CALLABLE = frozenset(["typing.Callable", "collections.abc.Callable"])
_KIND_OF_PART = {
    ("deepspeed.initialize", 0): Kind.ENGINE,
    ("deepspeed.initialize", 1): Kind.OPTIMIZER,
    ("deepspeed.initialize", 2): Kind.LOADER,
    ("deepspeed.initialize", 3): Kind.SCHEDULER,
}


class Values:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, elsewhere: Elsewhere) -> None:
        self._tree = tree
        self._names = names
        self._elsewhere = elsewhere
        self.classes = Classes(tree, names, elsewhere)
        self.calls = Calls(tree, names, self.classes, self.class_held_by)
        self.subjects = Subjects(tree, names, self.class_held_by)
        self._known: dict[ast.AST, tuple[Value, ...]] = {}
        self._busy: set[ast.AST] = set()
        self._steps = 0
        self._cuts = 0
        """How often a question was left open because it was being asked already: what comes of that is not kept."""

    # -- what an expression holds -------------------------------------------------------------------------

    def of(self, node: ast.AST | None) -> tuple[Value, ...]:
        """Everything the expression can hold; `UNKNOWN` is one of them where something is out of sight."""
        if node is None:
            return (UNKNOWN,)
        known = self._known.get(node)
        if known is not None:
            return known
        self._steps = self._steps + 1 if self._busy else 0
        if node in self._busy or len(self._busy) > _DEPTH or self._steps > _STEPS:
            self._cuts += 1
            return (UNKNOWN,)
        self._busy.add(node)
        cuts = self._cuts
        found = tuple(dict.fromkeys(self._find(node))) or (UNKNOWN,)
        self._busy.discard(node)
        if not self._busy or self._cuts == cuts or not any(map(_may_be_cut, found)):
            self._known[node] = found
        return found

    def only(self, node: ast.AST | None) -> Value:
        """The one value the expression can hold, else `UNKNOWN`."""
        values = self.of(node)
        return values[0] if len(values) == 1 else UNKNOWN

    def known(self, node: ast.AST | None) -> list[Value]:
        """The known ones among the values."""
        return [each for each in self.of(node) if each is not UNKNOWN]

    def _find(self, node: ast.AST) -> Iterator[Value]:
        match node:
            case ast.Constant():
                yield Value(_kind_of_constant(node.value), f"builtins.{type(node.value).__name__}", node)
            case ast.Name():
                yield from self._name(node)
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Call():
                yield from self._call(node)
            case ast.IfExp():
                yield from (*self.of(node.body), *self.of(node.orelse))
            case ast.BoolOp():
                for operand in node.values:
                    yield from self.of(operand)
            case ast.NamedExpr() | ast.Await() | ast.Starred():
                yield from self.of(node.value)
            case ast.Subscript():
                yield from self._subscript(node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                yield Value(Kind.NUMBER, "builtins.float", node)
            case (
                ast.List() | ast.Tuple() | ast.Set() | ast.Dict() | ast.ListComp() | ast.DictComp() | ast.GeneratorExp()
            ):
                yield Value(Kind.UNKNOWN, f"builtins.{_display(node)}", node)
            case ast.JoinedStr():
                yield Value(Kind.TEXT, "builtins.str", node)
            case _:
                yield UNKNOWN

    def _name(self, node: ast.Name) -> Iterator[Value]:
        bindings = self._names.reaching(node)
        if not bindings:
            yield UNKNOWN
        for binding in bindings:
            yield from self.held_by(binding)

    def held_by(self, binding: Binding) -> Iterator[Value]:
        """What a binding puts into its name."""
        match binding.how:
            case Bound.ASSIGNMENT:
                yield from self.of(binding.value)
            case Bound.PART:
                yield from self._part(binding.value, binding.index)
            case Bound.CONTEXT if not binding.index:
                yield from self.of(binding.value)
            case Bound.PARAMETER:
                yield from self._parameter(binding)
            case Bound.ITEM:
                yield from self._item(binding)
            case _:
                yield UNKNOWN

    def _part(self, value: ast.expr | None, index: tuple[int, ...]) -> Iterator[Value]:
        """The element at `index` of what the expression returns."""
        for whole in self.of(value):
            node = whole.node
            for position in index:
                elements = node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
                node = elements[position] if position < len(elements) else None
            if node is not None:
                yield from self.of(node)
            elif whole is UNKNOWN or whole.call is None:
                yield UNKNOWN
            elif self._prepares(whole.call):
                arguments = whole.call.args
                yield from self.of(arguments[index[0]]) if len(arguments) > index[0] else (UNKNOWN,)
            else:
                kind = _KIND_OF_PART.get((whole.origin or "", index[0]), Kind.UNKNOWN)
                yield replace(whole, kind=kind, index=(*whole.index, *index))

    def _prepares(self, call: ast.Call) -> bool:
        """`accelerator.prepare(model, optimizer)` and its relatives hand their arguments back."""
        return isinstance(call.func, ast.Attribute) and call.func.attr in PREPARES

    def _item(self, binding: Binding) -> Iterator[Value]:
        """What a loop target holds: an element of a literal, the whole of `enumerate`/`zip` resolved."""
        iterable, index = binding.value, binding.index
        if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and index:
            called, given = iterable.func.id, iterable.args
            if called == "enumerate" and index[0] == 1 and given:
                iterable, index = given[0], index[1:]
            elif called == "zip" and index[0] < len(given):
                iterable, index = given[index[0]], index[1:]
        for whole in self.of(iterable):
            if isinstance(whole.node, (ast.List, ast.Tuple, ast.Set)) and not index:
                for element in whole.node.elts:
                    yield from self.of(element)
            else:
                yield UNKNOWN

    def _parameter(self, binding: Binding) -> Iterator[Value]:
        scope = binding.scope
        if not isinstance(scope, FUNCTIONS):
            yield UNKNOWN
            return
        method = self._tree.class_of(scope)
        if method is not None and scope.args.args and scope.args.args[0].arg == binding.name:
            yield Value(self.classes.kind(method), self._names.local_origin(method), ast.Name(binding.name))
            return
        told = self._names.origin(_annotation(binding.node)) or ""
        annotated = self._kind_made_by(told)
        if told in _CALLABLE:
            yield Value(Kind.UNKNOWN, told)
            return
        if annotated is not Kind.UNKNOWN:
            yield Value(annotated, None, None)
        given = list(self.calls.given_for(scope, binding.name))
        for argument in given:
            yield from self.of(argument)
        if not given and annotated is Kind.UNKNOWN:
            yield UNKNOWN

    def _attribute(self, node: ast.Attribute) -> Iterator[Value]:
        owner = self.class_held_by(node.value)
        if owner is None:
            if node.attr == "module":
                yield from self.of(node.value)
            else:
                yield UNKNOWN
            return
        bindings = self.classes.attribute_bindings(owner, node.attr)
        if not bindings:
            yield UNKNOWN
        for binding in bindings:
            yield from self.held_by(binding)

    def class_held_by(self, node: ast.AST) -> ast.ClassDef | None:
        """The class of this file whose instance (or self) the expression is."""
        for value in self.of(node):
            if value.origin is not None and value.origin.startswith("<local>."):
                found = self.classes.named(value.origin.removeprefix("<local>."))
                if found is not None:
                    return found
        return None

    def _subscript(self, node: ast.Subscript) -> Iterator[Value]:
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        for whole in self.of(node.value):
            if isinstance(whole.node, ast.Dict) and index is not None:
                keys = [each.value if isinstance(each, ast.Constant) else None for each in whole.node.keys]
                yield from self.of(whole.node.values[keys.index(index)] if index in keys else None)
            elif isinstance(index, int):
                yield from self._part(node.value, (index,))
                return
            else:
                yield UNKNOWN

    # -- calls --------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Iterator[Value]:
        origin = self._names.origin(node.func)
        if origin is not None and WRAPPERS.match(origin) and node.args:
            for inner in self.of(node.args[0]):
                kind = kind_made_by(origin) if inner.kind is Kind.UNKNOWN else inner.kind
                yield replace(inner, kind=kind, wrappers=(origin, *inner.wrappers), node=inner.node or node)
            return
        if origin == "builtins.getattr" and len(node.args) > 1:
            yield from self._named_attribute(node)
            return
        callee = self.calls.callee(node)
        if isinstance(callee, ast.ClassDef):
            yield Value(self.classes.kind(callee), self._names.local_origin(callee), node)
        elif callee is not None:
            yield from self._returned_by(callee, node)
        elif origin is not None:
            yield Value(self._kind_made_by(origin), origin, node)
        elif isinstance(node.func, ast.Attribute):
            yield from self._method_result(node, node.func)
        else:
            yield UNKNOWN

    def _named_attribute(self, node: ast.Call) -> Iterator[Value]:
        """What `getattr(self, f"scaler{i}")` gives: the values that `setattr` of the class stores under such names."""
        owner, start = self._class_around(node), _fixed_start(node.args[1])
        stored = [
            each.args[2]
            for each in self._tree.all(ast.Call)
            if owner is not None
            and start
            and len(each.args) == 3
            and self._names.origin(each.func) == "builtins.setattr"
            and self._class_around(each) is owner
            and ast.dump(each.args[0]) == ast.dump(node.args[0])
            and _fixed_start(each.args[1]) == start
        ]
        for value in stored:
            yield from self.of(value)
        if not stored:
            yield Value(Kind.UNKNOWN, "builtins.getattr", node)

    def _class_around(self, node: ast.AST) -> ast.ClassDef | None:
        return next((each for each in self._tree.ancestors(node) if isinstance(each, ast.ClassDef)), None)

    def _kind_made_by(self, origin: str) -> Kind:
        """What a call of it makes: a library's tables say so, or another file of the repository."""
        kind = kind_made_by(origin)
        return kind if kind is not Kind.UNKNOWN else self._elsewhere.kind(origin)

    def _method_result(self, node: ast.Call, func: ast.Attribute) -> Iterator[Value]:
        if func.attr in SAME_OBJECT:
            yield from self.of(func.value)
        elif (func.attr == "unwrap_model" and node.args) or (func.attr in PREPARES and len(node.args) == 1):
            yield from self.of(node.args[0])
        else:
            owners = {each.origin for each in self.of(func.value) if each.origin and each is not UNKNOWN}
            owner = owners.pop() if len(owners) == 1 else None
            yield Value(Kind.UNKNOWN, f"{owner}().{func.attr}" if owner else None, node)

    def _returned_by(self, function: Function, call: ast.Call) -> Iterator[Value]:
        if isinstance(function, ast.AsyncFunctionDef) and not isinstance(self._tree.parents.get(call), ast.Await):
            yield UNKNOWN
            return
        returns = [each for each in self.calls.returns(function) if each.value is not None]
        if not returns or self.calls.is_generator(function):
            yield Value(Kind.UNKNOWN, None, call)
        for statement in returns:
            yield from self.of(statement.value)

    # -- the object and its kind --------------------------------------------------------------------------

    def subject(self, node: ast.AST | None) -> Subject | None:
        """The identity of the object an expression means."""
        return self.subjects.of(node)

    def kind(self, node: ast.AST | None) -> Kind:
        """The kind of object the expression holds: by origin, else by how the file uses it, else by its name."""
        values = self.of(node)
        kinds = {each.kind for each in values} - {Kind.UNKNOWN}
        if len(kinds) == 1:
            return kinds.pop()
        built_in = {each.origin for each in values if (each.origin or "").startswith("builtins.")}
        if kinds or built_in - {"builtins.NoneType"}:  # None stands for what is set later
            return Kind.UNKNOWN
        if any((each.origin or "").partition(".")[0] in OTHER_FRAMEWORKS for each in values):
            return Kind.UNKNOWN
        by_use = self._kind_by_use(node)
        if any(each.origin in _CALLABLE for each in values):
            return by_use or Kind.UNKNOWN  # whatever may be called, a model by its name or not
        return by_use or kind_suggested_by("module" if _is_own_module(node) else last_name(node))

    def is_strong(self, node: ast.AST | None) -> bool:
        """Whether `kind` rests on an origin rather than on names and use."""
        return any(each.kind is not Kind.UNKNOWN for each in self.of(node))

    def _kind_by_use(self, node: ast.AST | None) -> Kind | None:
        subject = self.subject(node)
        if subject is None:
            return None
        used = self.subjects.methods_called_on(subject)
        if "zero_grad" in used and "step" in used and not used & {"backward", "forward", "train", "eval"}:
            return Kind.OPTIMIZER
        if "unscale_" in used or ("scale" in used and "step" in used):
            return Kind.SCALER
        if used & {"state_dict", "parameters", "named_parameters"} and used & {"train", "eval", "parameters"}:
            return Kind.MODEL
        if "set_epoch" in used:
            return Kind.SAMPLER
        return None


def _is_own_module(node: ast.AST | None) -> bool:
    """`self.module`: what a class holds under that name, and not what a wrapper wraps."""
    return isinstance(node, ast.Attribute) and node.attr == "module" and ast.unparse(node.value) == "self"


def _may_be_cut(value: Value) -> bool:
    """Whether the value, or what it wraps, is unknown."""
    return value is UNKNOWN or (bool(value.wrappers) and value.origin is None)


def _annotation(node: ast.AST) -> ast.AST | None:
    annotation = node.annotation if isinstance(node, ast.arg) else None
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return annotation.left
    if isinstance(annotation, ast.Subscript) and last_name(annotation.value) == "Optional":
        return annotation.slice
    if isinstance(annotation, ast.Subscript) and last_name(annotation.value) == "Callable":
        return annotation.value
    return annotation


def _kind_of_constant(value: object) -> Kind:
    if isinstance(value, str):
        return Kind.TEXT
    return Kind.NUMBER if isinstance(value, (int, float)) and not isinstance(value, bool) else Kind.UNKNOWN


def _display(node: ast.AST) -> str:
    return {ast.Tuple: "tuple", ast.Set: "set", ast.Dict: "dict", ast.DictComp: "dict"}.get(type(node), "list")


def _fixed_start(name: ast.expr) -> str:
    """The text that a formatted attribute name begins with, "" where it is no such."""
    first = name.values[0] if isinstance(name, ast.JoinedStr) and len(name.values) == 2 else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
