"""Schedules: learning-rate schedulers, the unit their horizon is counted in, and how often they are stepped."""

import ast
import re
from dataclasses import dataclass
from enum import Enum

from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Loop
from detectors._engine.values.definitions import Definitions
from detectors._engine.values.values import Values


class Unit(Enum):
    """What a schedule counts."""

    STEP = "optimizer steps"
    EPOCH = "epochs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Schedule:
    """A scheduler where it is made; `horizon` is the argument that says how long it runs."""

    call: ast.Call
    origin: str
    horizon: ast.expr | None

    @property
    def name(self) -> str:
        """The class or function: `OneCycleLR`."""
        return self.origin.rpartition(".")[2]


_HORIZON: dict[str, tuple[str, int]] = {
    "OneCycleLR": ("total_steps", 2),
    "CosineAnnealingLR": ("T_max", 1),
    "PolynomialLR": ("total_iters", 1),
    "LinearLR": ("total_iters", 3),
    "StepLR": ("step_size", 1),
    "MultiStepLR": ("milestones", 1),
    "get_linear_schedule_with_warmup": ("num_training_steps", 2),
    "get_cosine_schedule_with_warmup": ("num_training_steps", 2),
    "get_cosine_with_hard_restarts_schedule_with_warmup": ("num_training_steps", 2),
    "get_polynomial_decay_schedule_with_warmup": ("num_training_steps", 2),
    "get_scheduler": ("num_training_steps", 3),
}
_STEPS = re.compile(
    r"(steps|iters|iterations|updates|batches)_(per|in)_(train_)?epoch|epoch_(steps|len|length|size)$|estimated_stepping_batches"
    r"|^(n|num|nb|total|max|train|training|optimi[sz]\w+)(_(train|training|optimi[sz]\w+|update|total|gradient))*_?(steps|iters|iterations|updates|batches)$",
    re.I,
)
_EPOCHS = re.compile(r"^((n|nb|num|max|total|train|training|number_of)_?)*epochs?(_?(num|count|total))?$", re.I)
_SIZED = re.compile(r"(loader|dataloader|iterator|batches|_dl|^dl)$", re.I)
_KEEPS_UNIT = frozenset({"int", "round", "float", "ceil", "floor", "abs"})


