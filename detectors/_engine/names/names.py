"""Names: what binds them, which binding reaches a use, and the dotted origin of an expression.

`F.cross_entropy` has the origin `torch.nn.functional.cross_entropy`, whatever it was imported as. An origin is only
given where the binding is in sight; a name that could be several things has none.
"""

import ast
import builtins
from collections import Counter
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bindings, Bound
from detectors._engine.names.origins import canonical
from detectors._engine.names.reaching import Reaching
from detectors._engine.source.tree import Tree


class Names:
    """Answers for one file."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.bindings = Bindings(tree)
        self._reaching = Reaching(tree, self.bindings)
        self._origins: dict[ast.AST, str | None] = {}

    def reaching(self, use: ast.Name) -> tuple[Binding, ...]:
        """The bindings that can hold the name's value at this use."""
        return self._reaching.of(use)

    def origin(self, node: ast.AST | None) -> str | None:
        """The dotted origin of a name or attribute, None where it is not known.

        Definitions of this file have the origin `<local>.NAME` (`local_origin`).
        """
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        if node not in self._origins:
            self._origins[node] = None  # an alias of itself has no origin
            self._origins[node] = self._find_origin(node)
        return self._origins[node]

    def written(self, node: ast.expr) -> ast.expr:
        """What a name was assigned, where that is one whole expression; else the node itself."""
        bindings = self.reaching(node) if isinstance(node, ast.Name) else ()
        only = bindings[0] if len(bindings) == 1 else None
        if only is None or only.value is None:
            return node
        if only.how is Bound.PART and isinstance(only.value, ast.Tuple) and len(only.index) == 1:
            return only.value.elts[only.index[0]] if only.index[0] < len(only.value.elts) else node
        return only.value if only.how is Bound.ASSIGNMENT else node

    def local_origin(self, owner: ast.ClassDef) -> str:
        """The origin of a class of this file; with its line where the file defines several of that name, as notebooks
        do."""
        return f"<local>.{owner.name}@{owner.lineno}" if self._again[owner.name] > 1 else f"<local>.{owner.name}"

    @cached_property
    def _again(self) -> Counter[str]:
        return Counter(each.name for each in self._tree.all(ast.ClassDef))

    def calls(self, *origins: str) -> list[ast.Call]:
        """The calls of these dotted origins, in source order."""
        lasts = {each.rpartition(".")[2] for each in origins}
        likely = (each for each in self._tree.all(ast.Call) if _may_be(each, lasts))
        return [each for each in likely if self.origin(each.func) in origins]

    def _find_origin(self, node: ast.Name | ast.Attribute) -> str | None:
        if isinstance(node, ast.Attribute):
            base = self.origin(node.value)
            return None if base is None or base.startswith("<local>") else canonical(f"{base}.{node.attr}")
        bindings = self.reaching(node)
        if not bindings:
            return f"builtins.{node.id}" if hasattr(builtins, node.id) and not self.bindings.star_imports else None
        imports = [each.origin for each in bindings if each.how is Bound.IMPORT]
        if imports:
            return imports[0] if len(imports) == len(bindings) or self._is_fallback(bindings) else None
        origins = {self._binding_origin(each) for each in bindings}
        return origins.pop() if len(origins) == 1 else None

    def _binding_origin(self, binding: Binding) -> str | None:
        if isinstance(binding.node, ast.ClassDef):
            return self.local_origin(binding.node)
        if binding.how is Bound.FUNCTION:
            return f"<local>.{binding.name}"
        if binding.how is Bound.ASSIGNMENT:
            return self.origin(binding.value)
        return None

    def _is_fallback(self, bindings: tuple[Binding, ...]) -> bool:
        """`try: import x` / `except ImportError: x = None`: the import is what is meant."""
        return all(
            each.how is Bound.IMPORT or self._tree.enclosing(each.node, ast.Try) is not None for each in bindings
        )


def _may_be(call: ast.Call, lasts: set[str]) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in lasts
    return isinstance(call.func, ast.Name)
