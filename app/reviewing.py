"""One review of one head: read, analysed in processes, written, said

    Fetcher.read -> relevance.decide -> find.introduced_in … -> pipeline.review -> Publisher.post

What is on GitHub already is read first and not said twice, so that all of it may be begun again at any point.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import structlog

from app import neighbours, pipeline, relevance
from app.conversation.commands import Level, Verb, needed
from app.conversation.memory import dismissed, gone, named, voters_to_ask_for
from app.conversation.skip import reason_to_skip
from app.conversation.standing import standing
from app.events import ActionRequested, RetryLater
from app.github.check_run import CheckRuns, Opened, is_completed
from app.github.connection import GitHub
from app.github.conversation import has_write_access, say
from app.github.fetch import Fetcher, Reading
from app.github.fixed import mark_fixed
from app.github.publish import HeadMoved, Publisher, Said
from app.github.weather import Refused, Unwell
from app.pull_request import ChangedFile, PullRequest, PullRequestRef
from app.queue.analysts import AnalysisFailed, Analysts
from app.relevance import Relevance
from app.review.comment import Conclusion, Review
from app.review.find import Around, FileReport, introduced_in
from app.review.fingerprint import told
from app.review.markdown import prose
from app.review.options import Options
from app.settings import Settings
from app.store import Store, Unavailable
from app.surroundings import Sides, SidesPins, Surroundings, manifests_of, pins_on, sides_of
from detectors import Skipped

#: After so long the head is looked at once more before anything is said of it.
STALE_SECONDS = 15.0
_OPEN = "open on "
"""Begins the note of a head whose review has begun and, as far as we know, not ended."""

log = structlog.get_logger("mlstaff.reviewing")


class Reviewing:
    """Reviews pull requests over one connection to GitHub. The store remembers which heads have an open check run; with
    it only that is lost."""

    def __init__(self, github: GitHub, settings: Settings, store: Store, analysts: Analysts) -> None:
        self._store = store
        self._github = github
        self._settings = settings
        self._analysts = analysts
        self.fetcher = Fetcher(github, settings.app_id or 0, settings.defaults)
        self._check_runs = CheckRuns(github, settings.public_url)
        self._publisher = Publisher(github, self.fetcher)

    async def review(self, ref: PullRequestRef, *, whole_files: bool, is_asked: bool) -> None:
        """Review the newest head; with `is_asked` also what is otherwise skipped."""
        reading = await self.fetcher.read(ref)
        read_at = time.monotonic()
        pull_request = reading.pull_request
        await self._close_older(pull_request)
        reviews_drafts = pipeline.configuration(pull_request.config_files).config.drafts
        skipped = "" if is_asked else _reason_to_skip(reading, reviews_drafts=reviews_drafts)
        decision = relevance.decide(pull_request.files)
        if skipped or not decision.is_relevant:
            if not skipped:
                await self._mark_gone(pull_request, [], whole_files=True)
            outcome = pipeline.declined(skipped or decision.reason)
            await self._check_runs.close(self._check_runs.found(reading), outcome)
            return
        await self._note_begun(pull_request)
        await self._review(reading, read_at, decision, whole_files=whole_files)
        await self._note_ended(pull_request.ref, pull_request.head_sha)

    async def _review(self, reading: Reading, read_at: float, decision: Relevance, *, whole_files: bool) -> None:
        files = pipeline.to_analyse(reading.pull_request.files, decision)
        paths = _neighbours_of(files, reading.pull_request)
        if paths:  # a review is five calls: where the neighbours are one of them, "Reviewing" is not
            opened = self._check_runs.found(reading)
        else:
            opened = await self._check_runs.open(reading, "Reviewing")
        reading, is_whole = await self._with_neighbours(reading, paths)
        pull_request = reading.pull_request
        reports = await self._reports(pull_request, files, whole_files=whole_files)
        review = await self._written(reading, reports, decision)
        said = await self._said(reading, review, opened, read_at, whole_files=whole_files)
        fixed = 0
        if is_whole:  # what a neighbour showed is not gone because the neighbour could not be read
            fixed = await self._mark_gone(pull_request, reports, whole_files=whole_files)
        await self._check_runs.close(opened, review)
        log.info("reviewed", head=pull_request.head_sha, **asdict(said), fixed=fixed)

    async def tell_failure(self, ref: PullRequestRef, reason: str, *, is_retried: bool, only_open: bool) -> None:
        """Say in the head's check run why there is no review. An outcome that the head has stays."""
        reading = await self.fetcher.glance(ref)
        await self._close_older(reading.pull_request)
        opened = self._check_runs.found(reading)
        if is_completed(reading, opened) or (only_open and opened.id is None):
            return
        summary = f"This commit could not be reviewed: {prose(reason)}."
        if is_retried:
            await self._check_runs.tell(opened, "Could not review, will be retried", summary)
            return
        summary += "\n\n`/mlstaff review` tries again."
        await self._check_runs.tell(opened, "Could not review, gave up", summary, Conclusion.NEUTRAL)

    async def rerun(self, action: ActionRequested, level: Level) -> None:
        """Review again what somebody of this level may have reviewed."""
        look = await self.fetcher.look(action.ref)
        if level >= needed(Verb.REVIEW, pipeline.configuration(look.config_files).config.commands):
            await self.review(action.ref, whole_files=False, is_asked=True)
        else:
            log.info("a button pressed by somebody without permission", author=action.author)

    async def ignore_all(self, action: ActionRequested, level: Level) -> None:
        """Note what is found at the present head as dismissed, then bring the check run up to date."""
        reading = await self.fetcher.read(action.ref)
        if level < needed(Verb.IGNORE, pipeline.configuration(reading.pull_request.config_files).config.commands):
            log.info("a button pressed by somebody without permission", author=action.author)
            return
        files = pipeline.to_analyse(reading.pull_request.files)
        reading, _ = await self._with_neighbours(reading, _neighbours_of(files, reading.pull_request))
        reports = await self._reports(reading.pull_request, files, whole_files=False)
        found = set(named(reading.pull_request, reports))
        if action.head_sha != reading.pull_request.head_sha:  # who pressed it saw only what was said by then
            found &= reading.told.union(*(told(thread.body) for thread in reading.pull_request.threads))
        if found - standing(reading.notes).dismissed:
            text = f"The findings of {reading.pull_request.head_sha} stay quiet on this pull request."
            note = {"dismiss": ",".join(sorted(found)), "by": action.author}
            await say(self._github, reading.pull_request.ref, text, note)
        await self.review(action.ref, whole_files=False, is_asked=True)

    async def _said(
        self, reading: Reading, review: Review, opened: Opened, read_at: float, *, whole_files: bool
    ) -> Said:
        """Post the review; a check run on a head that is the newest no more is closed."""
        try:
            if time.monotonic() - read_at > STALE_SECONDS:
                await self._publisher.check_head(reading.pull_request)
            return await self._publisher.post(reading, review, whole_files=whole_files)
        except HeadMoved as moved:
            await self._check_runs.close_superseded(opened, moved.head)
            await self._note_ended(opened.ref, opened.head)
            raise

    async def _close_older(self, pull_request: PullRequest) -> None:
        """A review that was killed, or came upon trouble, may have left its head's check run open; then a push came."""
        ref, notes = pull_request.ref, dict[str, str]()
        with contextlib.suppress(Unavailable):
            notes = await self._store.notes(ref)
        for head in [name.removeprefix(_OPEN) for name in notes if name.startswith(_OPEN)]:
            if head != pull_request.head_sha:
                await self._check_runs.supersede(ref, head, pull_request.head_sha)
                await self._note_ended(ref, head)

    async def _note_begun(self, pull_request: PullRequest) -> None:
        with contextlib.suppress(Unavailable):
            await self._store.note(pull_request.ref, {f"{_OPEN}{pull_request.head_sha}": ""})

    async def _note_ended(self, ref: PullRequestRef, head: str) -> None:
        with contextlib.suppress(Unavailable):
            await self._store.forget_note(ref, f"{_OPEN}{head}")

    async def _mark_gone(self, pull_request: PullRequest, reports: list[FileReport], *, whole_files: bool) -> int:
        found = named(pull_request, reports)
        fixed = gone(pull_request, reports, found, whole_files=whole_files)
        await mark_fixed(self._github, pull_request, fixed)
        return len(fixed)

    async def _written(self, reading: Reading, reports: list[FileReport], decision: Relevance) -> Review:
        pull_request = reading.pull_request
        voters = [
            login
            for login in voters_to_ask_for(pull_request.threads)
            if await has_write_access(self._github, pull_request.ref, login)
        ]
        quiet = dismissed(
            standing(reading.notes), pull_request.threads, named(pull_request, reports), frozenset(voters)
        )
        options = Options(public_url=self._settings.public_url, said=reading.told, dismissed=quiet)
        return pipeline.review(pull_request, reports, options, decision)

    async def _with_neighbours(self, reading: Reading, paths: Sequence[str]) -> tuple[Reading, bool]:
        """The reading with the texts of these files, those that are there; and whether GitHub said which are. Where it
        did not, they stay unknown, which costs the review nothing else."""
        try:
            found = await self.fetcher.around(reading.pull_request, paths) if paths else {}
        except (Unwell, Refused, RetryLater, TimeoutError) as reason:
            log.warning("the modules that the change imports could not be read", reason=str(reason))
            return reading, False
        around = {**reading.pull_request.around, **found}
        return replace(reading, pull_request=replace(reading.pull_request, around=around)), True

    async def _reports(
        self, pull_request: PullRequest, files: Sequence[ChangedFile], *, whole_files: bool
    ) -> list[FileReport]:
        sides = sides_of(pull_request)
        around = Surroundings(sides, await self._pins(manifests_of(sides)) if files else SidesPins())
        reports = await asyncio.gather(*(self._report(file, around.of(file), whole_files) for file in files))
        return [*reports, *pipeline.broken_manifests(around.pins)]

    async def _pins(self, manifests: Sides) -> SidesPins:
        try:
            return await self._analysts.run(pins_on, manifests) if manifests.head or manifests.base else SidesPins()
        except AnalysisFailed as failed:
            log.warning("the manifests could not be read", reason=str(failed))
            return SidesPins()

    async def _report(self, file: ChangedFile, around: Around, whole_file: bool) -> FileReport:
        try:
            return await self._analysts.run(introduced_in, file, around, whole_file)
        except AnalysisFailed as failed:
            return FileReport(file.path, skipped=(Skipped(file.path, str(failed)),))


def _neighbours_of(files: Sequence[ChangedFile], pull_request: PullRequest) -> tuple[str, ...]:
    return neighbours.paths_to_ask(files, sides_of(pull_request).head)


def _reason_to_skip(reading: Reading, *, reviews_drafts: bool) -> str:
    paused_by = standing(reading.notes).paused_by
    if paused_by:
        return f"{paused_by} paused the reviews of this pull request; /mlstaff resume ends that."
    return reason_to_skip(reading.pull_request, reviews_drafts=reviews_drafts)
