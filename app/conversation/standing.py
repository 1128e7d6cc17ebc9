"""What people decided about a pull request, read back from the notes in our own replies there

Nothing of it is kept elsewhere, so nothing is lost with a store.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """`paused_by` is a login or ""; `dismissed` are fingerprints, `ignored_rules` rules' names."""

    paused_by: str = ""
    ignored_rules: frozenset[str] = frozenset()
    dismissed: frozenset[str] = frozenset()


def standing(notes: Iterable[Mapping[str, str]]) -> Standing:
    """What holds after all notes, oldest first."""
    paused_by, rules, dismissed = "", set[str](), set[str]()
    for note in notes:
        if "pause" in note:
            paused_by = note["pause"]
        if "resume" in note:
            paused_by = ""
        if "ignore" in note:
            rules.add(note["ignore"])
        rules.discard(note.get("unignore", ""))
        dismissed |= set(filter(None, note.get("dismiss", "").split(",")))
    return Standing(paused_by, frozenset(rules), frozenset(dismissed))
