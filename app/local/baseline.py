"""What an old code base is forgiven: fingerprints in a file, so that only what is new is said.

A finding keeps its fingerprint when its lines move; each one is forgiven as often as it was found.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from app.review.find import FileReport
from app.review.fingerprint import fingerprints

_VERSION = 1


class BrokenBaseline(ValueError):
    """The file is no baseline of ours."""


def baseline_of(reports: Iterable[FileReport]) -> str:
    """The fingerprints of everything in the reports, by path, as the text of a file to commit."""
    known = {report.path: sorted(fingerprints(report.path, report.findings)) for report in reports if report.findings}
    return json.dumps({"version": _VERSION, "findings": known}, indent=1, sort_keys=True) + "\n"


def without(baseline: str, reports: Iterable[FileReport]) -> tuple[FileReport, ...]:
    """The reports without what the baseline remembers.

    Raises:
        BrokenBaseline: the text is no baseline, or one of another version.
    """
    try:
        document = json.loads(baseline)
        known = {path: frozenset(names) for path, names in document["findings"].items()}
        is_ours = document["version"] == _VERSION
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BrokenBaseline("this is no baseline; `mlstaff baseline PATH` writes one") from None
    if not is_ours:
        raise BrokenBaseline("another version of mlstaff wrote this baseline; write it again")
    return tuple(_new(report, known.get(report.path, frozenset())) for report in reports)


def _new(report: FileReport, known: frozenset[str]) -> FileReport:
    names = fingerprints(report.path, report.findings)
    new = (finding for finding, name in zip(report.findings, names, strict=True) if name not in known)
    return replace(report, findings=tuple(new))
