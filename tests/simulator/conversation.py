"""The rules of a pull request's conversation: comments, reactions, minimising"""

from tests.simulator import events
from tests.simulator.errors import invalid
from tests.simulator.model import (
    Account,
    IssueComment,
    PullRequest,
    Reaction,
    Review,
    ReviewComment,
)
from tests.simulator.shapes.comments import CONTENTS
from tests.simulator.world import World

Reactable = PullRequest | IssueComment | ReviewComment | Review
LONGEST_BODY = 65_536


def comment(world: World, pull: PullRequest, user: Account, words: str) -> IssueComment:
    """Say something in the conversation."""
    now = world.clock.stamp()
    said = IssueComment(world.ids.large(), pull, user, words, now, now)
    pull.comments.append(said)
    pull.updated_at = now
    world.issue_comments[said.id] = said
    world.remember(said)
    events.issue_comment(world, said, "created", user)
    return said


def edit(world: World, said: IssueComment, user: Account, words: str) -> None:
    """Give a comment another text."""
    before, said.body, said.updated_at = said.body, words, world.clock.stamp()
    events.issue_comment(world, said, "edited", user, changes={"body": {"from": before}})


def delete(world: World, said: IssueComment, user: Account) -> None:
    """Remove a comment."""
    events.issue_comment(world, said, "deleted", user)
    said.pull_request.comments.remove(said)
    world.issue_comments.pop(said.id, None)


def react(world: World, subject: Reactable, user: Account, content: str) -> tuple[Reaction, bool]:
    """The user's reaction, and whether it is new: the same one twice is one. No webhook tells of reactions."""
    if content not in CONTENTS:
        raise invalid("Reaction", "content", "invalid")
    for each in subject.reactions:
        if each.user is user and each.content == content:
            return each, False
    reaction = Reaction(world.ids.small(), user, content, world.clock.stamp())
    subject.reactions.append(reaction)
    world.remember(reaction)
    return reaction, True
