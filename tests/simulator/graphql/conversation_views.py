"""Pull requests, threads, comments and reviews as GraphQL shows them"""

from typing import Any

from tests.simulator import reviewing
from tests.simulator.graphql import views
from tests.simulator.graphql.connections import connection
from tests.simulator.graphql.context import Context
from tests.simulator.model import Account, IssueComment, Json, PullRequest, Review, ReviewComment, Thread
from tests.simulator.placing import placement
from tests.simulator.shapes.pulls import diff_of
from tests.simulator.world import association, node_id

_CHANGES = {"removed": "DELETED", "changed": "MODIFIED"}
_WRITE = "pull_requests:write"


def pull_request(context: Context, pull: PullRequest) -> Json:
    """A `PullRequest`."""
    name = f"/{pull.repository.full_name}/pull/{pull.number}"
    state = "MERGED" if pull.merged_at else pull.state.upper()
    return {
        "__typename": "PullRequest",
        **_comment(context, pull, pull.author, pull.body, pull.created_at, pull.updated_at),
        **views.reactable(context, pull.reactions),
        "id": node_id(pull),
        "databaseId": pull.id,
        "fullDatabaseId": str(pull.id),
        "number": pull.number,
        "title": pull.title,
        "isDraft": pull.draft,
        "state": state,
        "closed": state != "OPEN",
        "merged": state == "MERGED",
        "locked": False,
        "closedAt": pull.closed_at,
        "mergedAt": pull.merged_at,
        "url": context.world.url + name,
        "baseRef": lambda info: _branch(context, pull),
        "baseRefName": pull.base_ref,
        "baseRefOid": pull.base_sha,
        "headRefName": pull.head_ref,
        "headRefOid": pull.head_sha,
        "isCrossRepository": pull.is_fork,
        "headRepository": lambda info: views.repository(context, pull.head_repository, pull_request),
        "headRepositoryOwner": views.actor(context, pull.head_repository.owner),
        "baseRepository": lambda info: views.repository(context, pull.repository, pull_request),
        "repository": lambda info: views.repository(context, pull.repository, pull_request),
        "additions": lambda info: sum(file.additions for file in diff_of(pull).files),
        "deletions": lambda info: sum(file.deletions for file in diff_of(pull).files),
        "changedFiles": lambda info: len(diff_of(pull).files),
        **_lists(context, pull),
    }


def _branch(context: Context, pull: PullRequest) -> Json | None:
    tip = pull.repository.branches.get(pull.base_ref)
    if tip is None:
        return None
    target = views.commit(context, pull.repository, tip)
    return {"id": f"REF_{pull.base_ref}", "name": pull.base_ref, "target": target}


def _lists(context: Context, pull: PullRequest) -> Json:
    def labels(info: Any, **arguments: Any) -> Json:
        return connection("labels", pull.labels, lambda name: _label(pull, name), arguments)

    def files(info: Any, **arguments: Any) -> Json:
        return connection("files", diff_of(pull).files, _file, arguments)

    def commits(info: Any, **arguments: Any) -> Json:
        revisions = pull.repository.git.revisions(pull.base_sha, pull.head_sha)
        return connection(
            "commits",
            revisions,
            lambda sha: {"id": f"PRC_{sha}", "commit": views.commit(context, pull.repository, sha)},
            arguments,
        )

    def threads(info: Any, **arguments: Any) -> Json:
        shown = [each for each in pull.threads if _visible(context, each)]
        return connection("reviewThreads", shown, lambda each: thread(context, each), arguments)

    def reviews(info: Any, **arguments: Any) -> Json:
        states, author = arguments.pop("states", None), arguments.pop("author", None)
        shown = [
            each
            for each in reviewing.visible_reviews(pull, context.viewer)
            if (not states or each.state in states)
            and author in (None, each.user.login, each.user.login.removesuffix("[bot]"))
        ]
        return connection("reviews", shown, lambda each: review(context, each), arguments)

    def comments(info: Any, **arguments: Any) -> Json:
        return connection("comments", pull.comments, lambda each: issue_comment(context, each), arguments)

    return {
        "labels": labels,
        "files": files,
        "commits": commits,
        "reviewThreads": threads,
        "reviews": reviews,
        "comments": comments,
    }


def thread(context: Context, each: Thread) -> Json:
    """A `PullRequestReviewThread`. Resolving needs `contents: write`."""
    now, anchor = placement(each), each.anchor
    may_resolve = context.allows(each.pull_request.repository, "contents:write")

    def comments(info: Any, **arguments: Any) -> Json:
        return connection("comments", each.comments, lambda comment: review_comment(context, comment), arguments)

    resolver = each.resolved_by
    return {
        "__typename": "PullRequestReviewThread",
        "id": node_id(each),
        "isResolved": resolver is not None,
        "isCollapsed": resolver is not None,
        "resolvedBy": views.actor(context, resolver) if resolver else None,
        "isOutdated": now.position is None,
        "viewerCanResolve": may_resolve and resolver is None,
        "viewerCanUnresolve": may_resolve and resolver is not None,
        "viewerCanReply": context.allows(each.pull_request.repository, _WRITE),
        "path": anchor.path,
        "line": now.line,
        "originalLine": anchor.line,
        "startLine": now.start_line,
        "originalStartLine": anchor.start_line,
        "diffSide": anchor.side,
        "startDiffSide": anchor.start_side,
        "subjectType": "FILE" if anchor.line is None else "LINE",
        "comments": comments,
        "pullRequest": lambda info: pull_request(context, each.pull_request),
        "repository": lambda info: views.repository(context, each.pull_request.repository, pull_request),
    }


