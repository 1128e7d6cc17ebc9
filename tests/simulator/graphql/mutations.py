"""The mutations: minimise, resolve, react, edit, answer"""

from collections.abc import Callable
from typing import Any

from tests.simulator import conversation, reviewing
from tests.simulator.errors import Refusal
from tests.simulator.graphql import conversation_views as shown
from tests.simulator.graphql import views
from tests.simulator.graphql.connections import failure
from tests.simulator.graphql.context import Context
from tests.simulator.model import IssueComment, Json, PullRequest, Review, ReviewComment, Thread
from tests.simulator.world import node_id

_WRITE = "pull_requests:write"
Mutation = Callable[[Context, Json], Json]


def node(context: Context, thing: Any) -> Json | None:
    """Anything with an id that a query can show."""
    show: dict[type, Callable[[Context, Any], Json]] = {
        PullRequest: shown.pull_request,
        Thread: shown.thread,
        ReviewComment: shown.review_comment,
        Review: shown.review,
        IssueComment: shown.issue_comment,
    }
    found = show.get(type(thing))
    return found(context, thing) if found and _may_see(context, thing) else None


def mutations(context: Context) -> Json:
    """The mutations as fields of the root."""

    def field(mutation: Mutation) -> Callable[..., Json]:
        def run(info: Any, input: Json) -> Json:
            try:
                answer = mutation(context, input)
            except Refusal as refusal:
                raise failure("UNPROCESSABLE", _words(refusal)) from refusal
            return {**answer, "clientMutationId": input.get("clientMutationId")}

        return run

    return {name: field(mutation) for name, mutation in _MUTATIONS.items()}


def _find(context: Context, identifier: str, *kinds: type) -> Any:
    thing = context.world.nodes.get(identifier)
    if not isinstance(thing, kinds):
        raise failure("NOT_FOUND", f"Could not resolve to a node with the global id of '{identifier}'")
    if not _may_see(context, thing):
        raise failure("NOT_FOUND", f"Could not resolve to a node with the global id of '{identifier}'")
    return thing


def _may_see(context: Context, thing: Any) -> bool:
    pull = thing if isinstance(thing, PullRequest) else _pull_request(thing)
    return context.allows(pull.repository, "pull_requests:read", "issues:read")


def _pull_request(thing: Any) -> PullRequest:
    pull: PullRequest = thing.thread.pull_request if isinstance(thing, ReviewComment) else thing.pull_request
    return pull


def _minimize(context: Context, given: Json) -> Json:
    comment = _find(context, given["subjectId"], ReviewComment, IssueComment, Review)
    context.require(_pull_request(comment).repository, _WRITE)
    comment.minimized_reason = given["classifier"].lower().replace("_", "-")
    return {"minimizedComment": node(context, comment)}


def _unminimize(context: Context, given: Json) -> Json:
    comment = _find(context, given["subjectId"], ReviewComment, IssueComment, Review)
    context.require(_pull_request(comment).repository, _WRITE)
    comment.minimized_reason = None
    return {"unminimizedComment": node(context, comment)}


def _resolve(context: Context, given: Json) -> Json:
    thread = _find(context, given["threadId"], Thread)
    context.require(thread.pull_request.repository, "contents:write")
    reviewing.resolve(context.world, thread, context.viewer, context.viewer)
    return {"thread": node(context, thread)}


def _unresolve(context: Context, given: Json) -> Json:
    thread = _find(context, given["threadId"], Thread)
    context.require(thread.pull_request.repository, "contents:write")
    reviewing.resolve(context.world, thread, None, context.viewer)
    return {"thread": node(context, thread)}


def _subject(context: Context, given: Json) -> Any:
    subject = _find(context, given["subjectId"], PullRequest, ReviewComment, IssueComment, Review)
    pull = subject if isinstance(subject, PullRequest) else _pull_request(subject)
    context.require(pull.repository, _WRITE, "issues:write")
    return subject


def _add_reaction(context: Context, given: Json) -> Json:
    subject = _subject(context, given)
    reaction, _ = conversation.react(context.world, subject, context.viewer, views.CONTENT[given["content"]])
    view = node(context, subject)
    assert view is not None
    groups = view["reactionGroups"](None)
    return {"reaction": views.reaction(context, reaction), "reactionGroups": groups, "subject": view}


