"""The rules' pages, for reading in a terminal."""

import difflib
from collections.abc import Iterable
from itertools import groupby

from detectors import Detector, all_detectors


class UnknownRule(LookupError):
    """No rule has this name; the message offers the nearest ones."""


def detector(name: str) -> Detector:
    """The rule of this name.

    Raises:
        UnknownRule: there is none.
    """
    every = {each.name: each for each in all_detectors()}
    if name not in every:
        raise UnknownRule(f"no rule is called {name!r}{_did_you_mean(name, every)}")
    return every[name]


def _did_you_mean(name: str, every: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), list(every), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else "; `mlstaff rules` lists them"


def listing() -> str:
    """Every rule with its tier and title, by family."""
    every = sorted(all_detectors(), key=lambda each: (each.family, each.name))
    width = max((len(each.name) for each in every), default=0)
    lines = []
    for family, members in groupby(every, key=lambda each: each.family):
        lines += [f"{family}/", *(f"  {each.name:{width}}  {each.tier:6}  {each.page.title}" for each in members), ""]
    return "\n".join([*lines, f"{len(every)} rules; `mlstaff explain RULE` says more"])


def page(name: str) -> str:
    """A rule's page as plain text.

    Raises:
        UnknownRule: there is no such rule.
    """
    rule = detector(name)
    heading = f"{rule.name} · {rule.tier.value} · {rule.family}"
    parts = [
        heading,
        rule.page.title,
        rule.page.why,
        f"❌\n{_indented(rule.page.bad)}",
        f"✅\n{_indented(rule.page.good)}",
    ]
    return "\n\n".join(part for part in [*parts, "\n".join(rule.page.links)] if part)


def _indented(code: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in code.rstrip("\n").split("\n"))
