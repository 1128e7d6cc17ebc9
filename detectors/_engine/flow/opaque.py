"""Opaque calls: code out of sight that may step, clear or switch what it is given."""

import ast

from detectors._engine.names.names import Names

_HARMLESS = (
    "builtins.", "torch.", "numpy.", "math.", "logging.", "os.", "time.", "tqdm", "random.", "json.", "sys.", "re.",
    "collections.", "itertools.", "functools.", "wandb.", "mlflow.", "matplotlib.", "copy.", "datetime.", "pandas.",
    "shutil.", "pathlib.",
)  # fmt: skip
_PLAIN = frozenset(
    """
    item parameters named_parameters state_dict modules children to cuda cpu numpy detach clone float double half long
    int type append extend items keys values get format join split strip startswith endswith size dim view reshape
    permute transpose unsqueeze squeeze mean sum max min argmax tolist info debug warning error add_scalar set_postfix
    contiguous expand repeat flatten eq ne any all abs sqrt pow exp log softmax repeat_interleave new_zeros
    """.split()
)
"""Methods of tensors, containers, modules and loggers that neither step, clear nor switch anything."""


def is_opaque(call: ast.Call, names: Names) -> bool:
    """Whether a call that is not followed may do something to a model, an optimizer or a loss."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _PLAIN:
        return False
    origin = names.origin(call.func)
    return origin is None or not origin.startswith(_HARMLESS)
