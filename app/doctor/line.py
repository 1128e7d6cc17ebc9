"""One thing that was looked at, how it is, and what to do"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from app.logs import Redaction


class Mark(StrEnum):
    """With *fail*, pull requests are lost or not reviewed; with *warn*, something of it is missing or in danger."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """A thing by its name, and a sentence about it; `todo` is what an operator can do, empty where all is well."""

    mark: Mark
    name: str
    words: str
    todo: str = ""


def ok(name: str, words: str) -> Line:
    """All is well."""
    return Line(Mark.OK, name, words)


def warn(name: str, words: str, todo: str) -> Line:
    """Something is missing or in danger."""
    return Line(Mark.WARN, name, words, todo)


def fail(name: str, words: str, todo: str) -> Line:
    """Reviews are lost or do not come to be."""
    return Line(Mark.FAIL, name, words, todo)


def exit_status(lines: Iterable[Line]) -> int:
    """1 where anything fails, else 0."""
    return int(any(line.mark is Mark.FAIL for line in lines))


def as_text(lines: Sequence[Line], redact: Redaction) -> str:
    """A line each for a terminal, what to do below it."""
    width = max((len(line.name) for line in lines), default=0)
    shown = []
    for line in lines:
        shown.append(f"{line.mark:<4}  {line.name:<{width}}  {_one_line(line.words)}")
        if line.todo:
            shown.append(f"{'':<4}  {'':<{width}}  → {_one_line(line.todo)}")
    counts = {mark: sum(line.mark is mark for line in lines) for mark in Mark}
    shown.append(", ".join(f"{count} {mark}" for mark, count in counts.items()))
    return redact("\n".join(shown))


def as_json(lines: Sequence[Line], redact: Redaction) -> str:
    """The same for programs."""
    return redact(json.dumps([asdict(line) for line in lines], indent=2, ensure_ascii=False))


def _one_line(text: str) -> str:
    return " ".join(text.split())
