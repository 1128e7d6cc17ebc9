"""Which words stand in a text: asked hundreds of times before it is parsed, so mostly of its distinct names only."""

import re
from functools import cache

_NAME = re.compile(r"[A-Za-z0-9_]+")
_IMPORTING = ("from", "import")


@cache
def _alternatives(words: str) -> tuple[tuple[str, str], ...]:
    """Each word with the name in it that tells most: a text without the name has not the word either."""
    return tuple((word, max(_NAME.findall(word), key=_tells, default="")) for word in words.split("|"))


def _tells(name: str) -> tuple[bool, int]:
    return name not in _IMPORTING, len(name)


class Words:
    """The words of one text. Each answer is kept: half of the questions are asked twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._names = " ".join(set(_NAME.findall(text)))
        self._known: dict[str, bool] = {}

    def any_of(self, words: str) -> bool:
        """Whether one of the words, which `|` separates, is in the text."""
        found = self._known.get(words)
        if found is None:
            found = self._known[words] = self._holds_any(words)
        return found

    def _holds_any(self, words: str) -> bool:
        names, text = self._names, self._text
        return any(name in names and (name == word or word in text) for word, name in _alternatives(words))
