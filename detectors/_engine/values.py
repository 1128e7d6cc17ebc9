"""Values: what an expression can hold, and when two expressions mean the same object.

A value is where it was made (the call, the literal, the class), followed through assignments, unpacking, parameters
(from the call sites in this file), attributes of `self`, returns of local functions and the calls that hand their
argument back. Where that is not known the value is `UNKNOWN`, and detectors are silent.
"""

import ast
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from detectors._engine.libraries import WRAPPERS, Kind, kind_made_by, kind_suggested_by
from detectors._engine.names import Binding, Bound, Names
from detectors._engine.tree import FUNCTIONS, Function, Tree

_DEPTH = 12
_STEPS = 1_500
"""Of one question: functions that call each other with their own parameters branch without end."""
_SAME_OBJECT = frozenset(
    [
        "to",
        "cuda",
        "cpu",
        "float",
        "half",
        "double",
        "bfloat16",
        "train",
        "eval",
        "requires_grad_",
        "share_memory",
        "to_empty",
        "apply",
        "compile",
    ]
)
_PREPARE = frozenset({"prepare", "setup", "prepare_model", "setup_module", "setup_dataloaders", "setup_optimizers"})

Subject = Hashable
"""Identity of an object: equal subjects mean the same object."""


@dataclass(frozen=True, slots=True)
class Value:
    """One object an expression can hold.

    `node` is the expression that made it; `origin` what was called (`torch.optim.Adam`, `<local>.Net`) or the type of
    a literal (`builtins.int`); `index` the part of it that is meant. `wrappers` are the origins of the calls it was
    handed through, outermost first (`torch.nn.parallel.DistributedDataParallel`).
    """

    kind: Kind = Kind.UNKNOWN
    origin: str | None = None
    node: ast.expr | None = None
    index: tuple[int, ...] = ()
    wrappers: tuple[str, ...] = ()

    @property
    def call(self) -> ast.Call | None:
        """The call that made the object, None for a literal or an unknown."""
        return self.node if isinstance(self.node, ast.Call) else None

    @property
    def constant(self) -> object:
        """The literal's value, None for everything else."""
        return self.node.value if isinstance(self.node, ast.Constant) else None


UNKNOWN: Final = Value()


