"""Elsewhere: what a file's own answers need to know of the repository's other files."""

import ast
from typing import Protocol

from detectors._engine.names.libraries import Kind


class Elsewhere(Protocol):
    """Asked by dotted origin, as one file imports it. What is not at hand is unknown: no bases, no kind."""

    def bases(self, origin: str) -> list[str]:
        """The origins of all bases of a class, those of its bases included."""

    def classes(self, origin: str) -> list[ast.ClassDef]:
        """The class and its bases, as they are written in other files: to be read by themselves, without names."""

    def kind(self, origin: str) -> Kind:
        """What a call of it makes."""


class Nowhere:
    """No other file is at hand."""

    def bases(self, origin: str) -> list[str]:
        """Unknown."""
        return []

    def classes(self, origin: str) -> list[ast.ClassDef]:
        """Unknown."""
        return []

    def kind(self, origin: str) -> Kind:
        """Unknown."""
        return Kind.UNKNOWN
