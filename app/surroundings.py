"""The repository around the files of a change, on both sides of it: what they import, and which versions are pinned.

What the change does not touch is the same on both sides; of what it touches each side has its own text. A file whose
text is not at hand is not there: unknown, never taken from the other side.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.manifests.pins import Pins, included_paths, is_manifest, pins_of
from app.notebooks import notebook
from app.pull_request import ChangedFile, PullRequest
from app.review.find import Around, Snapshot
from detectors import Skipped, imported_modules, module_paths

_NEIGHBOURS = 20
"""Imported files that the analysis of one file is given."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Texts by path, at the head and at the merge base."""

    head: Mapping[str, str]
    base: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SidesPins:
    """The pins at the head and at the merge base."""

    head: Pins = field(default_factory=Pins)
    base: Pins = field(default_factory=Pins)

    @property
    def broken(self) -> tuple[Skipped, ...]:
        """The manifests of the head that could not be read."""
        return self.head.broken


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that is known of a repository around a change."""

    sides: Sides
    pins: SidesPins = field(default_factory=SidesPins)

    def of(self, file: ChangedFile) -> Around:
        """What lies around one file of the change, little enough to be sent to another process."""
        before = file.previous_path or file.path
        return Around(
            Snapshot(imported_texts(file.path, file.head, self.sides.head), self.pins.head.at(file.path)),
            Snapshot(imported_texts(before, file.base, self.sides.base), self.pins.base.at(before)),
        )


def sides_of(pull_request: PullRequest) -> Sides:
    """The texts of both sides."""
    head, base = dict(pull_request.around), dict(pull_request.around)
    for file in pull_request.files:
        base.pop(file.path, None)
        head |= {file.path: file.head} if file.head is not None else {}
        base |= {file.previous_path or file.path: file.base} if file.base is not None else {}
    return Sides(head, base)


def manifests_of(sides: Sides) -> Sides:
    """Only what says which versions are wanted."""
    return Sides(_manifests(sides.head), _manifests(sides.base))


def pins_on(manifests: Sides) -> SidesPins:
    """What the manifests pin; once where both sides have the same."""
    head = pins_of(manifests.head)
    return SidesPins(head, head if manifests.base == manifests.head else pins_of(manifests.base))


def surroundings_of(pull_request: PullRequest) -> Surroundings:
    """What is known around a pull request's files, computed here and now."""
    sides = sides_of(pull_request)
    return Surroundings(sides, pins_on(manifests_of(sides)))


def imported_texts(path: str, text: str | None, files: Mapping[str, str]) -> dict[str, str]:
    """The files at hand that a file may import, and those that these may import: as many as fit, the nearest first."""
    found: dict[str, str] = {}
    rest = [(path, _as_python(path, text or ""))]
    for importer, source in rest:  # grows while it is read
        for each in _imported(importer, source, files):
            if len(found) == _NEIGHBOURS:
                return found
            if each not in found and each != path:
                found[each] = files[each]
                rest.append((each, files[each]))
    return found


def _as_python(path: str, text: str) -> str:
    """The text; of a notebook its lines, whatever they are lines of."""
    is_notebook = path.lower().endswith(notebook.SUFFIX)
    return "\n".join(notebook.plain(line) for line in text.split("\n")) if is_notebook else text


def _imported(path: str, text: str, files: Mapping[str, str]) -> Iterator[str]:
    for module in dict.fromkeys(imported_modules(text)) if files else ():
        yield from _first(module_paths(module, path), files)


def _first(paths: Iterable[str], files: Mapping[str, str]) -> Iterator[str]:
    found = next((path for path in paths if path in files), None)
    if found is not None:
        yield found


def _manifests(files: Mapping[str, str]) -> dict[str, str]:
    found = {path: text for path, text in files.items() if is_manifest(path)}
    named = [each for path, text in found.items() for each in included_paths(path, text)]
    return found | {path: files[path] for path in named if path in files}
