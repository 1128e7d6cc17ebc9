"""Modes: whether a model acts differently in train and eval mode, and which mode it is in when it is made.

Every `nn.Module` starts in train mode, and loading its weights does not change that. What a library hands over in
eval mode (`transformers`, `diffusers`) is not in these tables.
"""

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.flow.unit import DefinedClass, DefinedFunction, Imports, Unit
from detectors._engine.names.bindings import Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS
from detectors._engine.values.arguments import argument
from detectors._engine.values.value import Value

_MADE_IN_TRAIN_MODE = re.compile(
    r"torchvision\.models\.(\w+\.)*[a-z]\w*$|timm\.(models\.)?create_model$|segmentation_models_pytorch\.[A-Z]\w*$"
    r"|torch\.nn\.Sequential$|torch\.load$|pytorch_fid\.inception\.(InceptionV3|fid_inception_v3)$"
    r"|facenet_pytorch\.(\w+\.)*InceptionResnetV1$"
)
"""`torch.load` of a whole model gives it in the mode it was saved in: train mode, where a training script saved it."""

_HANDS_OVER = re.compile(
    r"(^|\.)(transformers|diffusers|sentence_transformers|peft|open_clip|clip|ultralytics|whisper|TTS)\."
)
_BUILDS = re.compile(
    r"^(build|create|make|get|define|construct)_\w*|(net|network|model)(_?\w?\d+)?$|^(resnet|vgg|mobile_?net|efficient_?net"
    r"|dense_?net|shuffle_?net|swin|vit|convnext|unet|deeplab)\w*$",
    re.I,
)
"""Functions of other files that make a model for whoever loads its weights."""
_HANDS_OVER_LOADED = re.compile(
    r"load|train|eval|infer|predict|test|restore|teacher|frozen|state|weight|param|optim|data", re.I
)
_LOADS = re.compile(r"load_(weights?|checkpoint|ckpt|state|model|params|pretrained|network|parameters)", re.I)
_ONLY_COMPUTES = frozenset(["log_prob", "loss", "compute_loss"])
"""Methods of models that are called like what they compute."""
_HOPS = 4
"""From a file to one that it imports from, for the parts of a model."""
_KNOWN_BASES = ("torch.nn.", "builtins.object", "abc.ABC", "<local>.")


