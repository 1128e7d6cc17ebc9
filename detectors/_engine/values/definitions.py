"""Definitions: the one expression a name, an attribute or a parameter was written as."""

import ast

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS
from detectors._engine.values.values import Values

_DEPTH = 6


class Definitions:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values) -> None:
        self._names = names
        self._values = values

    def of(self, node: ast.expr) -> ast.expr:
        """The expression the node stands for, as far as there is exactly one in sight; else the node itself."""
        return self.path(node)[-1]

    def path(self, node: ast.expr) -> list[ast.expr]:
        """The node and every expression on the way to what it was written as."""
        found = [node]
        while len(found) < _DEPTH:
            following = self._next(found[-1])
            if following is None or following in found:
                break
            found.append(following)
        return found

    def _next(self, node: ast.expr) -> ast.expr | None:
        if isinstance(node, ast.Name):
            bindings = self._names.reaching(node)
            return self._value(bindings[0]) if len(bindings) == 1 else None
        if isinstance(node, ast.Attribute):
            owner = self._values.class_held_by(node.value)
            bindings = tuple(self._values.classes.attribute_bindings(owner, node.attr)) if owner is not None else ()
            return self._value(bindings[0]) if len(bindings) == 1 else None
        return None

    def _value(self, binding: Binding) -> ast.expr | None:
        if binding.how is Bound.ASSIGNMENT:
            return binding.value
        if binding.how is Bound.PARAMETER and isinstance(binding.scope, FUNCTIONS):
            given = list(self._values.calls.given_for(binding.scope, binding.name))
            return given[0] if len(given) == 1 else None
        return None
