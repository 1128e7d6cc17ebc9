"""Trouble on demand: by script for a route, or at random from a seed"""

import random
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["status", "primary-limit", "secondary-limit", "timeout", "reset", "slow", "orphan", "partial"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    With `after_write` the request is carried out first and only then goes wrong: the caller cannot know that it was.
    """

    kind: Kind
    status: int = 502
    seconds: float = 0.0
    retry_after: int | None = None
    after_write: bool = False
    path: tuple[str, ...] = ()
    error: str = ""


def server_error(status: int = 502, *, after_write: bool = False) -> Fault:
    """500, 502, 503 or any other status."""
    return Fault("status", status, after_write=after_write)


def reset(*, after_write: bool = False) -> Fault:
    """The connection is reset instead of an answer."""
    return Fault("reset", after_write=after_write)


def timeout(seconds: float = 60.0, *, after_write: bool = False) -> Fault:
    """No answer for so long, then the connection ends."""
    return Fault("timeout", seconds=seconds, after_write=after_write)


def slow_body(seconds: float = 1.0) -> Fault:
    """The right answer, its body dripping in over so long."""
    return Fault("slow", seconds=seconds)


def orphan() -> Fault:
    """For `POST …/reviews`: carried out; if it is refused with 422, an empty pending review is left behind."""
    return Fault("orphan")


def partial(*path: str, error: str = "") -> Fault:
    """For a GraphQL query: the right answer but for one field, null with an error of this type (none: no type)."""
    return Fault("partial", path=path, error=error)


def primary_limit(retry_after: int | None = None) -> Fault:
    """403, nothing remaining."""
    return Fault("primary-limit", 403, retry_after=retry_after)


def secondary_limit(status: int = 403, retry_after: int | None = 1) -> Fault:
    """403 or 429 of the secondary limit."""
    return Fault("secondary-limit", status, retry_after=retry_after)


#: One of each, with short waits: what a storm draws from.
ALL_KINDS: tuple[Fault, ...] = (
    server_error(500),
    server_error(502),
    server_error(502, after_write=True),
    secondary_limit(403, 1),
    secondary_limit(429, 1),
    timeout(2.0),
    timeout(2.0, after_write=True),
    reset(),
    reset(after_write=True),
    slow_body(0.2),
)


class Faults:
    """Decides which fault, if any, befalls a request."""

    def __init__(self) -> None:
        self._scripts: list[tuple[str, re.Pattern[str], deque[Fault | None]]] = []
        self._share, self._seed, self._kinds = 0.0, 0, ALL_KINDS
        self._seen: Counter[str] = Counter()
        self.happened: list[tuple[str, str, Fault]] = []

    def script(self, method: str, path: str, *faults: Fault | None) -> None:
        """The next requests of a method whose path matches a regular expression meet these, in order."""
        self._scripts.append((method, re.compile(path), deque(faults)))

    def at_random(self, share: float, *, seed: int, kinds: Sequence[Fault] = ALL_KINDS) -> None:
        """So great a share of all requests goes wrong.

        Drawn from the seed and from how often this route was asked, so that it does not depend on the order in
        which several callers come.
        """
        self._share, self._seed, self._kinds = share, seed, tuple(kinds)

    def clear(self) -> None:
        """From now on all goes well."""
        self._scripts.clear()
        self._share = 0.0

    def next(self, method: str, path: str) -> Fault | None:
        """The fault for this request."""
        fault = self._scripted(method, path)
        if fault is None and self._share:
            key = f"{method} {path}"
            self._seen[key] += 1
            draw = random.Random(f"{self._seed} {key} {self._seen[key]}")
            fault = draw.choice(self._kinds) if draw.random() < self._share else None
        if fault is not None:
            self.happened.append((method, path, fault))
        return fault

    def _scripted(self, method: str, path: str) -> Fault | None:
        for verb, pattern, faults in self._scripts:
            if faults and verb == method and pattern.search(path):
                return faults.popleft()
        return None
