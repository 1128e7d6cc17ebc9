"""A parsed file as flows see it: what happens in which of its functions, and the files it imports."""

import ast
from functools import cached_property, lru_cache

from detectors._engine.events import Act, Actions
from detectors._engine.libraries import Kind
from detectors._engine.names import Names
from detectors._engine.neighbours import Neighbours
from detectors._engine.tree import FUNCTIONS, Function, Tree
from detectors._engine.values import Values


class Unit:
    """One file: its tree and the answers about it, computed when they are first asked for."""

    def __init__(self, text: str, neighbours: Neighbours | None = None) -> None:
        """Parses the text.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: the text is no Python.
        """
        self.tree = Tree(text)
        self.neighbours = neighbours

    @cached_property
    def names(self) -> Names:
        """Bindings and origins."""
        return Names(self.tree)

    @cached_property
    def values(self) -> Values:
        """What expressions hold."""
        return Values(self.tree, self.names)

    @cached_property
    def actions(self) -> Actions:
        """What calls do."""
        return Actions(self.tree, self.names, self.values)

    @cached_property
    def eventful(self) -> set[ast.AST]:
        """The functions in which something happens, by themselves or through what they call."""
        return eventful_functions(self.tree, self.values, self.actions)

    @cached_property
    def tested(self) -> frozenset[str]:
        """The names and dotted attributes that any `if` or `while` of the file depends on."""
        tests = [each.test for each in self.tree.all(ast.If, ast.While)]
        parts = (part for test in tests for part in ast.walk(test))
        return frozenset(ast.unparse(each) for each in parts if isinstance(each, (ast.Name, ast.Attribute)))

    def imported(self, call: ast.Call) -> "tuple[Unit, Function] | None":
        """The eventful function of another file of the repository that a call runs, with its file."""
        origin = self.names.origin(call.func)
        if self.neighbours is None or origin is None or origin.startswith(("<local>", "builtins.")):
            return None
        found = self.neighbours.named(origin)
        if found is None:
            return None
        text, path, name = found
        unit = _parsed(text, path)
        if unit is None:
            return None
        for function in unit.tree.module.body:
            if isinstance(function, FUNCTIONS) and function.name == name and function in unit.eventful:
                return unit, function
        return None


@lru_cache(maxsize=64)
def _parsed(text: str, path: str) -> Unit | None:
    """A neighbour, parsed once for all files that import it; its own imports are not followed."""
    try:
        return Unit(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def eventful_functions(tree: Tree, values: Values, actions: Actions) -> set[ast.AST]:
    """The functions in which something happens, by themselves or through what they call.

    In the methods of a model, running its own layers is not an event.
    """
    eventful: set[ast.AST] = set()
    for call in tree.all(ast.Call):
        function = tree.function(call)
        if function is None or function in eventful:
            continue
        acts = {each.act for each in actions.of(call)}
        if acts == {Act.FORWARD}:
            owner = tree.class_of(function)
            acts = set() if owner is not None and values.classes.kind(owner) is Kind.MODEL else acts
        if acts:
            eventful.add(function)
    for context in tree.all(ast.withitem):
        function = tree.function(context)
        if function is not None and actions.region(context.context_expr) is not None:
            eventful.add(function)
    for attribute in tree.all(ast.Attribute):
        if attribute.attr == "grad" and not isinstance(attribute.ctx, ast.Load):
            eventful |= {tree.function(attribute)} - {None}  # type: ignore[arg-type]
    return _with_callers(eventful, tree, values)


def _with_callers(eventful: set[ast.AST], tree: Tree, values: Values) -> set[ast.AST]:
    rest = list(eventful)
    while rest:
        callee = rest.pop()
        callers = {tree.function(call) for call in values.calls.sites(callee)}
        if isinstance(callee, FUNCTIONS) and callee.name == "__init__":
            callers = set()
        outer = tree.function(callee)
        for caller in (*callers, outer):
            if caller is not None and caller not in eventful:
                eventful.add(caller)
                rest.append(caller)
    return eventful
