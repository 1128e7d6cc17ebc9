"""Neighbours: the files of the repository around a file, found by what it imports.

Only texts that the snapshot has; what is not there stays unknown.
"""

import re
from pathlib import PurePosixPath
from typing import Protocol

_AT_MOST = 20
_LEVELS = 5
_EVENTS = re.compile(
    r"\.(eval|train|backward|zero_grad|step|set_epoch|requires_grad_?)\(|no_grad|inference_mode|autocast"
)


class Repository(Protocol):
    """A snapshot of a repository: the text of a path, None where it is not at hand."""

    def read(self, path: str) -> str | None:
        """The text of a file, by the same kind of path as the analysed file's."""


class Neighbours:
    """The modules one file can import from."""

    def __init__(self, path: str, repository: Repository) -> None:
        self._folders = list(PurePosixPath(path).parents)[:_LEVELS]
        self._repository = repository
        self._read: dict[str, str | None] = {}
        self._known: dict[str, tuple[str, str, str] | None] = {}

    def named(self, origin: str) -> tuple[str, str, str] | None:
        """The text and path of the module that defines what has this origin, and its name there.

        None where the module is not at hand, or nothing in it can matter to a training loop.
        """
        if origin not in self._known:
            self._known[origin] = self._find(origin)
        return self._known[origin]

    def _find(self, origin: str) -> tuple[str, str, str] | None:
        level = len(origin) - len(origin.lstrip("."))
        module, _, name = origin[level:].rpartition(".")
        parts = module.split(".") if module else []
        folders = self._folders[level - 1 : level] if level else self._folders
        for folder in folders:
            for path in (
                (folder.joinpath(*parts).with_suffix(".py"), folder.joinpath(*parts, "__init__.py")) if parts else ()
            ):
                text = self._text(path.as_posix())
                if text is not None and re.search(rf"^(async )?def {re.escape(name)}\b", text, re.M):
                    return text, path.as_posix(), name
        return None

    def _text(self, path: str) -> str | None:
        if path not in self._read:
            if sum(each is not None for each in self._read.values()) >= _AT_MOST:
                return None
            text = self._repository.read(path)
            self._read[path] = text if text is not None and _EVENTS.search(text) else None
        return self._read[path]
