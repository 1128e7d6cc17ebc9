"""A parsed file as flows see it, and what the names that it imports mean in other files of the repository."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.flow.eventful import eventful_functions
from detectors._engine.flow.events import Act, Actions
from detectors._engine.flow.flow import Guard, guard_of
from detectors._engine.names.elsewhere import Elsewhere, Nowhere
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.neighbours import Neighbours
from detectors._engine.source.recent import Recent
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values

_HOPS = 4
"""Re-exports, bases and factories that are followed one after the other."""
_KEPT = 1_000_000
"""Characters of text, of which a parsed file takes up to a hundred times as much memory."""
_OUTSIDE = ("<local>", "builtins.", "torch.", "numpy.", "transformers.", "torchvision.", "sklearn.")


class Unit:
    """One file: its tree and the answers about it, computed when they are first asked for."""

    def __init__(self, text: str, path: str = "module.py", neighbours: Neighbours | None = None) -> None:
        """Parses the text.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: the text is no Python.
        """
        self.tree = Tree(text)
        self.path = path
        self.imports = Imports(neighbours)
        self._guards: dict[ast.expr, tuple[Guard, Guard]] = {}
        self._bound: dict[ast.AST, frozenset[str]] = {}

    @cached_property
    def names(self) -> Names:
        """Bindings and origins."""
        return Names(self.tree)

    @cached_property
    def values(self) -> Values:
        """What expressions hold."""
        return Values(self.tree, self.names, self.imports.seen_from(self))

    @cached_property
    def actions(self) -> Actions:
        """What calls do."""
        return Actions(self.tree, self.names, self.values)

    @cached_property
    def eventful(self) -> set[ast.AST]:
        """The functions in which something happens, by themselves or through what they call."""
        return eventful_functions(self.tree, self.values, self.actions, lambda call: self.imports.eventful(call, self))

    @cached_property
    def runs_models(self) -> bool:
        """Whether a model is run where a flow may come by: in a model's own methods most are run by nobody here."""
        for call in self.tree.all(ast.Call):
            if any(each.act is Act.FORWARD for each in self.actions.of(call)):
                function = self.tree.function(call)
                if function is None or function in self.eventful or function.decorator_list:
                    return True
        return False

    @cached_property
    def busy(self) -> set[ast.AST]:
        """The statements and the parts of them in which a call, a `yield` or a choice stands; not for a lambda's own
        sake."""
        found: set[ast.AST] = set()
        for node in self.tree.all(ast.Call, ast.Yield, ast.YieldFrom):
            self._mark_busy(node, found)
        for choice in self.tree.all(ast.IfExp):
            self._mark_busy(choice, found)
        return found

    def _mark_busy(self, node: ast.AST, found: set[ast.AST]) -> None:
        above: ast.AST | None = node
        while above is not None and above not in found and not isinstance(above, ast.Lambda):
            found.add(above)
            above = self.tree.parents.get(above) if not isinstance(above, ast.stmt) else None

    def guards(self, test: ast.expr) -> tuple[Guard, Guard]:
        """What is known where a test held, and where it did not."""
        known = self._guards.get(test)
        if known is None:
            known = self._guards[test] = guard_of(test, True), guard_of(test, False)
        return known

    def bound(self, node: ast.AST, targets: list[ast.expr]) -> frozenset[str]:
        """The names and dotted attributes that a statement with these targets gives a value."""
        known = self._bound.get(node)
        if known is None:
            known = self._bound[node] = frozenset(_bound_names(targets))
        return known

    @cached_property
    def tested(self) -> frozenset[str]:
        """The names and dotted attributes that any `if` or `while` of the file depends on."""
        tests = [each.test for each in self.tree.all(ast.If, ast.While)]
        parts = (part for test in tests for part in ast.walk(test))
        return frozenset(ast.unparse(each) for each in parts if isinstance(each, (ast.Name, ast.Attribute)))


