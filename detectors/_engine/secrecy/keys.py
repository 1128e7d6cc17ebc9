"""Keys: the secrets of a file with the literals that hold them, by the key's own form or by the name it is given."""

import ast
import re
from collections.abc import Iterator

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.secrecy.secrets import PREFIXES, Secret, may_be_key, secret_named, secrets_across, secrets_in
from detectors._engine.source.tree import Tree

_LITERALS = re.compile(r"(?<![\"'])([\"'])(.+?)\1(?![\"'])")
_SHORTEST = 15
"""Characters; what is shorter holds no key."""


def keys_in(text: str, tree: Tree, names: Names) -> list[tuple[Secret, int, ast.expr | None]]:
    """The keys in a file, comments included, with their lines and the literal that holds each."""
    found: list[tuple[Secret, int, ast.expr | None]] = []
    literals = {each.lineno: each for each in tree.all(ast.Constant) if isinstance(each.value, (str, bytes))}
    for secret in secrets_in(text):
        line = text.count("\n", 0, secret.start) + 1
        found.append((secret, line, literals.get(line)))
    for joined, several in _joined_texts(text, tree):
        found += ((secret, several.lineno, several) for secret in secrets_across(joined, _pieces(text, several)))
    for name, literal in _named_texts(tree, names):
        named = secret_named(name, literal.value) if isinstance(literal.value, str) else None
        if named is not None:
            found.append((named, literal.lineno, literal))
    return found


def _joined_texts(text: str, tree: Tree) -> Iterator[tuple[str, ast.Constant]]:
    """Texts that are written as several literals, one after another: no search of the source finds what they hold."""
    if any(prefix in text for prefix in PREFIXES):
        for constant in tree.all(ast.Constant):
            value = constant.value
            if isinstance(value, str) and len(value) > _SHORTEST and value not in text:
                yield value, constant


def _pieces(text: str, literal: ast.Constant) -> list[str]:
    lines = text.split("\n")[literal.lineno - 1 : literal.end_lineno]
    return [found[2] for line in lines for found in _LITERALS.finditer(line)]


def _named_texts(tree: Tree, names: Names) -> Iterator[tuple[str, ast.Constant]]:
    """Literals of a key's length with the name they are given under."""
    for constant in tree.all(ast.Constant):
        if not isinstance(constant.value, str) or not may_be_key(constant.value):
            continue
        match tree.parents.get(constant):
            case ast.Assign(targets=[target]):
                yield _key_of(target), constant
            case ast.AnnAssign(target=target):
                yield _key_of(target), constant
            case ast.keyword(arg=str() as name) as keyword:
                yield name, constant
                yield _called(tree.parents.get(keyword), names) or "", constant
            case ast.Dict(keys=keys, values=values):
                key = keys[values.index(constant)] if constant in values else None
                yield str(key.value) if isinstance(key, ast.Constant) else "", constant
            case ast.Call() as call if constant in call.args:
                first = call.args[0]
                yield names.origin(call.func) or "", constant
                if isinstance(first, ast.Constant) and first is not constant:
                    yield str(first.value), constant


def _key_of(target: ast.expr) -> str:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return last_name(target)


def _called(node: ast.AST | None, names: Names) -> str | None:
    return names.origin(node.func) if isinstance(node, ast.Call) else None
