"""Options: what a script offers on its command line, and whether that reaches anything."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.values import Values

_HARMLESS = frozenset(["print", "vars", "str"])


@dataclass(frozen=True, slots=True)
class Option:
    """One `add_argument` with the flags or the name it is given, as they are written."""

    call: ast.Call
    flags: tuple[str, ...]

    @property
    def names(self) -> set[str]:
        """The names under which the parsed options may have it."""
        return {each.lstrip("-").replace("-", "_") for each in self.flags}


class Options:
    """Answers for one file."""

    def __init__(self, tree: Tree, values: Values) -> None:
        self._tree = tree
        self._values = values

    @cached_property
    def offered(self) -> list[Option]:
        """Every option, in source order."""
        return [Option(each, tuple(_texts(each))) for each in self._tree.method_calls("add_argument")]

    def may_reach(self, option: Option) -> bool:
        """Whether anything reads the option, or may where the options go out of sight."""
        return self._is_read(option.names) or self._leave

    def parsed_at(self) -> ast.Call | None:
        """The call that parses the command line, a parser of this file's own first."""
        parsing = [each for each in self._tree.all(ast.Call) if last_name(each.func) == "parse_args"]
        own = (each for each in parsing if isinstance(self._values.calls.callee(each), FUNCTIONS))
        return next(own, parsing[0] if parsing else None)

    def _is_read(self, names: set[str]) -> bool:
        if any(each.attr in names for each in self._tree.all(ast.Attribute)):
            return True
        constants = (each.value for each in self._tree.all(ast.Constant) if isinstance(each.value, str))
        return any(each in names for each in constants)

    @cached_property
    def _leave(self) -> bool:
        """Whether the parsed options are handed as a whole to code out of sight."""
        parsed = self._parsed
        reads = (each for each in self._tree.all(ast.Name) if each.id in parsed and isinstance(each.ctx, ast.Load))
        return not parsed or any(not self._is_harmless(each) for each in reads)

    @property
    def _parsed(self) -> set[str]:
        """The names of what parsers gave."""
        assigns = (each for each in self._tree.all(ast.Assign) if isinstance(each.value, ast.Call))
        parsing = (each for each in assigns if "parse" in last_name(each.value.func))  # type: ignore[attr-defined]
        nodes = (node for each in parsing for target in each.targets for node in ast.walk(target))
        return {each.id for each in nodes if isinstance(each, ast.Name)}

    def _is_harmless(self, read: ast.Name) -> bool:
        above = self._tree.parents.get(read)
        if not isinstance(above, ast.Call):
            return isinstance(above, (ast.Attribute, ast.Return))
        return ast.unparse(above.func) in _HARMLESS or isinstance(self._values.calls.callee(above), FUNCTIONS)


def _texts(call: ast.Call) -> Iterator[str]:
    for each in call.args:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
