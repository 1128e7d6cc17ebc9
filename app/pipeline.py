"""The line from a pull request to its review: a pure function of its arguments.

    bytes      github.fetch             -> PullRequest     the diff and the head texts, as read
    files      relevance.decide         -> Relevance       most pull requests stop here
    the rest   surroundings             -> Around          what a file imports, what is pinned where it is
    one file   review.find              -> FileReport      what is at the head and not at the merge base
    reports    pipeline.review          -> Review          named, placed, shared out, rendered
    Review     github.publish                              one review, one check run

`find` is the expensive step and runs for each file in a process pool; `review` here takes what comes back. No
network, no clock and no environment anywhere between fetching and publishing: the webhook's worker, the
command line and the playground call the same functions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app import relevance
from app.configuration.config import Layer, Reading, read
from app.pull_request import ChangedFile, ConfigFile, PullRequest, Thread
from app.relevance import Relevance
from app.review import write
from app.review.budget import remarks, share_out
from app.review.comment import Conclusion, Review
from app.review.find import FileReport, introduced_in, is_analysed
from app.review.fingerprint import told
from app.review.markdown import prose
from app.review.options import Options
from app.surroundings import SidesPins, surroundings_of
from detectors import Skipped


def to_analyse(files: Sequence[ChangedFile], decision: Relevance | None = None) -> tuple[ChangedFile, ...]:
    """The files that `review.find` has anything to look for in; `decision` where it is known."""
    decision = decision or relevance.decide(files)
    return tuple(
        file
        for file, decided in zip(files, decision.files, strict=True)
        if is_analysed(file.path) and (decided.is_relevant or file.unread)
    )


def find(pull_request: PullRequest, *, whole_file: bool = False) -> tuple[FileReport, ...]:
    """The reports of all files one after the other, for callers without a process pool."""
    around = surroundings_of(pull_request)
    reports = (introduced_in(file, around.of(file), whole_file) for file in to_analyse(pull_request.files))
    return (*reports, *broken_manifests(around.pins))


def broken_manifests(pins: SidesPins) -> tuple[FileReport, ...]:
    """Reports that name the manifests that could not be read; nothing else is lost with them."""
    return tuple(FileReport(each.path, skipped=(each,)) for each in pins.broken)


def review(
    pull_request: PullRequest, reports: Sequence[FileReport], options: Options, decision: Relevance | None = None
) -> Review:
    """What this head of the pull request is told, given what was found in its files; `decision` where it is known."""
    decision = decision or relevance.decide(pull_request.files)
    reading = configuration(pull_request.config_files)
    reports = [reading.config.applied(report) for report in reports]
    skipped = tuple(_skipped(pull_request, reports))
    if not decision.is_relevant and not any(report.findings for report in reports):
        return declined(decision.reason)
    options = _with_memory(reading.config.options(options), pull_request.threads)
    files = {file.path: file for file in pull_request.files}
    shares = share_out(
        (remark for report in reports if report.findings for remark in remarks(files[report.path], report.findings)),
        options,
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
