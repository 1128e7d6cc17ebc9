"""Remarks as GitHub shows them: the comments, the review's body, the check run. Rendered last, from values.

GitHub's limits: 65,536 characters for a body, 65,535 for a check run's summary and an annotation's message.
https://docs.github.com/rest/checks/runs#create-a-check-run
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.pull_request import Side
from app.review.budget import Remark, Shares
from app.review.bullets import Entry, cut, grouped, listed, rule_link, shortened, unreviewed
from app.review.comment import Annotation, Comment, Conclusion, Review
from app.review.excerpt import excerpt, mended, sentence
from app.review.fingerprint import marker, review_marker
from app.review.markdown import cell, code_span, fence, prose
from app.review.options import Options
from app.review.place import Place
from app.review.tally import counts
from detectors import Edit, Finding, Skipped, Tier

_ROOM = 60_000
"""Characters of a body that its lists may take; the rest is for the headings."""
_LONGEST_SUGGESTION = 10_000
_LONGEST_MESSAGE = 2_000
_LEVELS = {Tier.BUG: "failure", Tier.RISK: "warning", Tier.ADVICE: "notice"}

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[2] / "templates"),
    autoescape=False,  # noqa: S701  Markdown, not HTML: every value goes through app.review.markdown
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Said:
    """Everything that a review and its check run are about; `reason` is why there is one."""

    shares: Shares
    skipped: Sequence[Skipped] = ()
    mistakes: Sequence[object] = ()
    reason: str = ""


def review(said: Said, head_sha: str, options: Options) -> Review:
    """What one head is told."""
    return Review(
        body=body(said, head_sha, options),
        comments=tuple(comment(remark, options) for remark in said.shares.inline),
        conclusion=conclusion(said.shares, options, said.skipped),
        title=title(said.shares, said.skipped),
        summary=summary(said, options),
        annotations=annotations(said.shares, options),
    )


def comment(remark: Remark, options: Options) -> Comment:
    """The inline comment; with a suggestion it spans exactly the lines that the suggestion replaces.

    Raises:
        ValueError: the remark has no place on the diff.
    """
    place = remark.place
    suggestion = remark.suggestion
    if suggestion and len(suggestion.text or "") > _LONGEST_SUGGESTION:
        suggestion = None
    if suggestion:
        start = suggestion.line if suggestion.line < suggestion.end_line else None
        place = Place(suggestion.end_line, Side.RIGHT, start)
    if place is None:
        raise ValueError(f"{remark.path}:{remark.finding.line} is not on the diff")
    body = comment_body(remark.finding, remark.fingerprint, options, place, suggestion)
    return Comment(remark.path, place.line, place.side, place.start_line, body, remark.fingerprint)


def comment_body(finding: Finding, fingerprint: str, options: Options, place: Place, suggestion: Edit | None) -> str:
    """The Markdown of a comment: what the author's lines do, the same lines mended, how to silence it."""
    is_elsewhere = place.side is Side.LEFT or not _covers(place, finding.line, suggestion)
    remedy, good = mended(finding)
    return _TEMPLATES.get_template("comment.md.j2").render(
        message=sentence(finding.message, has_code=bool(finding.bad)),
        bad=excerpt(finding.bad),
        remedy=remedy,
        good=excerpt(good),
        line=finding.line if is_elsewhere else None,
        suggestion=None if suggestion is None else fence(suggestion.text or "", "suggestion"),
        rule=finding.rule,
        link=rule_link(finding.rule, options),
        tier=finding.tier.value,
        marker=marker(finding.rule, fingerprint),
    )


def _covers(place: Place, line: int, suggestion: Edit | None) -> bool:
    first = place.start_line or place.line
    near = 3 if suggestion else 0  # a suggestion may add its line just above or below the finding
    return first - near <= line <= place.line + near


def body(said: Said, head_sha: str, options: Options) -> str:
    """The review's body: what is not inline. Empty where there is nothing new to say."""
    shares = said.shares
    if not shares.new:
        return ""
    remarks, room = cut(listed(shares.listed, options) + grouped(shares.more, options), _ROOM)
    files, room = cut(unreviewed(said.skipped), room)
    advice, room = cut(listed(shares.advice, options), room)
    return _TEMPLATES.get_template("review.md.j2").render(
        counts=counts(each.finding for each in shares.new),
        remarks=remarks,
        files=files,
        advice=advice,
        markers=[each.markers for each in (*remarks.kept, *advice.kept)],
        marker=review_marker(head_sha),
    )


def conclusion(shares: Shares, options: Options, skipped: Sequence[Skipped] = ()) -> Conclusion:
    """How the check run ends: findings that were said before count until they are gone. What could not be read
    does not pass."""
    tiers = {each.finding.tier for each in shares.counted}
    if any(options.fails(tier) for tier in tiers):
        return Conclusion.FAILURE
    return Conclusion.NEUTRAL if skipped or tiers & {Tier.BUG, Tier.RISK} else Conclusion.SUCCESS


def title(shares: Shares, skipped: Sequence[Skipped] = ()) -> str:
    """The check run's headline."""
    nothing = "No ML problems in what could be reviewed" if skipped else "No ML problems found"
    return counts(each.finding for each in shares.counted) or nothing


def summary(said: Said, options: Options) -> str:
    """The check run's Markdown: a table of what was found, what was not reviewed, what is wrong with the
    configuration, and why it was reviewed."""
    rows, room = cut(_rows(said.shares, options), _ROOM)
    mistakes, room = cut([Entry(f"- {prose(str(each))}") for each in said.mistakes], room)
    files, room = cut(unreviewed(said.skipped), room)
    return _TEMPLATES.get_template("check_run.md.j2").render(
        rows=rows,
        mistakes=mistakes,
        files=files,
        said=len(said.shares.said),
        dismissed=len(said.shares.dismissed),
        reason=prose(said.reason),
    )


def _rows(shares: Shares, options: Options) -> list[Entry]:
    return [_row(remark.path, remark.finding, options) for remark in shares.counted]


def _row(path: str, finding: Finding, options: Options) -> Entry:
    where = cell(code_span(shortened(f"{path}:{finding.line}", 300)))
    message = cell(prose(shortened(finding.message, 300)))
    return Entry(f"| {finding.tier.value} | {rule_link(finding.rule, options)} | {where} | {message} |")


def annotations(shares: Shares, options: Options) -> tuple[Annotation, ...]:
    """One for each finding of the tiers that are shown inline, also those that found no room as a comment."""
    return tuple(
        Annotation(
            each.path,
            each.finding.line,
            max(each.finding.line, each.finding.end_line),
            _LEVELS[each.finding.tier],
            each.finding.rule,
            shortened(each.finding.message, _LONGEST_MESSAGE),
        )
        for each in shares.counted
        if each.finding.tier in options.inline
    )