class Modes:
    """Answers for one file."""

    def __init__(self, unit: Unit, imports: Imports, hops: int = 0) -> None:
        self._unit, self._imports, self._hops = unit, imports, hops
        self._tree, self._names, self._values = unit.tree, unit.names, unit.values

    # -- what the mode changes ----------------------------------------------------------------------------

    def depends(self, model: ast.expr | None) -> bool | None:
        """Whether a model has layers that act differently in train and eval mode; None where its build is unknown."""
        answers = {self._value_depends(each) for each in self._values.of(model)}
        return answers.pop() if len(answers) == 1 else (True if True in answers else None)

    def _value_depends(self, value: Value) -> bool | None:
        origin = value.origin or ""
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            return self._class_depends(owner) if owner is not None else None
        if origin.endswith("pipeline"):
            return False
        if origin.endswith(".from_pretrained"):
            return None
        if value.call is not None and origin == "torch.nn.Sequential":
            return self._layers_depend(iter(self._tree.below(value.call)))
        if re.match(
            r"torchvision\.models\.|timm\.|segmentation_models_pytorch\.|efficientnet_pytorch\.|pytorch_fid\.|facenet_pytorch\.",
            origin,
        ):
            return True
        known = _layer_depends(origin)
        return known if known is not None else self._depends_elsewhere(origin)

    def _depends_elsewhere(self, origin: str) -> bool | None:
        """The same for what a call of a class or function of another file makes."""
        found = self._imports.defined(origin, self._unit)
        if found is None or self._hops > _HOPS:
            return None
        other = Modes(found.unit, self._imports, self._hops + 1)
        if isinstance(found, DefinedClass):
            return other._class_depends(found.node)
        answers = {other._value_depends(each) for each in found.returned()}
        return True if True in answers else (answers.pop() if len(answers) == 1 else None)

    def _class_depends(self, owner: ast.ClassDef) -> bool | None:
        """The same for a class of this file, from the layers its methods make and the functions they call."""
        outer = [each for each in self._values.classes.outer_bases(owner) if not each.startswith(_KNOWN_BASES)]
        inherited = {self._depends_elsewhere(each) for each in outer}
        if inherited - {False}:
            return True if True in inherited else None
        nodes = [node for each in self._values.classes.lineage(owner) for node in self._tree.below(each)]
        return self._layers_depend(nodes)

    def _layers_depend(self, nodes: Iterator[ast.AST] | list[ast.AST]) -> bool | None:
        unknown = False
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr == "training":
                return True
            if not isinstance(node, ast.Call):
                continue
            depends = self._call_depends(node)
            if depends:
                return True
            unknown = unknown or depends is None
        return None if unknown else False

    def _call_depends(self, node: ast.Call) -> bool | None:
        origin = self._names.origin(node.func) or ""
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            is_model = owner is not None and self._values.classes.kind(owner) is Kind.MODEL
            return self._class_depends(owner) if is_model and owner is not None else False
        if origin.startswith("torch.nn."):
            return _layer_depends(origin) or _has_dropout(node)
        is_class = bool(origin and re.search(r"\.[A-Z]\w*$", origin) and not origin.startswith("torch."))
        return self._depends_elsewhere(origin) if is_class else False

    def keeps_mode(self, call: ast.AST) -> bool:
        """Whether a method of a model leaves modes alone: one that only computes, or one of a class in sight that
        neither calls `train` or `eval` nor has them."""
        func = call.func if isinstance(call, ast.Call) else None
        if not isinstance(func, ast.Attribute):
            return False
        if func.attr in _ONLY_COMPUTES or func.attr.startswith("forward_"):
            return True
        origin = self._values.only(func.value).origin or ""
        owner = self._values.classes.named(origin.removeprefix("<local>.")) if origin.startswith("<local>.") else None
        if owner is not None:
            return self._values.classes.method(owner, func.attr) is not None and not self._sets_mode(owner)
        lineage = [each.node for each in self._imports.lineage(origin, self._unit)] if origin else []
        has_method = any(
            isinstance(part, FUNCTIONS) and part.name == func.attr for each in lineage for part in each.body
        )
        return has_method and not any(map(_sees_to_modes, lineage))

    # -- the mode a model is made in ----------------------------------------------------------------------

    def comes_in_eval_mode(self, model: ast.expr | None) -> bool:
        """Whether a library hands the model over in eval mode."""
        return any((each.origin or "").endswith((".from_pretrained", "pipeline")) for each in self._values.of(model))

    def loading(self, model: ast.expr | None) -> ast.Call | None:
        """The call that gives a model of this file its trained weights, where the model is in train mode after it.

        None where that is not certain: part of its making is out of sight, or a loader may have called `eval()`.
        """
        values = self._values.of(model)
        if not values or not all(self._is_made_in_train_mode(each) for each in values):
            return None
        made = {each.node for each in values}
        for value in values:
            if value.call is not None and _comes_with_weights(value):
                return value.call
        return next((call for call, nodes in self._loads if nodes & made), None)

    def may_be_switched(self, model: ast.expr | None) -> bool:
        """Whether anything in the file calls `eval()` or `train(…)` on the model, or on one that it could be."""
        made = {each.node for each in self._values.of(model)}
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("eval", "train"):
                switched = {each.node for each in self._values.of(call.func.value)}
                is_unknown = None in switched and not self._is_given(call.func.value)
                if is_unknown or switched & made:
                    return True
        return False

    def _is_given(self, model: ast.expr) -> bool:
        """`self.sampler = sampler` in `__init__`: what the object is given is not what it makes itself."""
        owner = self._values.class_held_by(model.value) if isinstance(model, ast.Attribute) else None
        if owner is None or not isinstance(model, ast.Attribute):
            return False
        bindings = self._values.classes.attribute_bindings(owner, model.attr)
        return bool(bindings) and all(
            isinstance(each.value, ast.Name)
            and isinstance(each.scope, FUNCTIONS)
            and each.scope.name == "__init__"
            and all(bound.how is Bound.PARAMETER for bound in self._names.reaching(each.value))
            for each in bindings
        )

    def is_frozen(self, model: ast.expr | None) -> bool:
        """Whether the file switches off the gradients of the model's parameters, or of something called like it."""
        name = last_name(model)
        for node in self._tree.all(ast.Attribute):
            if node.attr == "requires_grad_" and last_name(node.value) == name:
                return True
            if node.attr == "requires_grad" and isinstance(node.ctx, ast.Store) and name in self._owners(node):
                return True
        return False

    def may_come_frozen(self, model: ast.expr | None) -> bool:
        """Whether the class or function that made the model speaks of `requires_grad`."""
        for origin in {each.origin or "" for each in self._values.of(model)}:
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            found = self._imports.defined(origin, self._unit) if owner is None else None
            if "requires_grad" in ast.unparse(owner or (found.node if found is not None else ast.Pass())):
                return True
        return False

    def _owners(self, node: ast.Attribute) -> set[str]:
        """What the parameters of `parameter.requires_grad = False` belong to: `for parameter in model.parameters()`."""
        loops = self._tree.loops(node)
        return {
            last_name(part)
            for loop in loops
            if isinstance(loop, ast.For)
            for part in ast.walk(loop.iter)
            if isinstance(part, (ast.Name, ast.Attribute))
        }

    def _is_made_in_train_mode(self, value: Value) -> bool:
        origin = value.origin or ""
        if value.call is None or value.index or any(not each.startswith("torch.") for each in value.wrappers):
            return False
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            return owner is not None and self._values.classes.kind(owner) is Kind.MODEL and not self._sets_mode(owner)
        if _MADE_IN_TRAIN_MODE.match(origin):
            return True
        if origin.startswith("torch.") or "." not in origin or _HANDS_OVER.search(origin):
            return False
        found = self._imports.defined(origin, self._unit)
        if isinstance(found, DefinedFunction) and _sees_to_modes(found.node):
            return False
        if any(_sees_to_modes(each.node) for each in self._imports.lineage(origin, self._unit)):
            return False
        last = origin.rpartition(".")[2]
        return last[:1].isupper() or (bool(_BUILDS.search(last)) and not _HANDS_OVER_LOADED.search(last))

    def _sets_mode(self, owner: ast.ClassDef) -> bool:
        """Whether a class of models sees to its own mode, or to that of its parts."""
        lineage = [*self._values.classes.lineage(owner), *self._values.classes.classes_elsewhere(owner)]
        return any(_sees_to_modes(each) for each in lineage)

    @cached_property
    def _loads(self) -> list[tuple[ast.Call, set[ast.expr | None]]]:
        """The calls that put weights into a model, with where the model was made."""
        found = []
        for call in self._tree.all(ast.Call):
            func, model = call.func, None
            if isinstance(func, ast.Attribute) and func.attr == "load_state_dict":
                model = func.value
            elif _LOADS.match(last_name(func)) and self._values.calls.callee(call) is not None:
                model = call.args[0] if call.args else None
            if model is not None:
                found.append((call, {each.node for each in self._values.of(model)} - {None}))
        return found


