"""Shapes: what the author wrote beside a tensor about its dimensions, as `# (batch, length, vocabulary)`."""

import ast
import re
from dataclasses import dataclass

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.tensors.reshapes import is_batch_size

_WORD = r"[\w.*+/-]+(?: ?[*+/-] ?\w+)*"
_BRACKETED = re.compile(rf"[\[(]\s*({_WORD}(?:\s*,\s*{_WORD})+)\s*[\])]")
_CROSSED = re.compile(r"(?<![\w.])(\w+(?:\s+[x×]\s+\w+)+)(?![\w.])")


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions in the author's words, and the line they stand in."""

    dimensions: tuple[str, ...]
    line: int

    @property
    def has_batch_first(self) -> bool:
        """Whether dimension 0 is said to count the examples of a batch, with others behind it."""
        return len(self.dimensions) > 1 and is_batch_size(self.dimensions[0])

    @property
    def text(self) -> str:
        """As it reads in a message."""
        return f"({', '.join(self.dimensions)})"


class Shapes:
    """Answers for one file."""

    def __init__(self, text: str, tree: Tree) -> None:
        self._lines = text.split("\n")
        self._tree = tree

    def of(self, binding: Binding) -> Shape | None:
        """What is said of a name where it gets its value: behind the statement, or of a parameter in the docstring."""
        if binding.how is Bound.PARAMETER:
            return self._of_parameter(binding)
        if binding.how is not Bound.ASSIGNMENT or not isinstance(binding.node, (ast.Assign, ast.AnnAssign)):
            return None
        return self.beside(binding.node)

    def beside(self, statement: ast.stmt) -> Shape | None:
        """The shape in the comment at the end of the statement, which speaks of its result."""
        line = statement.end_lineno or statement.lineno
        rest = self._lines[line - 1].encode()[statement.end_col_offset or 0 :].decode(errors="replace").strip()
        return _read(rest, line) if rest.startswith("#") else None

    def _of_parameter(self, binding: Binding) -> Shape | None:
        function = binding.scope
        doc = ast.get_docstring(function, clean=False) if isinstance(function, FUNCTIONS) else None
        if doc is None or not isinstance(function, FUNCTIONS):
            return None
        start = function.body[0].lineno
        for offset, line in enumerate(doc.split("\n")):
            name, colon, rest = line.strip().partition(":")
            if colon and name.strip(" `*-").split(" ")[0].split("(")[0].strip("`") == binding.name:
                return _read(f"{name.partition(binding.name)[2]} {rest}", start + offset)
        return None


def _read(text: str, line: int) -> Shape | None:
    found = _BRACKETED.findall(text)
    if len(found) == 1:
        return Shape(tuple(each.strip() for each in found[0].split(",")), line)
    crossed = _CROSSED.findall(text) if not found else []
    return Shape(tuple(re.split(r"\s+[x×]\s+", crossed[0])), line) if len(crossed) == 1 else None
