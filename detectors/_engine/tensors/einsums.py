"""Einsums: the letters that an `einsum` gives the dimensions of its operands and of its result."""

import ast
from dataclasses import dataclass

from detectors._engine.names.subjects import last_name


@dataclass(frozen=True, slots=True)
class Einsum:
    """A call with its operands, the dimensions of each as the author named them, and those of the result."""

    call: ast.Call
    operands: tuple[ast.expr, ...]
    inputs: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]

    def letters_of(self, operand: ast.expr) -> tuple[str, ...] | None:
        """The dimensions of one operand."""
        return next(
            (letters for each, letters in zip(self.operands, self.inputs, strict=True) if each is operand), None
        )

    def is_kept_everywhere(self, letter: str) -> bool:
        """Whether a dimension belongs to every operand and to the result: one product for each entry of it."""
        return letter in self.output and all(letter in each for each in self.inputs)


def einsum_of(call: ast.Call) -> Einsum | None:
    """What an einsum of torch or einops says; None for another call, and where dimensions are left to `...`."""
    if last_name(call.func) != "einsum" or not call.args:
        return None
    is_text = [isinstance(each, ast.Constant) and isinstance(each.value, str) for each in call.args]
    if is_text.count(True) != 1:
        return None
    pattern = call.args[is_text.index(True)]
    operands = tuple(each for each in call.args if each is not pattern)
    inputs, arrow, output = str(getattr(pattern, "value", "")).partition("->")
    if not arrow or "." in inputs or any(isinstance(each, ast.Starred) for each in operands):
        return None
    letters = tuple(_letters(each) for each in inputs.split(","))
    if len(letters) != len(operands) or not all(letters):
        return None
    return Einsum(call, operands, letters, _letters(output))


def _letters(text: str) -> tuple[str, ...]:
    """`b h i d` and `bhid`: a space in it makes the dimensions words."""
    text = text.strip()
    return tuple(text.split()) if " " in text else tuple(text)
