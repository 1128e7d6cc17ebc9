"""A local repository's changes, in the same values as a pull request's: what git says, work tree included.

Nothing of the repository is run: external diff programs, text converters and the file system monitor stay off.
"""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from app.diff import parse, split_lines, with_texts
from app.local.sources import UnreadableSource, source_text
from app.pull_request import ChangedFile, DiffLine, Hunk, Status
from app.review.find import is_analysed

_DIFF = (
    "-c core.fsmonitor=false diff --no-color --no-ext-diff --no-textconv --find-renames --unified=3 "
    "--submodule=short --ignore-submodules=dirty --src-prefix=a/ --dst-prefix=b/"
)
_UNTRACKED = "-c core.fsmonitor=false ls-files --others --exclude-standard -z"


class NoRepository(Exception):
    """Git could not answer; the message is git's own."""


def top_of(folder: Path) -> Path:
    """The folder to which git's paths are relative.

    Raises:
        NoRepository: there is no git, or no repository.
    """
    return Path(_git(folder, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape").rstrip("\n"))


def changes(top: Path, base: str) -> tuple[ChangedFile, ...]:
    """The files that differ between the merge base with `base` and the work tree, untracked ones too.

    Raises:
        NoRepository: there is no git, no repository, or no such revision.
    """
    merge_base = _git(top, "merge-base", "--end-of-options", base, "HEAD").decode("ascii").strip()
    diff = _git(top, *_DIFF.split(), merge_base, "--").decode("utf-8", "replace")
    names = _git(top, *_UNTRACKED.split()).decode("utf-8", "surrogateescape").split("\0")
    untracked = (_added(name, top) for name in names if name and is_analysed(name))
    return (*with_local_texts(parse(diff), top), *untracked)


def with_local_texts(files: Iterable[ChangedFile], root: Path) -> Iterator[ChangedFile]:
    """The files of a diff with their head texts read from a folder; where a text is not needed it is not read."""
    for file in files:
        if file.unread or file.status is Status.REMOVED or not file.hunks:
            yield with_texts(file, "" if file.status is Status.ADDED else None) if not file.unread else file
            continue
        try:
            yield with_texts(file, _text(root, file.path))
        except UnreadableSource as reason:
            yield replace(file, unread=str(reason))


def _added(name: str, root: Path) -> ChangedFile:
    """A file that git does not know yet, as the diff would show it."""
    file = ChangedFile(name, None, Status.ADDED, ())
    try:
        text = _text(root, name)
    except UnreadableSource as reason:
        return replace(file, unread=str(reason))
    lines = tuple(DiffLine(None, number, line) for number, line in enumerate(split_lines(text), start=1))
    return replace(file, hunks=(Hunk(lines),) if lines else (), head=text)


def _text(root: Path, path: str) -> str:
    """The text of a file under the root: a diff is anybody's text, and may name a file elsewhere."""
    place = (root / path).resolve()
    if not place.is_relative_to(root.resolve()):
        raise UnreadableSource("outside of the folder")
    return source_text(place)


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  a fixed program, arguments as a list, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607  the user's own git
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise NoRepository(f"git could not be run: {error.strerror}") from error
    if done.returncode:
        raise NoRepository(done.stderr.decode("utf-8", "replace").strip() or "git failed")
    return done.stdout
