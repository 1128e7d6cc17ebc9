"""Hidden code: what a call out of sight may do to gradients and optimizers, by what it is given and what it is called.

A name never proves that something happens; it only tells where silence would be needless.
"""

import ast
import re

from detectors._engine.flow.events import Act
from detectors._engine.flow.flow import Event
from detectors._engine.names.subjects import Subject

_BOOKKEEPING = re.compile(
    r"^_?(save|log|print|write|record|report|dump|store|track|add_(scalar|text|image|histogram|figure)|plot|display|show|format|info|debug)"
)
_COMPUTES = re.compile(
    r"loss|criteri|cross_entropy|mse|nll|bce|kl_|accuracy|metric|score"
    r"|^(to|item|mean|sum|size|dim|parameters|named_parameters|children|modules|buffers|items|keys|values|append|extend|pop"
    r"|get|state_dict|numpy|detach|cpu|cuda|float|tolist|view|reshape|(un)?squeeze|clone|max|min|argmax|eq|get_last_lr"
    r"|get_scale|set_description|set_postfix|format|join|split|norm|time|perf_counter|long|data|flatten|contiguous)$",
    re.I,
)
_MAY_TRAIN = re.compile(r"scal|backward|step|updat|train|optim|fit|back_?prop|closure", re.I)
_AS_A_MODE = re.compile(r"(for|in|set)_train(ing)?(_mode|_batch)?|^train$", re.I)
_MAY_USE_ITS_OWN = re.compile(
    r"zero|grad|clear|reset|step|updat|optim|train|learn|execute|callback|backward|back_?prop|closure|hook|iterat|epoch"
    r"|(^|_)(on|pre|post|before|after|begin|start|end|finish|prepare|setup|init|apply|do|run|fit|call)(_|$)",
    re.I,
)


def gives_gradients(event: Event) -> bool:
    """Whether the event computes or writes gradients, or is code out of sight that may."""
    return event.act is Act.BACKWARD or (
        event.act is Act.OPAQUE and not is_bookkeeping(event) and not _is_computation(event)
    )


def may_use(event: Event, optimizer: Subject | None) -> bool:
    """Whether code out of sight may step or clear the optimizer: it is given the optimizer itself, or it is given the
    object that owns it (`self.policy` of `self.policy.optimizer`) and says by its name that it prepares or trains."""
    if optimizer is not None and optimizer in event.touches:
        return True
    if not _MAY_USE_ITS_OWN.search(_AS_A_MODE.sub("", _called(event))):
        return False
    return event.may_touch(optimizer) or (event.act is Act.FORWARD and _owns(event.subject, optimizer))


def _owns(subject: Subject | None, part: Subject | None) -> bool:
    while subject is not None and isinstance(part, tuple) and part[0] == "attribute":
        part = part[1]
        if part == subject:
            return True
    return False


def _is_computation(event: Event) -> bool:
    """Whether code out of sight computes a loss or a metric, by its name; its backward is still to come."""
    name = _called(event)
    return bool(_COMPUTES.search(name)) and not _MAY_TRAIN.search(name)


def _called(event: Event) -> str:
    func = event.node.func if isinstance(event.node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def is_bookkeeping(event: Event) -> bool:
    """Whether code out of sight only writes down what happened, by its name: `save_checkpoint`, `log_metrics`."""
    return bool(_BOOKKEEPING.match(_called(event)))
