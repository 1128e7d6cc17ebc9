"""The whole of a review as GitHub would show it, as HTML; runs in an analysis process, as its input may be anything."""

from dataclasses import dataclass

from app.playground import Played, Submission, Unusable, play
from app.review.comment import Conclusion, Review
from app.review.markdown import prose
from app.web import markdown
from app.web.diff_view import FileView, view
from app.web.templates import TEMPLATES

MOST_FILES = 100
"""Shown; all are reviewed, and those with comments come first."""
_VERDICTS = {
    Conclusion.SUCCESS: "The check passes",
    Conclusion.NEUTRAL: "The check is neutral",
    Conclusion.FAILURE: "The check fails",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The review, or why there is none: one of both is empty."""

    html: str = ""
    problem: str = ""


def shown(submission: Submission) -> Shown:
    """What the playground answers."""
    try:
        played = play(submission)
    except Unusable as reason:
        return Shown(problem=str(reason))
    review = played.review
    html = TEMPLATES.get_template("review.html.j2").render(
        review=review,
        verdict=_VERDICTS[review.conclusion],
        summary=markdown.rendered(review.summary),
        body=markdown.rendered(review.body) if review.body else "",
        caveats=[markdown.inline(prose(each)) for each in played.caveats],
        files=_views(played, review),
        left_out=max(0, len(played.files) - MOST_FILES),
    )
    return Shown(html=html)


def _views(played: Played, review: Review) -> list[FileView]:
    commented = {comment.path for comment in review.comments}
    files = sorted(played.files, key=lambda file: file.path not in commented)
    return [view(file, review.comments) for file in files[:MOST_FILES]]
