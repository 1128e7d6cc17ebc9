"""When the next write of an installation may go out, and whether GitHub wants silence: known to all processes

GitHub asks for at least a second between writes when there are many, for the sake of its secondary limits:
https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from app.store import Store, Unavailable

#: The writes of one review (check run opened, review, check run closed) are not "many": a quiet installation
#: may do so many at once, then the average holds.
BURST = 3
#: A store that takes longer is done without; the job that needs it has other worries.
PATIENCE = 1.0


class Pace:
    """Books a time for every write, so that on average there is one each `seconds`, per installation.

    The bookings are in the store, so that all workers together keep the pace; without a store, or while it does
    not answer, each process keeps it for itself.
    """

    def __init__(self, store: Store | None = None, seconds: float = 1.0, burst: int = BURST) -> None:
        self._store, self._seconds = store, seconds
        self._head_start = (burst - 1) * seconds
        self._next: dict[int, float] = {}

    async def book(self, installation_id: int) -> float:
        """Seconds to wait before the write that is booked by this call."""
        if self._store is not None and self._seconds:
            async with _while_it_answers():
                return await self._store.book(_name(installation_id), step=self._seconds, head_start=self._head_start)
        now = time.monotonic()
        free = max(self._next.get(installation_id, now), now)
        self._next[installation_id] = free + self._seconds
        return max(free - self._head_start - now, 0.0)

    async def ahead(self, installation_id: int) -> tuple[float, float]:
        """Seconds that a write would wait which is booked now, and seconds for which GitHub wants silence, as far
        as another process has told."""
        if self._store is not None:
            async with _while_it_answers():
                return await self._store.ahead(_name(installation_id), head_start=self._head_start)
        free = self._next.get(installation_id, 0.0)
        return max(free - self._head_start - time.monotonic(), 0.0), 0.0

    async def silence(self, installation_id: int, seconds: float) -> None:
        """Tell the other processes of a limit; who cannot be told will meet it."""
        if self._store is not None:
            async with _while_it_answers():
                await self._store.silence(_name(installation_id), seconds=seconds)


@contextlib.asynccontextmanager
async def _while_it_answers() -> AsyncIterator[None]:
    """Goes on without the store where that is away, or takes longer than `PATIENCE`."""
    with contextlib.suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            yield


def _name(installation_id: int) -> str:
    return f"installation {installation_id}"
