"""Value: one object that an expression can hold, by where it was made."""

import ast
from dataclasses import dataclass
from typing import Final

from detectors._engine.names.libraries import Kind


@dataclass(frozen=True, slots=True)
class Value:
    """One object an expression can hold.

    `node` is the expression that made it; `origin` what was called (`torch.optim.Adam`, `<local>.Net`) or the type of
    a literal (`builtins.int`); `index` the part of it that is meant. `wrappers` are the origins of the calls it was
    handed through, outermost first (`torch.nn.parallel.DistributedDataParallel`).
    """

    kind: Kind = Kind.UNKNOWN
    origin: str | None = None
    node: ast.expr | None = None
    index: tuple[int, ...] = ()
    wrappers: tuple[str, ...] = ()

    @property
    def call(self) -> ast.Call | None:
        """The call that made the object, None for a literal or an unknown."""
        return self.node if isinstance(self.node, ast.Call) else None

    @property
    def constant(self) -> object:
        """The literal's value, None for everything else."""
        return self.node.value if isinstance(self.node, ast.Constant) else None


UNKNOWN: Final = Value()
