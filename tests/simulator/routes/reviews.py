"""Routes of reviews and of comments on the diff"""

from tests.simulator import reviewing
from tests.simulator.errors import forbidden, not_found
from tests.simulator.http import Answer, Call, Router, text
from tests.simulator.model import Review, ReviewComment
from tests.simulator.shapes import comments

_READ, _WRITE = "pull_requests:read", "pull_requests:write"
_PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
_COMMENT = "/repos/{owner}/{repo}/pulls/comments/{comment_id}"

router = Router()


@router.add("GET", f"{_PULL}/reviews")
def reviews(call: Call) -> Answer:
    """List reviews, the oldest first; pending ones of others are not shown."""
    pull = call.pull_request(_READ)
    shown = reviewing.visible_reviews(pull, call.caller.account)
    return call.page(shown, lambda each: comments.review(call.world, each))


@router.add("POST", f"{_PULL}/reviews")
def create_review(call: Call) -> Answer:
    """Create a review with its comments."""
    review = reviewing.create_review(call.world, call.pull_request(_WRITE), call.user, call.json())
    return Answer(200, comments.review(call.world, review))


@router.add("GET", f"{_PULL}/reviews/{{review_id}}")
def review(call: Call) -> Answer:
    """Get a review."""
    return Answer(body=comments.review(call.world, _review(call, _READ)))


@router.add("PUT", f"{_PULL}/reviews/{{review_id}}")
def update_review(call: Call) -> Answer:
    """Update the text of one's own review."""
    found = _review(call, _WRITE)
    if found.user is not call.user:
        raise forbidden()
    words = text(call.json(), "body", resource="PullRequestReview", longest=reviewing.LONGEST_BODY, required=True)
    reviewing.edit_review(call.world, found, call.user, words)
    return Answer(body=comments.review(call.world, found))


@router.add("DELETE", f"{_PULL}/reviews/{{review_id}}")
def delete_review(call: Call) -> Answer:
    """Delete a pending review."""
    found = _review(call, _WRITE)
    shown = comments.review(call.world, found)
    reviewing.delete_pending(found)
    return Answer(body=shown)


@router.add("POST", f"{_PULL}/reviews/{{review_id}}/events")
def submit(call: Call) -> Answer:
    """Submit a pending review."""
    found = _review(call, _WRITE)
    reviewing.submit_pending(call.world, found, call.json())
    return Answer(body=comments.review(call.world, found))


@router.add("PUT", f"{_PULL}/reviews/{{review_id}}/dismissals")
def dismiss(call: Call) -> Answer:
    """Dismiss a review."""
    found = _review(call, _WRITE)
    text(call.json(), "message", resource="PullRequestReview", required=True)
    found.state = "DISMISSED"
    return Answer(body=comments.review(call.world, found))


@router.add("GET", f"{_PULL}/reviews/{{review_id}}/comments")
def comments_of_review(call: Call) -> Answer:
    """List the comments of one review."""
    found = _review(call, _READ)
    left_out = {
        "subject_type",
        "start_line",
        "original_start_line",
        "start_side",
        "line",
        "original_line",
        "side",
    }

    def shown(comment: ReviewComment) -> dict[str, object]:
        each = comments.review_comment(call.world, comment)
        each["_links"] = {name: {"href": link["href"]} for name, link in each["_links"].items()}
        return {name: value for name, value in each.items() if name not in left_out}

    return call.page(found.comments, shown)


@router.add("GET", f"{_PULL}/comments")
def review_comments(call: Call) -> Answer:
    """List comments on the diff, the oldest first."""
    shown = reviewing.visible_comments(call.pull_request(_READ))
    return call.page(shown, lambda each: comments.review_comment(call.world, each))


@router.add("POST", f"{_PULL}/comments")
def create_comment(call: Call) -> Answer:
    """Create one comment on the diff."""
    made = reviewing.create_comment(call.world, call.pull_request(_WRITE), call.user, call.json())
    return Answer(201, comments.review_comment(call.world, made))


@router.add("POST", f"{_PULL}/comments/{{comment_id}}/replies")
def reply(call: Call) -> Answer:
    """Answer in a thread."""
    parent = reviewing.find_comment(call.world, call.pull_request(_WRITE), call.number("comment_id"))
    made = reviewing.reply(call.world, parent, call.user, call.json())
    return Answer(201, comments.review_comment(call.world, made))


@router.add("GET", "/repos/{owner}/{repo}/pulls/comments")
def comments_of_repository(call: Call) -> Answer:
    """List comments on the diffs of all pull requests."""
    found = call.repository(_READ).pull_requests.values()
    shown = [each for pull in found for each in reviewing.visible_comments(pull)]
    return call.page(sorted(shown, key=lambda each: each.id), lambda each: comments.review_comment(call.world, each))


@router.add("GET", _COMMENT)
def review_comment(call: Call) -> Answer:
    """Get a comment."""
    return Answer(body=comments.review_comment(call.world, comment_of(call, _READ)))


@router.add("PATCH", _COMMENT)
def edit_comment(call: Call) -> Answer:
    """Update a comment: one's own, or anyone's with write access."""
    comment = comment_of(call, _WRITE)
    words = text(
        call.json(),
        "body",
        resource="PullRequestReviewComment",
        longest=reviewing.LONGEST_BODY,
        required=True,
    )
    reviewing.edit_comment(call.world, comment, call.user, words)
    return Answer(body=comments.review_comment(call.world, comment))


@router.add("DELETE", _COMMENT)
def delete_comment(call: Call) -> Answer:
    """Delete a comment."""
    reviewing.delete_comment(call.world, comment_of(call, _WRITE), call.user)
    return Answer(204)


def comment_of(call: Call, *permissions: str) -> ReviewComment:
    """The comment on the diff that the path names; 404 for another repository's."""
    repository = call.repository(*permissions)
    comment = call.world.review_comments.get(call.number("comment_id"))
    if comment is None or comment.thread.pull_request.repository is not repository:
        raise not_found()
    return comment


def _review(call: Call, permission: str) -> Review:
    pull, identifier = call.pull_request(permission), call.number("review_id")
    for each in reviewing.visible_reviews(pull, call.caller.account):
        if each.id == identifier:
            return each
    raise not_found()
