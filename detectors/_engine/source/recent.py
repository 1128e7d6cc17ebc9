"""What was made of texts lately: as much of it as the texts together may be long."""

from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """Makes something of a text and a path, and keeps it until what came after it is `most` characters of text."""

    def __init__(self, make: Callable[[str, str], Made], most: int) -> None:
        self._make, self._most = make, most
        self._kept: dict[tuple[str, str], tuple[Made]] = {}

    def of(self, text: str, path: str) -> Made:
        """What is made of them, perhaps before."""
        key = text, path
        known = self._kept.pop(key, None)
        made = self._kept[key] = known or (self._make(text, path),)  # the newest stands last
        if known is None:
            self._forget()
        return made[0]

    def _forget(self) -> None:
        newest, *older = reversed(list(self._kept))
        room = self._most - len(newest[0])
        for key in older:
            room -= len(key[0])
            if room < 0:
                self._kept.pop(key, None)
