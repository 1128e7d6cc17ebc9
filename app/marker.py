"""What we write, unseen, at the end of our own comments, to know them again

The memory of a pull request is on the pull request: `<!-- mlstaff command=… -->`. Only a marker at the very end
of a text of ours counts, so that code we quote cannot pretend to be one.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

_ONE = r"<!-- mlstaff((?: [a-z_]+=[^\s<>=]*)+) -->"
_MARKER = re.compile(_ONE)
_AT_THE_END = re.compile(rf"(?:{_ONE}\s*)+\Z")


def marker(values: Mapping[str, str]) -> str:
    """The values as one hidden line of Markdown; names are lower-case letters and `_`, values any text."""
    pairs = " ".join(
        f"{name}={quote(value, safe='/:#,').replace('-', '%2D')}" for name, value in values.items()
    )
    return f"<!-- mlstaff {pairs} -->"


def marked(body: str, values: Mapping[str, str]) -> str:
    """The text with the values added at its end."""
    return f"{body.rstrip()}\n\n{marker(values)}".lstrip()


def read(body: str) -> dict[str, str]:
    """The values at the end of one of our texts; a later value of the same name wins."""
    end = _AT_THE_END.search(body)
    found: dict[str, str] = {}
    for match in _MARKER.finditer(end[0] if end else ""):
        for pair in match[1].split():
            name, _, value = pair.partition("=")
            found[name] = unquote(value)
    return found


def visible(body: str) -> str:
    """The text without the markers at its end."""
    return _AT_THE_END.sub("", body).rstrip()