class Values:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._tree = tree
        self._names = names
        self._known: dict[ast.AST, tuple[Value, ...]] = {}
        self._busy: set[ast.AST] = set()
        self._steps = 0
        self._subjects: dict[ast.AST, Subject | None] = {}
        self._call_sites: dict[ast.AST, list[ast.Call]] | None = None
        self._attributes: dict[ast.ClassDef, dict[str, list[Binding]]] | None = None
        self._used_as: dict[Subject, set[str]] | None = None
        self._returns: dict[Function | None, list[ast.Return]] | None = None
        self._generators: set[Function | None] | None = None

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
            return (UNKNOWN,)
        self._busy.add(node)
        found = tuple(dict.fromkeys(self._find(node))) or (UNKNOWN,)
        self._busy.discard(node)
        if not self._busy or UNKNOWN not in found:
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
        return isinstance(call.func, ast.Attribute) and call.func.attr in _PREPARE

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
            yield Value(self.kind_of_class(method), f"<local>.{method.name}", ast.Name(binding.name))
            return
        annotated = kind_made_by(self._names.origin(_annotation(binding.node)) or "")
        if annotated is not Kind.UNKNOWN:
            yield Value(annotated, None, None)
        given = list(self.given_for(scope, binding.name))
        for argument in given:
            yield from self.of(argument)
        if not given and annotated is Kind.UNKNOWN:
            yield UNKNOWN

    def given_for(self, function: Function, parameter: str) -> Iterator[ast.expr | None]:
        """What the call sites in this file pass for a parameter: an expression, or None where it is not seen."""
        for call in self.call_sites(function):
            yield self.argument_for(function, call, parameter)

    def argument_for(self, function: Function, call: ast.Call, parameter: str) -> ast.expr | None:
        """The expression a call gives for a parameter (its default where it is left out), None if unknown.

        What `functools.partial` bound before counts as given.
        """
        bound = self._partial(call)
        given = [*bound.args[1:], *call.args] if bound is not None else call.args
        keywords = [*call.keywords, *bound.keywords] if bound is not None else call.keywords
        for keyword in keywords:
            if keyword.arg == parameter:
                return keyword.value
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if self._tree.class_of(function) is not None and not self._is_static(function):
            names = names[1:]
        position = names.index(parameter) if parameter in names else len(given)
        if any(isinstance(each, ast.Starred) for each in given[: position + 1]):
            return None
        if position < len(given):
            return given[position]
        if any(keyword.arg is None for keyword in keywords):
            return None
        return default_of(function, parameter)

    def _partial(self, call: ast.Call) -> ast.Call | None:
        """The `functools.partial(…)` that the called name was assigned from."""
        if not isinstance(call.func, ast.Name):
            return None
        bindings = self._names.reaching(call.func)
        value = bindings[0].value if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT else None
        is_partial = isinstance(value, ast.Call) and self._names.origin(value.func) == "functools.partial"
        return value if is_partial and isinstance(value, ast.Call) else None

    @staticmethod
    def _is_static(function: Function) -> bool:
        return any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)

    def _attribute(self, node: ast.Attribute) -> Iterator[Value]:
        owner = self.class_held_by(node.value)
        if owner is None:
            if node.attr == "module":
                yield from self.of(node.value)
            else:
                yield UNKNOWN
            return
        bindings = self.attribute_bindings(owner, node.attr)
        if not bindings:
            yield UNKNOWN
        for binding in bindings:
            yield from self.held_by(binding)

    def class_held_by(self, node: ast.AST) -> ast.ClassDef | None:
        """The class of this file whose instance (or self) the expression is."""
        for value in self.of(node):
            if value.origin is not None and value.origin.startswith("<local>."):
                found = self.class_named(value.origin.removeprefix("<local>."))
                if found is not None:
                    return found
        return None

    def class_named(self, name: str) -> ast.ClassDef | None:
        """The class of this file by its name."""
        return next((each for each in self._tree.all(ast.ClassDef) if each.name == name), None)

    def attribute_bindings(self, owner: ast.ClassDef, name: str) -> list[Binding]:
        """Every assignment to `self.NAME` in the class and its bases in this file, and in its body."""
        if self._attributes is None:
            self._attributes = self._collect_attributes()
        found: list[Binding] = []
        for each in self.lineage(owner):
            found += self._attributes.get(each, {}).get(name, [])
            found += self._names.all_bindings(each).get(name, [])
        return found

    def all_attribute_bindings(self, owner: ast.ClassDef) -> list[Binding]:
        """Every assignment to an attribute of `self` in the class itself."""
        if self._attributes is None:
            self._attributes = self._collect_attributes()
        return [each for bindings in self._attributes.get(owner, {}).values() for each in bindings]

    def _collect_attributes(self) -> dict[ast.ClassDef, dict[str, list[Binding]]]:
        found: dict[ast.ClassDef, dict[str, list[Binding]]] = defaultdict(lambda: defaultdict(list))
        for assign in self._tree.all(ast.Assign, ast.AnnAssign):
            targets = assign.targets if isinstance(assign, ast.Assign) else [assign.target]
            if assign.value is None:
                continue
            for target in targets:
                for attribute, index in _flat(target):
                    method = self._self_method(attribute)
                    if method is None:
                        continue
                    how = Bound.PART if index else Bound.ASSIGNMENT
                    binding = Binding(attribute.attr, how, assign, method[0], assign.value, index)
                    found[method[1]][attribute.attr].append(binding)
        return found

    def _self_method(self, attribute: ast.Attribute) -> tuple[Function, ast.ClassDef] | None:
        """The method and class whose first parameter the attribute hangs on."""
        if not isinstance(attribute.value, ast.Name):
            return None
        function = self._tree.function(attribute)
        while function is not None:
            owner = self._tree.class_of(function)
            if owner is not None:
                arguments = function.args.args
                is_self = bool(arguments) and arguments[0].arg == attribute.value.id
                return (function, owner) if is_self else None
            function = self._tree.function(function)
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
        callee = self.callee(node)
        if isinstance(callee, ast.ClassDef):
            yield Value(self.kind_of_class(callee), f"<local>.{callee.name}", node)
        elif callee is not None:
            yield from self._returned_by(callee, node)
        elif origin is not None:
            yield Value(kind_made_by(origin), origin, node)
        elif isinstance(node.func, ast.Attribute):
            yield from self._method_result(node, node.func)
        else:
            yield UNKNOWN

    def _method_result(self, node: ast.Call, func: ast.Attribute) -> Iterator[Value]:
        if func.attr in _SAME_OBJECT:
            yield from self.of(func.value)
        elif (func.attr == "unwrap_model" and node.args) or (func.attr in _PREPARE and len(node.args) == 1):
            yield from self.of(node.args[0])
        else:
            owners = {each.origin for each in self.of(func.value) if each.origin and each is not UNKNOWN}
            owner = owners.pop() if len(owners) == 1 else None
            yield Value(Kind.UNKNOWN, f"{owner}().{func.attr}" if owner else None, node)

    def _returned_by(self, function: Function, call: ast.Call) -> Iterator[Value]:
        if isinstance(function, ast.AsyncFunctionDef) and not isinstance(self._tree.parents.get(call), ast.Await):
            yield UNKNOWN
            return
        returns = [each for each in self.returns(function) if each.value is not None]
        if not returns or self.is_generator(function):
            yield Value(Kind.UNKNOWN, None, call)
        for statement in returns:
            yield from self.of(statement.value)

    def returns(self, function: Function) -> list[ast.Return]:
        """The function's own return statements."""
        if self._returns is None:
            self._returns = defaultdict(list)
            for statement in self._tree.all(ast.Return):
                self._returns[self._tree.function(statement)].append(statement)
        return self._returns[function]

    def is_generator(self, function: Function) -> bool:
        """Whether calling the function makes a generator."""
        if self._generators is None:
            self._generators = {self._tree.function(each) for each in self._tree.all(ast.Yield, ast.YieldFrom)}
        return function in self._generators

    def callee(self, call: ast.Call) -> Function | ast.ClassDef | None:
        """The function, method or class of this file that a call runs, None where it is not in this file."""
        return self.target(call.func)

    def target(self, func: ast.expr, depth: int = 0) -> Function | ast.ClassDef | None:
        """The function, method or class of this file that an expression means, were it called."""
        if depth > 4:
            return None
        if isinstance(func, ast.Attribute):
            if (
                isinstance(func.value, ast.Call)
                and isinstance(func.value.func, ast.Name)
                and func.value.func.id == "super"
            ):
                own = self._tree.enclosing(func, ast.ClassDef)
                return self.method(own, func.attr, skip_own=True) if own is not None else None
            owner = self.class_held_by(func.value)
            if owner is None and (self._names.origin(func.value) or "").startswith("<local>."):
                owner = self.class_named((self._names.origin(func.value) or "").removeprefix("<local>."))
            return self.method(owner, func.attr) if owner is not None else None
        if not isinstance(func, ast.Name):
            return None
        targets = [self._bound_target(each, depth) for each in self._names.reaching(func)]
        return targets[0] if len(targets) == 1 else None

    def _bound_target(self, binding: Binding, depth: int) -> Function | ast.ClassDef | None:
        if isinstance(binding.node, (*FUNCTIONS, ast.ClassDef)):
            return binding.node
        value = binding.value
        if binding.how is not Bound.ASSIGNMENT or value is None:
            return None
        if isinstance(value, ast.Call):  # partial(f, …), torch.compile(f): the same function
            origin = self._names.origin(value.func) or ""
            handed_on = origin in (
                "functools.partial",
                "functools.wraps",
                "torch.compile",
                "torch.jit.script",
            )
            return self.target(value.args[0], depth + 1) if handed_on and value.args else None
        return self.target(value, depth + 1)

    def method(self, owner: ast.ClassDef, name: str, *, skip_own: bool = False) -> Function | None:
        """The method of the class or of its bases in this file."""
        for each in self.lineage(owner)[1 if skip_own else 0 :]:
            for statement in each.body:
                if isinstance(statement, FUNCTIONS) and statement.name == name:
                    return statement
        return None

    def lineage(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The class and its bases that are in this file, nearest first."""
        found: list[ast.ClassDef] = []
        rest = [owner]
        while rest and len(found) < 20:
            each = rest.pop(0)
            if each in found:
                continue
            found.append(each)
            for base in each.bases:
                if (self._names.origin(base) or "").startswith("<local>."):
                    named = self.class_named((self._names.origin(base) or "").removeprefix("<local>."))
                    rest += [named] if named is not None else []
        return found

    def bases(self, owner: ast.ClassDef) -> list[str]:
        """The origins of all bases outside this file; "?" for one that is not known."""
        found = []
        for each in self.lineage(owner):
            for base in each.bases:
                node = base.value if isinstance(base, ast.Subscript) else base
                origin = self._names.origin(node)
                if origin is None or not origin.startswith("<local>."):
                    found.append(origin or "?")
        return found

    def kind_of_class(self, owner: ast.ClassDef) -> Kind:
        """What instances of a class of this file are."""
        for origin in self.bases(owner):
            last = origin.rpartition(".")[2]
            if origin in _KIND_OF_BASE:
                return _KIND_OF_BASE[origin]
            if kind_made_by(origin) is not Kind.UNKNOWN:
                return kind_made_by(origin)
            if last.endswith(("Module", "PreTrainedModel")):
                return Kind.MODEL
        return Kind.UNKNOWN

    def call_sites(self, function: ast.AST) -> list[ast.Call]:
        """The calls in this file that run the function (a class's calls for its `__init__`)."""
        if self._call_sites is None:
            self._call_sites = defaultdict(list)
            names = {each.name for each in self._tree.all(*FUNCTIONS, ast.ClassDef)}
            for call in self._tree.all(ast.Call):
                last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
                target = self.callee(call) if last in names or isinstance(call.func, ast.Name) else None
                if isinstance(target, ast.ClassDef):
                    target = self.method(target, "__init__") or target
                if target is not None:
                    self._call_sites[target].append(call)
        return self._call_sites.get(function, [])

    # -- identity and kind --------------------------------------------------------------------------------

    def subject(self, node: ast.AST | None) -> Subject | None:
        """The identity of the object an expression means; None where it has none (a fresh value, a literal)."""
        if node is None:
            return None
        if node not in self._subjects:
            self._subjects[node] = None
            self._subjects[node] = self._find_subject(node)
        return self._subjects[node]

    def _find_subject(self, node: ast.AST) -> Subject | None:
        match node:
            case ast.Name():
                return self._subject_of_name(node)
            case ast.Attribute(attr="module") if self.class_held_by(node.value) is None:
                return self.subject(node.value)
            case ast.Attribute():
                owner = self.class_held_by(node.value)
                base = ("class", owner) if owner is not None else self.subject(node.value)
                return None if base is None else ("attribute", base, node.attr)
            case ast.Call(func=ast.Attribute(attr=attr, value=value), args=arguments):
                if attr in _SAME_OBJECT:
                    return self.subject(value)
                if (attr == "unwrap_model" or attr in _PREPARE) and len(arguments) == 1:
                    return self.subject(arguments[0])
                return self._subject_of_wrapped(node)
            case ast.Call():
                return self._subject_of_wrapped(node)
            case ast.Subscript(slice=ast.Constant(value=index)):
                base = self.subject(node.value)
                return None if base is None else ("item", base, index)
            case ast.Subscript():
                base = self.subject(node.value)
                return None if base is None else ("item", base, ast.dump(node.slice))
            case ast.Await() | ast.NamedExpr():
                return self.subject(node.value)
        return None

    def _subject_of_wrapped(self, node: ast.Call) -> Subject | None:
        origin = self._names.origin(node.func) or ""
        if node.args and WRAPPERS.match(origin) and not origin.startswith("copy."):
            return self.subject(node.args[0])
        return ("made", node)

    def _subject_of_name(self, node: ast.Name) -> Subject | None:
        bindings = self._names.reaching(node)
        if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT:
            value = bindings[0].value
            if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)):
                return self.subject(value) or ("name", bindings[0].scope, node.id)
            if isinstance(value, ast.Call):
                inner = self.subject(value)
                if inner is not None and inner != ("made", value):
                    return inner
        if not bindings:
            return ("name", None, node.id)
        return ("name", bindings[0].scope, node.id)

    def kind(self, node: ast.AST | None) -> Kind:
        """The kind of object the expression holds: by origin, else by how the file uses it, else by its name."""
        values = self.of(node)
        kinds = {each.kind for each in values} - {Kind.UNKNOWN}
        if len(kinds) == 1:
            return kinds.pop()
        if kinds or any((each.origin or "").startswith("builtins.") for each in values):
            return Kind.UNKNOWN
        return self._kind_by_use(node) or kind_suggested_by(last_name(node))

    def is_strong(self, node: ast.AST | None) -> bool:
        """Whether `kind` rests on an origin rather than on names and use."""
        return any(each.kind is not Kind.UNKNOWN for each in self.of(node))

    def _kind_by_use(self, node: ast.AST | None) -> Kind | None:
        subject = self.subject(node)
        if subject is None:
            return None
        used = self.methods_called_on(subject)
        if "zero_grad" in used and "step" in used and not used & {"backward", "forward", "train", "eval"}:
            return Kind.OPTIMIZER
        if "unscale_" in used or ("scale" in used and "update" in used and "step" in used):
            return Kind.SCALER
        if used & {"state_dict", "parameters", "named_parameters"} and used & {"train", "eval", "parameters"}:
            return Kind.MODEL
        if "set_epoch" in used:
            return Kind.SAMPLER
        return None

    def methods_called_on(self, subject: Subject) -> set[str]:
        """The names of all methods this file calls on the object."""
        if self._used_as is None:
            self._used_as = defaultdict(set)
            for call in self._tree.all(ast.Call):
                if isinstance(call.func, ast.Attribute) and call.func.attr in _TELLING:
                    owner = self.subject(call.func.value)
                    if owner is not None:
                        self._used_as[owner].add(call.func.attr)
        return self._used_as.get(subject, set())


