"""What we write, unseen, at the end of our own comments, to know them again

The memory of a pull request is on the pull request: `<!-- mlstaff command=… -->`. Only what stands at the very end
of a text of ours counts, so that code we quote cannot pretend to be a marker.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

_MARKER = re.compile(r"<!-- mlstaff((?: [a-z_]+=[^\s<>=]*)+) -->")
_AT_THE_END = re.compile(r"(?:<!-- mlstaff[: ][^<>]*-->\s*)+\Z")


def marker(values: Mapping[str, str]) -> str:
    """The values as one hidden line of Markdown; names are lower-case letters and `_`, values any text."""
    pairs = (f"{name}={quote(value, safe='/:#,').replace('-', '%2D')}" for name, value in values.items())
    return f"<!-- mlstaff {' '.join(pairs)} -->"


def marked(body: str, values: Mapping[str, str]) -> str:
    """The text with the values added at its end."""
    return f"{body.rstrip()}\n\n{marker(values)}".lstrip()


def read(body: str) -> dict[str, str]:
    """The values at the end of one of our texts; a later value of the same name wins."""
    found: dict[str, str] = {}
    for match in _MARKER.finditer(split(body)[1]):
        for pair in match[1].split():
            name, _, value = pair.partition("=")
            found[name] = unquote(value)
    return found


def split(body: str) -> tuple[str, str]:
    """What people see of a text of ours, and all markers at its end."""
    end = _AT_THE_END.search(body)
    return (body[: end.start()].rstrip(), end[0].strip()) if end else (body.rstrip(), "")
