"""Precision: gradient scalers and autocast regions."""

import ast

from detectors._engine.flow.events import Act
from detectors._engine.flow.flow import Event
from detectors._engine.names.bindings import Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import Subject, last_name
from detectors._engine.values.definitions import Definitions
from detectors._engine.values.values import Values

_HALF = frozenset({"torch.float16", "torch.half"})


class Precision:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, definitions: Definitions) -> None:
        self._names, self._values, self._definitions = names, values, definitions

    def scaler_of(self, backward: Event) -> ast.expr | None:
        """The scaler that scaled what is back-propagated: `scaler.scale(loss).backward()`."""
        return _scaling(self._definitions.of(backward.target)) if backward.target is not None else None

    def possible_scaler_of(self, backward: Event) -> ast.expr | None:
        """The scaler that scaled what is back-propagated on some path: `if scaler: loss = scaler.scale(loss)`."""
        loss = backward.target
        bindings = self._names.reaching(loss) if isinstance(loss, ast.Name) else ()
        found = (_scaling(each.value) for each in bindings if each.how is Bound.ASSIGNMENT)
        some = next((each for each in found if each is not None and self._values.kind(each) is Kind.SCALER), None)
        return self.scaler_of(backward) or some

    def is_plain(self, backward: Event) -> bool:
        """Whether what is back-propagated is certainly not scaled: an expression in sight without a word of scaling."""
        target = backward.target
        if target is None or not isinstance(backward.node, ast.Call) or self.scaler_of(backward) is not None:
            return False
        func = backward.node.func
        if not isinstance(func, ast.Attribute) or func.value is not target:  # through an engine or an accelerator
            return False
        return not any("scal" in ast.unparse(each).lower() for each in self._definitions.path(target))

    def scaler_at(self, step: Event) -> ast.expr | None:
        """The scaler an optimizer is stepped through, None for `optimizer.step()`."""
        call = step.node
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            return call.func.value if self._values.kind(call.func.value) is Kind.SCALER else None
        return None

    def is_off(self, scaler: ast.expr) -> bool:
        """Whether the scaler was made with `enabled=False`, or is none of PyTorch's."""
        made = [each for each in self._values.of(scaler) if each.call is not None]
        if any(self._is_disabled(each.call) for each in made if each.call is not None):
            return True
        return bool(made) and not any(each.kind is Kind.SCALER for each in made)

    @staticmethod
    def _is_disabled(call: ast.Call) -> bool:
        given = {each.arg: each.value for each in call.keywords}.get("enabled")
        return isinstance(given, ast.Constant) and not given.value

    def subject(self, scaler: ast.expr) -> Subject | None:
        """The scaler's identity."""
        return self._values.subject(scaler)

    def unscales(self, event: Event) -> bool:
        """Whether the event unscales gradients, or is code out of sight that is given a scaler."""
        if event.act is Act.UNSCALE:
            return True
        call = event.node
        if event.act is not Act.OPAQUE or not isinstance(call, ast.Call):
            return False
        given = [*call.args, *(each.value for each in call.keywords)]
        return any(self._values.kind(each) is Kind.SCALER for each in given) or "unscale" in last_name(call.func)

    def is_half(self, autocast: ast.expr) -> bool:
        """Whether an autocast certainly computes in float16: by its dtype, or as CUDA's default."""
        call = autocast if isinstance(autocast, ast.Call) else self._values.only(autocast).call
        if call is None or any(each.arg is None for each in call.keywords):
            return False
        given = {each.arg: each.value for each in call.keywords}
        enabled = given.get("enabled")
        if isinstance(enabled, ast.Constant) and not enabled.value:
            return False
        origin = self._names.origin(call.func) or ""
        if origin == "torch.cuda.amp.autocast":
            dtype = given.get("dtype") or (call.args[1] if len(call.args) > 1 else None)
            return dtype is None or self._is_float16(dtype)
        if origin not in ("torch.autocast", "torch.amp.autocast"):
            return False
        dtype = given.get("dtype") or (call.args[1] if len(call.args) > 1 else None)
        if dtype is not None:
            return self._is_float16(dtype)
        device = given.get("device_type") or (call.args[0] if call.args else None)
        return isinstance(device, ast.Constant) and str(device.value).startswith("cuda")

    def _is_float16(self, dtype: ast.expr) -> bool:
        return self._names.origin(self._definitions.of(dtype)) in _HALF


def _scaling(written: ast.expr | None) -> ast.expr | None:
    """The scaler of `scaler.scale(loss)`."""
    if isinstance(written, ast.Call) and isinstance(written.func, ast.Attribute) and written.func.attr == "scale":
        return written.func.value
    return None
