"""The queue: who is woken when to look at which subject. The only module that imports docket.

Docket (Redis Streams) delivers a wake-up at least once: a worker that is killed loses its lease on the
message, and another one gets it. What there is to do is not in the message but in the inbox (`app.queue.inbox`),
because of what Docket 0.27 does with a key that is in use: `add` under the key of a *running* task is
dropped, `replace` starts beside it, and its ConcurrencyLimit knows one limit a task and forgets whom it
parked when it is killed at the wrong moment. So every wake-up is a `replace`, and a turn that finds
somebody at work comes back when their lease would end.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

import structlog
from docket import Docket, Perpetual, Retry, Worker

from app.events import Request, ReviewRequested
from app.queue.inbox import LEASE_SECONDS, Admission, Inbox, Item, Subject
from app.queue.together import Together
from app.queue.work import Does, Wake, Work
from app.store import Store

QUEUE = "mlstaff-queue"
SETTLE_SECONDS = 0.1
"""GitHub sends several deliveries for what is one change to a person (opened, labeled): one review for them."""
SWEEP_SECONDS = 5
OVERDUE_SECONDS = 10.0
GRACE_SECONDS = 8.0
"""How long a worker that is asked to stop may finish what it is at: `docker stop` kills after ten."""

_FOREVER = Retry(attempts=None, delay=timedelta(seconds=LEASE_SECONDS))
"""For what is no fault of the job: how those are repeated is decided in `app.queue.work`."""
_NOW_AND_THEN = Perpetual(every=timedelta(seconds=SWEEP_SECONDS), automatic=True)

log = structlog.get_logger("mlstaff.jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """A request that is not done: *waiting*, *running* or *dead*, and what it last died of."""

    state: Literal["waiting", "running", "dead"]
    item: Item


class Jobs:
    """The queue of one store; used by the web server to ask, and by the workers to do."""

    def __init__(self, store: Store, url: str, *, per_installation: int) -> None:
        self.inbox = Inbox(store, per_installation=per_installation)
        self._admit = Together(self.inbox.admit)
        self._to_wake: dict[Subject, Wake] = {}
        self._waking: asyncio.Task[None] | None = None
        self._docket = Docket(QUEUE, url, heartbeat_interval=timedelta(seconds=1), missed_heartbeats=5)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._docket)
            self._docket.register(_not_here, names=["work", "sweep"])
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._waking is not None:
            await self._waking
        await self._stack.aclose()

    async def enqueue(self, request: Request) -> Admission:
        """Keeps a request until it is done, and has it done. Asking twice is asking once.

        The request is on disk when this returns. The wake-up follows; should we be killed before, the next sweep
        finds the request.
        """
        answer = await self._admit(request)
        if answer != "finished":
            subject = Subject.of(request)
            pause = SETTLE_SECONDS if isinstance(request, ReviewRequested) else 0
            self._to_wake[subject] = Wake(subject, pause)
            if self._waking is None:
                self._waking = asyncio.create_task(self._wake_soon(), name="wake")
        return answer

    async def _wake_soon(self) -> None:
        while self._to_wake:
            wakes, self._to_wake = self._to_wake, {}
            try:
                await self._wake(wakes.values())
            except Exception:
                # Not the caller's failure: what it asked is kept.
                log.exception("nobody was woken; the next sweep will")
        # In the same step as the last look at what there is to wake.
        self._waking = None

    async def _wake(self, wakes: Iterable[Wake]) -> None:
        """Later looks have a key of their own, so that none puts off one that is to come soon."""
        now = datetime.now(UTC)
        calls = {}
        for wake in wakes:
            name = str(wake.subject)
            key = name if wake.seconds <= SETTLE_SECONDS else f"later:{name}"
            calls[key] = self._docket.call("work", now + timedelta(seconds=wake.seconds), key)(name)
        for execution in await self._docket.replace_many(calls.values()):
            if execution.schedule_exception is not None:
                raise execution.schedule_exception

    async def work(self, reviewer: Does, *, name: str, at_once: int) -> None:
        """Does what is asked until cancelled, then finishes what it is at for `GRACE_SECONDS`."""
        work = Work(self.inbox, reviewer)

        async def on(subject: str, retry: Retry = _FOREVER) -> None:
            await self._wake(await work.on(Subject.parse(subject)))

        async def sweep(perpetual: Perpetual = _NOW_AND_THEN) -> None:
            await self._sweep(OVERDUE_SECONDS)

        self._docket.register(on, names=["work"])
        self._docket.register(sweep, names=["sweep"])
        async with Worker(
            self._docket,
            name,
            concurrency=at_once,
            redelivery_timeout=timedelta(seconds=LEASE_SECONDS),
            reconnection_delay=timedelta(milliseconds=500),
            minimum_check_interval=timedelta(milliseconds=50),
            scheduling_resolution=timedelta(milliseconds=50),
        ) as worker:
            # Whoever was killed may have had something to wake: what waits is looked at now.
            await self._sweep(0.0)
            await _until_cancelled(worker)

    async def _sweep(self, seconds: float) -> None:
        """Wakes what should have been looked at that long ago: its wake-up was lost with a process that was
        killed, or with the queue's data; or everybody is busy, and once more does no harm."""
        now = time.time()
        overdue = await self.inbox.overdue(before=now - seconds, look_again=now)
        calls = [self._docket.call("work", None, f"overdue:{subject}")(str(subject)) for subject in overdue]
        await self._docket.add_many(calls)
        if overdue:
            log.info("woke what was overdue", subjects=len(overdue))

    async def workers(self) -> list[str]:
        """The workers that were heard of within the last five seconds."""
        return [worker.name for worker in await self._docket.workers()]

    async def listing(self) -> list[Job]:
        """All that is not done, oldest first, then the dead letters, newest first."""
        subjects = await self.inbox.subjects()
        held = await self.inbox.held(subjects)
        # A run is counted as a crash until its end.
        found = [
            Job("running" if item.crashes and subject in held else "waiting", item)
            for subject in subjects
            for item in await self.inbox.items(subject)
        ]
        found.sort(key=lambda job: job.item.first_seen)
        return [*found, *(Job("dead", item) for item in await self.inbox.dead())]

    async def retry(self, delivery: str) -> bool:
        """Has a dead letter done after all; False when there is none of that name."""
        item = await self.inbox.revive(delivery)
        if item is None:
            return False
        await self._wake([Wake(Subject.of(item.request), 0)])
        return True


async def _not_here(subject: str = "") -> None:
    """Stands for the tasks where only their names are needed."""
    raise NotImplementedError("this process asks, and does not work")


async def _until_cancelled(worker: Worker) -> None:
    running = asyncio.create_task(worker.run_forever(), name="docket worker")
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=GRACE_SECONDS)
        if not done:
            log.warning("stopping in the middle of jobs; they will be done by the next worker")
            running.cancel()
            await asyncio.wait([running], timeout=1)
        raise
