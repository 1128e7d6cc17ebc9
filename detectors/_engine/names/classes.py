"""Classes: the classes of a file, the bases they have in it, their methods and the attributes of `self`."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.elsewhere import Elsewhere
from detectors._engine.names.libraries import Kind, kind_made_by
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Function, Tree

_KIND_OF_BASE = {
    "torch.nn.Module": Kind.MODEL,
    "torch.nn.Sequential": Kind.MODEL,
    "lightning.pytorch.LightningModule": Kind.MODEL,
    "torch.utils.data.Dataset": Kind.DATASET,
    "torch.utils.data.IterableDataset": Kind.DATASET,
    "torch.utils.data.DataLoader": Kind.LOADER,
    "torch.optim.Optimizer": Kind.OPTIMIZER,
}


class Classes:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, elsewhere: Elsewhere) -> None:
        self._tree, self._names, self._elsewhere = tree, names, elsewhere

    def named(self, name: str) -> ast.ClassDef | None:
        """The class of this file by its name, and by its line where the name has one (`Net@12`)."""
        name, _, line = name.partition("@")
        same = (each for each in self._tree.all(ast.ClassDef) if each.name == name)
        return next((each for each in same if not line or str(each.lineno) == line), None)

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
                    named = self.named((self._names.origin(base) or "").removeprefix("<local>."))
                    rest += [named] if named is not None else []
        return found

    def bases(self, owner: ast.ClassDef) -> list[str]:
        """The origins of all bases outside this file; "?" for one that is not known.

        Where a base is in another file of the repository, its own bases are among them.
        """
        outer = self.outer_bases(owner)
        return [*outer, *(base for origin in outer for base in self._elsewhere.bases(origin))]

    def classes_elsewhere(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The bases that are in other files of the repository: to be read by themselves, their names mean others."""
        return [each for origin in self.outer_bases(owner) for each in self._elsewhere.classes(origin)]

    def outer_bases(self, owner: ast.ClassDef) -> list[str]:
        """The origins of the bases that the class and its bases in this file name outside it."""
        found = []
        for each in self.lineage(owner):
            for base in each.bases:
                node = base.value if isinstance(base, ast.Subscript) else base
                origin = self._names.origin(node)
                if origin is None or not origin.startswith("<local>."):
                    found.append(origin or "?")
        return found

    def kind(self, owner: ast.ClassDef) -> Kind:
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

    def attribute_bindings(self, owner: ast.ClassDef, name: str) -> list[Binding]:
        """Every assignment to `self.NAME` in the class and its bases in this file, and in its body."""
        found: list[Binding] = []
        for each in self.lineage(owner):
            found += self._attributes.get(each, {}).get(name, [])
            found += self._names.bindings.all_in(each).get(name, [])
        return found

    def holds_outsider(self, owner: ast.ClassDef, name: str) -> bool:
        """Whether an attribute holds what another module defines, not a method: `self.score = roc_auc_score`.

        Called, it knows nothing of the object that holds it.
        """
        bindings = self.attribute_bindings(owner, name)
        return bool(bindings) and self.method(owner, name) is None and all(map(self._is_outsider, bindings))

    def _is_outsider(self, binding: Binding) -> bool:
        value = binding.value
        if binding.how is not Bound.ASSIGNMENT or value is None:
            return False
        if isinstance(value, ast.Call):
            given = [*value.args, *(each.value for each in value.keywords)]
            if not all(isinstance(part, ast.Constant) for part in given):
                return False
            value = value.func
        origin = self._names.origin(value) or ""
        return "." in origin and not origin.startswith("<local>.")

    def all_attribute_bindings(self, owner: ast.ClassDef) -> list[Binding]:
        """Every assignment to an attribute of `self` in the class itself."""
        return [each for bindings in self._attributes.get(owner, {}).values() for each in bindings]

    @cached_property
    def _attributes(self) -> dict[ast.ClassDef, dict[str, list[Binding]]]:
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


def _flat(target: ast.expr, index: tuple[int, ...] = ()) -> Iterable[tuple[ast.Attribute, tuple[int, ...]]]:
    if isinstance(target, ast.Attribute):
        yield target, index
    elif isinstance(target, (ast.Tuple, ast.List)):
        for position, element in enumerate(target.elts):
            yield from _flat(element, (*index, position))
