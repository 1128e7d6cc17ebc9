"""What was said on a pull request, as far as it concerns us: our threads, our reviews, our comments"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.marker import read as read_marker
from app.github import documents
from app.github.connection import GitHub
from app.github.weather import Unwell
from app.pull_request import PullRequestRef, Thread

#: Pages of a hundred; a pull request with more talk than this is not read to its beginning.
MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class Talk:
    """Oldest first. `notes` are the markers of our comments in the conversation, `reviews` our reviews' bodies."""

    threads: tuple[Thread, ...]
    reviews: tuple[str, ...]
    notes: tuple[Mapping[str, str], ...]
    pending_reviews: tuple[int, ...] = ()


async def read(github: GitHub, ref: PullRequestRef, first: Mapping[str, Any]) -> Talk:
    """The whole talk, given the `pullRequest` of the first query; further calls only beyond a hundred of a kind."""
    if any(not first.get(name) for name in ("reviewThreads", "reviews", "comments")):
        raise Unwell("GitHub gave the pull request without what was said on it")
    threads, reviews, comments = (list(_nodes(first, name)) for name in ("reviewThreads", "reviews", "comments"))
    page = first
    for _ in range(MOST_PAGES):
        variables = _next_page(page)
        if variables is None:
            break
        owner, _, name = ref.repository.partition("/")
        which = {"owner": owner, "name": name, "number": ref.number}
        data = await github.query(ref.installation_id, documents.TALK, {**which, **variables})
        page = data["repository"]["pullRequest"]
        threads += _nodes(page, "reviewThreads")
        reviews[:0] = _nodes(page, "reviews")
        comments[:0] = _nodes(page, "comments")
    ours = [each["body"] for each in comments if each["viewerDidAuthor"]]
    posted = [each for each in reviews if each["viewerDidAuthor"] and each["state"] != "PENDING"]
    pending = [each for each in reviews if each["viewerDidAuthor"] and each["state"] == "PENDING"]
    return Talk(
        tuple(thread for each in threads if (thread := _thread(each))),
        tuple(each["body"] for each in posted),
        tuple(note for body in ours if (note := read_marker(body))),
        tuple(int(each["fullDatabaseId"]) for each in pending),
    )


def _next_page(page: Mapping[str, Any]) -> dict[str, Any] | None:
    threads, reviews, comments = (
        (page.get(name) or {}).get("pageInfo") or {} for name in ("reviewThreads", "reviews", "comments")
    )
    wanted = {
        "moreThreads": bool(threads.get("hasNextPage")),
        "moreReviews": bool(reviews.get("hasPreviousPage")),
        "moreComments": bool(comments.get("hasPreviousPage")),
    }
    if not any(wanted.values()):
        return None
    cursors = {
        "threads": threads.get("endCursor"),
        "reviews": reviews.get("startCursor"),
        "comments": comments.get("startCursor"),
    }
    return {**wanted, **cursors}


def _nodes(page: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in (page.get(name) or {}).get("nodes") or () if each]


def _thread(node: Mapping[str, Any]) -> Thread | None:
    """A thread that we began; None for other people's."""
    comments = _nodes(node, "comments")
    if not comments or not comments[0]["viewerDidAuthor"]:
        return None
    first = comments[0]
    votes = _nodes(first, "reactions")
    return Thread(
        thread_id=node["id"],
        comment_id=int(first["fullDatabaseId"] or 0),
        comment_node_id=first["id"],
        body=first["body"],
        path=node["path"],
        line=node["line"],
        is_resolved=node["isResolved"],
        is_minimized=first["isMinimized"],
        replied=node["comments"]["totalCount"] > 1,
        downvoted_by=tuple(vote["user"]["login"] for vote in votes if vote.get("user")),
    )
