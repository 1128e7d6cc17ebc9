"""One turn of work on a subject: take it, do what is to be done, leave it.

How an exception ends a request is decided here and nowhere else: RetryLater puts it back for the time it names,
GiveUp ends it, anything else is tried again, later each time, and after `MAXIMUM_ATTEMPTS` it is a dead letter.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import structlog

from app import metrics
from app.events import (
    ActionRequested,
    CommandGiven,
    GiveUp,
    MergeGroupRequested,
    RetryLater,
    ReviewRequested,
    Trouble,
    kind_of,
)
from app.logs import Redaction
from app.pull_request import PullRequestRef
from app.queue.inbox import LEASE_SECONDS, Inbox, Item, Subject
from app.store import Unavailable

MAXIMUM_ATTEMPTS = 10
MAXIMUM_CRASHES = 8
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
TROUBLED_PAUSE = 15.0
"""Weather passes: who was unlucky many times in a row in a bad minute must not wait long in the good one after it."""
LONGEST_WAIT = 24 * 60 * 60.0
"""A request that was put back for longer is out of date: it becomes a dead letter."""
TOLD_AFTER = 3
"""Failed attempts after which the pull request is told; before, it would be noise."""
TELLING_SECONDS = 30.0
FULL_PAUSE = 15.0
"""Who waits for a place of its installation is woken when one is free; this is for when its waker was killed."""

log = structlog.get_logger("mlstaff.work")


class Does(Protocol):
    """What is asked of `app.reviewer.Reviewer`. Each may be called again for the same request."""

    async def review(self, ref: PullRequestRef) -> None:
        """Reviews the newest head."""

    async def answer(self, command: CommandGiven) -> None:
        """Does what a comment says."""

    async def act(self, action: ActionRequested) -> None:
        """Does what a button of the check run says."""

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        """Answers a merge queue."""

    async def tell_failure(
        self, ref: PullRequestRef, reason: str, *, is_retried: bool = False, only_open: bool = False
    ) -> None:
        """Says on the pull request that it could not be reviewed; `only_open`: where it says that it is being
        reviewed."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A subject to be looked at again, `seconds` from now."""

    subject: Subject
    seconds: float


