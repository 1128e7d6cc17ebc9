"""Devices: whether a file computes on a GPU."""

import ast

from detectors._engine.names.names import Names
from detectors._engine.source.tree import Tree


def uses_gpu(tree: Tree, names: Names) -> bool:
    """Whether this file puts anything on a CUDA device."""
    for constant in tree.all(ast.Constant):
        if isinstance(constant.value, str) and constant.value.startswith("cuda") and constant.value[4:5] in ("", ":"):
            return True
    return any(
        isinstance(call.func, ast.Attribute) and call.func.attr == "cuda" and names.origin(call.func) is None
        for call in tree.all(ast.Call)
    )
