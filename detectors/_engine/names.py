"""Names: what binds them, which binding reaches a use, and the dotted origin of an expression.

`F.cross_entropy` has the origin `torch.nn.functional.cross_entropy`, whatever it was imported as. An origin is only
given where the binding is in sight; a name that could be several things has none.
"""

import ast
import builtins
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from functools import cache

from detectors._engine.tree import FUNCTIONS, Scope, Tree


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


_CANONICAL = (
    ("torch.nn.modules.", "torch.nn."),
    ("torch.optim.optimizer.", "torch.optim."),
    ("torch.utils.data.dataloader.", "torch.utils.data."),
    ("torch.utils.data.dataset.", "torch.utils.data."),
    ("torch.utils.data.sampler.", "torch.utils.data."),
    ("torch.utils.data.distributed.", "torch.utils.data."),
    ("torch.nn.parallel.distributed.", "torch.nn.parallel."),
    ("torch.autograd.grad_mode.", "torch."),
    ("torch.cuda.amp.grad_scaler.", "torch.cuda.amp."),
    ("torch.cuda.amp.autocast_mode.", "torch.cuda.amp."),
    ("torch.utils.tensorboard.writer.", "torch.utils.tensorboard."),
    ("pytorch_lightning.", "lightning.pytorch."),
    ("lightning.pytorch.core.module.", "lightning.pytorch."),
    ("sklearn.preprocessing._data.", "sklearn.preprocessing."),
)
_TORCH_SUBMODULE = {
    module: package
    for package, modules in {
        "torch.optim": "adadelta adagrad adam adamw adamax asgd lbfgs nadam radam rmsprop rprop sgd sparse_adam",
        "torch.nn": (
            "activation adaptive batchnorm container conv distance dropout embedding fold instancenorm linear loss "
            "module normalization padding pooling rnn sparse transformer"
        ),
    }.items()
    for module in (f"{package}.{each}" for each in modules.split())
}


@cache
def canonical(origin: str) -> str:
    """The origin people write: `torch.optim.adam.Adam` is `torch.optim.Adam`."""
    for private, public in _CANONICAL:
        if origin.startswith(private):
            origin = public + origin[len(private) :]
    module, _, last = origin.rpartition(".")
    return f"{_TORCH_SUBMODULE[module]}.{last}" if module in _TORCH_SUBMODULE else origin


