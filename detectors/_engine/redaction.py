"""The secrets of one file, and its texts without them: no text that leaves a problem has any of them in it."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.mend import Source
from detectors._engine.names import Names
from detectors._engine.secrets import (
    PREFIXES,
    Secret,
    digested,
    may_be_key,
    redacted,
    secret_named,
    secrets_across,
    secrets_in,
)
from detectors._engine.tree import Tree

_LITERALS = re.compile(r"(?<![\"'])([\"'])(.+?)\1(?![\"'])")
_SHORTEST = 15
"""Characters; what is shorter is no key."""


class Redaction:
    """Where the keys of a file stand, comments included, and what may be repeated of its text."""

    def __init__(self, text: str, tree: Tree, names: Names, source: Source) -> None:
        self._text, self._tree, self._names, self._source = text, tree, names, source

    def __call__(self, text: str) -> str:
        """The text without the keys. It is cut only after that: half a key is not recognised any more."""
        return redacted(text, self._secrets)

    def digested(self, text: str) -> str:
        """The same, but lines with two keys stay two lines."""
        return digested(text, self._secrets)

    def takes_from(self, text: str) -> bool:
        """Whether the text holds a key."""
        return bool(self._secrets) and self(text) != text

    @cached_property
    def _secrets(self) -> list[Secret]:
        return [secret for secret, _, _ in self.found]

    @cached_property
    def found(self) -> list[tuple[Secret, int, ast.expr | None]]:
        """The keys with their lines and the literal that holds each."""
        found: list[tuple[Secret, int, ast.expr | None]] = []
        literals = {each.lineno: each for each in self._tree.all(ast.Constant) if isinstance(each.value, (str, bytes))}
        for secret in secrets_in(self._text):
            line = self._text.count("\n", 0, secret.start) + 1
            found.append((secret, line, literals.get(line)))
        for text, literal in self._split_texts():
            found += ((secret, literal.lineno, literal) for secret in secrets_across(text, self._pieces(literal)))
        for name, literal in self._named_texts():
            named = secret_named(name, literal.value) if isinstance(literal.value, str) else None
            if named is not None:
                found.append((named, literal.lineno, literal))
        return found

    def _split_texts(self) -> Iterator[tuple[str, ast.Constant]]:
        """Texts written as several literals, one after another: no search of the source finds what they hold."""
        if any(prefix in self._text for prefix in PREFIXES):
            for constant in self._tree.all(ast.Constant):
                text = constant.value
                if isinstance(text, str) and len(text) > _SHORTEST and text not in self._text:
                    yield text, constant

    def _pieces(self, literal: ast.Constant) -> list[str]:
        return [str(found[2]) for found in _LITERALS.finditer(self._source.of(literal))]

    def _named_texts(self) -> Iterator[tuple[str, ast.Constant]]:
        """Literals of a key's length with the name they are given under."""
        for constant in self._tree.all(ast.Constant):
            if not isinstance(constant.value, str) or not may_be_key(constant.value):
                continue
            match self._tree.parents.get(constant):
                case ast.Assign(targets=[target]):
                    yield _key_of(target), constant
                case ast.AnnAssign(target=target):
                    yield _key_of(target), constant
                case ast.keyword(arg=str() as name) as keyword:
                    yield name, constant
                    yield self._origin(self._tree.parents.get(keyword)), constant
                case ast.Dict(keys=keys, values=values):
                    key = keys[values.index(constant)] if constant in values else None
                    yield str(key.value) if isinstance(key, ast.Constant) else "", constant
                case ast.Call() as call if constant in call.args:
                    first = call.args[0]
                    yield self._origin(call), constant
                    if isinstance(first, ast.Constant) and first is not constant:
                        yield str(first.value), constant

    def _origin(self, node: ast.AST | None) -> str:
        return self._names.origin(node.func if isinstance(node, ast.Call) else node) or ""


def _key_of(target: ast.expr) -> str:
    """The name a value is kept under: a variable's, or the key of an item."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
