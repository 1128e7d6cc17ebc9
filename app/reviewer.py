"""What a job does, and how GitHub's refusals end it"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from app.conversation.answers import Answers
from app.conversation.commands import Level
from app.events import (
    IGNORE_THESE,
    RERUN,
    ActionRequested,
    CommandGiven,
    GiveUp,
    MergeGroupRequested,
    RetryLater,
)
from app.github.check_run import CheckRuns
from app.github.connection import GitHub
from app.github.conversation import level_of
from app.github.deliveries import Recovered, recover
from app.github.weather import Refused
from app.pull_request import PullRequestRef
from app.queue.analysts import Analysts
from app.reviewing import Reviewing
from app.settings import Settings
from app.store import Store

#: The operator has to mend the credentials; the job is kept.
WITHOUT_KEY = 300.0

log = structlog.get_logger("mlstaff.reviewer")


class Reviewer:
    """Does what events ask for. One for each process; call `close` at its end.

    Every method may be called again for the same request, and raises RetryLater when GitHub (or the operator)
    has to be waited for, GiveUp when it can never be done, and `Refused` when GitHub says no to something that
    it should not.
    """

    def __init__(self, settings: Settings, store: Store, analysts: Analysts) -> None:
        self._settings = settings
        self._store = store
        self._analysts = analysts
        self._github: GitHub | None = None
        self.app_name = ""
        """What GitHub calls our App; known once the credentials were checked."""

    async def close(self) -> None:
        """Close the connections to GitHub."""
        if self._github is not None:
            await self._github.close()

    async def review(self, ref: PullRequestRef) -> None:
        """Review the newest head."""

        async def at(github: GitHub, ref: PullRequestRef) -> None:
            await github.check_queue(ref.installation_id)
            await self._reviewing(github).review(ref, whole_files=False, is_asked=False)

        await self._wherever(ref, at)

    async def answer(self, command: CommandGiven) -> None:
        """Do what a comment says; once, however often this is called."""

        async def at(github: GitHub, ref: PullRequestRef) -> None:
            await Answers(github, self._reviewing(github), self._settings).answer(replace(command, ref=ref))

        await self._wherever(command.ref, at)

    async def act(self, action: ActionRequested) -> None:
        """Do what a button of the check run says."""
        if action.identifier not in (RERUN, IGNORE_THESE):
            raise GiveUp(f"there is no button {action.identifier!r}")

        async def at(github: GitHub, ref: PullRequestRef) -> None:
            level = await level_of(github, ref, action.author, is_asking=True)
            if level is Level.NOBODY:
                log.info("a button pressed by somebody without permission", author=action.author)
            elif action.identifier == RERUN:
                await self._reviewing(github).rerun(replace(action, ref=ref), level)
            else:
                await self._reviewing(github).ignore_all(replace(action, ref=ref), level)

        await self._wherever(action.ref, at)

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        """Report success on a merge group's head: what is in it was reviewed before."""
        with self._conversation() as github:
            await CheckRuns(github, self._settings.public_url).pass_head(group)

    async def tell_failure(
        self, ref: PullRequestRef, reason: str, *, is_retried: bool = False, only_open: bool = False
    ) -> None:
        """Say in the check run that the newest head could not be reviewed, and whether it is tried again; with
        `only_open` in none but one that says *Reviewing*."""
        with self._conversation() as github:
            await self._reviewing(github).tell_failure(ref, reason, is_retried=is_retried, only_open=only_open)

    async def recover_deliveries(
        self, is_finished: Callable[[str], Awaitable[bool]], *, since: float | None
    ) -> Recovered:
        """Have GitHub redeliver what failed since then (by its clock) and is not finished."""
        with self._conversation() as github:
            return await recover(github, is_finished, since=since, pause=self._settings.recovery_seconds)

    async def check_credentials(self) -> str:
        """Why GitHub would not take our credentials, in plain words; empty when it does."""
        try:
            answer = await self._connected().as_app("GET", "/app")
        except (RetryLater, GiveUp, Refused) as error:
            return str(error)
        self.app_name = str(answer.json().get("name") or "")
        return ""

    def _reviewing(self, github: GitHub) -> Reviewing:
        return Reviewing(github, self._settings, self._store, self._analysts)

    def _connected(self) -> GitHub:
        if self._github is None:
            try:
                self._github = GitHub(self._settings, self._store)
            except ValueError as error:
                raise RetryLater(WITHOUT_KEY, f"GitHub cannot be asked: {error}") from None
        return self._github

    async def _wherever(self, ref: PullRequestRef, do: Callable[[GitHub, PullRequestRef], Awaitable[None]]) -> None:
        """Do it with the installation of the request; when that has lost the repository, with the one that has it now:
        it was transferred while the request waited, and nobody will tell us of this head again."""
        with self._conversation() as github:
            try:
                await do(github, ref)
            except (Refused, GiveUp) as gone:
                present = None if isinstance(gone, Refused) and gone.status != 404 else await _present(github, ref)
                if present is None:
                    raise
                log.info("the repository was transferred", repository=present.repository)
                await do(github, present)

    @contextmanager
    def _conversation(self) -> Iterator[GitHub]:
        """GitHub, with its refusals in the queue's words."""
        try:
            yield self._connected()
        except Refused as refused:
            raise _end_of_job(refused) from refused


async def _present(github: GitHub, ref: PullRequestRef) -> PullRequestRef | None:
    """Where the repository is now, if it is another installation's; GitHub knows it by its old name as well."""
    try:
        found = (await github.as_app("GET", f"/repos/{ref.repository}/installation")).json()
        if int(found["id"]) == ref.installation_id:
            return None
        repository = (await github.read(int(found["id"]), f"/repositories/{ref.repository_id}")).json()
    except (Refused, GiveUp):
        return None
    return replace(ref, installation_id=int(found["id"]), repository=repository["full_name"])


def _end_of_job(refused: Refused) -> Exception:
    if refused.status == 401:
        return RetryLater(WITHOUT_KEY, str(refused))
    if refused.status in (404, 410, 451):
        return GiveUp(f"the pull request, its repository or the installation is gone: {refused}")
    if refused.status == 403:
        return GiveUp(f"the installation does not allow this: {refused}")
    return refused
