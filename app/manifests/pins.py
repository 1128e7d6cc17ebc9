"""The pins of a repository: every manifest read, and what of it holds where a file is."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import PurePosixPath
from posixpath import normpath

from app.manifests import formats
from app.manifests.bounds import both, bounds, hull
from app.manifests.formats import Broken, Include, Requirement, Statement, Weight
from detectors import LIBRARIES, Pin, Skipped, Versions

_Parser = Callable[[str], Iterator[Statement]]
_NAMED: dict[str, _Parser] = {
    "pyproject.toml": formats.pyproject_toml,
    "setup.cfg": formats.setup_cfg,
    "setup.py": formats.setup_py,
    "Pipfile": formats.pipfile,
    "Pipfile.lock": formats.pipfile_lock,
    "poetry.lock": formats.lock,
    "uv.lock": formats.lock,
    "pdm.lock": formats.lock,
    "Dockerfile": formats.dockerfile,
}
_SHAPED: tuple[tuple[re.Pattern[str], _Parser], ...] = (
    (re.compile(r"(?:[\w.-]*requirements?[\w.-]*|[\w.-]*constraints?[\w.-]*)\.(?:txt|in)$"), formats.requirements_txt),
    (re.compile(r"(?:conda|env|environment|conda[-_]env)[\w.-]*\.ya?ml$"), formats.environment_yml),
)
_FOLDERS = frozenset({"requirements", "conda", "docker"})
"""Folders whose manifests are about the folder that they are in."""
_MAIN = re.compile(r"(requirements|constraints|base|main|core|common|install|prod\w*)\.(txt|in)$")
_LARGEST = 4_000_000

#: The manifests of a repository's top folder that are asked for by name.
USUAL = (
    "requirements.txt", "requirements/base.txt", "constraints.txt", "pyproject.toml", "setup.cfg", "setup.py",
    "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock", "environment.yml", "environment.yaml",
    "Dockerfile",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    weight: Weight
    pin: Pin


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins by folder ("" is the top) and library, and the manifests that could not be read."""

    folders: Mapping[str, Mapping[str, Pin]] = field(default_factory=dict)
    broken: tuple[Skipped, ...] = ()

    def at(self, path: str) -> Versions:
        """What holds for a file: of each library what the nearest folder upward says."""
        found: dict[str, Pin] = {}
        for folder in PurePosixPath(path).parents:
            for library, pin in self.folders.get(_plain(folder), {}).items():
                found.setdefault(library, pin)
        return Versions(found)


def is_manifest(path: str) -> bool:
    """Whether a file with this path says which versions are wanted."""
    return _parser(PurePosixPath(path)) is not None


def pins_of(files: Mapping[str, str]) -> Pins:
    """The pins in these files, whose paths are relative to the repository. What is no manifest is passed over."""
    broken: dict[str, str] = {}
    said: dict[tuple[str, str], list[_Said]] = defaultdict(list)
    for path in sorted(filter(is_manifest, files)):
        place = _place(PurePosixPath(path))
        for file, requirement in _requirements(path, files, broken, set()):
            library = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if library in LIBRARIES:
                pin = bounds(requirement.specifier, is_bare_exact=requirement.is_bare_exact)
                told = replace(pin, text=f"{library}{requirement.specifier}", file=file)
                said[place, library].append(_Said(_weight(requirement, path), told))
    folders: dict[str, dict[str, Pin]] = defaultdict(dict)
    for (place, library), pins in said.items():
        agreed = _agreed([each for each in pins if not each.pin.says_nothing])
        if agreed is not None:
            folders[place][library] = agreed
    return Pins(dict(folders), tuple(Skipped(path, reason) for path, reason in sorted(broken.items())))


def included_paths(path: str, text: str) -> list[str]:
    """The files of the repository that a requirements file includes, by their paths."""
    parser = _parser(PurePosixPath(path))
    if parser is not formats.requirements_txt:
        return []
    try:
        paths = [_beside(path, each.path) for each in parser(text) if isinstance(each, Include)]
    except Broken:
        return []
    return [each for each in paths if not each.startswith(("..", "/"))]


def _requirements(
    path: str, files: Mapping[str, str], broken: dict[str, str], seen: set[str]
) -> Iterator[tuple[str, Requirement]]:
    """What a manifest and those that it includes say, each with the file that says it."""
    if path in seen or path in broken or path not in files:
        return
    seen.add(path)
    parser = _parser(PurePosixPath(path)) or formats.requirements_txt
    try:
        if len(files[path]) > _LARGEST:
            raise Broken(f"it is larger than {_LARGEST // 1_000_000} MB")
        statements = list(parser(files[path]))
    except Broken as reason:
        broken[path] = f"its versions were not read: {reason}"
        return
    for statement in statements:
        if isinstance(statement, Include):
            yield from _requirements(_beside(path, statement.path), files, broken, seen)
        else:
            yield path, statement


def _agreed(said: Sequence[_Said]) -> Pin | None:
    """What holds of everything that one folder says of a library.

    Lock files first, then what everybody gets, then what an extra or a test run gets. One file's lines are for
    different platforms: everything between them. Several files of equal weight: what all of them allow; where that is
    nothing, again everything between.
    """
    heaviest = min((each.weight for each in said), default=Weight.EXTRA)
    by_file: dict[str, list[Pin]] = defaultdict(list)
    for each in said:
        if each.weight is heaviest:
            by_file[each.pin.file].append(each.pin)
    pins = [hull(each) for each in by_file.values()]
    if not pins:
        return None
    together = reduce(both, pins)
    return hull(pins) if heaviest is Weight.EXTRA or together.is_empty else together


def _weight(requirement: Requirement, path: str) -> Weight:
    is_text = path.endswith((".txt", ".in"))
    if is_text and requirement.weight is Weight.MAIN and not _MAIN.match(PurePosixPath(path).name):
        return Weight.EXTRA
    return requirement.weight


def _parser(path: PurePosixPath) -> _Parser | None:
    if path.name in _NAMED:
        return _NAMED[path.name]
    if path.parent.name == "requirements" and path.suffix in (".txt", ".in"):
        return formats.requirements_txt
    return next((parser for shape, parser in _SHAPED if shape.match(path.name)), None)


def _place(path: PurePosixPath) -> str:
    return _plain(path.parent.parent if path.parent.name in _FOLDERS else path.parent)


def _plain(folder: PurePosixPath) -> str:
    return "" if folder.as_posix() == "." else folder.as_posix()


def _beside(path: str, other: str) -> str:
    return normpath((PurePosixPath(path).parent / other).as_posix())
