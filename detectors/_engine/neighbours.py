"""Neighbours: the files of the repository around a file, found by what it imports.

Only texts that the snapshot has; what is not there stays unknown.
"""

import re
from collections.abc import Iterator
from typing import Protocol

_AT_MOST = 20
_LEVELS = 5
_EVENTS = re.compile(
    r"\.(eval|train|backward|zero_grad|step|set_epoch|requires_grad_?)\(|no_grad|inference_mode|autocast"
)
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
    """The modules one file can import from."""

    def __init__(self, path: str, repository: Repository) -> None:
        self._path = path
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
        module, _, name = origin.rpartition(".")
        if origin.startswith(".") and not module.strip("."):
            module += "."  # `from . import name`
        for path in module_paths(module, self._path) if module else ():
            text = self._text(path)
            if text is not None and re.search(rf"^(async )?def {re.escape(name)}\b", text, re.M):
                return text, path, name
        return None

    def _text(self, path: str) -> str | None:
        if path not in self._read:
            if sum(each is not None for each in self._read.values()) >= _AT_MOST:
                return None
            text = self._repository.read(path)
            self._read[path] = text if text is not None and _EVENTS.search(text) else None
        return self._read[path]
