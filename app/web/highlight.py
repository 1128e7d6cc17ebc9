"""Code as lines of HTML whose colours are in the style sheet."""

import html
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

from markupsafe import Markup
from pygments.lexer import Lexer
from pygments.lexers import JsonLexer, MarkdownLexer, PythonLexer, TOMLLexer, YamlLexer
from pygments.token import STANDARD_TYPES, Token, _TokenType

LARGEST = 200_000
"""Characters; more is shown without colours, since finding them takes seconds."""
_LEXERS: dict[str, type[Lexer]] = {
    ".py": PythonLexer,
    ".pyw": PythonLexer,
    ".ipynb": JsonLexer,
    ".json": JsonLexer,
    ".md": MarkdownLexer,
    ".toml": TOMLLexer,
    ".yaml": YamlLexer,
    ".yml": YamlLexer,
}
_PLAIN = frozenset({Token.Text, Token.Name, Token.Punctuation, Token.Text.Whitespace, Token.Error})


def lines(text: str, path: str) -> list[Markup]:
    """Each line of a text, coloured by the kind of file that its path says it is.

    Lines end at `\\n` alone; carriage returns are not shown.
    """
    kind = _LEXERS.get(PurePosixPath(path).suffix.lower())
    if kind is None or len(text) > LARGEST:
        return [Markup(html.escape(line)) for line in text.split("\n")]  # noqa: S704  escaped here
    shown = [""]
    for token, value in _lexer(kind).get_tokens(text.replace("\r", "")):
        first, *others = value.split("\n")
        shown[-1] += _piece(token, first)
        shown += (_piece(token, each) for each in others)
    # A lexer ends its text in a newline where it has none.
    return [Markup(line) for line in shown[: text.count("\n") + 1]]  # noqa: S704  escaped piece by piece


def python(code: str) -> Markup:
    """A block of Python."""
    return Markup("\n").join(lines(code, "example.py"))


@cache
def _lexer(kind: type[Lexer]) -> Lexer:
    return kind(stripnl=False, stripall=False, ensurenl=True)


def _piece(token: _TokenType, text: str) -> str:
    escaped = html.escape(text)
    name = next(_names(token), "")
    return f'<span class="{name}">{escaped}</span>' if name and text else escaped


def _names(token: _TokenType) -> Iterator[str]:
    """The short class names of a token and those it is a kind of, the nearest first."""
    while token and token not in _PLAIN:
        if name := STANDARD_TYPES.get(token):
            yield name
        if token.parent is None:
            return
        token = token.parent
