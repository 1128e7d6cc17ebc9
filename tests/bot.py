"""The bot in one process against a simulated GitHub: real PyGithub over sockets, the analysis without processes"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar

from pydantic import SecretStr

from app.events import CommandGiven, Place
from app.pull_request import PullRequestRef
from app.queue.analysts import Analysts
from app.reviewer import Reviewer
from app.settings import Settings
from app.store import Store
from tests.simulator import Exchange, HostedRepository, OpenedPullRequest, Simulator
from tests.simulator.model import IssueComment, ReviewComment
from tests.simulator.world import node_id

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

LOOP = """\
import torch


def train(model, loader, optimizer, criterion):
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
"""
"""A training loop in order."""
BROKEN_LOOP = LOOP.replace("        optimizer.zero_grad()\n", "")
"""The same with a bug: gradients are never cleared."""


class SameProcess(Analysts):
    """Analyses here and now."""

    def __init__(self) -> None:
        pass

    async def run(
        self, function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """The function's result."""
        return function(*arguments, **named)


class InMemory(Store):
    """A store in memory, of what a reviewer keeps; its processes have nothing to tell one another."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1")
        self._notes: dict[tuple[int, int], dict[str, str]] = {}

    async def book(self, name: str, *, step: float, head_start: float) -> float:
        """At once."""
        return 0.0

    async def ahead(self, name: str, *, head_start: float) -> tuple[float, float]:
        """Nothing is."""
        return 0.0, 0.0

    async def silence(self, name: str, *, seconds: float) -> None:
        """There is nobody to tell."""

    async def notes(self, ref: PullRequestRef) -> dict[str, str]:
        """What was noted."""
        return dict(self._notes.get((ref.repository_id, ref.number), {}))

    async def note(self, ref: PullRequestRef, notes: Mapping[str, str]) -> None:
        """Adds to it."""
        self._notes.setdefault((ref.repository_id, ref.number), {}).update(notes)

    async def forget_note(self, ref: PullRequestRef, *names: str) -> None:
        """Takes back."""
        for name in names:
            self._notes.get((ref.repository_id, ref.number), {}).pop(name, None)


class Bot:
    """A reviewer with credentials for the simulator's App. Each `Bot` is a process that knows nothing yet."""

    def __init__(
        self, github: Simulator, *, analysts: Analysts | None = None, store: Store | None = None, **settings: Any
    ) -> None:
        self.github = github
        given: dict[str, Any] = {
            "app_id": github.app.id,
            "private_key": SecretStr(github.app.private_key),
            "webhook_secret": SecretStr(github.app.webhook_secret),
            "github_url": github.url,
            "seconds_between_writes": 0.0,
        }
        self.settings = Settings(**{**given, **settings})
        self.reviewer = Reviewer(self.settings, store or InMemory(), analysts or SameProcess())

    def review(self, pull: OpenedPullRequest) -> list[Exchange]:
        """Review its head; returns the calls that were made for it, without those for tokens."""
        return self.do(self.reviewer.review(ref_of(pull)))

    def do(self, what: Coroutine[Any, Any, Any]) -> list[Exchange]:
        """Do one thing; returns the calls that were made for it, without those for tokens."""
        before = len(self.github.calls)

        async def to_the_end() -> None:
            try:
                await what
            finally:
                await self.reviewer.close()

        asyncio.run(to_the_end())
        return [call for call in self.github.calls[before:] if not call.path.endswith("/access_tokens")]

    def answer(
        self,
        pull: OpenedPullRequest,
        body: str,
        *,
        author: str = "maintainer",
        place: Place = "conversation",
    ) -> CommandGiven:
        """Say something on a pull request as a person, and have the bot answer it; returns what was said."""
        command = said(pull, body, author=author, place=place)
        self.do(self.reviewer.answer(command))
        return command


def ref_of(pull: OpenedPullRequest) -> PullRequestRef:
    """Where the pull request is."""
    repository = pull.pull.repository
    installation = pull.world.installed_on(repository)
    assert installation is not None
    return PullRequestRef(installation.id, repository.id, repository.full_name, pull.number)


def said(
    pull: OpenedPullRequest, body: str, *, author: str = "maintainer", place: Place = "conversation"
) -> CommandGiven:
    """Say something as a person; the event that tells of it."""
    thread: int | None = None
    comment: IssueComment | ReviewComment
    if place == "conversation":
        comment = pull.comment(body, author=author)
        identifier, node = comment.id, node_id(comment)
    elif place == "thread":
        first = pull.threads()[0].comments[0]
        comment = pull.comment_in_thread(first, body, author=author)
        identifier, node, thread = comment.id, node_id(comment), first.id
    else:
        shown = pull.review_with_body(body, author=author)
        identifier, node = shown["id"], shown["node_id"]
    return CommandGiven(
        ref=ref_of(pull),
        delivery="a-delivery",
        place=place,
        comment_id=identifier,
        comment_node_id=node,
        thread_comment_id=thread,
        author=author,
        author_is_bot=author.endswith("[bot]"),
        body=body,
        pull_request_author=pull.pull.author.login,
    )


def repository_with(github: Simulator, **files: str) -> HostedRepository:
    """A repository whose `train.py` and the like hold these texts: `train=…`."""
    return github.repository("octo-org/vision", files={f"{name}.py": text for name, text in files.items()})
