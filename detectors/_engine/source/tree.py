"""One parse and one walk of a Python text: parents, nodes by kind, the scope and the statement of a node."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar, overload

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Loop = ast.For | ast.AsyncFor | ast.While
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)

N = TypeVar("N", bound=ast.AST)
M = TypeVar("M", bound=ast.AST)
L = TypeVar("L", bound=ast.AST)
_CONTEXT = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop)
"""Like the operators of a comparison, one object stands for all of its kind: no part of any one place in a tree."""


class Tree:
    """The syntax tree with what `ast` leaves out: who is above a node, and all nodes of one kind."""

    def __init__(self, text: str) -> None:
        """Parses the text.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: what `ast.parse` raises on bad input.
        """
        self.module = ast.parse(text)
        self.parents: dict[ast.AST, ast.AST] = {}
        self._by_kind: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        self._nodes: list[ast.AST] = []
        self._walk()

    def _walk(self) -> None:
        parents, by_kind, nodes = self.parents, self._by_kind, self._nodes
        stack: list[ast.AST] = [self.module]
        while stack:
            node = stack.pop()
            nodes.append(node)
            by_kind[node.__class__].append(node)
            children: list[ast.AST] = []
            for value in node.__dict__.values():
                if value.__class__ is list:
                    children += [
                        each for each in value if isinstance(each, ast.AST) and not isinstance(each, ast.cmpop)
                    ]
                elif isinstance(value, ast.AST) and not isinstance(value, _CONTEXT):
                    children.append(value)
            for child in children:
                parents[child] = node
            children.reverse()
            stack += children

    @overload
    def all(self, kind: type[N], /) -> Iterator[N]: ...
    @overload
    def all(self, kind: type[N], other: type[M], /) -> Iterator[N | M]: ...
    @overload
    def all(self, kind: type[N], other: type[M], third: type[L], /) -> Iterator[N | M | L]: ...
    def all(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        """Every node of these kinds, in source order within a kind."""
        for kind in kinds:
            yield from self._by_kind.get(kind, ())

    def method_calls(self, *names: str) -> list[ast.Call]:
        """The calls of methods of these names, on anything, in source order."""
        return [each for each in self.all(ast.Call) if isinstance(each.func, ast.Attribute) and each.func.attr in names]

    def below(self, node: ast.AST) -> list[ast.AST]:
        """The node and everything below it, in source order: what `ast.walk` gives but operators, without walking
        again."""
        start = self._start[node]
        return self._nodes[start : start + self._size[start]]

    @cached_property
    def _start(self) -> dict[ast.AST, int]:
        return {node: position for position, node in enumerate(self._nodes)}

    @cached_property
    def _size(self) -> list[int]:
        """The number of nodes in each subtree; children come after their parent, so one pass from the end."""
        sizes = [1] * len(self._nodes)
        start, parents = self._start, self.parents
        for position in range(len(self._nodes) - 1, 0, -1):
            sizes[start[parents[self._nodes[position]]]] += sizes[position]
        return sizes

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """From the node's parent up to the module."""
        above = self.parents.get(node)
        while above is not None:
            yield above
            above = self.parents.get(above)

    def enclosing(self, node: ast.AST, *kinds: type[N]) -> N | None:
        """The nearest ancestor of one of these kinds."""
        above = self.parents.get(node)
        while above is not None and not isinstance(above, kinds):
            above = self.parents.get(above)
        return above

    def scope(self, node: ast.AST) -> Scope:
        """The scope a name at this node is looked up in first. A function's own decorators, defaults and
        annotations belong to the scope around it, as in Python."""
        below, above = node, self.parents.get(node)
        while above is not None:
            if isinstance(above, SCOPES) and self._is_inside(below, above):
                return above
            below, above = above, self.parents.get(above)
        return self.module

    @staticmethod
    def _is_inside(child: ast.AST, scope: ast.AST) -> bool:
        if isinstance(scope, FUNCTIONS):
            return isinstance(child, ast.stmt)
        if isinstance(scope, ast.ClassDef):
            return isinstance(child, ast.stmt)
        return not isinstance(child, ast.arguments)

    def function(self, node: ast.AST) -> Function | None:
        """The function whose body holds the node, None at module and class level."""
        scope = self.scope(node)
        while isinstance(scope, ast.Lambda):
            scope = self.scope(scope)
        return scope if isinstance(scope, FUNCTIONS) else None

    def class_of(self, function: ast.AST) -> ast.ClassDef | None:
        """The class a method belongs to."""
        above = self.parents.get(function)
        return above if isinstance(above, ast.ClassDef) else None

    def statement(self, node: ast.AST) -> ast.stmt:
        """The smallest statement that holds the node (the node itself where it is one)."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def loops(self, node: ast.AST) -> list[Loop]:
        """The loops of the same function whose body holds the node, innermost first."""
        found: list[Loop] = []
        below = node
        for above in self.ancestors(node):
            if isinstance(above, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
                break
            if isinstance(above, LOOPS) and below not in (getattr(above, "iter", None), *above.orelse):
                found.append(above)
            below = above
        return found

    def definition(self, node: ast.AST) -> str:
        """The dotted name of the enclosing definitions, "" at module level."""
        names = [each.name for each in self.ancestors(node) if isinstance(each, (*FUNCTIONS, ast.ClassDef))]
        return ".".join(reversed(names))

    def inside(self, node: ast.AST, container: ast.AST) -> bool:
        """Whether the node is the container or below it."""
        above: ast.AST | None = node
        while above is not None and above is not container:
            above = self.parents.get(above)
        return above is container

    def are_alternatives(self, one: ast.AST, other: ast.AST) -> bool:
        """Whether the two stand in the two branches of one `if`, so that only one of them runs."""
        for choice in (each for each in self.ancestors(one) if isinstance(each, ast.If)):
            first, second = self._branch(choice, one), self._branch(choice, other)
            if first is not None and second is not None and first is not second:
                return True
        return False

    def _branch(self, choice: ast.If, node: ast.AST) -> list[ast.stmt] | None:
        branches = (choice.body, choice.orelse)
        return next((side for side in branches if any(self.inside(node, each) for each in side)), None)

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements that holds this one."""
        parent = self.parents[statement]
        for name in ("body", "orelse", "finalbody"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and statement in block:
                return block
        return [statement]


def named_parameters(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters that have a name of their own: all but `*args` and `**kwargs`."""
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