def _remove_reaction(context: Context, given: Json) -> Json:
    subject = _subject(context, given)
    content = views.CONTENT[given["content"]]
    mine = [each for each in subject.reactions if each.user is context.viewer and each.content == content]
    if not mine:
        raise failure("NOT_FOUND", "Could not find that reaction")
    subject.reactions.remove(mine[0])
    view = node(context, subject)
    assert view is not None
    groups = view["reactionGroups"](None)
    return {"reaction": views.reaction(context, mine[0]), "reactionGroups": groups, "subject": view}


def _update_comment(context: Context, given: Json) -> Json:
    comment = _find(context, given["pullRequestReviewCommentId"], ReviewComment)
    context.require(_pull_request(comment).repository, _WRITE)
    reviewing.edit_comment(context.world, comment, context.viewer, _body(given))
    return {"pullRequestReviewComment": node(context, comment)}


def _update_review(context: Context, given: Json) -> Json:
    review = _find(context, given["pullRequestReviewId"], Review)
    context.require(review.pull_request.repository, _WRITE)
    reviewing.edit_review(context.world, review, context.viewer, given["body"])
    return {"pullRequestReview": node(context, review)}


def _update_issue_comment(context: Context, given: Json) -> Json:
    comment = _find(context, given["id"], IssueComment)
    context.require(comment.pull_request.repository, _WRITE, "issues:write")
    conversation.edit(context.world, comment, context.viewer, _body(given))
    return {"issueComment": node(context, comment)}


def _reply(context: Context, given: Json) -> Json:
    thread = _find(context, given["pullRequestReviewThreadId"], Thread)
    context.require(thread.pull_request.repository, _WRITE)
    comment = reviewing.reply(context.world, thread.comments[0], context.viewer, {"body": _body(given)})
    return {"comment": node(context, comment)}


def _add_comment(context: Context, given: Json) -> Json:
    pull = _find(context, given["subjectId"], PullRequest)
    context.require(pull.repository, _WRITE, "issues:write")
    comment = conversation.comment(context.world, pull, context.viewer, _body(given))
    edge = {"cursor": node_id(comment), "node": node(context, comment)}
    return {"commentEdge": edge, "subject": node(context, pull)}


def _delete_review_comment(context: Context, given: Json) -> Json:
    comment = _find(context, given["id"], ReviewComment)
    context.require(_pull_request(comment).repository, _WRITE)
    view = node(context, comment)
    reviewing.delete_comment(context.world, comment, context.viewer)
    return {"pullRequestReviewComment": view, "pullRequestReview": node(context, comment.review)}


def _delete_issue_comment(context: Context, given: Json) -> Json:
    comment = _find(context, given["id"], IssueComment)
    context.require(comment.pull_request.repository, _WRITE, "issues:write")
    conversation.delete(context.world, comment, context.viewer)
    return {}


def _body(given: Json) -> str:
    body: str = given["body"]
    if not body:
        raise failure("UNPROCESSABLE", "Body can't be blank")
    if len(body) > reviewing.LONGEST_BODY:
        raise failure("UNPROCESSABLE", f"Body is too long (maximum is {reviewing.LONGEST_BODY} characters)")
    return body


def _words(refusal: Refusal) -> str:
    first = (refusal.errors or [refusal.message])[0]
    return str(first.get("message", refusal.message)) if isinstance(first, dict) else str(first)


_MUTATIONS: dict[str, Mutation] = {
    "minimizeComment": _minimize,
    "unminimizeComment": _unminimize,
    "resolveReviewThread": _resolve,
    "unresolveReviewThread": _unresolve,
    "addReaction": _add_reaction,
    "removeReaction": _remove_reaction,
    "updatePullRequestReviewComment": _update_comment,
    "updatePullRequestReview": _update_review,
    "updateIssueComment": _update_issue_comment,
    "addPullRequestReviewThreadReply": _reply,
    "addComment": _add_comment,
    "deletePullRequestReviewComment": _delete_review_comment,
    "deleteIssueComment": _delete_issue_comment,
}
