"""What somebody pastes into the playground, as a pull request's files and their review.

Pure: it runs in an analysis process, and nothing of it is kept.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from app import pipeline, relevance
from app.diff import parse, split_lines, with_texts
from app.local.whole_file import context_of, head_of
from app.notebooks import notebook
from app.pull_request import ChangedFile, DiffLine, Hunk, PullRequest, PullRequestRef, Status
from app.review.comment import Review
from app.review.find import FileReport
from app.review.options import Options

_CONTEXT = 3
_HEAD = "0" * 40


class Kind(StrEnum):
    """What was pasted."""

    DIFF = "diff"
    FILE = "file"
    NOTEBOOK = "notebook"


@dataclass(frozen=True, slots=True)
class Submission:
    """One input. `heads` are whole files at the head by their names, for a diff that shows only parts of them."""

    kind: Kind
    name: str = ""
    before: str = ""
    after: str = ""
    diff: str = ""
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Played:
    """The files as GitHub would show them, what the bot would say of them, and what could not be looked at."""

    files: tuple[ChangedFile, ...]
    review: Review
    caveats: tuple[str, ...] = ()


class Unusable(Exception):
    """There is nothing to review in the input; the message says why, in words for whoever pasted it."""


def play(submission: Submission) -> Played:
    """The review of an input.

    Raises:
        Unusable: the input is empty, no diff, or changes nothing.
    """
    files = _files(submission)
    caveats = [_caveat(file) for file in files if file.unread]
    pull_request = _pull_request(files)
    reports = pipeline.find(pull_request)
    caveats += _skipped(reports, files)
    return Played(files, pipeline.review(pull_request, reports, Options(public_url="/")), tuple(caveats))


def _skipped(reports: Iterable[FileReport], files: Iterable[ChangedFile]) -> Iterator[str]:
    unread = {file.path for file in files if file.unread}
    for report in reports:
        for each in report.skipped:
            if each.path not in unread:
                yield f"`{each.path}` could not be analysed: {each.reason}"


def _caveat(file: ChangedFile) -> str:
    return f"`{file.path}` was not reviewed: {file.unread}"


def _files(submission: Submission) -> tuple[ChangedFile, ...]:
    match submission.kind:
        case Kind.DIFF:
            return tuple(_of_diff(submission.diff, submission.heads))
        case Kind.FILE:
            return (_of_texts(submission, "train.py", (".py", ".pyw")),)
        case Kind.NOTEBOOK:
            _check_notebook(submission.after)
            _check_notebook(submission.before)
            return (_of_texts(submission, "notebook.ipynb", (notebook.SUFFIX,)),)


def _check_notebook(text: str) -> None:
    """On a pull request a notebook that cannot be read may also be none of ours; here somebody asks for it."""
    try:
        if text.strip():
            notebook.read(text)
    except notebook.BrokenNotebook as reason:
        raise Unusable(f"The notebook cannot be read: it is {reason}.") from None


def _of_diff(diff: str, heads: Mapping[str, str]) -> Iterator[ChangedFile]:
    if not diff.strip():
        raise Unusable("The diff is empty. Paste the output of `git diff`, or choose a file that holds it.")
    files = parse(diff)
    if not files:
        raise Unusable(
            "This is no unified diff: there is no file header (`diff --git …`, or `---` and `+++`) in it. "
            "The output of `git diff` is one; a whole file belongs under “Before and after”."
        )
    context = context_of(files)
    for file in files:
        yield file if file.unread else _with_head(file, context, heads)


def _with_head(file: ChangedFile, context: int, heads: Mapping[str, str]) -> ChangedFile:
    if file.status is Status.REMOVED:
        return with_texts(file, None)
    head = _given(file.path, heads)
    if head is None:
        head = head_of(file, context)
    if head is None and not relevance.is_worth_reading(file.path):
        return file
    if head is None:
        return replace(file, unread="the diff shows only parts of it; its whole text is needed")
    return with_texts(file, head)


def _given(path: str, heads: Mapping[str, str]) -> str | None:
    """The text that was given for a path: by its whole name, else by its last part."""
    name = path.rpartition("/")[2]
    return next((heads[each] for each in (path, name) if each in heads), None)


def _of_texts(submission: Submission, usual: str, suffixes: tuple[str, ...]) -> ChangedFile:
    before, after = submission.before, submission.after
    if not after.strip():
        raise Unusable("There is no text to review: the file after the change is empty.")
    if before == after:
        raise Unusable("Before and after are the same: this change brings nothing.")
    name = submission.name.strip() or usual
    path = name if name.lower().endswith(suffixes) else f"{name}{suffixes[0]}"
    is_new = not before.strip()
    hunks = tuple(_hunks(() if is_new else split_lines(before), split_lines(after)))
    status = Status.ADDED if is_new else Status.MODIFIED
    return ChangedFile(path, None, status, hunks, head=after, base=None if is_new else before)


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[Hunk]:
    matcher = difflib.SequenceMatcher(None, before, after)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        lines: list[DiffLine] = []
        for tag, old, old_end, new, new_end in group:
            if tag == "equal":
                lines += (DiffLine(old + n + 1, new + n + 1, after[new + n]) for n in range(new_end - new))
                continue
            lines += (DiffLine(n + 1, None, before[n]) for n in range(old, old_end))
            lines += (DiffLine(None, n + 1, after[n]) for n in range(new, new_end))
        yield Hunk(tuple(lines))


def _pull_request(files: tuple[ChangedFile, ...]) -> PullRequest:
    """The files as a pull request of nobody."""
    return PullRequest(
        ref=PullRequestRef(0, 0, "", 0),
        title="",
        body="",
        author="",
        author_is_bot=False,
        is_draft=False,
        is_open=True,
        labels=(),
        base_branch="",
        base_sha=_HEAD,
        head_sha=_HEAD,
        files=files,
    )
