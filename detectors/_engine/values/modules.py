"""Modules: the `nn.Module` classes of a file, what they register, and what their `forward` uses.

A class counts where a base is certain. `self.x` is looked for in the class and in its bases of this file; what
`forward` uses is followed through the methods and properties it calls on `self`.
"""

import ast
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Function, Tree
from detectors._engine.values.values import Values

_BASES = ("torch.nn.", "lightning.pytorch.LightningModule", "torch_geometric.nn.MessagePassing")
_NOT_MODULES = frozenset(["Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"])
_WITH_PARAMETERS = frozenset(
    [
        *("Linear", "Bilinear", "Embedding", "EmbeddingBag", "PReLU", "LayerNorm", "GroupNorm", "RMSNorm"),
        *("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
        *("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "RNN", "LSTM", "GRU"),
        *("RNNCell", "LSTMCell", "GRUCell", "MultiheadAttention", "Transformer", "TransformerEncoder"),
        *("TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer", "Parameter"),
        *("LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d"),
    ]
)
_ENTRIES = ("forward", "__call__", "training_step", "validation_step", "test_step", "predict_step")
_OWN_REGISTRY = frozenset(
    [
        *("parameters", "named_parameters", "children", "modules", "named_modules", "state_dict", "to", "cuda"),
        *("_apply", "__setattr__", "__getattr__", "__getattribute__", "named_children"),
    ]
)
_BY_HAND = frozenset(["add_module", "register_module", "_modules", "__setattr__", "__dict__", "_parameters"])


class Modules:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._mentions: dict[ast.ClassDef, list[tuple[ast.Attribute, Function]]] = {}
        self._is_module_class: dict[ast.ClassDef, bool] = {}
        self._parametric: dict[ast.ClassDef, bool] = {}

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """The classes that are certainly modules, in source order."""
        return [each for each in self._tree.all(ast.ClassDef) if self.is_module_class(each)]

    def is_module_class(self, owner: ast.ClassDef) -> bool:
        """Whether the class is a module for certain: by a base, or, where a base is out of sight, because it has a
        `forward` and makes layers of its own after `super().__init__()`."""
        if owner not in self._is_module_class:
            self._is_module_class[owner] = False  # while it is asked for
            self._is_module_class[owner] = self._find_is_module_class(owner)
        return self._is_module_class[owner]

    def _find_is_module_class(self, owner: ast.ClassDef) -> bool:
        if self.has_module_base(owner):
            return True
        is_open = any(not origin.startswith("builtins.") for origin in self._values.classes.bases(owner))
        return is_open and self._is_built_like_one(owner)

    def has_module_base(self, owner: ast.ClassDef) -> bool:
        """Whether a base in sight is a module for certain."""
        return any(
            (origin.startswith(_BASES) and origin.rpartition(".")[2] not in _NOT_MODULES)
            or (origin.startswith("transformers.") and origin.endswith("PreTrainedModel"))
            for origin in self._values.classes.bases(owner)
        )

    def _is_built_like_one(self, owner: ast.ClassDef) -> bool:
        init = self.methods(owner).get("__init__")
        if init is None or "forward" not in self.methods(owner):
            return False
        calls_super = any(
            isinstance(each, ast.Attribute) and each.attr == "__init__" for each in self._tree.below(init)
        )
        return calls_super and any(
            isinstance(binding.value, ast.Call) and self._is_module(self._names.origin(binding.value.func) or "")
            for each in self._values.classes.lineage(owner)
            for binding in self._values.classes.all_attribute_bindings(each)
        )

    def around(self, node: ast.AST) -> tuple[ast.ClassDef, Function] | None:
        """The module class and its method that hold the node; None outside, and in static and class methods."""
        function = self._tree.function(node)
        while function is not None:
            owner = self._tree.class_of(function)
            if owner is not None:
                plain = any(last in ("staticmethod", "classmethod") for last in map(_last, function.decorator_list))
                return (owner, function) if self.is_module_class(owner) and not plain and function.args.args else None
            function = self._tree.function(function)
        return None

    # -- what a class says of itself ----------------------------------------------------------------------

    def methods(self, owner: ast.ClassDef) -> dict[str, Function]:
        """The methods of the class and of its bases in this file, by name."""
        found: dict[str, Function] = {}
        for each in self._values.classes.lineage(owner):
            for statement in each.body:
                if isinstance(statement, FUNCTIONS):
                    found.setdefault(statement.name, statement)
        return found

    def mentions(self, owner: ast.ClassDef) -> list[tuple[ast.Attribute, Function]]:
        """Every `self.x` in the class and its bases in this file, with its method."""
        if owner not in self._mentions:
            self._mentions[owner] = [
                found for each in self._values.classes.lineage(owner) for found in self._mentioned_in(each)
            ]
        return self._mentions[owner]

    def _mentioned_in(self, owner: ast.ClassDef) -> Iterator[tuple[ast.Attribute, Function]]:
        for method in owner.body:
            if isinstance(method, FUNCTIONS) and method.args.args:
                first = method.args.args[0].arg
                for node in self._tree.below(method):
                    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == first:
                        yield node, method

    def in_forward(self, owner: ast.ClassDef, name: str) -> list[ast.Attribute]:
        """Where `forward`, or what it calls on `self`, reads `self.NAME`."""
        reached = self._reached(owner)
        return [
            node
            for node, method in self.mentions(owner)
            if node.attr == name and isinstance(node.ctx, ast.Load) and method in reached
        ]

    def runs_in_forward(self, owner: ast.ClassDef, method: Function) -> bool:
        """Whether the method is `forward`, or one that it calls on `self`."""
        return method in self._reached(owner)

    def _reached(self, owner: ast.ClassDef) -> set[Function]:
        methods = self.methods(owner)
        rest = [methods[name] for name in _ENTRIES if name in methods]
        reached = set(rest)
        calls: dict[Function, set[str]] = {}
        for node, method in self.mentions(owner):
            if node.attr in methods:
                calls.setdefault(method, set()).add(node.attr)
        while rest:
            for name in calls.get(rest.pop(), ()):
                if methods[name] not in reached and name != "__init__":
                    reached.add(methods[name])
                    rest.append(methods[name])
        return reached

    def keeps_own_registry(self, owner: ast.ClassDef) -> bool:
        """Whether the class registers by hand, hides on purpose, or says itself what its parameters are."""
        if any(name in _OWN_REGISTRY for name in self.methods(owner)):
            return True
        if any(node.attr in _BY_HAND for node, _ in self.mentions(owner)):
            return True
        if any(_registers_by_hand(each) for each in self._values.classes.classes_elsewhere(owner)):
            return True
        return any(
            isinstance(call, ast.Call) and _last(call.func) == "setattr"
            for each in self._values.classes.lineage(owner)
            for call in self._tree.below(each)
        )

    # -- what an expression makes -------------------------------------------------------------------------

    def makes(self, node: ast.expr) -> bool:
        """Whether the expression is one module for certain."""
        origin = self._values.only(node).origin or ""
        return self._is_module(origin)

    def _is_module(self, origin: str) -> bool:
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            return owner is not None and self.is_module_class(owner)
        return self._is_torch_layer(origin)

    @staticmethod
    def _is_torch_layer(origin: str) -> bool:
        last = origin.rpartition(".")[2]
        return origin.startswith("torch.nn.") and last[:1].isupper() and last not in _NOT_MODULES

    def makes_parameter(self, node: ast.expr) -> bool:
        """Whether the expression is an `nn.Parameter` for certain."""
        return self._values.only(node).origin in ("torch.nn.Parameter", "torch.nn.parameter.Parameter")

    def has_parameters(self, node: ast.expr) -> bool:
        """Whether the module that the expression makes has parameters for certain."""
        made = self._values.only(node)
        if made.call is None or not self._is_module(made.origin or ""):
            return False
        return self._origin_has_parameters(made.origin or "", 0) or any(
            self._origin_has_parameters(self._names.origin(call.func) or "", 0)
            for argument in (*made.call.args, *made.call.keywords)
            for call in ast.walk(argument)
            if isinstance(call, ast.Call) and (made.origin or "").startswith("torch.nn.")
        )

    def _origin_has_parameters(self, origin: str, depth: int) -> bool:
        if not origin.startswith("<local>."):
            return origin.startswith("torch.nn.") and origin.rpartition(".")[2] in _WITH_PARAMETERS
        owner = self._values.classes.named(origin.removeprefix("<local>."))
        if owner is None or depth > 4 or not self.is_module_class(owner):
            return False
        if owner not in self._parametric:
            self._parametric[owner] = False
            origins = {self._names.origin(call.func) or "" for call in _calls_in(owner, self._values)}
            origins |= set(self._values.classes.bases(owner))
            self._parametric[owner] = any(self._origin_has_parameters(each, depth + 1) for each in origins)
        return self._parametric[owner]

    # -- writing ------------------------------------------------------------------------------------------

    def spelling(self, origin: str, node: ast.AST) -> str:
        """How this file can write a dotted origin with the imports it has at module level, "" where it cannot."""
        rest: list[str] = []
        module = origin
        while module:
            name = self._names.bindings.imported_as(module, None)
            if name is not None and self._still_means(name, node):
                return ".".join([name, *rest])
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
        return ""

    def _still_means(self, name: str, node: ast.AST) -> bool:
        bindings = self._names.bindings.of(name, self._tree.scope(node))
        return bool(bindings) and all(each.how is Bound.IMPORT for each in bindings)


def _registers_by_hand(owner: ast.ClassDef) -> bool:
    names = {each.name for each in owner.body if isinstance(each, FUNCTIONS)}
    mentioned = {_last(each) for each in ast.walk(owner) if isinstance(each, (ast.Attribute, ast.Name))}
    return bool(names & _OWN_REGISTRY) or bool(mentioned & (_BY_HAND | {"setattr"}))


def _calls_in(owner: ast.ClassDef, values: Values) -> Iterator[ast.Call]:
    for each in values.classes.lineage(owner):
        for node in ast.walk(each):
            if isinstance(node, ast.Call):
                yield node


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