_TELLING = frozenset(
    [
        "zero_grad",
        "step",
        "backward",
        "forward",
        "train",
        "eval",
        "scale",
        "unscale_",
        "update",
        "state_dict",
        "parameters",
        "named_parameters",
        "set_epoch",
        "load_state_dict",
        "get_last_lr",
        "param_groups",
        "add_scalar",
    ]
)
_KIND_OF_PART = {
    ("deepspeed.initialize", 0): Kind.ENGINE,
    ("deepspeed.initialize", 1): Kind.OPTIMIZER,
    ("deepspeed.initialize", 2): Kind.LOADER,
    ("deepspeed.initialize", 3): Kind.SCHEDULER,
}
_KIND_OF_BASE = {
    "torch.nn.Module": Kind.MODEL,
    "torch.nn.Sequential": Kind.MODEL,
    "lightning.pytorch.LightningModule": Kind.MODEL,
    "torch.utils.data.Dataset": Kind.DATASET,
    "torch.utils.data.IterableDataset": Kind.DATASET,
    "torch.utils.data.DataLoader": Kind.LOADER,
    "torch.optim.Optimizer": Kind.OPTIMIZER,
}


def default_of(function: Function, parameter: str) -> ast.expr | None:
    """The default of a parameter, None where it has none."""
    positional = [*function.args.posonlyargs, *function.args.args]
    with_default = positional[len(positional) - len(function.args.defaults) :]
    for argument, default in zip(with_default, function.args.defaults, strict=True):
        if argument.arg == parameter:
            return default
    for argument, keyword_default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if argument.arg == parameter:
            return keyword_default
    return None


