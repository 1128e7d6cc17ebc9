"""What a pull request remembers about its findings: said, dismissed, gone. Pure; all of it is read from GitHub"""

from collections.abc import Iterable, Mapping, Sequence

from app.conversation.marker import marker, read, split
from app.conversation.standing import Standing
from app.pull_request import ChangedFile, PullRequest, Thread
from app.review.find import FileReport
from app.review.fingerprint import fingerprints, told

LONGEST_BODY = 65_536


def named(pull_request: PullRequest, reports: Iterable[FileReport]) -> dict[str, str]:
    """Fingerprint -> rule, of everything that was found at this head."""
    files = {file.path: file for file in pull_request.files}
    names: dict[str, str] = {}
    for report in reports:
        if not report.findings:
            continue
        path = files[report.path].previous_path or report.path
        found = fingerprints(path, report.findings)
        names |= {name: finding.rule for name, finding in zip(found, report.findings, strict=True)}
    return names


def dismissed(
    standing: Standing, threads: Iterable[Thread], found: Mapping[str, str], voters: frozenset[str]
) -> frozenset[str]:
    """The fingerprints to be quiet about; `voters` are the people whose 👎 counts. Resolved threads are
    dismissed by `app.pipeline` itself."""
    quiet = set(standing.dismissed)
    quiet |= {name for name, rule in found.items() if rule in standing.ignored_rules}
    for thread in threads:
        if read(thread.body).get("ignored_by") or voters.intersection(thread.downvoted_by):
            quiet |= told(thread.body)
    return frozenset(quiet)


def voters_to_ask_for(threads: Iterable[Thread]) -> frozenset[str]:
    """Whose permission decides anything: 👎 on what is not settled otherwise."""
    return frozenset(login for thread in threads if _is_open(thread) for login in thread.downvoted_by)


def gone(
    pull_request: PullRequest,
    reports: Sequence[FileReport],
    found: Mapping[str, str],
    *,
    whole_files: bool,
) -> tuple[Thread, ...]:
    """Our threads whose finding is not at this head any more, and in which nobody answered.

    A file that could not be read or analysed says nothing about its findings.
    """
    unknown = {path for file in pull_request.files if file.unread for path in _names(file)}
    unknown |= {skipped.path for report in reports for skipped in report.skipped}
    changed = {path for file in pull_request.files for path in _names(file)}
    return tuple(
        thread
        for thread in pull_request.threads
        if _is_open(thread)
        and not thread.replied
        and not told(thread.body) & found.keys()
        and thread.path not in unknown
        and (thread.path in changed or not pull_request.unread)
        and (whole_files or read(thread.body).get("mode") != "all")
    )


def as_fixed(thread: Thread, head_sha: str) -> str:
    """The comment's new text; without the fingerprint, so that a finding that comes back is told again."""
    text, markers = split(thread.body)
    was = text.replace("```suggestion", "```")
    note = marker({**read(markers), "fixed": head_sha})
    body = f"✅ Gone with {head_sha}.\n\n<details><summary>What was here</summary>\n\n{was}\n\n</details>\n\n{note}"
    return body if len(body) <= LONGEST_BODY else f"✅ Gone with {head_sha}.\n\n{note}"


def with_mode(thread_body: str, *, whole_files: bool) -> str:
    """Marks what was found by looking at whole files, which a look at changes alone would not find again."""
    return f"{thread_body}\n{marker({'mode': 'all'})}" if whole_files else thread_body


def _is_open(thread: Thread) -> bool:
    return bool(told(thread.body)) and not thread.is_resolved


def _names(file: ChangedFile) -> tuple[str, ...]:
    return (file.path, file.previous_path) if file.previous_path else (file.path,)
