"""The work tree as the neighbourhood of its files, and what an analysis read of it: a cache has to know.

Paths are those that files are shown by, from the present folder or absolute.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.local.sources import UnreadableSource, source_text


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read for an analysis: digests of the files that were there, and by folder the names that were not."""

    read: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def holds(self, tree: "WorkTree") -> bool:
        """Whether all of it is as it was."""
        return all(
            names is None or names.isdisjoint(missing)
            for folder, missing in self.absent.items()
            for names in (tree.names(folder),)
        ) and all(tree.digest(path) == digest for path, digest in self.read.items())


class WorkTree:
    """Texts and folders, each read once. `texts` are those that are at hand already."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts: dict[str, str | None] = dict(texts or {})
        self._digests: dict[str, str] = {}
        self._names: dict[str, frozenset[str] | None] = {}

    def names(self, folder: str) -> frozenset[str] | None:
        """What is in a folder; None where it is none."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder or "."))
            except OSError:
                self._names[folder] = None
        return self._names[folder]

    def missing(self, path: str) -> tuple[str, str] | None:
        """The folder, and the name that it lacks, for which there is no such file; None where there is one."""
        while True:
            folder, _, name = path.rpartition("/")
            names = self.names(folder or "/" * path.startswith("/"))
            if names is not None:
                return None if name in names else (folder, name)
            if not folder:
                return "", path
            path = folder

    def text(self, path: str) -> str | None:
        """The text of a file; None where it has none for us."""
        if path not in self._texts:
            try:
                self._texts[path] = source_text(Path(path))
            except UnreadableSource:
                self._texts[path] = None
        return self._texts[path]

    def digest(self, path: str) -> str:
        """What tells one text of a file from another."""
        if path not in self._digests:
            text = self.text(path)
            content = b"" if text is None else text.encode("utf-8", "surrogatepass")
            self._digests[path] = hashlib.sha256(content).hexdigest()[:32]
        return self._digests[path]


class Neighbourhood:
    """What lies around one file below `top`, with a memory of what was asked for."""

    def __init__(self, tree: WorkTree, top: str) -> None:
        self._tree = tree
        self._top = f"{top.rstrip('/')}/" if top else ""
        self._read: dict[str, str] = {}
        self._absent: dict[str, set[str]] = {}

    def read(self, path: str) -> str | None:
        """The text of a file, None where it is not there or outside of the repository."""
        if not path.startswith(self._top):
            return None
        missing = self._tree.missing(path)
        if missing is not None:
            self._absent.setdefault(missing[0], set()).add(missing[1])
            return None
        self._read[path] = self._tree.digest(path)
        return self._tree.text(path)

    @property
    def evidence(self) -> Evidence:
        """What was read so far."""
        return Evidence(dict(self._read), {folder: tuple(sorted(names)) for folder, names in self._absent.items()})
