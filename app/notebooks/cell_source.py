"""The Python in a notebook's cell: IPython's own syntax gives way, and every line keeps its number.

https://ipython.readthedocs.io/en/stable/interactive/magics.html
"""

import ast
import re
import warnings

_PYTHON_MAGICS = frozenset({"capture", "heat", "memit", "mprun", "prun", "scalene", "snakeviz", "time", "timeit"})
"""Cell magics whose body is Python of the notebook's own name space."""
_CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w*)")
_TIMED = re.compile(r"(?P<indent>\s*)%time\s+(?P<statement>\S.*)")
_AUTOMAGICS = r"(?:pip|conda|mamba|cd|ls|mkdir|rmdir|rm|cp|mv|cat)\s+[\w.~/$'\"-]"
"""IPython takes the sign before these for granted: https://ipython.readthedocs.io/en/stable/interactive/reference.html"""
_LINE = re.compile(rf"(?P<indent>\s*)(?:[%!?]|{_AUTOMAGICS}|[^#'\"]*\?\s*$)")
_ASSIGNED = re.compile(r"(?P<target>\s*[\w., ]+?\s*=)\s*[!%]")
_MOST_TRIES = 40


def python_of(lines: list[str]) -> list[str]:
    """The lines as Python: a magic is `pass` where it stood, a cell in another language is blank.

    What is no magic stays, also where it cannot be parsed.
    """
    magic = _CELL_MAGIC.match(lines[0]) if lines else None
    if magic:
        if magic["name"] not in _PYTHON_MAGICS:
            return [""] * len(lines)
        return ["", *_without_magics(lines[1:])]
    return _without_magics(lines)


def _without_magics(lines: list[str]) -> list[str]:
    """A line that looks like a magic may also continue an expression (`% name`): Python decides which it is."""
    if not any(_is_magic(line) for line in lines):
        return lines
    lines = list(lines)
    for _ in range(_MOST_TRIES):
        wrong = _wrong_line(lines)
        if wrong is None:
            return lines
        if wrong > len(lines) or not _is_magic(lines[wrong - 1]):
            break
        _replace(lines, wrong - 1)
    every = list(lines)
    for number, line in enumerate(every):
        if _is_magic(line):
            _replace(every, number)
    return every if _wrong_line(every) is None else lines


def _wrong_line(lines: list[str]) -> int | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse("\n".join(lines))
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return None  # it will be named when the whole is parsed
    return None


def _is_magic(line: str) -> bool:
    return _LINE.match(line) is not None or _ASSIGNED.match(line) is not None


def _replace(lines: list[str], number: int) -> None:
    """Puts Python in the place of a magic, and nothing in that of the lines that continue it."""
    line = lines[number]
    timed, assigned = _TIMED.fullmatch(line), _ASSIGNED.match(line)
    if timed:
        lines[number] = timed["indent"] + timed["statement"]
        return
    lines[number] = f"{assigned['target']} get_ipython()" if assigned else f"{_indent(line)}pass"
    while line.endswith("\\") and number + 1 < len(lines):
        number += 1
        line, lines[number] = lines[number], ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
