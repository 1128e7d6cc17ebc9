"""Version specifiers as bounds, in the dialects of pip, Poetry and conda.

https://packaging.python.org/specifications/version-specifiers/, https://python-poetry.org/docs/dependency-specification/
and https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from detectors import Pin, release_of

_CLAUSE = re.compile(r"(===|==|~=|!=|<=|>=|<|>|=|\^|~)?\s*(v?\d[\w.!+*-]*)")
ANY = Pin()


def bounds(specifier: str, *, is_bare_exact: bool = True) -> Pin:
    """The bounds of all clauses together; a clause that is not understood, or rules single versions out, is none.

    `is_bare_exact`: a version without an operator is that version (Poetry), not one of its family (conda).
    """
    if "|" in specifier:
        return hull([bounds(each, is_bare_exact=is_bare_exact) for each in re.split(r"\|+", specifier)])
    found = ANY
    for operator, version in _CLAUSE.findall(specifier):
        found = both(found, _bound(operator or ("==" if is_bare_exact else "="), version))
    return found


def both(one: Pin, other: Pin) -> Pin:
    """What both allow, in the words of the one that says where it ends."""
    upper = min(one, other, key=_end)
    lower = max(one, other, key=lambda each: each.low)
    teller = lower if upper.high is None else upper
    return replace(teller, low=lower.low, high=upper.high, is_closed=upper.is_closed)


def hull(pins: Iterable[Pin]) -> Pin:
    """What any of them allows, and all between."""
    first, *rest = pins
    for pin in rest:
        upper = max(first, pin, key=_end)
        lower = min(first, pin, key=lambda each: each.low)
        text = " or ".join(dict.fromkeys(each.text for each in (first, pin) if each.text))
        first = Pin(lower.low, upper.high, upper.is_closed, text, first.file)
    return first


def _end(pin: Pin) -> tuple[bool, tuple[int, ...], bool]:
    return pin.high is None, pin.high or (), pin.is_closed


def _bound(operator: str, version: str) -> Pin:
    is_family = version.endswith("*") or operator == "="
    release = release_of(version)
    length = len([each for each in re.split(r"[+a-z*-]", version.lstrip("v"))[0].split(".") if each])
    match operator:
        case "==" | "===" | "=":
            return Pin(release, _after(release, length), False) if is_family else Pin(release, release, True)
        case ">=" | ">":
            return Pin(release)
        case "<":
            return Pin((), release, False)
        case "<=":
            return Pin((), release, True)
        case "~=":
            return Pin(release, _after(release, length - 1), False)
        case "~":
            return Pin(release, _after(release, min(length, 2)), False)
        case "^":
            significant = next((nth for nth, each in enumerate(release) if each), length - 1)
            return Pin(release, _after(release, significant + 1), False)
    return ANY


def _after(release: tuple[int, ...], length: int) -> tuple[int, ...]:
    """The first release of the next family: (2, 1, 3) of two numbers gives (2, 2)."""
    length = max(length, 1)
    family = (*release, *[0] * length)[:length]
    return (*family[:-1], family[-1] + 1)
