"""Comments, reviews and reactions as JSON"""

from collections import Counter

from tests.simulator.model import IssueComment, Json, PullRequest, Reaction, Review, ReviewComment
from tests.simulator.placing import placement
from tests.simulator.shapes.accounts import app, user
from tests.simulator.shapes.repositories import api
from tests.simulator.world import World, association, node_id

CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def reaction(world: World, each: Reaction) -> Json:
    """`reaction`."""
    return {
        "id": each.id,
        "node_id": node_id(each),
        "user": user(world, each.user),
        "content": each.content,
        "created_at": each.created_at,
    }


def rollup(reactions: list[Reaction], url: str) -> Json:
    """`reaction-rollup`: how many of each."""
    counted = Counter(each.content for each in reactions)
    return {
        "url": f"{url}/reactions",
        "total_count": len(reactions),
        **{name: counted[name] for name in CONTENTS},
    }


def issue_comment(world: World, comment: IssueComment) -> Json:
    """`issue-comment`."""
    pull = comment.pull_request
    url = f"{api(world, pull.repository)}/issues/comments/{comment.id}"
    return {
        "id": comment.id,
        "node_id": node_id(comment),
        "url": url,
        "html_url": f"{_html(world, pull)}#issuecomment-{comment.id}",
        "body": comment.body,
        "user": user(world, comment.user),
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "issue_url": f"{api(world, pull.repository)}/issues/{pull.number}",
        "author_association": association(world, pull.repository, comment.user),
        "reactions": rollup(comment.reactions, url),
        "performed_via_github_app": app(world, world.app) if comment.user is world.app.bot else None,
    }


def review(world: World, each: Review) -> Json:
    """`pull-request-review`; a pending one has no `submitted_at`."""
    pull = each.pull_request
    html = f"{_html(world, pull)}#pullrequestreview-{each.id}"
    url = f"{api(world, pull.repository)}/pulls/{pull.number}"
    shown: Json = {
        "id": each.id,
        "node_id": node_id(each),
        "user": user(world, each.user),
        "body": each.body,
        "state": each.state,
        "html_url": html,
        "pull_request_url": url,
        "author_association": association(world, pull.repository, each.user),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "commit_id": each.commit,
    }
    if each.submitted_at is not None:
        shown["submitted_at"] = each.submitted_at
    return shown


def review_comment(world: World, comment: ReviewComment) -> Json:
    """`pull-request-review-comment`, with where it is now and where it was made."""
    thread, pull = comment.thread, comment.thread.pull_request
    anchor, now = thread.anchor, placement(thread)
    url = f"{api(world, pull.repository)}/pulls/comments/{comment.id}"
    html = f"{_html(world, pull)}#discussion_r{comment.id}"
    pull_url = f"{api(world, pull.repository)}/pulls/{pull.number}"
    shown: Json = {
        "url": url,
        "pull_request_review_id": comment.review.id,
        "id": comment.id,
        "node_id": node_id(comment),
        "diff_hunk": anchor.diff_hunk,
        "path": anchor.path,
        "commit_id": now.commit,
        "original_commit_id": anchor.commit,
        "user": user(world, comment.user),
        "body": comment.body,
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "html_url": html,
        "pull_request_url": pull_url,
        "author_association": association(world, pull.repository, comment.user),
        "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull_url}},
        "reactions": rollup(comment.reactions, url),
        "start_line": now.start_line,
        "original_start_line": anchor.start_line,
        "start_side": anchor.start_side,
        "line": now.line,
        "original_line": anchor.line,
        "side": anchor.side,
        "original_position": anchor.position or 1,
        "position": now.position,
        "subject_type": "file" if anchor.line is None else "line",
    }
    if comment.reply_to is not None:
        shown["in_reply_to_id"] = comment.reply_to.id
    return shown


def _html(world: World, pull: PullRequest) -> str:
    return f"{world.url}/{pull.repository.full_name}/pull/{pull.number}"
