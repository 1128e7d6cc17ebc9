"""GitHub's workflow commands: annotations on the lines, from any job's log.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
"""

from collections.abc import Sequence

from app.review.find import FileReport
from detectors import Finding, Tier

_COMMANDS = {Tier.BUG: "error", Tier.RISK: "warning", Tier.ADVICE: "notice"}


def render(reports: Sequence[FileReport]) -> str:
    """One command a line; a file that could not be analysed is a notice."""
    lines = [_command(report.path, finding) for report in reports for finding in report.findings]
    lines += [
        f"::notice file={_property(skipped.path)},title=not analysed::{_data(skipped.reason)}"
        for report in reports
        for skipped in report.skipped
    ]
    return "".join(f"{line}\n" for line in lines)


def _command(path: str, finding: Finding) -> str:
    where = f"file={_property(path)},line={finding.line},endLine={max(finding.line, finding.end_line)}"
    return f"::{_COMMANDS[finding.tier]} {where},title={_property(finding.rule)}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
