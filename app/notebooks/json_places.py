"""Where in a JSON text its values stand; `json` gives values alone.

The text is known to be valid: whoever asks has loaded it before.
"""

import json
import re
from bisect import bisect_right
from functools import cached_property

_BLANK = re.compile(r"[ \t\n\r]*")
_SKIP = json.JSONDecoder().raw_decode


class Places:
    """The offsets of values in one text, asked from the outside in."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def root(self) -> int:
        """Where the outermost value starts."""
        return self._next(0)

    def members(self, at: int) -> dict[str, int]:
        """Where the value of each key of the object that starts at an offset starts."""
        found = {}
        at = self._next(at + 1)
        while self.text[at] != "}":
            key, at = _SKIP(self.text, at)
            at = self._next(self._next(at) + 1)
            found[key] = at
            at = self._after(at)
        return found

    def items(self, at: int) -> list[int]:
        """Where each item of the array that starts at an offset starts."""
        found = []
        at = self._next(at + 1)
        while self.text[at] != "]":
            found.append(at)
            at = self._after(at)
        return found

    def end(self, at: int) -> int:
        """The offset after the value that starts at one."""
        end: int = _SKIP(self.text, at)[1]
        return end

    def line(self, at: int) -> int:
        """The number of the line that holds an offset."""
        return bisect_right(self._starts, at)

    def line_span(self, line: int) -> tuple[int, int]:
        """The offsets of a line's beginning and of its end, without its newline."""
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return self._starts[line - 1], end

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def _after(self, at: int) -> int:
        """The next item, or the closing bracket, after the value that starts at an offset."""
        at = self._next(self.end(at))
        return self._next(at + 1) if self.text[at] == "," else at

    def _next(self, at: int) -> int:
        blank = _BLANK.match(self.text, at)
        return blank.end() if blank else at
