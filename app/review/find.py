"""What a change brings into one file: the findings of its head that its merge base does not have.

Pure and pickleable, so that it runs in a process pool; hostile source ends as a reason, never as an
exception.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from app.configuration.suppression import UNKNOWN, sift
from app.diff import touched
from app.notebooks import notebook
from app.pull_request import ChangedFile
from detectors import (
    NOT_PINNED,
    Analysis,
    Finding,
    Repository,
    Skipped,
    Versions,
    all_detectors,
    analyse,
    introduced,
)

_LONE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")
_ANALYSED = (".py", ".pyw", notebook.SUFFIX)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was found in one changed file, in order of line, and what of it could not be analysed."""

    path: str
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The repository around one file at one commit: the texts that are at hand, by path, and the pinned versions."""

    files: Mapping[str, str] = field(default_factory=dict)
    versions: Versions = NOT_PINNED

    def read(self, path: str) -> str | None:
        """The text, None where it is not at hand."""
        return self.files.get(path)


@dataclass(frozen=True, slots=True)
class Around:
    """The repository around a changed file on both sides of the change."""

    head: Snapshot = field(default_factory=Snapshot)
    base: Snapshot = field(default_factory=Snapshot)


ALONE = Around()
"""Nothing around it is known."""


def is_analysed(path: str) -> bool:
    """Whether detectors read this kind of file."""
    return PurePosixPath(path).suffix.lower() in _ANALYSED


def introduced_in(file: ChangedFile, around: Around = ALONE, whole_file: bool = False) -> FileReport:
    """The findings that the change brings; with `whole_file` all findings of the head.

    Where the merge base cannot be analysed it cannot be compared with: then only findings that stand on an
    added line, or are related to one, count.
    """
    if not is_analysed(file.path):
        return FileReport(file.path)
    if file.unread:
        return FileReport(file.path, skipped=(Skipped(file.path, file.unread),))
    if file.head is None:
        return FileReport(file.path)
    head = _analyse(file.head, file.path, around.head, around.head.versions)
    if whole_file or file.base is None or not head.findings:
        return FileReport(file.path, head.findings, head.skipped)
    base = _analyse(file.base, file.previous_path or file.path, around.base, around.base.versions)
    new = introduced(head.findings, base.findings)
    if base.skipped:
        added = touched(file)
        new = tuple(finding for finding in new if not added.isdisjoint(_lines(finding)))
    return FileReport(file.path, new, head.skipped)


def found_in(text: str, path: str, repository: Repository | None = None, versions: Versions = NOT_PINNED) -> FileReport:
    """Everything found in a whole file, outside of any change."""
    analysis = _analyse(text, path, repository, versions)
    return FileReport(path, analysis.findings, analysis.skipped)


def _analyse(text: str, path: str, repository: Repository | None, versions: Versions) -> Analysis:
    if PurePosixPath(path).suffix.lower() != notebook.SUFFIX:
        return _analyse_python(text, path, repository, versions)
    try:
        book = notebook.read(text)
    except notebook.BrokenNotebook as reason:
        return Analysis(skipped=(Skipped(path, str(reason)),))
    return book.moved(_analyse_python(book.module, path, repository, versions))


def _analyse_python(text: str, path: str, repository: Repository | None, versions: Versions) -> Analysis:
    if _LONE_CARRIAGE_RETURN.search(text):
        reason = "it has carriage returns inside its lines, so Python and git count them differently"
        return Analysis(skipped=(Skipped(path, reason),))
    rules = frozenset(detector.name for detector in all_detectors())
    try:
        return _sifted(analyse(text, path, repository=repository, versions=versions), text, rules)
    except Exception as error:  # a defect of one detector must not cost the other files their review
        return Analysis(skipped=(Skipped(path, f"the analysis failed: {type(error).__name__}"),))


def _sifted(analysis: Analysis, text: str, rules: frozenset[str]) -> Analysis:
    """Without what comments in the source silence, and with what is to be said of these comments."""
    sifted = sift(analysis.findings, text, rules)
    remarks = [each for each in sifted.remarks if each.rule == UNKNOWN or not analysis.skipped]
    findings = sorted((*sifted.findings, *remarks), key=lambda each: each.line)
    return Analysis(tuple(findings), analysis.skipped)


def _lines(finding: Finding) -> set[int]:
    return {*range(finding.line, finding.end_line + 1), *(related.line for related in finding.related)}
