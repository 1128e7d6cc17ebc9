"""Frameworks: who owns the loop. Where a framework calls the method, it also switches modes, gradients and devices."""

import ast
import re

from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values

_OWNERS = re.compile(
    r"(LightningModule|Trainer|Learner|Brain|Callback|PLModule|ModelPT|NeuralNet\w*|TrainerBase|LightningLite|TrainLoop"
    r"|Recipe\w*|Engine|HookBase|BaseRunner)$|^mmengine\.model\.\w+$"
)


def owning_framework(tree: Tree, values: Values, node: ast.AST) -> str:
    """The framework's class that the class around the node derives from, "" where the file drives its own loop."""
    owner = tree.enclosing(node, ast.ClassDef)
    while owner is not None:
        for origin in values.classes.bases(owner):
            if _OWNERS.search(origin):
                return origin.rpartition(".")[2]
        owner = tree.enclosing(owner, ast.ClassDef)
    return ""
