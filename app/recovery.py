"""Deliveries that never reached us, asked for again: at the start and every few minutes, by one process of the fleet

Who does it holds a lease in the store, renewed while the process lives; when it dies, another takes over and
looks at once. Where a round began is kept, so that the next reads only the end of the log; a store that was lost
costs one round over all of it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from app import metrics
from app.events import GiveUp, RetryLater
from app.github.deliveries import Recovered
from app.store import DAY, Store, Unavailable, key

LEASE_SECONDS = 15.0
LOG_SECONDS = 7.0 * DAY
"""GitHub keeps its log for three days, Enterprise Server for seven."""
OVERLAP_SECONDS, LEAST_OVERLAP = 600.0, 60.0
"""A delivery is logged only when it has failed, which takes up to thirty seconds, and may be shown later still."""
SOON = 2.0
"""After a round that GitHub's weather ended."""
_MARK = "deliveries recovered until"

HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'held'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'ours'}
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {}
"""

IsFinished = Callable[[str], Awaitable[bool]]

log = structlog.get_logger("mlstaff.recovery")


class Recovers(Protocol):
    """What is asked of `app.reviewer.Reviewer`."""

    async def recover_deliveries(self, is_finished: IsFinished, *, since: float | None) -> Recovered:
        """Has GitHub redeliver what failed since then and is not finished."""


class Recovery:
    """The rounds of one process, so many seconds apart."""

    def __init__(self, store: Store, reviewer: Recovers, is_finished: IsFinished, *, seconds: float = 300.0) -> None:
        self._seconds = seconds
        self._store = store
        self._reviewer = reviewer
        self._is_finished = is_finished
        self._token = secrets.token_hex(8)
        self._take, self._leave = store.script(HOLD), store.script(RELEASE)

    async def run(self) -> None:
        """Rounds for as long as the lease is ours, until cancelled."""
        rounds: asyncio.Task[None] | None = None
        try:
            while True:
                is_ours = await self._holds()
                if is_ours and rounds is None:
                    rounds = asyncio.create_task(self._rounds(), name="recovery")
                elif rounds is not None and not is_ours:
                    await _end(rounds)
                    rounds = None
                await asyncio.sleep(LEASE_SECONDS / 3)
        finally:
            if rounds is not None:
                await _end(rounds)
            await self._release()

    async def _holds(self) -> bool:
        """Whether the lease is ours from now on; not while that cannot be known."""
        try:
            async with asyncio.timeout(LEASE_SECONDS / 3):
                return await self._take([key("recovery")], self._token, int(LEASE_SECONDS * 1000)) == ["ours"]
        except (Unavailable, TimeoutError):
            return False

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._leave([key("recovery")], self._token)
        except (Unavailable, TimeoutError):
            log.info("the lease on the recovery of deliveries will run out by itself")

    async def _rounds(self) -> None:
        while True:
            pause = self._seconds
            try:
                await self.round()
            except RetryLater as later:
                pause = min(pause, max(later.seconds, SOON))
                log.warning("deliveries were not recovered; it is tried again", reason=str(later))
            except (GiveUp, Unavailable) as reason:
                log.warning("deliveries were not recovered; it is tried again", reason=str(reason))
            except Exception:
                log.exception("deliveries were not recovered; it is tried again")
            await asyncio.sleep(pause)

    async def round(self) -> Recovered:
        """Looks once at what failed since the last round, and at what was not settled then."""
        mark = await self._store.get(_MARK)
        since = float(mark) if mark is not None else None
        recovered = await self._reviewer.recover_deliveries(self._is_finished, since=since)
        metrics.DELIVERIES_RECOVERED.inc(recovered.asked_for)
        overlap = min(max(2 * self._seconds, LEAST_OVERLAP), OVERLAP_SECONDS)
        settled = min(recovered.read_at, recovered.unsettled_since or recovered.read_at) - overlap
        await self._store.set(_MARK, str(settled).encode(), seconds=LOG_SECONDS)
        if recovered.asked_for or recovered.given_up:
            log.info("asked for missed deliveries", again=recovered.asked_for, given_up=recovered.given_up)
        return recovered


async def _end(task: asyncio.Task[None]) -> None:
    """Cancels until it has ended: a client in the middle of a connection may take a cancellation for its own."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
