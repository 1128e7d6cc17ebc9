"""Which further files of the repository a review is better for: the modules that changed files import, the manifests
beside them.

GitHub is asked for all of them in one query, by every path that a module may have: what is not there costs nothing.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import PurePosixPath

from app.ecosystem import AMBIGUOUS, FAMILIES, OTHERS, PACKAGES, SUBPACKAGES
from app.manifests.pins import included_paths
from app.pull_request import ChangedFile
from detectors import imported_modules, module_paths

MOST_PATHS = 100
MOST_MODULES = 20
LONGEST_TEXT = 300_000
"""Characters; a longer neighbour is left unknown, and what a longer file imports is not asked for."""
_PLACES = 4
_MATTERS = re.compile(
    r"backward|optimi[sz]er|\.(step|eval|train)\(|no_grad|inference_mode|autocast|DataLoader|nn\.Module|LightningModule"
)
_BESIDE = ("requirements.txt", "pyproject.toml", "setup.cfg", "environment.yml")
_FOLDERS = 5
_ELSEWHERE = frozenset({*sys.stdlib_module_names, *PACKAGES, *AMBIGUOUS, *OTHERS})


def paths_to_ask(files: Sequence[ChangedFile], known: Mapping[str, str]) -> tuple[str, ...]:
    """Where the neighbours of these files may be; none where no module of the repository can matter to any of them.

    `known` are the texts of the head that are at hand.
    """
    paths: dict[str, None] = {}
    modules = 0
    for file, module in _modules(files):
        places = list(_places(module, file.path))
        if modules == MOST_MODULES or len(paths) + len(places) > MOST_PATHS:
            break
        if not any(path in known for path in places):
            modules += 1
            paths |= dict.fromkeys(places)
    if not paths:
        return ()
    manifests = (path for path in _manifests(files, known) if path not in known and path not in paths)
    return (*paths, *islice(manifests, MOST_PATHS - len(paths)))


def _modules(files: Sequence[ChangedFile]) -> Iterator[tuple[ChangedFile, str]]:
    """The imports that may be of the repository's own modules: relative ones, those by a folder's name, then others."""
    folders = {part for file in files for part in PurePosixPath(file.path).parent.parts}
    found: list[tuple[int, ChangedFile, str]] = []
    for file in files:
        head = file.head or ""
        matters = len(head) <= LONGEST_TEXT and _MATTERS.search(head) is not None
        for module in dict.fromkeys(imported_modules(head)) if matters else ():
            first = module.partition(".")[0]
            if _is_elsewhere(module, first) or not _is_module(module, head):
                continue
            found.append((0 if not first else 1 if first in folders else 2, file, module))
    found.sort(key=lambda each: each[0])
    return ((file, module) for _, file, module in found)


def _is_elsewhere(module: str, first: str) -> bool:
    if not first:
        return False
    return first in _ELSEWHERE or first.startswith(FAMILIES) or f"{module}.".startswith(_PARTS)


_PARTS = tuple(f"{name}." for name in SUBPACKAGES)


def _is_module(module: str, text: str) -> bool:
    """Whether a name that is imported from a module is used as a module itself; what comes before `import` is one."""
    name = module.rpartition(".")[2]
    written = re.escape(module)
    if re.search(rf"^[ \t]*(?:from[ \t]+{written}[ \t]|import[ \t][^\n]*\b{written}\b)", text, re.M):
        return True
    return bool(name) and re.search(rf"\b{re.escape(name)}\.\w+\(", text) is not None


def _places(module: str, path: str) -> Iterator[str]:
    """Where the module may be: below the folder of its first part where the file itself lies in one, else the likeliest
    few."""
    first = module.partition(".")[0]
    parts = PurePosixPath(path).parent.parts
    if first and first in parts:
        place = "/".join((*parts[: parts.index(first)], *module.split(".")))
        yield from (f"{place}.py", f"{place}/__init__.py")
        return
    every = list(dict.fromkeys(module_paths(module, path)))
    top = {f"{top}{end}" for top in (module.replace(".", "/"), f"src/{module.replace('.', '/')}") for end in _ENDS}
    near = every[: 2 * _PLACES]
    yield from dict.fromkeys((*near, *(each for each in every if each in top)))


_ENDS = (".py", "/__init__.py")


def _manifests(files: Sequence[ChangedFile], known: Mapping[str, str]) -> Iterator[str]:
    """What the manifests at hand include, and what may lie beside the files."""
    for path, text in known.items():
        yield from included_paths(path, text)
    folders = dict.fromkeys(PurePosixPath(file.path).parent.as_posix() for file in files)
    for folder in islice((each for each in folders if each != "."), _FOLDERS):
        yield from (f"{folder}/{name}" for name in _BESIDE)
