"""Neighbours: the files of the repository around a file, found by what it imports.

Only texts that the snapshot has; what is not there stays unknown.
"""

import re
from collections.abc import Iterator
from typing import Protocol

_AT_MOST = 20
_LEVELS = 5
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>[.\w]+)[ \t]+import[ \t]*(?:\((?P<block>[^)]{0,5000})\)|(?P<line>[^\n;#]*))"
    r"|import[ \t]+(?P<modules>[^\n;#]+))",
    re.M,
)


class Repository(Protocol):
    """A snapshot of a repository: the text of a path, None where it is not at hand."""

    def read(self, path: str) -> str | None:
        """The text of a file, by the same kind of path as the analysed file's."""


def imported_modules(text: str) -> Iterator[str]:
    """The modules that a text imports, as it names them: `a.b`, `..c`. A name imported from a module may be one too."""
    for found in _IMPORT.finditer(text):
        if found["modules"]:
            yield from (part.split()[0] for part in found["modules"].split(",") if part.split())
            continue
        module = found["module"]
        yield module
        names = re.sub(r"#[^\n]*", "", found["block"] or found["line"] or "").split(",")
        joint = "" if module.endswith(".") else "."
        yield from (f"{module}{joint}{part.split()[0]}" for part in names if part.split() and part.strip() != "*")


def module_paths(module: str, path: str) -> Iterator[str]:
    """Where a module may be that the file at `path` imports, likeliest first.

    An absolute import starts at the file's folder, at one above it, or in the `src` of one.
    """
    level = len(module) - len(module.lstrip("."))
    parts = module[level:].split(".") if len(module) > level else []
    for folder in _folders(path, level):
        place = "/".join(filter(None, (folder.rstrip("/"), *parts)))
        place = f"/{place}" if folder == "/" else place
        if parts:
            yield f"{place}.py"
        yield f"{place}/__init__.py" if place else "__init__.py"


def _folders(path: str, level: int) -> list[str]:
    """The file's folder and those above it ("" is where a relative path starts); for `..` only the one meant."""
    above = []
    folder = path.replace("\\", "/")
    while "/" in folder:
        folder = folder.rpartition("/")[0] or "/"
        above.append(folder)
        if folder == "/":
            break
    if not path.startswith(("/", "..")):  # what is above `..` has no name here
        above.append("")
    if level:
        return above[level - 1 : level]
    near = list(dict.fromkeys((*above[:_LEVELS], *above[-1:])))
    sources = (f"{each.rstrip('/')}/src" if each else "src" for each in near)
    return list(dict.fromkeys((*near, *sources)))


class Neighbours:
    """The modules that one file reaches through imports, at most a few; each text is read once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._texts: dict[str, str | None] = {}
        self._count = 0
        self._modules: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def modules(self, name: str, importer: str) -> list[tuple[str, str]]:
        """Text and path of every file that may be the module of this name for the file at `importer`, likeliest
        first."""
        key = (name, importer.rpartition("/")[0])
        if key not in self._modules:
            found = ((self._text(path), path) for path in module_paths(name, importer))
            self._modules[key] = [(text, path) for text, path in found if text is not None]
        return self._modules[key]

    def _text(self, path: str) -> str | None:
        if path not in self._texts:
            if self._count >= _AT_MOST:
                return None
            self._texts[path] = self._repository.read(path)
            self._count += self._texts[path] is not None
        return self._texts[path]
