"""Text of strangers as Markdown that means only itself.

Outside code nothing pings (`@name`), links (`#1`, addresses) or becomes HTML. GitHub looks for mentions in
the rendered text, where an escaped `\\\\@` is a plain one again: only a character in between stops it.
https://docs.github.com/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
"""

import re

_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$<>&])")
_REFERENCE = re.compile(r"(?<=[@#])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=GH)(?=-\d)", re.I)
_BETWEEN = "\u200b"
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def prose(text: str) -> str:
    """One line of text; what stands in backquotes stays code."""
    text = _INVISIBLE.sub(" ", " ".join(text.split("\n")))
    parts = _CODE_SPAN.split(text)
    return "".join(code_span(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    broken = _REFERENCE.sub(_BETWEEN, text)
    return _SPECIAL.sub(r"\\\1", broken).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def code_span(text: str) -> str:
    """Text as inline code, whatever backquotes it holds; a bar is escaped by `cell`."""
    text = _INVISIBLE.sub(" ", " ".join(text.split("\n")))
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def cell(markdown: str) -> str:
    """Markdown inside a table, where a bar ends the cell even in code."""
    return re.sub(r"(?<!\\)\|", r"\\|", markdown)


def fence(code: str, language: str) -> str:
    """A fenced block, its fence longer than any inside."""
    ticks = "`" * max(3, _longest_run(code) + 1)
    return f"{ticks}{language}\n{code}\n{ticks}" if code else f"{ticks}{language}\n{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
