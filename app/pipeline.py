"""The line from a pull request to its review: a pure function of its arguments.

    bytes      github.fetch             -> PullRequest     the diff and the head texts, as read
    files      relevance.decide         -> Relevance       most pull requests stop here
    one file   review.find              -> FileReport      what is at the head and not at the merge base
    reports    pipeline.review          -> Review          named, placed, shared out, rendered
    Review     github.publish                              one review, one check run

`find` is the expensive step and runs for each file in a process pool; `review` here takes what comes back. No
network, no clock and no environment anywhere between fetching and publishing: the webhook's worker, the
command line and the playground call the same functions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from app import relevance
from app.configuration.config import Layer, Reading, read
from app.pull_request import ChangedFile, ConfigFile, PullRequest, Thread
from app.review import write
from app.review.budget import remarks, share_out
from app.review.comment import Conclusion, Review
from app.review.find import FileReport, introduced_in, is_analysed
from app.review.fingerprint import told
from app.review.markdown import prose
from app.review.options import Options
from detectors import Skipped

_NEIGHBOURS = 20
"""Imported files that the analysis of one file is given."""


def to_analyse(files: Sequence[ChangedFile]) -> tuple[ChangedFile, ...]:
    """The files that `review.find` has anything to look for in."""
    decisions = relevance.decide(files).files
    return tuple(
        file
        for file, decision in zip(files, decisions, strict=True)
        if is_analysed(file.path) and (decision.is_relevant or file.unread)
    )


def imported_texts(file: ChangedFile, files: Sequence[ChangedFile]) -> dict[str, str]:
    """The head texts of the other changed files that the file may import, so that calls into them can be followed."""
    head = file.head or ""
    others = (other for other in files if other.path != file.path and is_analysed(other.path))
    named = {other.path: other.head for other in others if other.head and PurePosixPath(other.path).stem in head}
    return dict(sorted(named.items())[:_NEIGHBOURS])


def find(pull_request: PullRequest, *, whole_file: bool = False) -> tuple[FileReport, ...]:
    """The reports of all files one after the other, for callers without a process pool."""
    return tuple(
        introduced_in(file, imported_texts(file, pull_request.files), whole_file)
        for file in to_analyse(pull_request.files)
    )


def review(pull_request: PullRequest, reports: Sequence[FileReport], options: Options) -> Review:
    """What this head of the pull request is told, given what was found in its files."""
    decision = relevance.decide(pull_request.files)
    reading = configuration(pull_request.config_files)
    reports = [reading.config.applied(report) for report in reports]
    skipped = tuple(_skipped(pull_request, reports))
    if not decision.is_relevant and not any(report.findings for report in reports):
        return declined(decision.reason)
    options = _with_memory(reading.config.options(options), pull_request.threads)
    files = {file.path: file for file in pull_request.files}
    shares = share_out(
        (remark for report in reports for remark in remarks(files[report.path], report.findings)), options
    )
    said = write.Said(shares, skipped, reading.mistakes, decision.reason)
    return write.review(said, pull_request.head_sha, options)


def configuration(files: Iterable[ConfigFile]) -> Reading:
    """What holds: the base branch's file over the organisation's, over the server's defaults."""
    return read([Layer(each.path, each.text, each.problem) for each in files])


def declined(reason: str) -> Review:
    """No review: a neutral check run that says why (nothing relevant, a draft, a label)."""
    return Review("", (), Conclusion.NEUTRAL, "Nothing to review", prose(reason), ())


def _skipped(pull_request: PullRequest, reports: Iterable[FileReport]) -> Iterable[Skipped]:
    for reason in pull_request.unread:
        yield Skipped("the pull request", reason)
    for report in reports:
        yield from report.skipped


def _with_memory(options: Options, threads: Iterable[Thread]) -> Options:
    """What our threads on the pull request hold is said; what is resolved there is dismissed."""
    said, dismissed = set(options.said), set(options.dismissed)
    for thread in threads:
        said |= told(thread.body)
        if thread.is_resolved:
            dismissed |= told(thread.body)
    return replace(options, said=frozenset(said), dismissed=frozenset(dismissed))