def _sees_to_modes(definition: ast.AST) -> bool:
    """Whether a function or class calls `train` or `eval`, or has such a method."""
    for node in ast.walk(definition):
        if isinstance(node, FUNCTIONS) and node.name in ("train", "eval"):
            return True
        if isinstance(node, ast.Call) and last_name(node.func) in ("train", "eval"):
            return True
    return False


def _comes_with_weights(value: Value) -> bool:
    """`torch.load(path)`, `resnet50(pretrained=True)`, `resnet50(weights=…)`, and networks that are measured with."""
    origin, call = value.origin or "", value.call
    if call is None or origin == "torch.load":
        return call is not None
    if origin.startswith("pytorch_fid."):
        return True
    if not origin.startswith(("torchvision.models.", "timm.", "facenet_pytorch.")):
        return False
    return any(
        each.arg in ("pretrained", "weights")
        and not (isinstance(each.value, ast.Constant) and each.value.value in (None, False))
        and (isinstance(each.value, ast.Constant) or each.arg == "weights")
        for each in call.keywords
    )


def _layer_depends(origin: str) -> bool | None:
    if not origin.startswith("torch.nn."):
        return None
    last = origin.rpartition(".")[2]
    return bool(re.search(r"dropout|BatchNorm|RReLU|Transformer|batch_norm", last, re.I))


def _has_dropout(call: ast.Call) -> bool:
    """`nn.LSTM(…, dropout=0.5)`, `nn.InstanceNorm2d(…, track_running_stats=True)` and the like."""
    for keyword in call.keywords:
        if keyword.arg in ("dropout", None, "dropout_p", "track_running_stats"):
            is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            return not is_off and not (keyword.arg == "dropout" and _has_one_layer(call))
    return False


def _has_one_layer(call: ast.Call) -> bool:
    """Whether a recurrent layer has no next one: its dropout is between its layers."""
    if last_name(call.func) not in ("RNN", "LSTM", "GRU"):
        return False
    count = argument(call, "num_layers", 2)
    is_open = any(each.arg is None for each in call.keywords) or any(
        isinstance(each, ast.Starred) for each in call.args
    )
    return not is_open if count is None else isinstance(count, ast.Constant) and count.value == 1
