"""A Python file: one parse, what its names and expressions mean, and what kind of file it is."""

import ast
from functools import cached_property

from detectors._engine.flow.events import Actions
from detectors._engine.flow.unit import Unit
from detectors._engine.names.libraries import OTHER_FRAMEWORKS, Kind
from detectors._engine.names.names import Names
from detectors._engine.names.neighbours import Neighbours, Repository
from detectors._engine.names.versions import NOT_PINNED, Versions
from detectors._engine.source.mend import Source
from detectors._engine.values.arguments import argument, may_have
from detectors._engine.values.definitions import Definitions
from detectors._engine.values.values import Values


class File:
    """One version of one file. Everything is computed when it is first asked for, and kept."""

    def __init__(
        self,
        text: str,
        path: str = "module.py",
        repository: Repository | None = None,
        versions: Versions = NOT_PINNED,
    ) -> None:
        """Parses the text; `repository` is where the files it imports can be read, `versions` what is pinned here.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: the text is no Python.
        """
        self.text = text
        self.path = path
        self.versions = versions
        self.unit = Unit(text, path, Neighbours(repository) if repository is not None else None)
        self.tree = self.unit.tree

    @cached_property
    def source(self) -> Source:
        """The lines, and the changes that can be made to them."""
        return Source(self.text, self.tree)

    @property
    def names(self) -> Names:
        """Bindings and origins."""
        return self.unit.names

    @property
    def values(self) -> Values:
        """What expressions hold."""
        return self.unit.values

    @property
    def actions(self) -> Actions:
        """What calls do."""
        return self.unit.actions

    @cached_property
    def definitions(self) -> Definitions:
        """What names were written as."""
        return Definitions(self.names, self.values)

    @cached_property
    def packages(self) -> frozenset[str]:
        """The outside packages the file imports anywhere, by their first name."""
        imports = [alias.name for each in self.tree.all(ast.Import) for alias in each.names]
        froms = [each.module or "" for each in self.tree.all(ast.ImportFrom) if not each.level]
        return frozenset(each.partition(".")[0] for each in (*imports, *froms))

    @cached_property
    def is_torch(self) -> bool:
        """Whether modes, gradients and steps in this file are PyTorch's: it is imported, or no other framework is."""
        return "torch" in self.packages or not self.packages & OTHER_FRAMEWORKS

    @cached_property
    def is_test(self) -> bool:
        """Whether the file is a test or a fixture of one: rules of training hygiene are off there."""
        if self.packages & {"unittest", "pytest"}:
            return True
        parts = self.path.replace("\\", "/").split("/")
        in_tests = any(each in ("tests", "test", "testing") for each in parts[:-1])
        return in_tests or parts[-1].startswith(("test_", "tests.py", "conftest")) or parts[-1].endswith("_test.py")

    @property
    def is_notebook(self) -> bool:
        """Whether the file is a notebook: its author waits for it, so what a service has to withstand is advice."""
        return self.path.lower().endswith(".ipynb")

    def origin(self, node: ast.AST | None) -> str | None:
        """The dotted origin of a name, an attribute or of what a call calls."""
        return self.names.origin(node.func if isinstance(node, ast.Call) else node)

    def kind(self, node: ast.AST | None) -> Kind:
        """The kind of object an expression holds."""
        return self.values.kind(node)

    def calls(self, *origins: str) -> list[ast.Call]:
        """The calls of these dotted origins, in source order."""
        return self.names.calls(*origins)

    def method_calls(self, *names: str) -> list[ast.Call]:
        """The calls of methods of these names, on anything, in source order."""
        return self.tree.method_calls(*names)

    def argument(self, call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
        """The expression given for an argument; None where it is not given in sight (see `may_have`)."""
        return argument(call, name, position)

    def may_have(self, call: ast.Call, name: str, position: int | None = None) -> bool:
        """Whether the argument is given or may be, through `*args` or `**kwargs`."""
        return may_have(call, name, position)
