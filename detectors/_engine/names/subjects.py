"""Subjects: when two expressions mean the same object, and what that object is called."""

import ast
from collections import defaultdict
from collections.abc import Callable, Hashable, Set
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.libraries import WRAPPERS
from detectors._engine.names.names import Names
from detectors._engine.source.tree import Tree

Subject = Hashable
"""Identity of an object: equal subjects mean the same object."""

SAME_OBJECT = frozenset(
    """
    to cuda cpu float half double bfloat16 train eval requires_grad_ share_memory to_empty apply compile
    """.split()
)
PREPARES = frozenset({"prepare", "setup", "prepare_model", "setup_module", "setup_dataloaders", "setup_optimizers"})
_TELLING = frozenset(
    """
    zero_grad step backward forward train eval scale unscale_ update state_dict parameters named_parameters
    set_epoch load_state_dict get_last_lr param_groups add_scalar
    """.split()
)


class Subjects:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, class_held_by: Callable[[ast.AST], ast.ClassDef | None]) -> None:
        self._tree, self._names = tree, names
        self._class_held_by = class_held_by
        self._known: dict[ast.AST, Subject | None] = {}

    def of(self, node: ast.AST | None) -> Subject | None:
        """The identity of the object an expression means; None where it has none (a fresh value, a literal)."""
        if node is None:
            return None
        if node not in self._known:
            self._known[node] = None
            self._known[node] = self._find(node)
        return self._known[node]

    def _find(self, node: ast.AST) -> Subject | None:
        match node:
            case ast.Name():
                return self._of_name(node)
            case ast.Attribute(attr="module") if self._class_held_by(node.value) is None:
                return self.of(node.value)
            case ast.Attribute():
                owner = self._class_held_by(node.value)
                base = ("class", owner) if owner is not None else self.of(node.value)
                return None if base is None else ("attribute", base, node.attr)
            case ast.Call(func=ast.Attribute(attr=attr, value=value), args=arguments):
                if attr in SAME_OBJECT:
                    return self.of(value)
                if (attr == "unwrap_model" or attr in PREPARES) and len(arguments) == 1:
                    return self.of(arguments[0])
                return self._of_wrapped(node)
            case ast.Call():
                return self._of_wrapped(node)
            case ast.Subscript(slice=ast.Constant(value=index)):
                base = self.of(node.value)
                return None if base is None else ("item", base, index)
            case ast.Subscript():
                base = self.of(node.value)
                return None if base is None else ("item", base, ast.dump(node.slice))
            case ast.Await() | ast.NamedExpr():
                return self.of(node.value)
        return None

    def _of_wrapped(self, node: ast.Call) -> Subject | None:
        origin = self._names.origin(node.func) or ""
        if node.args and WRAPPERS.match(origin) and not origin.startswith("copy."):
            return self.of(node.args[0])
        return ("made", node)

    def _of_name(self, node: ast.Name) -> Subject | None:
        bindings = self._names.reaching(node)
        if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT:
            value = bindings[0].value
            if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)):
                return self.of(value) or ("name", bindings[0].scope, node.id)
            if isinstance(value, ast.Call):
                inner = self.of(value)
                if inner is not None and inner != ("made", value):
                    return inner
        if not bindings:
            return ("name", None, node.id)
        return self._rewrapped(bindings) or ("name", bindings[0].scope, node.id)

    def _rewrapped(self, bindings: tuple[Binding, ...]) -> Subject | None:
        """The object that a name of several bindings always means: `model = self.model`, and then, on some paths,
        `model = DataParallel(model)`."""
        first = bindings[0].value
        if len(bindings) < 2 or not isinstance(first, (ast.Name, ast.Attribute)):
            return None
        meant: set[Subject | None] = set()
        for each in bindings:
            if each.how is not Bound.ASSIGNMENT or not isinstance(each.value, (ast.Name, ast.Attribute, ast.Call)):
                return None
            meant.add(self.of(each.value))
        return meant.pop() if len(meant) == 1 else None

    def methods_called_on(self, subject: Subject) -> set[str]:
        """The names of all methods this file calls on the object."""
        return self._used_as.get(subject, set())

    @cached_property
    def _used_as(self) -> dict[Subject, set[str]]:
        found: dict[Subject, set[str]] = defaultdict(set)
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in _TELLING:
                owner = self.of(call.func.value)
                if owner is not None:
                    found[owner].add(call.func.attr)
        return found


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
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in SAME_OBJECT:
            return last_name(value)
    return ""


def without_methods(node: ast.expr, names: Set[str]) -> ast.expr:
    """What an expression is before these methods are called on it: `x` for `x.view(-1).float()`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
        node = node.func.value
    return node
