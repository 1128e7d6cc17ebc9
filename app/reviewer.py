"""What a job does: read a pull request, have it analysed, say what there is to say

Everything here may be begun again at any point: what is on GitHub already is read first, and not said twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

import structlog

from app import pipeline, relevance
from app.analysts import AnalysisFailed, Analysts
from app.answers import Answers
from app.events import ActionRequested, CommandGiven, GiveUp, MergeGroupRequested, RetryLater
from app.github.check_run import IGNORE_THESE, CheckRuns
from app.github.connection import GitHub
from app.github.conversation import has_write_access, say
from app.github.deliveries import Recovered, recover
from app.github.fetch import Fetcher, Reading
from app.github.fixed import mark_fixed
from app.github.publish import Publisher
from app.github.weather import Refused
from app.memory import dismissed, gone, named, voters_to_ask_for
from app.pull_request import ChangedFile, PullRequest, PullRequestRef
from app.review.comment import Review
from app.review.find import FileReport, introduced_in
from app.review.options import Options
from app.settings import Settings
from app.skip import reason_to_skip
from app.standing import standing
from app.store import Store
from detectors import Skipped

#: The operator has to mend the credentials; the job is kept.
WITHOUT_KEY = 300.0

log = structlog.get_logger("mlstaff.reviewer")


class Reviewer:
    """Does what events ask for. One for each process; call `close` at its end."""

    def __init__(self, settings: Settings, store: Store, analysts: Analysts) -> None:
        self._settings = settings
        self._store = store
        self._analysts = analysts
        self._github: GitHub | None = None

    async def close(self) -> None:
        """Close the connections to GitHub."""
        if self._github is not None:
            await self._github.close()

    async def review(self, ref: PullRequestRef, *, whole_files: bool = False) -> None:
        """Review the newest head.

        Raises:
            RetryLater: it cannot be done now.
            GiveUp: it can never be done.
        """
        async with self._conversation() as github:
            github.check_queue(ref.installation_id)
            await self._review(github, ref, whole_files=whole_files, is_asked=False)

    async def answer(self, command: CommandGiven) -> None:
        """Do what a comment says; once, however often this is called.

        Raises:
            RetryLater, GiveUp: as `review`.
        """
        async with self._conversation() as github:

            async def review(ref: PullRequestRef, whole_files: bool, is_asked: bool) -> None:
                await self._review(github, ref, whole_files=whole_files, is_asked=is_asked)

            await Answers(github, self._fetcher(github), self._settings, review).answer(command)

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        """Report success on a merge group's head: what is in it was reviewed before.

        Raises:
            RetryLater, GiveUp: as `review`.
        """
        async with self._conversation() as github:
            await self._check_runs(github).pass_head(group)

    async def act(self, action: ActionRequested) -> None:
        """Do what a button of the check run says.

        Raises:
            RetryLater, GiveUp: as `review`.
        """
        async with self._conversation() as github:
            if action.identifier != IGNORE_THESE:
                raise GiveUp(f"there is no button {action.identifier!r}")
            if await has_write_access(github, action.ref, action.author):
                await self._ignore_all(github, action)

    async def _ignore_all(self, github: GitHub, action: ActionRequested) -> None:
        """Note the findings of the present head as dismissed, then bring the check run up to date."""
        reading = await self._fetcher(github).read(action.ref)
        reports = await self._reports(reading.pull_request, whole_files=False)
        found = named(reading.pull_request, reports).keys()
        if found - standing(reading.notes).dismissed:
            text = f"The findings of {reading.pull_request.head_sha} stay quiet on this pull request."
            note = {"dismiss": ",".join(sorted(found)), "by": action.author}
            await say(github, reading.pull_request.ref, text, note)
        await self._review(github, action.ref, whole_files=False, is_asked=True)

    async def recover_deliveries(self, is_finished: Callable[[str], Awaitable[bool]], *, since: float) -> Recovered:
        """Have GitHub redeliver what failed since then (seconds since 1970) and is not finished.

        Raises:
            RetryLater, GiveUp: as `review`.
        """
        async with self._conversation() as github:
            return await recover(github, is_finished, since=since)

    async def check_credentials(self) -> str:
        """Why GitHub would not take our credentials, in plain words; empty when it does."""
        try:
            await self._connected().as_app("GET", "/app")
        except (RetryLater, GiveUp, Refused) as error:
            return str(error)
        return ""

    async def _review(self, github: GitHub, ref: PullRequestRef, *, whole_files: bool, is_asked: bool) -> None:
        fetcher = self._fetcher(github)
        reading = await fetcher.read(ref)
        pull_request, check_runs = reading.pull_request, self._check_runs(github)
        skipped = "" if is_asked else _reason_to_skip(reading)
        decision = relevance.decide(pull_request.files)
        if skipped or not decision.is_relevant:
            if not skipped:
                await mark_fixed(github, pull_request, gone(pull_request, (), {}, whole_files=True))
            await check_runs.close(check_runs.found(reading), pipeline.declined(skipped or decision.reason))
            return
        opened = await check_runs.open(reading, "Reviewing")
        reports = await self._reports(pull_request, whole_files=whole_files)
        review = await self._written(github, reading, reports)
        said = await Publisher(github, fetcher).post(reading, review, whole_files=whole_files)
        found = named(pull_request, reports)
        fixed = gone(pull_request, reports, found, whole_files=whole_files)
        await mark_fixed(github, pull_request, fixed)
        await check_runs.close(opened, review)
        log.info("reviewed", head=pull_request.head_sha, **asdict(said), fixed=len(fixed))

    async def _written(self, github: GitHub, reading: Reading, reports: list[FileReport]) -> Review:
        pull_request = reading.pull_request
        voters = [
            login
            for login in voters_to_ask_for(pull_request.threads)
            if await has_write_access(github, pull_request.ref, login)
        ]
        quiet = dismissed(
            standing(reading.notes), pull_request.threads, named(pull_request, reports), frozenset(voters)
        )
        options = Options(public_url=self._settings.public_url, said=reading.told, dismissed=quiet)
        return pipeline.review(pull_request, reports, options)

    async def _reports(self, pull_request: PullRequest, *, whole_files: bool) -> list[FileReport]:
        files = pipeline.to_analyse(pull_request.files)
        return await asyncio.gather(*(self._report(pull_request, file, whole_files) for file in files))

    async def _report(self, pull_request: PullRequest, file: ChangedFile, whole_file: bool) -> FileReport:
        try:
            return await self._analysts.run(introduced_in, file, pull_request.repository_files, whole_file)
        except AnalysisFailed as failed:
            return FileReport(file.path, skipped=(Skipped(file.path, str(failed)),))

    def _fetcher(self, github: GitHub) -> Fetcher:
        return Fetcher(github, self._settings.app_id or 0)

    def _check_runs(self, github: GitHub) -> CheckRuns:
        return CheckRuns(github, self._settings.public_url)

    def _connected(self) -> GitHub:
        if self._github is None:
            try:
                self._github = GitHub(self._settings)
            except ValueError as error:
                raise RetryLater(WITHOUT_KEY, f"GitHub cannot be asked: {error}") from None
        return self._github

    @asynccontextmanager
    async def _conversation(self) -> AsyncIterator[GitHub]:
        """GitHub, with its refusals as the end of the job."""
        try:
            yield self._connected()
        except Refused as refused:
            raise _end_of_job(refused) from refused


def _reason_to_skip(reading: Reading) -> str:
    paused_by = standing(reading.notes).paused_by
    if paused_by:
        return f"{paused_by} paused the reviews of this pull request; /mlstaff resume ends that."
    return reason_to_skip(reading.pull_request)


def _end_of_job(refused: Refused) -> Exception:
    if refused.status == 401:
        return RetryLater(WITHOUT_KEY, str(refused))
    if refused.status in (404, 410, 451):
        return GiveUp(f"the pull request, its repository or the installation is gone: {refused}")
    if refused.status == 403:
        return GiveUp(f"the installation does not allow this: {refused}")
    return GiveUp(str(refused))
