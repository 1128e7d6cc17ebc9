"""Markdown: each finding as the comment that the bot would write, for a job summary or a mail."""

from collections.abc import Iterator, Sequence

from app.review.bullets import rule_link, unreviewed
from app.review.excerpt import excerpt, mended, sentence
from app.review.find import FileReport
from app.review.markdown import code_span
from app.review.options import Options
from app.review.tally import counts
from detectors import Finding


def render(reports: Sequence[FileReport], options: Options) -> str:
    """A headline, a section for each finding, and what could not be analysed."""
    return "\n\n".join(_sections(reports, options)) + "\n"


def _sections(reports: Sequence[FileReport], options: Options) -> Iterator[str]:
    found = counts(finding for report in reports for finding in report.findings)
    yield f"## mlstaff: {found or 'no ML problems found'}"
    for report in reports:
        for finding in report.findings:
            yield _section(report.path, finding, options)
    skipped = unreviewed(skipped for report in reports for skipped in report.skipped)
    if skipped:
        yield "### Not analysed"
        yield "\n".join(entry.text for entry in skipped)


def _section(path: str, finding: Finding, options: Options) -> str:
    heading = f"### {code_span(f'{path}:{finding.line}')} {rule_link(finding.rule, options)} · {finding.tier.value}"
    bad, (remedy, good) = excerpt(finding.bad), mended(finding)
    parts = [heading, f"❌ {sentence(finding.message, has_code=bool(bad))}", bad]
    if good:
        parts += [f"✅ {remedy}", excerpt(good)]
    return "\n\n".join(part for part in parts if part)
