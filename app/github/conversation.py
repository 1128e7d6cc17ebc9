"""Talking with people on a pull request: who they are, reactions, and replies where they spoke"""

from typing import Literal
from urllib.parse import quote

from app.conversation.commands import Level
from app.conversation.marker import marked, read
from app.events import CommandGiven
from app.github import documents
from app.github.connection import GitHub
from app.github.weather import Refused
from app.pull_request import PullRequestRef

LONGEST_BODY = 65_536
Reaction = Literal["EYES", "ROCKET", "CONFUSED"]


async def has_write_access(github: GitHub, ref: PullRequestRef, login: str) -> bool:
    """Whether GitHub says so; anything but a clear yes is a no."""
    return await level_of(github, ref, login) >= Level.WRITE


async def level_of(github: GitHub, ref: PullRequestRef, login: str, *, is_asking: bool = False) -> Level:
    """What GitHub says that somebody may do in the repository; NOBODY where it says nothing.

    Who `is_asking` is there: when GitHub knows nothing of them, it is the repository that is gone from where it was.

    https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
    """
    path = f"/repos/{ref.repository}/collaborators/{quote(login, safe='')}/permission"
    try:
        answer = await github.read(ref.installation_id, path)
    except Refused as refused:
        if is_asking and refused.status == 404:
            raise
        return Level.NOBODY
    said = answer.json() or {}
    if said.get("permission") not in ("admin", "write"):
        return Level.NOBODY
    if said["permission"] == "admin":
        return Level.ADMIN
    return Level.MAINTAIN if said.get("role_name") == "maintain" else Level.WRITE


async def say(github: GitHub, ref: PullRequestRef, text: str, note: dict[str, str]) -> None:
    """Say something in the conversation of a pull request."""
    path = f"/repos/{ref.repository}/issues/{ref.number}/comments"
    await github.write(ref.installation_id, "POST", path, {"body": marked(text[: LONGEST_BODY - 5000], note)})


class Conversation:
    """The place where one command was given."""

    def __init__(self, github: GitHub, command: CommandGiven) -> None:
        self._github = github
        self._command = command
        self._ref = command.ref

    def key(self, index: int) -> str:
        """The name of a command, unique on its pull request, by which its reply is known again."""
        return f"{self._command.place}:{self._command.comment_id}:{index}"

    async def react(self, reaction: Reaction) -> None:
        """Add a reaction to what was said; one that is there stays."""
        variables = {"subject": self._command.comment_node_id, "content": reaction}
        await self._github.mutate(self._ref.installation_id, documents.REACT, variables)

    async def answered(self) -> frozenset[str]:
        """The keys of the commands that we replied to in a thread.

        Raises:
            Refused: the pull request is gone.
        """
        if self._command.place != "thread":
            return frozenset()
        owner, _, name = self._ref.repository.partition("/")
        variables = {"owner": owner, "name": name, "number": self._ref.number, "after": None}
        while True:
            data = await self._github.query(self._ref.installation_id, documents.REPLIES, variables)
            threads = data["repository"]["pullRequest"]["reviewThreads"]
            for thread in threads["nodes"]:
                comments = thread["comments"]["nodes"]
                if comments and int(comments[0]["fullDatabaseId"]) == self._command.thread_comment_id:
                    ours = (read(each["body"]) for each in comments if each["viewerDidAuthor"])
                    return frozenset(note["command"] for note in ours if "command" in note)
            if not threads["pageInfo"]["hasNextPage"]:
                return frozenset()
            variables["after"] = threads["pageInfo"]["endCursor"]

    async def reply(self, text: str, note: dict[str, str]) -> None:
        """Answer in the thread, or in the conversation for what was said there or in a review."""
        if self._command.place != "thread":
            await say(self._github, self._ref, text, note)
            return
        thread = f"/repos/{self._ref.repository}/pulls/{self._ref.number}/comments"
        path = f"{thread}/{self._command.thread_comment_id}/replies"
        body = {"body": marked(text[: LONGEST_BODY - 5000], note)}
        await self._github.write(self._ref.installation_id, "POST", path, body)

    async def edit(self, comment_id: int, body: str) -> None:
        """Give a comment of ours on the diff another text."""
        path = f"/repos/{self._ref.repository}/pulls/comments/{comment_id}"
        await self._github.write(self._ref.installation_id, "PATCH", path, {"body": body})
