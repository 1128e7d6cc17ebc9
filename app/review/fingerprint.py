"""The name of a finding over all pushes of a pull request, hidden in the comment that tells it."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from detectors import Finding

_MARKER = re.compile(r"<!-- mlstaff:finding rule=([\w-]+) fingerprint=([0-9a-f]{16}) -->")
_REVIEW = re.compile(r"<!-- mlstaff:review head=([0-9a-f]{4,64}) -->")
_AT_THE_END = re.compile(r"(?:<!-- mlstaff[: ][^<>]*-->\s*)+\Z")


def fingerprints(path: str, findings: Sequence[Finding]) -> tuple[str, ...]:
    """One for each finding of a file; equal ones are told apart by their order.

    `path` is the name at the merge base where the file has one, so that a rename changes nothing. No line
    number goes in: a finding keeps its fingerprint when it moves.
    """
    seen = Counter[tuple[str, str, str]]()
    names = []
    for finding in findings:
        key = (finding.rule, finding.definition, finding.text)
        seen[key] += 1
        identity = "\0".join((finding.rule, path, finding.definition, finding.text, str(seen[key])))
        names.append(hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16])
    return tuple(names)


def marker(rule: str, fingerprint: str) -> str:
    """The comment in HTML that hides a fingerprint in a comment's Markdown."""
    return f"<!-- mlstaff:finding rule={rule} fingerprint={fingerprint} -->"


def review_marker(head_sha: str) -> str:
    """The comment in HTML that says which head a review is about."""
    return f"<!-- mlstaff:review head={head_sha} -->"


def told(body: str) -> frozenset[str]:
    """The fingerprints hidden at the end of a comment or a review; elsewhere it is code that we quote."""
    return frozenset(found[2] for found in _MARKER.finditer(_end(body)))


def reviewed_head(body: str) -> str | None:
    """The head a review is about; None where the body is no review of ours."""
    found = _REVIEW.search(_end(body))
    return found[1] if found else None


def _end(body: str) -> str:
    found = _AT_THE_END.search(body)
    return found[0] if found else ""
