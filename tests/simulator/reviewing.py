"""The rules of reviews and review threads

https://docs.github.com/rest/pulls/reviews and https://docs.github.com/rest/pulls/comments
"""

from typing import Any

from tests.simulator import events
from tests.simulator.errors import Refusal, invalid, not_found, unprocessable
from tests.simulator.http import text
from tests.simulator.model import Account, Anchor, Json, PullRequest, Review, ReviewComment, Thread
from tests.simulator.placing import anchor_of, commit_of
from tests.simulator.world import World

#: "body is too long (maximum is 65536 characters)"
LONGEST_BODY = 65_536
ONE_PENDING = "User can only have one pending review per pull request"
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def create_review(world: World, pull: PullRequest, user: Account, body: Json) -> Review:
    """A review with all its comments, or none of it: one refused comment refuses the whole review.

    Without `event` it is pending. A pending review of the same user stands in the way of every other one.
    """
    commit = commit_of(pull, body)
    event, comments = body.get("event"), body.get("comments") or []
    if pending_review(pull, user) is not None:
        raise unprocessable(ONE_PENDING)
    words = _body(body)
    placed = [(anchor_of(pull, commit, each), _comment_body(each)) for each in _listed(comments)]
    _check_event(pull, user, event, has_text=bool(words or placed))
    now = world.clock.stamp()
    review = Review(world.ids.large(), pull, user, words, "PENDING", commit, now)
    pull.reviews.append(review)
    world.remember(review)
    for anchor, said in placed:
        _open_thread(world, review, anchor, said)
    if event is not None:
        submit_review(world, review, event)
    return review


def submit_review(world: World, review: Review, event: str) -> None:
    """Make a pending review public and tell the webhook of it and of each of its comments."""
    review.state, review.submitted_at = STATES[event], world.clock.stamp()
    review.pull_request.updated_at = review.submitted_at
    events.review(world, review, "submitted", review.user)
    for comment in review.comments:
        events.review_comment(world, comment, "created", review.user)


def submit_pending(world: World, review: Review, body: Json) -> None:
    """`POST …/reviews/{id}/events`."""
    if review.state != "PENDING":
        raise unprocessable("Can not submit a review that was already submitted")
    if not isinstance(body.get("event"), str) or body["event"] not in STATES:
        raise invalid("PullRequestReview", "event", "invalid")
    review.body = _body(body) or review.body
    _check_event(review.pull_request, review.user, body["event"], has_text=bool(review.body or review.comments))
    submit_review(world, review, body["event"])


def delete_pending(review: Review) -> None:
    """A pending review and its comments are gone; a submitted one cannot be deleted."""
    if review.state != "PENDING":
        raise unprocessable("Can not delete a non-pending pull request review")
    pull = review.pull_request
    pull.reviews.remove(review)
    for comment in list(review.comments):
        _forget(comment)


def create_comment(world: World, pull: PullRequest, user: Account, body: Json) -> ReviewComment:
    """`POST …/pulls/{number}/comments`: one comment, in a review of its own."""
    if body.get("in_reply_to"):
        return reply(world, find_comment(world, pull, body["in_reply_to"]), user, body)
    said = _comment_body(body)
    if not body.get("commit_id"):
        raise invalid("PullRequestReviewComment", "commit_id", "missing_field")
    anchor = _as_field_error(pull, body)
    review = _review_for_one(world, pull, user, anchor.commit)
    comment = _open_thread(world, review, anchor, said)
    submit_review(world, review, "COMMENT")
    return comment


def reply(world: World, parent: ReviewComment, user: Account, body: Json) -> ReviewComment:
    """An answer in a thread. Only the first comment of a thread can be answered."""
    if parent.reply_to is not None:
        raise invalid("PullRequestReviewComment", "in_reply_to", "invalid", "in_reply_to is a reply itself")
    said = _comment_body(body)
    thread = parent.thread
    review = _review_for_one(world, thread.pull_request, user, thread.pull_request.head_sha)
    comment = _add_comment(world, review, thread, said)
    submit_review(world, review, "COMMENT")
    return comment


def edit_review(world: World, review: Review, user: Account, words: str) -> None:
    """Give a review another text."""
    review.body = words
    if review.state != "PENDING":
        events.review(world, review, "edited", user)


def edit_comment(world: World, comment: ReviewComment, user: Account, words: str) -> None:
    """Give a comment another text."""
    before = comment.body
    comment.body, comment.updated_at = words, world.clock.stamp()
    if comment.review.state != "PENDING":
        changes = {"body": {"from": before}}
        events.review_comment(world, comment, "edited", user, changes=changes)


