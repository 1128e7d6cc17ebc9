"""A file's diff as rows of a table, comments below the lines they stand on."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from app.pull_request import ChangedFile, DiffLine, Hunk, Side
from app.review.comment import Comment
from app.web import highlight, markdown

MOST_ROWS = 400
"""Of one file; in a longer diff only what is near a comment is shown, like GitHub's “Load diff”."""
_NEAR = 12

Where = tuple[Side, int]


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment as it is shown."""

    where: str
    html: Markup


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the diff; `kind` is add, del, context, gap (between hunks) or fold (lines that are not shown)."""

    kind: str
    old: int | None = None
    new: int | None = None
    text: Markup | str = ""
    threads: tuple[Thread, ...] = ()

    @property
    def mark(self) -> str:
        """The first character of the line in a diff."""
        return {"add": "+", "del": "-"}.get(self.kind, " ")


@dataclass(frozen=True, slots=True)
class FileView:
    """One file."""

    path: str
    previous_path: str | None
    status: str
    added: int
    deleted: int
    rows: tuple[Row, ...]
    unread: str


def view(file: ChangedFile, comments: Sequence[Comment], hide: Callable[[str], str] = str) -> FileView:
    """The file with its comments; `hide` takes out of its lines what may not be shown."""
    threads = defaultdict[Where, list[Thread]](list)
    for comment in comments:
        if comment.path == file.path:
            threads[comment.side, comment.line].append(_thread(file, comment, hide))
    every = [line for hunk in file.hunks for line in hunk.lines]
    return FileView(
        path=file.path,
        previous_path=file.previous_path,
        status=file.status.value,
        added=sum(line.old is None for line in every),
        deleted=sum(line.new is None for line in every),
        rows=tuple(_folded(list(_rows(file, threads, hide)))),
        unread=file.unread,
    )


def _thread(file: ChangedFile, comment: Comment, hide: Callable[[str], str]) -> Thread:
    sign = "-" if comment.side is Side.LEFT else "+"
    first = comment.start_line or comment.line
    head = [] if file.head is None or comment.side is Side.LEFT else file.head.split("\n")
    replaced = [hide(line) for line in head[first - 1 : comment.line]]
    shown = markdown.rendered(comment.body, path=file.path, replaced=replaced)
    several = comment.start_line is not None
    where = f"lines {sign}{first} to {sign}{comment.line}" if several else f"line {sign}{comment.line}"
    return Thread(where, shown)


def _rows(file: ChangedFile, threads: Mapping[Where, Sequence[Thread]], hide: Callable[[str], str]) -> Iterator[Row]:
    last_old = last_new = 0
    for hunk in file.hunks:
        old, new = _first(hunk)
        if old > last_old + 1 or new > last_new + 1:
            yield Row("gap", text=_header(hunk))
        texts = highlight.lines("\n".join(hide(line.text) for line in hunk.lines), file.path)
        for line, text in zip(hunk.lines, texts, strict=True):
            yield _row(line, text, threads)
            last_old, last_new = line.old or last_old, line.new or last_new


def _row(line: DiffLine, text: Markup, threads: Mapping[Where, Sequence[Thread]]) -> Row:
    kind = "add" if line.old is None else "del" if line.new is None else "context"
    found: list[Thread] = []
    if line.new is not None:
        found += threads.get((Side.RIGHT, line.new), ())
    if line.old is not None:
        found += threads.get((Side.LEFT, line.old), ())
    return Row(kind, line.old, line.new, text, tuple(found))


def _first(hunk: Hunk) -> tuple[int, int]:
    old = next((line.old for line in hunk.lines if line.old is not None), 0)
    new = next((line.new for line in hunk.lines if line.new is not None), 0)
    return old, new


def _header(hunk: Hunk) -> str:
    old, new = _first(hunk)
    olds = sum(line.old is not None for line in hunk.lines)
    news = sum(line.new is not None for line in hunk.lines)
    return f"@@ -{old},{olds} +{new},{news} @@"


def _folded(rows: list[Row]) -> Iterator[Row]:
    """A long diff with only what is near a comment or its own beginning."""
    if len(rows) <= MOST_ROWS:
        yield from rows
        return
    shown = set(range(_NEAR))
    for number, row in enumerate(rows):
        if row.threads:
            shown.update(range(number - _NEAR, number + _NEAR // 2))
    for is_shown, group in groupby(enumerate(rows), lambda each: each[0] in shown):
        some = [row for _, row in group]
        if is_shown:
            yield from some
        else:
            yield Row("fold", text=f"{len(some):,} lines without a comment")