def _bound_names(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            yield from _bound_names(target.elts)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            yield ast.unparse(target)
        elif isinstance(target, (ast.Subscript, ast.Starred)):
            yield from _bound_names([target.value])


def _parsed(text: str, path: str) -> Unit | None:
    """A neighbour: by itself it knows no other file."""
    try:
        return Unit(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


_neighbours = Recent(_parsed, most=_KEPT)
"""Each is parsed once for all files that import it."""


@dataclass(frozen=True, slots=True)
class DefinedFunction:
    """A function or method of another file, with that file."""

    unit: Unit
    node: Function

    def returned(self) -> Iterator[Value]:
        """What it returns, as its own file sees it."""
        for statement in self.unit.values.calls.returns(self.node):
            yield from self.unit.values.of(statement.value)


@dataclass(frozen=True, slots=True)
class DefinedClass:
    """A class of another file, with that file."""

    unit: Unit
    node: ast.ClassDef


class Imports:
    """What imported names mean in the other files, for one analysed file and the files that it reaches."""

    def __init__(self, neighbours: Neighbours | None) -> None:
        self._neighbours = neighbours
        self._known: dict[tuple[str, str], DefinedFunction | DefinedClass | None] = {}
        self._callees: dict[ast.Call, DefinedFunction | None] = {}

    def seen_from(self, unit: Unit) -> Elsewhere:
        """The same questions by origin alone, for the file's own answers."""
        return Nowhere() if self._neighbours is None else _SeenFrom(self, unit)

    # -- definitions --------------------------------------------------------------------------------------

    def defined(self, origin: str | None, importer: Unit, hops: int = 0) -> DefinedFunction | DefinedClass | None:
        """The function or class that an origin means in a file that imports it."""
        if self._neighbours is None or origin is None or origin.startswith(_OUTSIDE) or hops > _HOPS:
            return None
        key = (origin, importer.path)
        if key not in self._known:
            self._known[key] = None  # two modules that import from each other
            self._known[key] = next(self._find(origin, importer, hops), None)
        return self._known[key]

    def _find(self, origin: str, importer: Unit, hops: int) -> Iterator[DefinedFunction | DefinedClass]:
        module, _, name = origin.rpartition(".")
        if origin.startswith(".") and not module.strip("."):
            module += "."  # `from . import name`
        if not module or self._neighbours is None:
            return
        for text, path in self._neighbours.modules(module, importer.path):
            may_have = path != importer.path and (name in text or "import *" in text)
            unit = _neighbours.of(text, path) if may_have else None
            found = self._in(unit, name, hops) if unit is not None else None
            if found is not None:
                yield found

    def _in(self, unit: Unit, name: str, hops: int) -> DefinedFunction | DefinedClass | None:
        """What the module defines under the name, or imports under it."""
        for statement in unit.tree.module.body:
            if isinstance(statement, FUNCTIONS) and statement.name == name:
                return DefinedFunction(unit, statement)
            if isinstance(statement, ast.ClassDef) and statement.name == name:
                return DefinedClass(unit, statement)
        bindings = unit.names.bindings.of(name, unit.tree.module)
        origins = [each.origin for each in bindings if each.origin]
        if not bindings:
            origins = [
                f"{module}{'' if module.endswith('.') else '.'}{name}" for module in unit.names.bindings.star_imports
            ]
        found = (self.defined(origin, unit, hops + 1) for origin in origins)
        return next((each for each in found if each is not None), None)

    # -- classes ------------------------------------------------------------------------------------------

    def lineage(self, origin: str, importer: Unit, hops: int = 0) -> Iterator[DefinedClass]:
        """The class and its bases as far as they are in other files, nearest first."""
        found = self.defined(origin, importer)
        if isinstance(found, DefinedClass) and hops <= _HOPS:
            yield from (DefinedClass(found.unit, each) for each in found.unit.values.classes.lineage(found.node))
            for base in found.unit.values.classes.bases(found.node):
                yield from self.lineage(base, found.unit, hops + 1)

    def method(self, origin: str, name: str, importer: Unit) -> DefinedFunction | None:
        """The method of a class of another file, or of its bases there."""
        for each in self.lineage(origin, importer):
            for statement in each.node.body:
                if isinstance(statement, FUNCTIONS) and statement.name == name:
                    return DefinedFunction(each.unit, statement)
        return None

    # -- calls --------------------------------------------------------------------------------------------

    def callee(self, call: ast.Call, unit: Unit) -> DefinedFunction | None:
        """The function or method of another file that a call in this one runs."""
        if self._neighbours is None:
            return None
        if call not in self._callees:
            self._callees[call] = self._callee(call, unit)
        return self._callees[call]

    def _callee(self, call: ast.Call, unit: Unit) -> DefinedFunction | None:
        found = self.defined(unit.names.origin(call.func), unit)
        if isinstance(found, DefinedClass):
            return self.method(unit.names.origin(call.func) or "", "__init__", unit)
        if found is None and isinstance(call.func, ast.Attribute):
            methods = (self.method(origin, call.func.attr, unit) for origin in self.receiver(call.func, unit))
            return next((each for each in methods if each is not None), None)
        return found

    def eventful(self, call: ast.Call, unit: Unit) -> DefinedFunction | None:
        """The same, where something happens in it."""
        found = self.callee(call, unit)
        return found if found is not None and found.node in found.unit.eventful else None

    def receiver(self, func: ast.Attribute, unit: Unit) -> list[str]:
        """The origins of the classes that a method may come from: the object's own, or the bases outside its file."""
        classes = unit.values.classes
        if isinstance(func.value, ast.Call) and unit.names.origin(func.value.func) == "builtins.super":
            own = unit.tree.enclosing(func, ast.ClassDef)
            return classes.outer_bases(own) if own is not None else []
        origin = unit.values.only(func.value).origin or ""
        if origin.startswith("<local>."):
            owner = classes.named(origin.removeprefix("<local>."))
            return classes.outer_bases(owner) if owner is not None else []
        return [origin] if origin else []


class _SeenFrom:
    """The other files as one file sees them."""

    def __init__(self, imports: Imports, unit: Unit) -> None:
        self._imports, self._unit = imports, unit
        self._bases: dict[str, list[str]] = {}
        self._kinds: dict[str, Kind] = {}

    def bases(self, origin: str) -> list[str]:
        """The bases outside the files of the class and its bases."""
        if origin not in self._bases:
            lineage = self._imports.lineage(origin, self._unit)
            self._bases[origin] = [base for each in lineage for base in each.unit.values.classes.outer_bases(each.node)]
        return self._bases[origin]

    def classes(self, origin: str) -> list[ast.ClassDef]:
        """The class and its bases."""
        return [each.node for each in self._imports.lineage(origin, self._unit)]

    def kind(self, origin: str) -> Kind:
        """What instances of the class are, or the model that the function returns."""
        if origin not in self._kinds:
            self._kinds[origin] = self._kind(origin, self._unit, 0)
        return self._kinds[origin]

    def _kind(self, origin: str, importer: Unit, hops: int) -> Kind:
        found = self._imports.defined(origin, importer)
        if found is None or hops > _HOPS:
            return Kind.UNKNOWN
        if isinstance(found, DefinedFunction):
            kinds = {self._kind_of(each, found.unit, hops) for each in found.returned()}
            return Kind.MODEL if kinds == {Kind.MODEL} else Kind.UNKNOWN
        if found.node.name.endswith(("Loss", "Criterion")):
            return Kind.CRITERION
        kinds_of_bases = (each.unit.values.classes.kind(each.node) for each in self._imports.lineage(origin, importer))
        return next((each for each in kinds_of_bases if each is not Kind.UNKNOWN), Kind.UNKNOWN)

    def _kind_of(self, value: Value, unit: Unit, hops: int) -> Kind:
        is_known = value.kind is not Kind.UNKNOWN or value.origin is None
        return value.kind if is_known else self._kind(value.origin or "", unit, hops + 1)
