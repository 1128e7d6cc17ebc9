"""The Python files under some paths, and their texts."""

import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.notebooks import notebook
from app.review.find import is_analysed

LARGEST = 2_000_000
"""Bytes; a larger file is generated or data."""
_NEVER = frozenset(
    {
        ".bzr",
        ".direnv",
        ".eggs",
        ".git",
        ".hg",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".pytype",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "__pypackages__",
        "node_modules",
        "site-packages",
    }
)
_UNLESS_PACKAGE = frozenset({"_build", "build", "dist", "env", "venv"})


class UnreadableSource(Exception):
    """The file has no text for us; the message says why, in words for the list of what was skipped."""


def source_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Each path that is a file, and the Python files in each folder, in order; each file once.

    Folders of tools, virtual environments and build results are left out unless they are named.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in _in_folder(path) if path.is_dir() else [path]:
            if file not in seen:
                seen.add(file)
                yield file


def _in_folder(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_searched(Path(place, name)))
        yield from (Path(place, name) for name in sorted(names) if is_analysed(name))


def _is_searched(folder: Path) -> bool:
    if folder.name in _NEVER or (folder / "pyvenv.cfg").exists():
        return False
    return folder.name not in _UNLESS_PACKAGE or (folder / "__init__.py").exists()


def source_text(path: Path) -> str:
    """The text, decoded as Python would: by its mark, its coding line, else as UTF-8; line ends as they are.

    Raises:
        UnreadableSource: it is too large, cannot be read, or is no text.
    """
    try:
        largest = notebook.LARGEST if path.suffix.lower() == notebook.SUFFIX else LARGEST
        if path.stat().st_size > largest:
            raise UnreadableSource(f"larger than {largest // 1_000_000} MB")
        return decoded(path.read_bytes())
    except OSError as error:
        raise UnreadableSource(error.strerror or type(error).__name__) from error


def decoded(content: bytes) -> str:
    """The text of a source file.

    Raises:
        UnreadableSource: it is binary, or not in the encoding that it declares.
    """
    if b"\0" in content:
        raise UnreadableSource("a binary file")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, LookupError, UnicodeDecodeError):
        raise UnreadableSource("not in the encoding it declares, or not UTF-8") from None
