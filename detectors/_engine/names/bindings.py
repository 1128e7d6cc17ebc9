"""Bindings: every place of a file where a name gets a value, by scope."""

import ast
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from detectors._engine.names.origins import canonical
from detectors._engine.source.tree import FUNCTIONS, Scope, Tree, named_parameters


class Bound(Enum):
    """How a name gets its value."""

    IMPORT = "import"
    ASSIGNMENT = "assignment"
    PART = "part of an assignment"
    UPDATE = "augmented assignment"
    ITEM = "loop target"
    CONTEXT = "with … as"
    PARAMETER = "parameter"
    FUNCTION = "function"
    CLASS = "class"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One place where a name gets a value.

    `value` is the expression it comes from (the right-hand side, the iterable, the context manager); `index` is the
    path into it for unpacked targets, `(1,)` for `b` in `a, b = f()`; `origin` is set for imports.
    """

    name: str
    how: Bound
    node: ast.AST
    scope: Scope
    value: ast.expr | None = None
    index: tuple[int, ...] = ()
    origin: str = ""


class Bindings:
    """Bindings of every scope, collected once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._bindings: dict[Scope, dict[str, list[Binding]]] = defaultdict(lambda: defaultdict(list))
        self._elsewhere: dict[tuple[Scope, str], Scope] = {}
        self._in_comprehension: dict[tuple[ast.AST, str], Binding] = {}
        self._comprehension_names: set[str] = set()
        self.star_imports: list[str] = []
        """The modules that everything is imported from."""
        self._collect()

    def _collect(self) -> None:
        tree = self._tree
        for declaration in tree.all(ast.Global, ast.Nonlocal):
            scope = tree.scope(declaration)
            for name in declaration.names:
                outer = tree.module if isinstance(declaration, ast.Global) else self._outer(scope, name)
                self._elsewhere[scope, name] = outer
        self._collect_imports()
        for assign in tree.all(ast.Assign):
            for target in assign.targets:
                self._bind_target(target, assign, assign.value)
        for annotated in tree.all(ast.AnnAssign):
            if annotated.value is not None:
                self._bind_target(annotated.target, annotated, annotated.value)
        for walrus in tree.all(ast.NamedExpr):
            self._bind_target(walrus.target, walrus, walrus.value)
        for update in tree.all(ast.AugAssign):
            if isinstance(update.target, ast.Name):
                self._add(update.target.id, Bound.UPDATE, update, update.value)
        for loop in tree.all(ast.For, ast.AsyncFor, ast.comprehension):
            self._bind_target(loop.target, loop, loop.iter, how=Bound.ITEM)
        for item in tree.all(ast.withitem):
            if item.optional_vars is not None:
                self._bind_target(item.optional_vars, item, item.context_expr, how=Bound.CONTEXT)
        self._collect_definitions()
        for names in self._bindings.values():
            for bindings in names.values():
                bindings.sort(key=lambda each: position(each.node))

    def _collect_imports(self) -> None:
        for statement in self._tree.all(ast.Import):
            for alias in statement.names:
                name = alias.asname or alias.name.partition(".")[0]
                self._add(name, Bound.IMPORT, statement, origin=alias.name if alias.asname else name)
        for imported in self._tree.all(ast.ImportFrom):
            module = "." * imported.level + (imported.module or "")
            for alias in imported.names:
                if alias.name == "*":
                    self.star_imports.append(module)
                    continue
                joint = "" if module.endswith(".") else "."
                origin = f"{module}{joint}{alias.name}"
                self._add(alias.asname or alias.name, Bound.IMPORT, imported, origin=origin)

    def _collect_definitions(self) -> None:
        for function in self._tree.all(*FUNCTIONS):
            self._add(function.name, Bound.FUNCTION, function)
            self._bind_parameters(function, function.args)
        for anonymous in self._tree.all(ast.Lambda):
            self._bind_parameters(anonymous, anonymous.args)
        for definition in self._tree.all(ast.ClassDef):
            self._add(definition.name, Bound.CLASS, definition)
        for handler in self._tree.all(ast.ExceptHandler):
            if handler.name:
                self._add(handler.name, Bound.OTHER, handler)

    def _bind_parameters(self, scope: Scope, arguments: ast.arguments) -> None:
        rest = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        for argument in (*named_parameters(arguments), *rest):
            binding = Binding(argument.arg, Bound.PARAMETER, argument, scope)
            self._bindings[scope][argument.arg].append(binding)

    def _bind_target(
        self,
        target: ast.expr,
        node: ast.AST,
        value: ast.expr,
        *,
        how: Bound = Bound.ASSIGNMENT,
        index: tuple[int, ...] = (),
    ) -> None:
        if isinstance(target, ast.Name):
            kind = Bound.PART if index and how is Bound.ASSIGNMENT else how
            self._add(target.id, kind, node, value, index)
        elif isinstance(target, ast.Starred):
            self._bind_target(target.value, node, value, how=Bound.OTHER, index=index)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for position, element in enumerate(target.elts):
                pair = isinstance(value, (ast.Tuple, ast.List)) and how is Bound.ASSIGNMENT
                if pair and len(value.elts) == len(target.elts):  # type: ignore[attr-defined]
                    self._bind_target(element, node, value.elts[position], how=how, index=index)  # type: ignore[attr-defined]
                else:
                    self._bind_target(element, node, value, how=how, index=(*index, position))

    def _add(
        self,
        name: str,
        how: Bound,
        node: ast.AST,
        value: ast.expr | None = None,
        index: tuple[int, ...] = (),
        origin: str = "",
    ) -> None:
        scope = self._tree.scope(node)
        if isinstance(node, ast.comprehension):
            owner = self._tree.parents[node]
            self._in_comprehension[owner, name] = Binding(name, how, node, scope, value, index)
            self._comprehension_names.add(name)
            return
        scope = self.scope_meant(name, scope)
        self._bindings[scope][name].append(Binding(name, how, node, scope, value, index, canonical(origin)))

    def _outer(self, scope: Scope, name: str) -> Scope:
        outer = self._tree.scope(scope)
        while not isinstance(outer, ast.Module) and name not in self._bindings[outer]:
            outer = self._tree.scope(outer)
        return outer

    # -- looking up ---------------------------------------------------------------------------------------

    def of(self, name: str, scope: Scope) -> list[Binding]:
        """All bindings of the name that a use in this scope can mean, in source order."""
        scope = self.scope_meant(name, scope)
        first = True
        while True:
            found = self._bindings[scope].get(name) if scope in self._bindings else None
            if found and (first or not isinstance(scope, ast.ClassDef)):
                return found
            if isinstance(scope, ast.Module):
                return []
            first, scope = False, self._tree.scope(scope)

    def scope_meant(self, name: str, scope: Scope) -> Scope:
        """The scope that binds the name when it is assigned in this one: another one after `global` and `nonlocal`."""
        return self._elsewhere.get((scope, name), scope)

    def in_comprehension(self, use: ast.Name) -> Binding | None:
        """The binding by the comprehension around the use, None where that binds no such name."""
        if use.id in self._comprehension_names:
            for above in self._tree.ancestors(use):
                if (above, use.id) in self._in_comprehension:
                    return self._in_comprehension[above, use.id]
        return None

    def imported_as(self, origin: str, scope: Scope | None) -> str | None:
        """The name under which the file, or this scope, imports what has this origin; None without."""
        for where in (scope, self._tree.module):
            for name, bindings in self._bindings.get(where, {}).items() if where is not None else ():
                if bindings[0].how is Bound.IMPORT and bindings[0].origin == origin:
                    return name
        return None

    def all_in(self, scope: Scope) -> dict[str, list[Binding]]:
        """Every name bound directly in this scope."""
        return self._bindings.get(scope, {})


def position(node: ast.AST) -> tuple[int, int]:
    """Line and column of what binds or uses a name: the order of source."""
    if isinstance(node, ast.withitem):
        node = node.context_expr
    return node.lineno, node.col_offset  # type: ignore[attr-defined]