class Work:
    """Turns of work, with one reviewer, on what the inbox holds."""

    def __init__(self, inbox: Inbox, reviewer: Does) -> None:
        self._inbox = inbox
        self._reviewer = reviewer
        self._redact = Redaction()

    async def on(self, subject: Subject) -> list[Wake]:
        """Does what is due on a subject; says what has to be looked at again, and when."""
        token = secrets.token_hex(8)
        turn = await self._inbox.take(subject, token)
        wakes = [Wake(turn.next, 0)] if turn.next else []
        if turn.answer == "held":
            return [Wake(subject, turn.seconds + 0.2)]
        if turn.answer == "full":
            return [Wake(subject, FULL_PAUSE)]
        try:
            async with self._leased(subject, token):
                return wakes + await self._until_empty(subject, token)
        except TimeoutError:
            log.warning("the lease was lost during the work, which is begun again", subject=str(subject))
            return [*wakes, Wake(subject, LEASE_SECONDS)]

    @asynccontextmanager
    async def _leased(self, subject: Subject, token: str) -> AsyncIterator[None]:
        """Renews the lease meanwhile. When it cannot be renewed in time, somebody else may be at work: what is
        inside is cancelled, and TimeoutError raised."""
        async with asyncio.timeout(LEASE_SECONDS) as fence:
            renewal = asyncio.create_task(self._renew(subject, token, fence), name=f"lease {subject}")
            try:
                yield
            finally:
                renewal.cancel()

    async def _renew(self, subject: Subject, token: str, fence: asyncio.Timeout) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            asked = clock()
            try:
                renewed = await self._inbox.renew(subject, token)
            except Unavailable:
                continue
            try:
                fence.reschedule(asked + LEASE_SECONDS if renewed else clock())
            except RuntimeError:
                return  # the work ended while we asked, and the answer came in spite of the cancellation
            if not renewed:
                return

    async def _until_empty(self, subject: Subject, token: str) -> list[Wake]:
        while True:
            now = time.time()
            items = await self._inbox.items(subject)
            due = [item for item in items if item.not_before <= now]
            left = [item for item in items if item.not_before > now]
            left += await self._do(subject, due)
            leave = await self._inbox.release(subject, token, left=left)
            if leave.answer == "more":
                continue
            wakes = [Wake(leave.next, 0)] if leave.next else []
            if left:
                wakes.append(Wake(subject, max(0.0, min(item.not_before for item in left) - time.time())))
            return wakes

    async def _do(self, subject: Subject, due: list[Item]) -> list[Item]:
        """Does the items that are due, and gives those back that are to be done again."""
        again: list[Item] = []
        killing = [item for item in due if item.crashes >= MAXIMUM_CRASHES]
        due = [item for item in due if item.crashes < MAXIMUM_CRASHES]
        await self._bury(subject, killing, "the worker was killed at it, again and again")
        # Counted before, and taken back after: what kills the worker cannot count itself.
        await self._inbox.update(subject, [replace(item, crashes=item.crashes + 1) for item in due])
        for task in _tasks(self._reviewer, due):
            again += await self._run(subject, task)
        return again

    async def _run(self, subject: Subject, task: "_Task") -> list[Item]:
        first = task.items[0]
        kind, merged = kind_of(first.request), [item.delivery for item in task.items[1:]]
        fields = {"subject": str(subject), "delivery": first.delivery}
        with structlog.contextvars.bound_contextvars(**fields, **({"merged": merged} if merged else {})):
            for item in task.items:
                if not item.attempts:
                    metrics.WAIT_SECONDS.observe(max(0.0, time.time() - item.first_seen))
            began = time.perf_counter()
            outcome, left = await self._attempt(subject, task)
            seconds = time.perf_counter() - began
            metrics.JOBS.labels(kind, outcome).inc(len(task.items))
            if isinstance(first.request, ReviewRequested):
                metrics.REVIEWS.labels(outcome).inc()
                metrics.REVIEW_SECONDS.observe(seconds)
            log.info("job", kind=kind, outcome=outcome, seconds=round(seconds, 3))
            return left

    async def _attempt(self, subject: Subject, task: "_Task") -> tuple[str, list[Item]]:
        """Runs it; the outcome, and the items that stay."""
        try:
            await task.run()
        except RetryLater as later:
            again = await self._put_back(subject, task.items, later)
            log.info("put back", seconds=later.seconds, reason=str(later))  # once it is so: a kill may come in between
            return "put_back", again
        except GiveUp as reason:
            log.warning("given up", reason=str(reason))
            await self._inbox.finish(subject, task.items)
            return "given_up", []
        except Exception as error:
            log.exception("failed", attempts=task.items[0].attempts + 1)
            return "failed", await self._failed(subject, task.items, f"{type(error).__name__}: {error}")
        await self._inbox.finish(subject, task.items)
        return "done", []

    async def _put_back(self, subject: Subject, items: list[Item], later: RetryLater) -> list[Item]:
        now = time.time()
        old = [
            replace(item, error=self._redact(f"put back for a day: {later}"))
            for item in items
            if now - item.first_seen > LONGEST_WAIT
        ]
        await self._bury(subject, old, "GitHub could not be asked for a day")
        again = [_put_off(item, later, now) for item in items if now - item.first_seen <= LONGEST_WAIT]
        await self._inbox.update(subject, again)
        return again

    async def _failed(self, subject: Subject, items: list[Item], error: str) -> list[Item]:
        again: list[Item] = []
        dead: list[Item] = []
        for item in items:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**item.attempts)
            failed = replace(
                item,
                attempts=item.attempts + 1,
                crashes=0,
                error=self._redact(error)[:500],
                not_before=time.time() + pause,
            )
            (dead if failed.attempts >= MAXIMUM_ATTEMPTS else again).append(failed)
        await self._inbox.update(subject, again)
        # What went wrong is in the log and in the listing; strangers see only what kind of thing it was.
        kind = error.partition(":")[0]
        await self._bury(subject, dead, f"it failed {MAXIMUM_ATTEMPTS} times ({kind})")
        if any(item.attempts == TOLD_AFTER for item in again):
            await self._tell(again, f"it failed {TOLD_AFTER} times ({kind})", is_retried=True)
        return again

    async def _bury(self, subject: Subject, items: list[Item], why: str) -> None:
        for item in items:
            log.error("dead letter", delivery=item.delivery, subject=str(subject), attempts=item.attempts)
            metrics.JOBS.labels(kind_of(item.request), "dead").inc()
            await self._inbox.bury(subject, item if item.error else replace(item, error=why))
        await self._tell(items, why, is_retried=False)

    async def _tell(self, items: list[Item], why: str, *, is_retried: bool) -> None:
        """Says so on the pull request, if GitHub lets us; that it cannot be told is no reason to fail."""
        asked = [item.request for item in items if not isinstance(item.request, MergeGroupRequested)]
        if not asked:
            return
        only_open = all(isinstance(each, CommandGiven | ActionRequested) for each in asked)
        reason = f"{why}; in the log it is the delivery {asked[-1].delivery}"
        try:
            async with asyncio.timeout(TELLING_SECONDS):
                await self._reviewer.tell_failure(asked[-1].ref, reason, is_retried=is_retried, only_open=only_open)
        except Exception as error:
            log.warning("the failure could not be told on the pull request", reason=f"{type(error).__name__}: {error}")


def _put_off(item: Item, later: RetryLater, now: float) -> Item:
    """The item for its next time: when it was told to come back, or, after trouble, ever later from one failure to the
    next, but by no more than a tenth of what it has waited already; at random, so that not all come back at once."""
    if not isinstance(later, Trouble):
        return replace(item, crashes=0, not_before=now + later.seconds)
    longest = min(TROUBLED_PAUSE + (now - item.first_seen) / 10, LONGEST_PAUSE)
    pause = min(later.seconds * 2.0**item.troubles, longest) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return replace(item, crashes=0, troubles=min(item.troubles + 1, 30), not_before=now + pause)


@dataclass(frozen=True, slots=True)
class _Task:
    """A call, and the items that are done when it has returned."""

    items: list[Item]
    run: Callable[[], Awaitable[None]]


def _tasks(reviewer: Does, items: list[Item]) -> list[_Task]:
    """What to call for these items: commands and buttons in their order, then one review for all that ask for one."""
    tasks, reviews = [], []
    ref = None
    for item in items:
        match item.request:
            case CommandGiven() as command:
                tasks.append(_Task([item], partial(reviewer.answer, command)))
            case MergeGroupRequested() as group:
                tasks.append(_Task([item], partial(reviewer.pass_merge_group, group)))
            case ActionRequested() as action:
                tasks.append(_Task([item], partial(reviewer.act, action)))
            case ReviewRequested() as asked:
                reviews.append(item)
                ref = asked.ref  # the newest name: a repository may have been renamed since the first of them
    if ref is not None:
        tasks.append(_Task(reviews, partial(reviewer.review, ref)))
    return tasks