class Names:
    """Bindings of every scope, collected once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._bindings: dict[Scope, dict[str, list[Binding]]] = defaultdict(lambda: defaultdict(list))
        self._elsewhere: dict[tuple[Scope, str], Scope] = {}
        self._in_comprehension: dict[tuple[ast.AST, str], Binding] = {}
        self._comprehension_names: set[str] = set()
        self.star_imports: list[str] = []
        self._reaching: dict[ast.AST, tuple[Binding, ...]] = {}
        self._origins: dict[ast.AST, str | None] = {}
        self._collect()

    # -- collecting ---------------------------------------------------------------------------------------

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
                bindings.sort(key=lambda each: _position(each.node))

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
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest):
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
        scope = self._elsewhere.get((scope, name), scope)
        self._bindings[scope][name].append(Binding(name, how, node, scope, value, index, canonical(origin)))

    def _outer(self, scope: Scope, name: str) -> Scope:
        outer = self._tree.scope(scope)
        while not isinstance(outer, ast.Module) and name not in self._bindings[outer]:
            outer = self._tree.scope(outer)
        return outer

    # -- looking up ---------------------------------------------------------------------------------------

    def bindings(self, name: str, scope: Scope) -> list[Binding]:
        """All bindings of the name that a use in this scope can mean, in source order."""
        scope = self._elsewhere.get((scope, name), scope)
        first = True
        while True:
            found = self._bindings[scope].get(name) if scope in self._bindings else None
            if found and (first or not isinstance(scope, ast.ClassDef)):
                return found
            if isinstance(scope, ast.Module):
                return []
            first, scope = False, self._tree.scope(scope)

    def imported_as(self, origin: str, scope: Scope | None) -> str | None:
        """The name under which the file, or this scope, imports what has this origin; None without."""
        for where in (scope, self._tree.module):
            for name, bindings in self._bindings.get(where, {}).items() if where is not None else ():
                if bindings[0].how is Bound.IMPORT and bindings[0].origin == origin:
                    return name
        return None

    def all_bindings(self, scope: Scope) -> dict[str, list[Binding]]:
        """Every name bound directly in this scope."""
        return self._bindings.get(scope, {})

    def reaching(self, use: ast.Name) -> tuple[Binding, ...]:
        """The bindings that can hold the name's value at this use: flow-sensitive within the use's own scope, all
        of them where the use is in a scope below."""
        known = self._reaching.get(use)
        if known is None:
            known = self._reaching[use] = tuple(self._find_reaching(use))
        return known

    def _find_reaching(self, use: ast.Name) -> list[Binding]:
        scope = self._tree.scope(use)
        if use.id in self._comprehension_names:
            for above_use in self._tree.ancestors(use):
                if (above_use, use.id) in self._in_comprehension:
                    return [self._in_comprehension[above_use, use.id]]
        bindings = self.bindings(use.id, scope)
        if len(bindings) < 2 or bindings[0].scope is not self._elsewhere.get((scope, use.id), scope):
            return bindings
        above = {use: None, **dict.fromkeys(self._tree.ancestors(use))}
        here = _position(use)
        before = [each for each in bindings if self._is_done_before(each, here, above)]
        start = 0
        for position, binding in enumerate(before):
            if self._always_runs_before(binding, above):
                start = position
        reach = [each for each in before[start:] if not self._excluded(each, above)]
        start_node = before[start].node if before else None
        reach += [each for each in bindings if each not in before and self._comes_round(each, above, start_node)]
        return self._without_shadowed(reach or bindings, use)

    def _is_done_before(self, binding: Binding, here: tuple[int, int], above: dict[ast.AST, None]) -> bool:
        if binding.node in above:  # `x = f(x)`: the use is inside the statement that binds
            is_loop = binding.how in (Bound.ITEM, Bound.CONTEXT)
            return is_loop and not (binding.value is not None and binding.value in above)
        return _position(binding.node) < here

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
        for position, choice in enumerate(ifs):
            if choice is None or not choice.orelse:
                continue
            both = [p for p, other in enumerate(ifs) if other is choice]
            sides = {self._tree.statement(bindings[p].node) in choice.body for p in both}
            if len(sides) == 2 and not self._tree.inside(use, choice):
                return bindings[min(position, *both) :]
        return bindings

    # -- origins ------------------------------------------------------------------------------------------

    def origin(self, node: ast.AST | None) -> str | None:
        """The dotted origin of a name or attribute, None where it is not known.

        Definitions of this file have the origin `<local>.NAME`.
        """
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        if node not in self._origins:
            self._origins[node] = None  # an alias of itself has no origin
            self._origins[node] = self._find_origin(node)
        return self._origins[node]

    def _find_origin(self, node: ast.Name | ast.Attribute) -> str | None:
        if isinstance(node, ast.Attribute):
            base = self.origin(node.value)
            return None if base is None or base.startswith("<local>") else canonical(f"{base}.{node.attr}")
        bindings = self.reaching(node)
        if not bindings:
            return f"builtins.{node.id}" if hasattr(builtins, node.id) and not self.star_imports else None
        imports = [each.origin for each in bindings if each.how is Bound.IMPORT]
        if imports:
            return imports[0] if len(imports) == len(bindings) or self._is_fallback(bindings) else None
        origins = {self._binding_origin(each) for each in bindings}
        return origins.pop() if len(origins) == 1 else None

    def _binding_origin(self, binding: Binding) -> str | None:
        if binding.how in (Bound.FUNCTION, Bound.CLASS):
            return f"<local>.{binding.name}"
        if binding.how is Bound.ASSIGNMENT:
            return self.origin(binding.value)
        return None

    def _is_fallback(self, bindings: tuple[Binding, ...]) -> bool:
        """`try: import x` / `except ImportError: x = None`: the import is what is meant."""
        return all(
            each.how is Bound.IMPORT or self._tree.enclosing(each.node, ast.Try) is not None for each in bindings
        )


def _position(node: ast.AST) -> tuple[int, int]:
    if isinstance(node, ast.withitem):
        node = node.context_expr
    return node.lineno, node.col_offset  # type: ignore[attr-defined]