def review_comment(context: Context, comment: ReviewComment) -> Json:
    """A `PullRequestReviewComment`."""
    pull, anchor, now = comment.thread.pull_request, comment.thread.anchor, placement(comment.thread)
    parent = comment.reply_to
    return {
        "__typename": "PullRequestReviewComment",
        **_comment(context, pull, comment.user, comment.body, comment.created_at, comment.updated_at),
        **views.reactable(context, comment.reactions),
        **_minimizable(context, pull, comment),
        "id": node_id(comment),
        "databaseId": views.small(comment.id),
        "fullDatabaseId": str(comment.id),
        "path": anchor.path,
        "line": now.line,
        "originalLine": anchor.line,
        "startLine": now.start_line,
        "originalStartLine": anchor.start_line,
        "position": now.position,
        "originalPosition": anchor.position or 1,
        "outdated": now.position is None,
        "diffHunk": anchor.diff_hunk,
        "subjectType": "FILE" if anchor.line is None else "LINE",
        "state": "PENDING" if comment.review.state == "PENDING" else "SUBMITTED",
        "url": f"{context.world.url}/{pull.repository.full_name}/pull/{pull.number}#discussion_r{comment.id}",
        "replyTo": (lambda info: review_comment(context, parent)) if parent else None,
        "pullRequestReview": lambda info: review(context, comment.review),
        "pullRequest": lambda info: pull_request(context, pull),
        "commit": lambda info: views.commit(context, pull.repository, now.commit),
        "originalCommit": lambda info: views.commit(context, pull.repository, anchor.commit),
        "viewerCanUpdate": context.allows(pull.repository, _WRITE),
        "viewerCanDelete": context.allows(pull.repository, _WRITE),
    }


def review(context: Context, each: Review) -> Json:
    """A `PullRequestReview`."""
    pull = each.pull_request

    def comments(info: Any, **arguments: Any) -> Json:
        return connection("comments", each.comments, lambda comment: review_comment(context, comment), arguments)

    return {
        "__typename": "PullRequestReview",
        **_comment(context, pull, each.user, each.body, each.created_at, each.submitted_at or each.created_at),
        **views.reactable(context, each.reactions),
        **_minimizable(context, pull, each),
        "id": node_id(each),
        "databaseId": views.small(each.id),
        "fullDatabaseId": str(each.id),
        "state": each.state,
        "submittedAt": each.submitted_at,
        "url": f"{context.world.url}/{pull.repository.full_name}/pull/{pull.number}#pullrequestreview-{each.id}",
        "commit": lambda info: views.commit(context, pull.repository, each.commit),
        "comments": comments,
        "pullRequest": lambda info: pull_request(context, pull),
    }


def issue_comment(context: Context, comment: IssueComment) -> Json:
    """An `IssueComment`."""
    pull = comment.pull_request
    return {
        "__typename": "IssueComment",
        **_comment(context, pull, comment.user, comment.body, comment.created_at, comment.updated_at),
        **views.reactable(context, comment.reactions),
        **_minimizable(context, pull, comment),
        "id": node_id(comment),
        "databaseId": views.small(comment.id),
        "fullDatabaseId": str(comment.id),
        "url": f"{context.world.url}/{pull.repository.full_name}/pull/{pull.number}#issuecomment-{comment.id}",
        "pullRequest": lambda info: pull_request(context, pull),
        "viewerCanUpdate": context.allows(pull.repository, "issues:write", _WRITE),
        "viewerCanDelete": context.allows(pull.repository, "issues:write", _WRITE),
    }


def _comment(context: Context, pull: PullRequest, author: Account, body: str, made: str, changed: str) -> Json:
    """The fields of `Comment`."""
    return {
        "author": views.actor(context, author),
        "authorAssociation": association(context.world, pull.repository, author),
        "body": body,
        "createdAt": made,
        "updatedAt": changed,
        "publishedAt": made,
        "lastEditedAt": None if made == changed else changed,
        "editor": None,
        "viewerDidAuthor": author is context.viewer,
    }


def _minimizable(context: Context, pull: PullRequest, thing: ReviewComment | Review | IssueComment) -> Json:
    return {
        "isMinimized": thing.minimized_reason is not None,
        "minimizedReason": thing.minimized_reason,
        "viewerCanMinimize": context.allows(pull.repository, _WRITE),
    }


def _visible(context: Context, each: Thread) -> bool:
    review = each.comments[0].review
    return review.state != "PENDING" or review.user is context.viewer


def _label(pull: PullRequest, name: str) -> Json:
    return {"id": f"LA_{pull.repository.id}_{name}", "name": name, "color": "ededed", "description": None}


def _file(file: Any) -> Json:
    change = _CHANGES.get(file.status, file.status.upper())
    return {"path": file.path, "additions": file.additions, "deletions": file.deletions, "changeType": change}