def delete_comment(world: World, comment: ReviewComment, user: Account) -> None:
    """Remove a comment; a thread without comments is gone, and so is an empty review of only comments."""
    events.review_comment(world, comment, "deleted", user)
    _forget(comment)
    world.review_comments.pop(comment.id, None)
    review = comment.review
    if not review.comments and not review.body and review.state == "COMMENTED":
        review.pull_request.reviews.remove(review)


def resolve(world: World, thread: Thread, user: Account | None, sender: Account) -> None:
    """Mark a thread as resolved by somebody, or as open again."""
    changed = (thread.resolved_by is None) != (user is None)
    thread.resolved_by = user
    if changed:
        events.thread(world, thread, "resolved" if user else "unresolved", sender)


def pending_review(pull: PullRequest, user: Account) -> Review | None:
    """The user's review that is not submitted yet."""
    return next((each for each in pull.reviews if each.user is user and each.state == "PENDING"), None)


def visible_reviews(pull: PullRequest, viewer: Account | None) -> list[Review]:
    """Reviews in order; pending ones only to who wrote them."""
    return [each for each in pull.reviews if each.state != "PENDING" or each.user is viewer]


def visible_comments(pull: PullRequest) -> list[ReviewComment]:
    """Comments of all submitted reviews, in the order they were written."""
    shown = [comment for thread in pull.threads for comment in thread.comments if comment.review.state != "PENDING"]
    return sorted(shown, key=lambda comment: comment.id)


def find_comment(world: World, pull: PullRequest, identifier: Any) -> ReviewComment:
    """A comment of a pull request; 404 for another's."""
    comment = world.review_comments.get(identifier) if isinstance(identifier, int) else None
    if comment is None or comment.thread.pull_request is not pull:
        raise not_found()
    return comment


def _review_for_one(world: World, pull: PullRequest, user: Account, commit: str) -> Review:
    if pending_review(pull, user) is not None:
        message = "user_id can only have one pending review per pull request"
        raise invalid("PullRequestReview", "user_id", "custom", message)
    review = Review(world.ids.large(), pull, user, "", "PENDING", commit, world.clock.stamp())
    pull.reviews.append(review)
    world.remember(review)
    return review


def _open_thread(world: World, review: Review, anchor: Anchor, said: str) -> ReviewComment:
    thread = Thread(world.ids.large(), review.pull_request, anchor)
    review.pull_request.threads.append(thread)
    world.remember(thread)
    return _add_comment(world, review, thread, said)


def _add_comment(world: World, review: Review, thread: Thread, said: str) -> ReviewComment:
    now = world.clock.stamp()
    comment = ReviewComment(world.ids.large(), thread, review, review.user, said, now, now)
    thread.comments.append(comment)
    review.comments.append(comment)
    world.review_comments[comment.id] = comment
    world.remember(comment)
    return comment


def _forget(comment: ReviewComment) -> None:
    thread = comment.thread
    comment.review.comments.remove(comment)
    thread.comments.remove(comment)
    if not thread.comments:
        thread.pull_request.threads.remove(thread)


def leave_orphan(world: World, pull: PullRequest, user: Account) -> None:
    """What a refused review sometimes leaves behind: an empty one that is pending and stands in the way."""
    if pending_review(pull, user) is None:
        review = Review(world.ids.large(), pull, user, "", "PENDING", pull.head_sha, world.clock.stamp())
        pull.reviews.append(review)
        world.remember(review)


def _listed(comments: Any) -> list[Json]:
    if not isinstance(comments, list) or not all(isinstance(each, dict) for each in comments):
        raise invalid("PullRequestReview", "comments", "invalid")
    return comments


def _body(body: Json) -> str:
    return text(body, "body", resource="PullRequestReview", longest=LONGEST_BODY)


def _comment_body(body: Json) -> str:
    return text(body, "body", resource="PullRequestReviewComment", longest=LONGEST_BODY, required=True)


def _check_event(pull: PullRequest, user: Account, event: Any, *, has_text: bool) -> None:
    if event is None:
        return
    if not isinstance(event, str) or event not in STATES:
        raise invalid("PullRequestReview", "event", "invalid")
    if event != "COMMENT" and user is pull.author:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise unprocessable(f"Can not {verb} your own pull request")
    if event != "APPROVE" and not has_text:
        raise unprocessable("Could not comment pull request review: body can't be blank")


def _as_field_error(pull: PullRequest, body: Json) -> Anchor:
    """The same rules as in a review; this route names a field and not a sentence."""
    try:
        return anchor_of(pull, commit_of(pull, body), body)
    except Refusal as refusal:
        field = "pull_request_review_thread.line"
        sentence = (refusal.errors or ["is invalid"])[0]
        known = {"Line could not be resolved": f"{field} must be part of the diff"}
        raise invalid("PullRequestReviewComment", field, "custom", known.get(sentence, sentence)) from refusal
