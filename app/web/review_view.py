"""The whole of a review as GitHub would show it, as HTML; runs in an analysis process, as its input may be anything."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.notebooks.notebook import is_notebook, module_of
from app.playground import Played, Submission, Unusable, play
from app.review.comment import Conclusion, Review
from app.review.markdown import prose
from app.web import markdown
from app.web.diff_view import FileView, view
from app.web.templates import TEMPLATES
from detectors import redaction_of, without_keys

MOST_FILES = 100
"""Shown; all are reviewed, and those with comments come first."""
_VERDICTS = {
    Conclusion.SUCCESS: "The check passes",
    Conclusion.NEUTRAL: "The check is neutral",
    Conclusion.FAILURE: "The check fails",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The review, or why there is none: one of both is empty. `submission` is what may be shown of the input: a page
    is kept by browsers and proxies, and no key is repeated on one."""

    html: str = ""
    problem: str = ""
    submission: Submission | None = None


def shown(submission: Submission) -> Shown:
    """What the playground answers."""
    try:
        played = play(submission)
    except Unusable as reason:
        return Shown(problem=str(reason), submission=repeatable(submission, without_keys))
    hide = redaction_of(_sources(played, submission))
    return Shown(html=_html(played, hide), submission=repeatable(submission, hide))


def _html(played: Played, hide: Callable[[str], str]) -> str:
    review = played.review
    html: str = TEMPLATES.get_template("review.html.j2").render(
        review=review,
        verdict=_VERDICTS[review.conclusion],
        summary=markdown.rendered(review.summary),
        body=markdown.rendered(review.body) if review.body else "",
        caveats=[markdown.inline(prose(each)) for each in played.caveats],
        files=_views(played, review, hide),
        left_out=max(0, len(played.files) - MOST_FILES),
    )
    return html


def _sources(played: Played, submission: Submission) -> Iterator[str]:
    """The texts whose keys must not be shown: as they were given, and as Python."""
    yield submission.diff
    for file in played.files:
        for text in (file.head, file.base):
            yield text or ""
            if text and is_notebook(file.path):
                yield module_of(text)


def repeatable(submission: Submission, hide: Callable[[str], str]) -> Submission:
    """The input as a page may show it again."""
    before, after, diff = (hide(each) for each in (submission.before, submission.after, submission.diff))
    return replace(submission, before=before, after=after, diff=diff)


def _views(played: Played, review: Review, hide: Callable[[str], str]) -> list[FileView]:
    commented = {comment.path for comment in review.comments}
    files = sorted(played.files, key=lambda file: file.path not in commented)
    return [view(file, review.comments, hide) for file in files[:MOST_FILES]]
