"""Events: what a call does in the field's own words, whatever it is spelled like.

`scaler.step(optimizer)`, `optimizer.step()` and `accelerator.backward(loss)` become STEP, STEP and BACKWARD, with the
object they act on. One table a question; `flow` puts the events in order.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.values import Values


class Act(Enum):
    """What happens."""

    FORWARD = "runs the model"
    BACKWARD = "computes gradients"
    STEP = "steps the optimizer"
    ZERO_GRAD = "clears gradients"
    SCHEDULER_STEP = "steps the scheduler"
    SCALER_STEP = "steps through the gradient scaler"
    SCALER_UPDATE = "updates the gradient scaler"
    UNSCALE = "unscales gradients"
    CLIP = "clips gradients"
    TRAIN_MODE = "switches to train mode"
    EVAL_MODE = "switches to eval mode"
    SOME_MODE = "switches to a mode that is not known"
    GRAD_MODE = "switches gradients on or off from here on"
    SET_EPOCH = "tells the sampler the epoch"
    ENTER = "enters a region"
    EXIT = "leaves a region"
    LOOP = "starts an iteration"
    BRANCH = "decides"
    OPAQUE = "runs code out of sight"
    JOIN = "meets"


class Region(Enum):
    """What a `with` block or decorator does to the code in it."""

    NO_GRAD = "without gradients"
    GRAD = "with gradients"
    SOME_GRAD = "with or without gradients"
    AUTOCAST = "mixed precision"
    NO_SYNC = "without gradient synchronisation"
    ACCUMULATE = "accumulation owned by a framework"
    CAUGHT = "exceptions are caught"


@dataclass(frozen=True, slots=True)
class Action:
    """What one call does: the act, and the expression of the object it acts on (None: any object)."""

    act: Act
    target: ast.expr | None


CLIPS = frozenset({"clip_grad_norm_", "clip_grad_norm", "clip_grad_value_", "clip_gradients", "clip_grad_norms"})
_CLIPPING = re.compile(r"(^|_)clip_grad(ient)?s?(_|$)")
_NOT_FORWARD = frozenset(
    """
    parameters named_parameters buffers named_buffers modules named_modules children named_children state_dict
    load_state_dict train eval to cuda cpu half float double bfloat16 zero_grad apply requires_grad_ type
    register_buffer register_parameter register_forward_hook register_full_backward_hook add_module no_sync
    share_memory save_pretrained from_pretrained push_to_hub print_trainable_parameters
    gradient_checkpointing_enable gradient_checkpointing_disable resize_token_embeddings get_input_embeddings
    get_output_embeddings tie_weights append extend insert pop items keys values get update add remove copy save
    load compile fit train_model size dim init_weights reset_parameters reset init_hidden init_state initHidden
    set_epoch log info step backward join split format startswith endswith lower unsqueeze
    enable_input_require_grads merge_and_unload set_adapter close summary num_parameters freeze unfreeze
    clip_grad_norm_ state_dict_for_save configure_optimizers set_input_embeddings
    """.split()
)
_OF_MODELS = frozenset({"eval", "train", "parameters", "named_parameters", "state_dict", "load_state_dict"})
_RUNS_MODEL = frozenset(
    ["forward", "generate", "predict", "encode", "decode", "sample", "infer", "inference", "compute_loss", "loss"]
)


_VERB = re.compile(
    r"(get|build|load|create|make|init|save|prepare|setup|set|to|from|is|has|update|export|convert|wrap|train|test|eval"
    r"|evaluate|run|count|print|log(?!_probs?$)|compute|compile|register|copy|clone|parse|check|fit|reset|freeze|unwrap|split|transform"
    r"|generate|sample|infer|predict|forward|call|define|define|configure|add|remove|list|find|download|resolve)_",
    re.I,
)


class Actions:
    """Classifies calls; answers are kept."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree = tree
        self._names = names
        self._values = values
        self._known: dict[ast.AST, tuple[Action, ...]] = {}

    def of(self, call: ast.Call) -> tuple[Action, ...]:
        """What the call does by itself; calls into this file's own functions are for `flow` to follow."""
        known = self._known.get(call)
        if known is None:
            known = self._known[call] = tuple(self._classify(call))
        return known

    def _classify(self, call: ast.Call) -> Iterator[Action]:
        func = call.func
        if isinstance(func, ast.Attribute):
            handler = _BY_METHOD.get(func.attr)
            if handler is not None:
                yield from handler(self, call, func)
                return
            if func.attr in CLIPS:
                yield Action(Act.CLIP, call.args[0] if call.args else None)
                return
        if "zero_grad" in last_name(func) and self._values.calls.callee(call) is None:
            yield Action(Act.ZERO_GRAD, None)
            return
        origin = self._names.origin(func)
        if origin == "torch.autograd.backward":
            yield Action(Act.BACKWARD, call.args[0] if call.args else None)
        elif origin == "torch_xla.core.xla_model.optimizer_step" and call.args:
            yield Action(Act.STEP, call.args[0])
        elif self._is_clipping(func, origin):
            yield Action(Act.CLIP, call.args[0] if call.args else None)
        elif origin == "torch.set_grad_enabled" and isinstance(self._tree.parents.get(call), ast.Expr):
            yield Action(Act.GRAD_MODE, call.args[0] if call.args else None)
        elif self._runs_model(call):
            yield Action(Act.FORWARD, func.value if self._is_method_of_model(call) else func)  # type: ignore[attr-defined]

    def _is_clipping(self, func: ast.expr, origin: str | None) -> bool:
        """Clipping by a library's function, or by a helper out of sight that says so by its name."""
        name = (origin or "").rpartition(".")[2] or last_name(func)
        return name in CLIPS or (bool(_CLIPPING.search(name)) and self._values.calls.target(func) is None)

    # -- one method a spelling ----------------------------------------------------------------------------

    def _backward(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        if (self._names.origin(func) or "").startswith("torch.distributed.autograd."):
            return  # each of its contexts begins with no gradients, and its optimizer steps with those alone
        owner = self._values.kind(func.value)
        through = owner in (Kind.ACCELERATOR, Kind.ENGINE) or func.attr == "manual_backward"
        if not through and call.args and owner in (Kind.MODEL, Kind.OPTIMIZER):
            through = True  # deepspeed's `engine.backward(loss)` under the name of a model
        if owner is Kind.CRITERION or isinstance(self._values.calls.callee(call), FUNCTIONS):
            return
        yield Action(Act.BACKWARD, call.args[0] if through and call.args else func.value)

    def _step(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        match self._values.kind(func.value):
            case Kind.OPTIMIZER | Kind.ENGINE:
                yield Action(Act.STEP, func.value)
            case Kind.SCHEDULER:
                yield Action(Act.SCHEDULER_STEP, func.value)
            case Kind.SCALER:
                yield Action(Act.SCALER_STEP, func.value)
                if call.args:
                    yield Action(Act.STEP, call.args[0])
            case Kind.MODEL if not call.args and not call.keywords and self._values.calls.callee(call) is None:
                yield Action(Act.STEP, func.value)  # deepspeed's `engine.step()`

    def _zero_grad(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        yield Action(Act.ZERO_GRAD, func.value)

    def _zero(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        if any(isinstance(each, ast.Attribute) and each.attr == "grad" for each in ast.walk(func.value)):
            yield Action(Act.ZERO_GRAD, None)

    def _unscale(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        yield Action(Act.UNSCALE, call.args[0] if call.args else None)

    def _update(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        if self._values.kind(func.value) is Kind.SCALER:
            yield Action(Act.SCALER_UPDATE, func.value)

    def _train(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        if len(call.args) + len(call.keywords) > 1 or self._values.calls.callee(call) is not None:
            return
        mode = call.args[0] if call.args else call.keywords[0].value if call.keywords else None
        if mode is None:
            yield Action(Act.TRAIN_MODE, func.value)
        elif isinstance(mode, ast.Constant) and isinstance(mode.value, bool):
            yield Action(Act.TRAIN_MODE if mode.value else Act.EVAL_MODE, func.value)
        elif not call.keywords or call.keywords[0].arg == "mode":
            yield Action(Act.SOME_MODE, func.value)

    def _eval(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        if not call.args and not call.keywords and self._values.calls.callee(call) is None:
            yield Action(Act.EVAL_MODE, func.value)

    def _set_epoch(self, call: ast.Call, func: ast.Attribute) -> Iterator[Action]:
        yield Action(Act.SET_EPOCH, func.value)

    # -- forward ------------------------------------------------------------------------------------------

    def _is_method_of_model(self, call: ast.Call) -> bool:
        return isinstance(call.func, ast.Attribute) and self._values.kind(call.func) is not Kind.MODEL

    def _makes_model(self, call: ast.Call) -> bool:
        """`net = model(pretrained=True)`, whose result is used as a model: what is called only makes it."""
        statement = self._tree.parents.get(call)
        if not isinstance(statement, ast.Assign) or self._values.is_strong(call.func):
            return False
        made = self._values.subject(statement.targets[0])
        return made is not None and bool(self._values.subjects.methods_called_on(made) & _OF_MODELS)

    def _runs_model(self, call: ast.Call) -> bool:
        func = call.func
        if isinstance(func, (ast.Name, ast.Attribute)) and self._names.origin(func) is not None:
            return False
        if _VERB.match(last_name(func).lstrip("_")) and not self._values.is_strong(func):
            return False
        if self._makes_model(call):
            return False
        if isinstance(func, ast.Name):
            if func.id == "self" or self._values.calls.callee(call) is not None:
                return func.id == "self"
            return self._values.kind(func) is Kind.MODEL
        if not isinstance(func, ast.Attribute):
            return isinstance(func, ast.Subscript) and self._values.kind(func) is Kind.MODEL
        if self._values.kind(func) is Kind.MODEL:
            return not isinstance(self._values.calls.callee(call), FUNCTIONS)
        if func.attr in _NOT_FORWARD or self._values.kind(func.value) is not Kind.MODEL:
            return False
        is_self = isinstance(func.value, ast.Name) and func.value.id == "self"
        return func.attr in _RUNS_MODEL or (
            not is_self and not func.attr.startswith(("_", "get_", "set_", "init", "load", "save"))
        )

    def region(self, context: ast.expr) -> Region | None:
        """What a `with` item or decorator does, None where it is neither about gradients nor precision."""
        if isinstance(context, ast.Name) and self._names.origin(context) is None:
            return self._region_held(context)
        call = context if isinstance(context, ast.Call) else None
        func = call.func if call is not None else context
        origin = self._names.origin(func) or ""
        last = origin.rpartition(".")[2] or (func.attr if isinstance(func, ast.Attribute) else "")
        if last in ("no_grad", "inference_mode", "_no_grad"):
            return self._switched(call, true=Region.NO_GRAD, false=Region.GRAD, default=Region.NO_GRAD)
        if last == "set_grad_enabled":
            return self._switched(call, true=Region.GRAD, false=Region.NO_GRAD, default=Region.SOME_GRAD)
        if last == "enable_grad":
            return Region.GRAD
        return _REGIONS.get(last)

    def _region_held(self, context: ast.Name) -> Region | None:
        """What a context manager kept in a name does: `context = torch.autocast("cuda") if gpu else nullcontext()`."""
        calls = [each.call for each in self._values.of(context) if each.call is not None and each.origin]
        regions = {self.region(call) for call in calls} - {None}
        return Region.AUTOCAST if regions == {Region.AUTOCAST} else None

    @staticmethod
    def _switched(call: ast.Call | None, *, true: Region, false: Region, default: Region) -> Region:
        """`no_grad(True)`-like calls: the region for a constant argument, unknown for any other."""
        argument = (call.args + [each.value for each in call.keywords])[:1] if call is not None else []
        if not argument:
            return default
        if isinstance(argument[0], ast.Constant):
            return true if argument[0].value else false
        return Region.SOME_GRAD


_REGIONS = {
    "autocast": Region.AUTOCAST,
    "autocast_mode": Region.AUTOCAST,
    "no_sync": Region.NO_SYNC,
    "join": Region.NO_SYNC,
    "accumulate": Region.ACCUMULATE,
    "suppress": Region.CAUGHT,
}
_BY_METHOD = {
    "backward": Actions._backward,
    "manual_backward": Actions._backward,
    "step": Actions._step,
    "zero_grad": Actions._zero_grad,
    "clear_grad": Actions._zero_grad,
    "zero_": Actions._zero,
    "unscale_": Actions._unscale,
    "update": Actions._update,
    "train": Actions._train,
    "eval": Actions._eval,
    "set_epoch": Actions._set_epoch,
}
