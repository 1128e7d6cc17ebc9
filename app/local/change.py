"""A change without GitHub: the reports of a diff's files, in order of path."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.local.sources import UnreadableSource, source_text
from app.pipeline import to_analyse
from app.pull_request import ChangedFile
from app.review.find import FileReport, introduced_in


class _Tree(Mapping[str, str]):
    """The texts of a work tree, read when they are asked for; what the change says of a file comes first."""

    def __init__(self, root: Path, changed: Mapping[str, str]) -> None:
        self._root, self._changed = root, changed

    def __getitem__(self, path: str) -> str:
        if path in self._changed:
            return self._changed[path]
        try:
            return source_text(self._root / path)
        except (OSError, UnreadableSource):
            raise KeyError(path) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed)

    def __len__(self) -> int:
        return len(self._changed)


def local_reports(files: Sequence[ChangedFile], *, root: Path, whole_file: bool) -> tuple[FileReport, ...]:
    """What the change brings; with `whole_file` everything in the files that it touches. Imports are followed into
    the rest of the work tree below `root`."""
    tree = _Tree(root, {file.path: file.head for file in files if file.head is not None})
    reports = (introduced_in(file, tree, whole_file) for file in to_analyse(files))
    return tuple(sorted(reports, key=lambda report: report.path))
