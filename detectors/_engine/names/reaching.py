"""Reaching: which bindings of a name can hold its value where it is used."""

import ast

from detectors._engine.names.bindings import Binding, Bindings, Bound, position
from detectors._engine.source.tree import Tree


class Reaching:
    """Answers for one file."""

    def __init__(self, tree: Tree, bindings: Bindings) -> None:
        self._tree, self._bindings = tree, bindings
        self._known: dict[ast.AST, tuple[Binding, ...]] = {}

    def of(self, use: ast.Name) -> tuple[Binding, ...]:
        """The bindings that can hold the name's value at this use: flow-sensitive within the use's own scope, all
        of them where the use is in a scope below."""
        known = self._known.get(use)
        if known is None:
            known = self._known[use] = tuple(self._find(use))
        return known

    def _find(self, use: ast.Name) -> list[Binding]:
        scope = self._tree.scope(use)
        inner = self._bindings.in_comprehension(use)
        if inner is not None:
            return [inner]
        bindings = self._bindings.of(use.id, scope)
        if len(bindings) < 2 or bindings[0].scope is not self._bindings.scope_meant(use.id, scope):
            return bindings
        above = {use: None, **dict.fromkeys(self._tree.ancestors(use))}
        here = position(use)
        before = [each for each in bindings if self._is_done_before(each, here, above)]
        start = 0
        for index, binding in enumerate(before):
            if self._always_runs_before(binding, above):
                start = index
        reach = [each for each in before[start:] if not self._excluded(each, above)]
        start_node = before[start].node if before else None
        reach += [each for each in bindings if each not in before and self._comes_round(each, above, start_node)]
        return self._without_shadowed(reach or bindings, use)

    def _is_done_before(self, binding: Binding, here: tuple[int, int], above: dict[ast.AST, None]) -> bool:
        if binding.node in above:  # `x = f(x)`: the use is inside the statement that binds
            is_loop = binding.how in (Bound.ITEM, Bound.CONTEXT)
            return is_loop and not (binding.value is not None and binding.value in above)
        return position(binding.node) < here

    def _always_runs_before(self, binding: Binding, above: dict[ast.AST, None]) -> bool:
        """Whether the binding's statement stands in a block around the use: control came through it."""
        if binding.how is Bound.UPDATE:
            return False
        if binding.how is Bound.PARAMETER or binding.node in above:
            return True
        statement: ast.AST = binding.node
        if not isinstance(statement, ast.arg):
            statement = self._tree.statement(statement)
        if isinstance(binding.node, (ast.withitem, ast.For, ast.AsyncFor)):
            statement = self._tree.parents[binding.node] if isinstance(binding.node, ast.withitem) else statement
        parent = self._tree.parents.get(statement)
        while isinstance(parent, (ast.With, ast.AsyncWith)) and parent not in above:
            parent = self._tree.parents.get(parent)
        if isinstance(parent, ast.Try) and parent not in above and statement in parent.body:
            parent = self._tree.parents.get(parent)
        return parent in above and not self._excluded(binding, above)

    def _choice(self, binding: Binding) -> ast.If | None:
        parent = (
            self._tree.parents.get(self._tree.statement(binding.node))
            if not isinstance(binding.node, ast.arg)
            else None
        )
        return parent if isinstance(parent, ast.If) else None

    def _excluded(self, binding: Binding, above: dict[ast.AST, None]) -> bool:
        """Whether binding and use are in different branches of one `if`."""
        below: ast.AST = binding.node
        for parent in self._tree.ancestors(binding.node):
            if parent in above:
                if not isinstance(parent, ast.If):
                    return False
                use_branch = next((each for each in (*parent.body, *parent.orelse) if each in above), None)
                if use_branch is None:
                    return False
                return (below in parent.body) != (use_branch in parent.body)
            below = parent
        return False

    def _comes_round(self, binding: Binding, above: dict[ast.AST, None], start: ast.AST | None) -> bool:
        """Whether the binding stands later in a loop around the use, and nothing binds at the loop's head."""
        for loop in self._tree.loops(binding.node):
            if loop in above:
                return start is None or not self._tree.inside(start, loop)
        return False

    def _without_shadowed(self, bindings: list[Binding], use: ast.Name) -> list[Binding]:
        """Leaves out the first of an `if`/`else` pair's predecessors: both branches bind, so nothing older reaches."""
        ifs = [self._choice(each) for each in bindings]
        for index, choice in enumerate(ifs):
            if choice is None or not choice.orelse:
                continue
            both = [place for place, other in enumerate(ifs) if other is choice]
            sides = {self._tree.statement(bindings[place].node) in choice.body for place in both}
            if len(sides) == 2 and not self._tree.inside(use, choice):
                return bindings[min(index, *both) :]
        return bindings