def last_name(node: ast.AST | None) -> str:
    """The identifier a reader would name the object by: `optimizer` for `self.optimizer`, "" where there is none."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute(attr="module"):
            return last_name(node.value)
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return last_name(node.value)
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _SAME_OBJECT:
            return last_name(value)
    return ""


def _flat(target: ast.expr, index: tuple[int, ...] = ()) -> Iterable[tuple[ast.Attribute, tuple[int, ...]]]:
    if isinstance(target, ast.Attribute):
        yield target, index
    elif isinstance(target, (ast.Tuple, ast.List)):
        for position, element in enumerate(target.elts):
            yield from _flat(element, (*index, position))


def _annotation(node: ast.AST) -> ast.AST | None:
    annotation = node.annotation if isinstance(node, ast.arg) else None
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return annotation.left
    if isinstance(annotation, ast.Subscript) and last_name(annotation.value) == "Optional":
        return annotation.slice
    return annotation


def _kind_of_constant(value: object) -> Kind:
    if isinstance(value, str):
        return Kind.TEXT
    return Kind.NUMBER if isinstance(value, (int, float)) and not isinstance(value, bool) else Kind.UNKNOWN


def _display(node: ast.AST) -> str:
    return {ast.Tuple: "tuple", ast.Set: "set", ast.Dict: "dict", ast.DictComp: "dict"}.get(type(node), "list")
