"""The lists of a review's body and of the check run, cut to GitHub's limits a whole entry at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.configuration.suppression import OWN_RULES
from app.review.budget import Remark
from app.review.fingerprint import marker
from app.review.markdown import code_span, prose
from app.review.options import Options
from detectors import Finding, Skipped

_LONGEST_MESSAGE = 2_000
_MOST_PLACES = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list, and the hidden fingerprints that go to the end of the body with it."""

    text: str
    markers: str = ""

    def __len__(self) -> int:
        return len(self.text) + len(self.markers) + 2


@dataclass(frozen=True, slots=True)
class Entries:
    """What of a list there is room for, and how many entries there was none for."""

    kept: tuple[Entry, ...] = ()
    left_out: int = 0


def cut(entries: Iterable[Entry], room: int) -> tuple[Entries, int]:
    """The first entries that fit into so many characters, and the room they leave."""
    every = tuple(entries)
    kept = 0
    for entry in every:
        if len(entry) > room:
            break
        room -= len(entry)
        kept += 1
    return Entries(every[:kept], len(every) - kept), room


def shortened(text: str, longest: int) -> str:
    """The text, its end replaced by an ellipsis where it is too long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def rule_link(rule: str, options: Options) -> str:
    """The rule's name, linking to its page where the server has a public address."""
    if not options.public_url or rule in OWN_RULES:
        return code_span(rule)
    return f"[{code_span(rule)}]({options.public_url.rstrip('/')}/rules/{rule})"


def listed(remarks: Iterable[Remark], options: Options) -> list[Entry]:
    """An entry for each remark: where, which rule, what."""
    return [_entry(remark.path, remark.finding, remark.fingerprint, options) for remark in remarks]


def _entry(path: str, finding: Finding, fingerprint: str, options: Options) -> Entry:
    where = code_span(f"{path}:{finding.line}")
    message = prose(shortened(finding.message, _LONGEST_MESSAGE))
    text = f"- {where} {rule_link(finding.rule, options)} {message}"
    return Entry(text, marker(finding.rule, fingerprint))


def grouped(remarks: Iterable[Remark], options: Options) -> list[Entry]:
    """An entry for each rule, naming its places."""
    of_rule: dict[str, list[Remark]] = {}
    for remark in remarks:
        of_rule.setdefault(remark.finding.rule, []).append(remark)
    return [_group(rule, group, options) for rule, group in of_rule.items()]


def _group(rule: str, group: Sequence[Remark], options: Options) -> Entry:
    places = ", ".join(code_span(f"{each.path}:{each.finding.line}") for each in group[:_MOST_PLACES])
    rest = f" and {len(group) - _MOST_PLACES} more" if len(group) > _MOST_PLACES else ""
    markers = "".join(marker(rule, each.fingerprint) for each in group)
    return Entry(f"- {rule_link(rule, options)} also at {places}{rest}", markers)


def unreviewed(skipped: Iterable[Skipped]) -> list[Entry]:
    """An entry for each file that could not be reviewed, with the reason; each once."""
    return [Entry(f"- {code_span(each.path)}: {prose(each.reason)}") for each in dict.fromkeys(skipped)]
