"""One review on a head, said once, however often the job that says it is begun again

What is on the pull request already was read with it: fingerprints in our threads and the heads our reviews are about.
https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from app.conversation.marker import split
from app.conversation.memory import with_mode
from app.events import RetryLater
from app.github.connection import GitHub
from app.github.fetch import Fetcher, Reading
from app.github.weather import Refused
from app.pull_request import PullRequest
from app.review.comment import Comment, Review
from app.review.fingerprint import review_marker, reviewed_head, told

LONGEST_BODY = 65_536
AGAIN = 1.0

log = structlog.get_logger("mlstaff.publish")


class HeadMoved(RetryLater):
    """What was reviewed is not the newest commit any more; `head` is."""

    def __init__(self, head: str) -> None:
        super().__init__(AGAIN, "the head moved before its review was posted")
        self.head = head


@dataclass(frozen=True, slots=True)
class Said:
    """What went out: how many comments beside lines, how many lines' comments had to go into the body."""

    comments: int = 0
    moved: int = 0


class Publisher:
    """Posts reviews."""

    def __init__(self, github: GitHub, fetcher: Fetcher) -> None:
        self._github = github
        self._fetcher = fetcher

    async def check_head(self, pull_request: PullRequest) -> None:
        """Raises HeadMoved when the head is another one by now."""
        present = await self._fetcher.look(pull_request.ref)
        if present.head_sha != pull_request.head_sha:
            raise HeadMoved(present.head_sha)

    async def post(self, reading: Reading, review: Review, *, whole_files: bool = False) -> Said:
        """Post a review; nothing when it says nothing that this head was not told. Its comments are new: what our
        threads hold already was left out when it was written."""
        pull_request = reading.pull_request
        comments = [
            replace(comment, body=with_mode(comment.body, whole_files=whole_files)) for comment in review.comments
        ]
        body = review.body
        if not comments and not told(body) - reading.told:
            return Said()
        placed = [comment for comment in comments if _is_on_diff(pull_request, comment)]
        moved = [comment for comment in comments if comment not in placed]
        try:
            await self._send(pull_request, _with_moved(body, moved), placed)
        except Refused as refused:
            if refused.status != 422:
                raise
            log.warning("a review was refused", reason=str(refused))
            return await self._after_refusal(pull_request, body, placed, moved)
        return Said(len(placed), len(moved))

    async def _after_refusal(
        self, before: PullRequest, body: str, comments: list[Comment], moved: list[Comment]
    ) -> Said:
        """422: one comment is not to GitHub's liking, or a review stands in the way, or the head is no more."""
        present = await self._fetcher.look(before.ref)
        if present.head_sha != before.head_sha:
            raise HeadMoved(present.head_sha)
        for review_id in present.pending_reviews:
            path = f"/repos/{before.ref.repository}/pulls/{before.ref.number}/reviews/{review_id}"
            await self._github.write(before.ref.installation_id, "DELETE", path, {})
        there = Counter(each for thread in present.threads for each in told(thread.body))
        left = [comment for comment in comments if not there[comment.fingerprint]]
        good, bad = await self._post_good_ones(before, left)
        moved = [*moved, *bad]
        if moved or body:
            await self._send(before, _with_moved(body, moved), [])
        return Said(good, len(moved))

    async def _post_good_ones(self, pull_request: PullRequest, comments: list[Comment]) -> tuple[int, list[Comment]]:
        """Halve until only the refused ones are left: their number, times the logarithm, is that of the calls."""
        if not comments:
            return 0, []
        try:
            await self._send(pull_request, "", comments)
            return len(comments), []
        except Refused as refused:
            if refused.status != 422:
                raise
        if len(comments) == 1:
            return 0, comments
        middle = len(comments) // 2
        first, bad = await self._post_good_ones(pull_request, comments[:middle])
        second, worse = await self._post_good_ones(pull_request, comments[middle:])
        return first + second, [*bad, *worse]

    async def _send(self, pull_request: PullRequest, body: str, comments: Sequence[Comment]) -> None:
        head, ref = pull_request.head_sha, pull_request.ref
        marked = body if reviewed_head(body) == head else f"{body}\n{review_marker(head)}".lstrip()
        review = {
            "commit_id": head,
            "event": "COMMENT",
            "body": marked,
            "comments": [_comment(each) for each in comments],
        }
        path = f"/repos/{ref.repository}/pulls/{ref.number}/reviews"
        await self._github.write(ref.installation_id, "POST", path, review)


def _is_on_diff(pull_request: PullRequest, comment: Comment) -> bool:
    """GitHub's rule: both ends of a comment are lines of one hunk."""
    ends = [comment.line] if comment.start_line is None else [comment.start_line, comment.line]
    hunks = [hunk for file in pull_request.files if file.path == comment.path for hunk in file.hunks]
    return any(all(hunk.holds(line, comment.side) for line in ends) for hunk in hunks)


def _comment(comment: Comment) -> dict[str, Any]:
    place: dict[str, Any] = {"path": comment.path, "line": comment.line, "side": comment.side.value}
    if comment.start_line is not None:
        place |= {"start_line": comment.start_line, "start_side": comment.side.value}
    return {**place, "body": comment.body}


def _with_moved(body: str, moved: Sequence[Comment]) -> str:
    """The body with the comments that found no line, as many as fit; all markers at the end, where they count."""
    text, markers = split(body)
    room = LONGEST_BODY - len(body) - 500
    parts, left_out = [], 0
    for comment in moved:
        said, its_markers = split(comment.body)
        part = f"**{comment.path}**, about line {comment.line}:\n\n{said}"
        room -= len(part) + len(its_markers) + 4
        if room < 0:
            left_out += 1
            continue
        parts.append(part)
        markers = f"{its_markers}\n{markers}"
    if left_out:
        parts.append(f"{left_out} more found no room here.")
    return "\n\n".join(part for part in (text, *parts, markers.strip()) if part)
