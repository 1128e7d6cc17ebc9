"""Routes of the conversation's comments and of reactions"""

from tests.simulator import conversation
from tests.simulator.conversation import Reactable
from tests.simulator.errors import not_found
from tests.simulator.http import Answer, Call, Router, text
from tests.simulator.model import IssueComment
from tests.simulator.routes.reviews import comment_of
from tests.simulator.shapes import comments

_READ = ("issues:read", "pull_requests:read")
_WRITE = ("issues:write", "pull_requests:write")
_COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id}"

router = Router()


@router.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def issue_comments(call: Call) -> Answer:
    """List the conversation, the oldest first."""
    return call.page(call.pull_request(*_READ).comments, lambda each: comments.issue_comment(call.world, each))


@router.add("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def create(call: Call) -> Answer:
    """Say something in the conversation."""
    made = conversation.comment(call.world, call.pull_request(*_WRITE), call.user, _body(call))
    return Answer(201, comments.issue_comment(call.world, made))


@router.add("GET", _COMMENT)
def issue_comment(call: Call) -> Answer:
    """Get a comment."""
    return Answer(body=comments.issue_comment(call.world, _comment(call, *_READ)))


@router.add("PATCH", _COMMENT)
def edit(call: Call) -> Answer:
    """Update a comment."""
    comment = _comment(call, *_WRITE)
    conversation.edit(call.world, comment, call.user, _body(call))
    return Answer(body=comments.issue_comment(call.world, comment))


@router.add("DELETE", _COMMENT)
def delete(call: Call) -> Answer:
    """Delete a comment."""
    conversation.delete(call.world, _comment(call, *_WRITE), call.user)
    return Answer(204)


def _subject(call: Call, *permissions: str) -> Reactable:
    if "issue_number" in call.parameters:
        return call.pull_request(*permissions)
    if "/pulls/comments/" in call.path:
        return comment_of(call, *permissions)
    return _comment(call, *permissions)


@router.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}/reactions")
@router.add("GET", f"{_COMMENT}/reactions")
@router.add("GET", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions")
def reactions(call: Call) -> Answer:
    """List reactions, of one kind or all."""
    wanted = call.query.get("content")
    found = [each for each in _subject(call, *_READ).reactions if wanted in (None, each.content)]
    return call.page(found, lambda each: comments.reaction(call.world, each))


@router.add("POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions")
@router.add("POST", f"{_COMMENT}/reactions")
@router.add("POST", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions")
def react(call: Call) -> Answer:
    """React: 201 the first time, 200 when it was there."""
    content = str(call.json().get("content"))
    reaction, is_new = conversation.react(call.world, _subject(call, *_reacting(call)), call.user, content)
    return Answer(201 if is_new else 200, comments.reaction(call.world, reaction))


@router.add("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/reactions/{reaction_id}")
@router.add("DELETE", f"{_COMMENT}/reactions/{{reaction_id}}")
@router.add("DELETE", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions/{reaction_id}")
def unreact(call: Call) -> Answer:
    """Take a reaction back."""
    subject, identifier = _subject(call, *_reacting(call)), call.number("reaction_id")
    left = [each for each in subject.reactions if each.id != identifier]
    if len(left) == len(subject.reactions):
        raise not_found()
    subject.reactions[:] = left
    return Answer(204)


def _reacting(call: Call) -> tuple[str, ...]:
    """Reactions on the diff need pull_requests: write, elsewhere either permission will do."""
    return ("pull_requests:write",) if "/pulls/comments/" in call.path else _WRITE


def _comment(call: Call, *permissions: str) -> IssueComment:
    repository = call.repository(*permissions)
    comment = call.world.issue_comments.get(call.number("comment_id"))
    if comment is None or comment.pull_request.repository is not repository:
        raise not_found()
    return comment


def _body(call: Call) -> str:
    return text(call.json(), "body", resource="IssueComment", longest=conversation.LONGEST_BODY, required=True)