class Schedules:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values, definitions: Definitions) -> None:
        self._names, self._values, self._definitions = names, values, definitions

    def of(self, scheduler: ast.expr | None) -> Schedule | None:
        """The schedule an expression holds; None where it is not exactly one of a known library."""
        known = self._values.of(scheduler)
        if len(known) != 1 or known[0].call is None or known[0].kind is not Kind.SCHEDULER or not known[0].origin:
            return None
        call, origin = known[0].call, known[0].origin
        if not origin.startswith(("torch.optim.", "transformers.")):
            return None
        keyword, position = _HORIZON.get(origin.rpartition(".")[2], ("", 99))
        return Schedule(call, origin, self._given(call, keyword, position))

    @staticmethod
    def _given(call: ast.Call, name: str, position: int) -> ast.expr | None:
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        before = call.args[: position + 1]
        is_given = len(before) > position and not any(isinstance(each, ast.Starred) for each in before)
        return call.args[position] if is_given else None

    def counted_in(self, schedule: Schedule) -> Unit:
        """The unit of the schedule's horizon."""
        if schedule.name == "OneCycleLR" and schedule.horizon is None:
            per_epoch = self._given(schedule.call, "steps_per_epoch", 4)
            is_known = per_epoch is not None and self.unit(per_epoch) is Unit.STEP
            return Unit.STEP if is_known else Unit.UNKNOWN
        if isinstance(schedule.horizon, (ast.List, ast.Tuple)):
            units = {self.unit(each) for each in schedule.horizon.elts}
            return units.pop() if len(units) == 1 else Unit.UNKNOWN
        return self.unit(schedule.horizon) if schedule.horizon is not None else Unit.UNKNOWN

    # -- units of expressions -----------------------------------------------------------------------------

    def unit(self, node: ast.expr, depth: int = 0) -> Unit:
        """What a number counts, by what it is computed from and what it is called."""
        if depth > 12:
            return Unit.UNKNOWN
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._unit_of_name(node, depth)
        if isinstance(node, ast.BinOp):
            return self._unit_of_arithmetic(node, depth)
        if isinstance(node, ast.Call):
            return self._unit_of_call(node, depth)
        return Unit.UNKNOWN

    def _unit_of_name(self, node: ast.expr, depth: int) -> Unit:
        is_item = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        called = str(node.slice.value) if is_item else last_name(node)  # type: ignore[attr-defined]
        named = Unit.STEP if _STEPS.search(called) else Unit.EPOCH if _EPOCHS.search(called) else Unit.UNKNOWN
        written = self._definitions.of(node)
        computed = self.unit(written, depth + 1) if written is not node else Unit.UNKNOWN
        if Unit.UNKNOWN in (named, computed):
            return computed if named is Unit.UNKNOWN else named
        return named if named is computed else Unit.UNKNOWN

    def _unit_of_arithmetic(self, node: ast.BinOp, depth: int) -> Unit:
        left, right = self.unit(node.left, depth + 1), self.unit(node.right, depth + 1)
        units = {left, right}
        if isinstance(node.op, (ast.Mult, ast.Add, ast.Sub)):
            if isinstance(node.op, ast.Mult) and Unit.STEP in units:
                return Unit.STEP
            numbers = [each for each in (node.left, node.right) if _is_number(self._definitions.of(each))]
            known = units - {Unit.UNKNOWN}
            return known.pop() if len(known) == 1 and (numbers or left is right) else Unit.UNKNOWN
        if isinstance(node.op, (ast.Div, ast.FloorDiv)):
            if isinstance(node.left, ast.Call) and self._counts_items(node.left):
                return Unit.STEP
            return left if right is Unit.UNKNOWN else Unit.UNKNOWN
        return Unit.UNKNOWN

    def _unit_of_call(self, node: ast.Call, depth: int) -> Unit:
        name = last_name(node.func)
        if name == "len" and len(node.args) == 1:
            sized = node.args[0]
            is_loader = self._values.kind(sized) is Kind.LOADER or bool(_SIZED.search(last_name(sized)))
            return Unit.STEP if is_loader else Unit.UNKNOWN
        if name in _KEEPS_UNIT and node.args:
            return self.unit(node.args[0], depth + 1)
        if name in ("max", "min"):
            known = {self.unit(each, depth + 1) for each in node.args if not _is_number(each)}
            return known.pop() if len(known) == 1 else Unit.UNKNOWN
        return Unit.UNKNOWN

    def _counts_items(self, node: ast.Call) -> bool:
        return last_name(node.func) == "len" and len(node.args) == 1

    # -- loops --------------------------------------------------------------------------------------------

    def rounds(self, loop: Loop) -> int | None:
        """How often the loop runs, where it is a range over a number in sight."""
        if isinstance(loop, ast.While):
            return None
        iterable = _unwrapped(loop.iter)
        if (
            not isinstance(iterable, ast.Call)
            or last_name(iterable.func) not in ("range", "trange")
            or not iterable.args
        ):
            return None
        bounds = [self.number(each) for each in iterable.args]
        if len(bounds) > 2 or None in bounds:
            return None
        count = bounds[-1] - (bounds[0] if len(bounds) == 2 else 0)  # type: ignore[operator]
        return int(count)

    def number(self, node: ast.expr | None) -> float | None:
        """The number an expression holds, where it is in sight."""
        written = self._definitions.of(node) if node is not None else None
        value = written.value if isinstance(written, ast.Constant) else None
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def counts_batches(self, loop: Loop) -> bool:
        """Whether the loop goes over a loader, or over anything but a count, inside a loop of epochs."""
        if isinstance(loop, ast.While) or "epoch" in ast.unparse(loop.target).lower():
            return False
        iterable = _unwrapped(loop.iter)
        if isinstance(iterable, ast.Call) and last_name(iterable.func) in ("range", "trange"):
            return any(self.unit(each) is Unit.STEP for each in iterable.args)
        if isinstance(iterable, ast.Call) and last_name(iterable.func) == "count":
            return False
        return self._values.kind(iterable) is Kind.LOADER or not _speaks_of_folds(loop)


_FOLDS = re.compile(r"fold|split|seed|trial|run|config|param|lr\b|lrs\b|stage|phase|task|seq|chunk|epoch", re.I)


def _speaks_of_folds(loop: ast.For | ast.AsyncFor) -> bool:
    return bool(_FOLDS.search(ast.unparse(loop.target) + " " + ast.unparse(loop.iter)))


def _unwrapped(node: ast.expr) -> ast.expr:
    """Without `enumerate`, `tqdm`, `track` around it."""
    while (
        isinstance(node, ast.Call)
        and node.args
        and last_name(node.func) in ("enumerate", "tqdm", "track", "zip", "islice")
    ):
        node = node.args[0]
    return node


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
