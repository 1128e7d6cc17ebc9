"""The manifests of a work tree: in the folders of some files, and in those above up to the repository's."""

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from app.local.sources import UnreadableSource, source_text
from app.manifests.pins import Pins, included_paths, is_manifest, pins_of
from detectors import Skipped, Versions

_BESIDE = ("requirements", "conda", "docker")
"""Folders whose manifests are about the folder that they are in."""


def repository_of(folder: Path) -> Path | None:
    """The folder of the repository that holds a folder, None outside of any."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def manifests_near(top: Path, folders: Iterable[Path]) -> dict[str, str]:
    """The texts of the manifests in these folders below `top` and in those above them, by their paths from `top`."""
    found: dict[str, str] = {}
    names = cache(_names)
    every = {above for folder in folders for above in (folder, *folder.parents) if above.is_relative_to(top)}
    beside = {each / name for each in every for name in _BESIDE if name in names(each)}
    for folder in sorted(every | beside):
        for name in names(folder):
            path = (folder / name).relative_to(top).as_posix()
            if is_manifest(path):
                found |= _read(top, path)
    for path, text in list(found.items()):
        for each in included_paths(path, text):
            if each not in found:
                found |= _read(top, each)
    return found


def pins_near(top: Path, folders: Iterable[Path]) -> Pins:
    """What these manifests pin."""
    return pins_of(manifests_near(top, folders))


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _read(top: Path, path: str) -> dict[str, str]:
    try:
        return {path: source_text(top / path)}
    except UnreadableSource:
        return {}


class Manifests:
    """What is pinned around the files below some paths, and which manifests could not be read."""

    def __init__(self, paths: Iterable[Path], files: Iterable[str]) -> None:
        """`files` lie below `paths`, or are named by them; both as they were given, from the present folder."""
        self._given = [Path(os.path.abspath(each)) for each in paths]
        self._top = cache(self._top_of)
        folders: dict[Path, set[Path]] = defaultdict(set)
        for folder in {os.path.dirname(file) for file in files}:
            place = Path(os.path.abspath(folder))
            folders[self._top(place)].add(place)
        self._pins = {top: pins_near(top, places) for top, places in folders.items()}
        self._versions = cache(self._versions_in)

    def versions(self, file: str) -> Versions:
        """What holds for a file."""
        return self._versions(os.path.dirname(file))

    def top(self, file: str) -> str:
        """The folder in which a file's neighbours are, as the file's own path would name it."""
        return self._top(Path(file).parent).as_posix() if file.startswith("/") else ""

    @property
    def broken(self) -> list[Skipped]:
        """The manifests that could not be read, by their paths from the present folder."""
        return [
            Skipped(os.path.relpath(top / each.path), each.reason)
            for top, pins in self._pins.items()
            for each in pins.broken
        ]

    def _versions_in(self, folder: str) -> Versions:
        place = Path(os.path.abspath(folder))
        top = self._top(place)
        return self._pins[top].at(f"{place.relative_to(top).as_posix()}/file.py")

    def _top_of(self, folder: Path) -> Path:
        """The repository's folder; outside of any, the one that was given."""
        given = next((each for each in self._given if folder.is_relative_to(each)), folder)
        return repository_of(folder) or given
