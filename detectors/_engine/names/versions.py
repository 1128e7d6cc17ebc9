"""Library versions: what a repository pins, and what that says about the version in which a behaviour changed.

A question has three answers: certainly, certainly not, and not known. So there is a method for each certainty, and a
rule takes the one whose *no* keeps it silent. Where nothing is pinned, the newest release is assumed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LIBRARIES = frozenset({"datasets", "torch", "transformers"})
"""What rules ask for; of nothing else is a version kept."""

Release = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """The versions of a library that the repository allows: from `low` on (none: `()`), and below `high` (none: None),
    itself allowed where `is_closed`. `text` is how `file` says it."""

    low: Release = ()
    high: Release | None = None
    is_closed: bool = False
    text: str = ""
    file: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether it is one version."""
        return self.low == self.high and self.is_closed

    @property
    def is_empty(self) -> bool:
        """Whether no version is allowed: two pins that contradict each other."""
        return self.high is not None and (self.low > self.high or (self.low == self.high and not self.is_closed))

    @property
    def says_nothing(self) -> bool:
        """Whether every version is allowed."""
        return not self.low and self.high is None

    def is_below(self, release: Release) -> bool:
        """Whether every allowed version is older."""
        return self.high is not None and (self.high < release or (self.high == release and not self.is_closed))


@dataclass(frozen=True, slots=True)
class Versions:
    """What holds where one file is: the pins by the library's name in its package index."""

    pins: Mapping[str, Pin] = field(default_factory=dict)

    def is_below(self, library: str, version: str) -> bool:
        """Whether the library is certainly older than this version."""
        pin = self._pin(library)
        return pin is not None and pin.is_below(release_of(version))

    def is_from(self, library: str, version: str) -> bool:
        """Whether the library is certainly this version or a newer one."""
        pin = self._pin(library)
        return pin is not None and pin.low >= release_of(version)

    def allows_below(self, library: str, version: str) -> bool:
        """Whether the repository says that an older version than this will do."""
        pin = self._pin(library)
        return pin is not None and pin.low < release_of(version)

    def assumed(self, library: str) -> str:
        """The evidence, as half a sentence for a message: "torch 2.1 is pinned in requirements.txt"."""
        pin = self._pin(library)
        if pin is None:
            return f"no version of {library} is pinned here"
        if pin.is_exact:
            return f"{library} {_written(pin.low)} is pinned in {pin.file}"
        return f"{pin.file} asks for `{pin.text}`"

    def _pin(self, library: str) -> Pin | None:
        if library not in LIBRARIES:
            raise LookupError(f"versions of {library} are not kept: add it to LIBRARIES")
        return self.pins.get(library)


NOT_PINNED = Versions()
"""Nothing is known."""


def release_of(version: str) -> Release:
    """The numbers of a version, without zeros at the end, so that 2 and 2.0 are one; () where it has none.

    What comes before or after a release counts as the release: `2.6rc1`, `2.6.0+cu124` and `2.6.post1` behave like 2.6.
    """
    found = re.match(r"v?(?:\d+!)?(\d{1,6}(?:\.\d{1,6})*)", version.strip())
    release = [int(each) for each in found[1].split(".")] if found else []
    while release and release[-1] == 0:
        release.pop()
    return tuple(release)


def _written(release: Release) -> str:
    return ".".join(str(each) for each in (*release, 0)[: max(len(release), 2)])
