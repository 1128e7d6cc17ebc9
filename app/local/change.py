"""A change without GitHub: the reports of a diff's files, in order of path."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.local.manifests import manifests_near
from app.local.sources import UnreadableSource, source_text
from app.pipeline import broken_manifests, to_analyse
from app.pull_request import ChangedFile, Status
from app.review.find import FileReport, introduced_in
from app.surroundings import Sides, Surroundings, manifests_of, pins_on


class _Tree(Mapping[str, str]):
    """One side of a change: its own texts of what is changed, the work tree's of all else, read when asked for."""

    def __init__(self, root: Path, changed: Mapping[str, str | None]) -> None:
        self._root = root.resolve()
        self._texts = dict(changed)

    def __getitem__(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = self._read(path)
        text = self._texts[path]
        if text is None:
            raise KeyError(path)
        return text

    def _read(self, path: str) -> str | None:
        """None for what is not there, is no text, or lies elsewhere behind a link."""
        try:
            place = (self._root / path).resolve()
            return source_text(place) if place.is_relative_to(self._root) else None
        except (OSError, ValueError, UnreadableSource):
            return None

    def __iter__(self) -> Iterator[str]:
        return (path for path, text in self._texts.items() if text is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def local_reports(files: Sequence[ChangedFile], *, root: Path, whole_file: bool) -> tuple[FileReport, ...]:
    """What the change brings; with `whole_file` everything in the files that it touches. Imports are followed into
    the rest of the work tree below `root`, to which the files' paths are relative."""
    around = _surroundings(files, root)
    reports = [introduced_in(file, around.of(file), whole_file) for file in to_analyse(files)]
    return tuple(sorted((*reports, *broken_manifests(around.pins)), key=lambda report: report.path))


def _surroundings(files: Sequence[ChangedFile], root: Path) -> Surroundings:
    head = {file.path: file.head for file in files if file.hunks or file.unread}
    base: dict[str, str | None] = {file.path: None for file in files}
    tree = _Tree(root, head)
    for file in files:
        is_same = not file.hunks and not file.unread and file.status in (Status.RENAMED, Status.MODIFIED)
        base[file.previous_path or file.path] = tree.get(file.path) if is_same else file.base
    top = root.resolve()
    found = manifests_near(top, {(top / file.path).parent for file in files})
    manifests = manifests_of(Sides(found | _known(head), _without(found, base) | _known(base)))
    return Surroundings(Sides(tree, _Tree(root, base)), pins_on(manifests))


def _known(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if text is not None}


def _without(texts: Mapping[str, str], paths: Mapping[str, object]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if path not in paths}
