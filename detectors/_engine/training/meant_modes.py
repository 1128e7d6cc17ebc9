"""Meant modes: evaluations in train mode that are no mistake.

Dropout that is sampled, statistics that are gathered, policies that act while they learn, teachers, and dry runs.
"""

import ast
import re

from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.training.modes import Modes
from detectors._engine.training.passes import EvaluationPass, covers
from detectors._engine.values.values import Values

_MADE_UP = frozenset(f"torch.{each}" for each in ("ones", "zeros", "rand", "randn", "empty"))
_ACTS = re.compile(r"(^|_)(act|action|update|rollout|collect|explore)(_|$)")
"""Functions of a learner that ask its policy while it trains."""
_SAMPLES = re.compile(r"dropout|(^|_|\s)mc_|training=|(^|_)bn|batch_?norm|calibrat|statistic|warm_?up", re.I)
_ENSEMBLE = re.compile(r"dropout|ensemble|(^|_)mc_", re.I)


class MeantModes:
    """Answers for one file."""

    def __init__(self, tree: Tree, values: Values, modes: Modes) -> None:
        self._tree, self._values, self._modes = tree, values, modes

    def is_train_mode_meant(self, each: EvaluationPass, since: ast.AST) -> bool:
        """Whether the evaluation is to run in train mode, in which the model is since the node."""
        forward = each.forward
        function = forward.function.name if forward.function else ""
        return (
            self._is_switched_around(each)
            or self._is_in_an_environment(each)
            or (_ACTS.search(function) is not None and not each.is_named and each.loop is None)
            or _SAMPLES.search(f"{function} {ast.unparse(forward.node)}") is not None
            or _is_a_teacher(each)
            or self._is_a_dry_run(forward)
            or self._is_dropped(forward)
            or self._is_an_ensemble(each, since)
        )

    def _is_dropped(self, forward: Event) -> bool:
        """A call as a statement, or `_ = model(batch)`: it is made for what it does to the model."""
        parent = self._tree.parents[forward.node]
        target = parent.targets[0] if isinstance(parent, ast.Assign) else None
        return isinstance(parent, ast.Expr) or (isinstance(target, ast.Name) and target.id == "_")

    def _is_an_ensemble(self, each: EvaluationPass, since: ast.AST) -> bool:
        """Whether a run that never trains calls `train()` itself, where something speaks of dropout or an ensemble."""
        function = self._tree.function(since)
        if each.flow.of(Act.BACKWARD) or function is None:
            return False
        if all(since is not event.node for event in each.flow.of(Act.TRAIN_MODE)):
            return False
        names = (last_name(node) for node in ast.walk(function) if isinstance(node, (ast.Name, ast.Attribute)))
        return any(_ENSEMBLE.search(name) for name in names)

    def _is_a_dry_run(self, forward: Event) -> bool:
        """Whether the model gets numbers made up on the spot, to see that it runs and of what shape its output is."""
        call = forward.node
        made = [self._values.of(each) for each in call.args] if isinstance(call, ast.Call) else []
        return bool(made) and all(values and all(each.origin in _MADE_UP for each in values) for values in made)

    def _is_in_an_environment(self, each: EvaluationPass) -> bool:
        """A policy acts: `observation, reward, done, info = env.step(action)`. Few have layers that depend on the
        mode."""
        function = each.forward.function
        if function is None or self._modes.depends(each.forward.target):
            return False
        return any(
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and len(node.targets[0].elts) > 2
            and isinstance(node.value, ast.Call)
            and last_name(node.value.func) == "step"
            for node in self._tree.below(function)
        )

    def _is_switched_around(self, each: EvaluationPass) -> bool:
        """Whether the block that switches gradients off switches to train mode itself: detectors give losses only
        there."""
        block = self._tree.enclosing(each.forward.node, ast.With)
        return block is not None and any(
            self._tree.enclosing(event.node, ast.With) is block and event.line < each.forward.line
            for event in each.flow.of(Act.TRAIN_MODE)
            if event.subject is not None and covers(event.subject, each.forward.subject)
        )


def _is_a_teacher(each: EvaluationPass) -> bool:
    """Whether the model was put in train mode by hand, never gets gradients and runs where another one trains."""
    flow, forward = each.flow, each.forward
    runs = [event for event in flow.of(Act.FORWARD) if event.subject == forward.subject]
    return (
        bool(forward.loops)
        and any(event.subject == forward.subject for event in flow.of(Act.TRAIN_MODE))
        and all(event.within(Region.NO_GRAD) for event in runs)
        and any(event.loops and event.loops[-1] in forward.loops for event in flow.of(Act.BACKWARD))
    )
