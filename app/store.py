"""What outlives a process: one Redis or Valkey server, by the little we ask of it.

Everything here may be lost without a wrong comment on GitHub: our comments are their own memory. What must
not be lost is a request between its 202 and its end, so the server needs an append-only file (see
`app.embedded`). The only module that imports redis.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TooSlow

from app.pull_request import PullRequestRef

PREFIX = "mlstaff:"
DAY = 24 * 60 * 60
FINISHED_SECONDS = 7 * DAY
"""GitHub keeps deliveries 3 days, Enterprise Server 7: for as long somebody may press *Redeliver*."""
NOTE_SECONDS = 90 * DAY
CONNECTIONS = 32

BOOK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
redis.call('SET', KEYS[1], free + ARGV[1], 'PX', free + ARGV[1] - now + 1000)
return {math.max(free - ARGV[2] - now, 0)}
"""
AHEAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local free = tonumber(redis.call('GET', KEYS[1]) or 0)
return {math.max(free - ARGV[1] - now, 0), math.max(redis.call('PTTL', KEYS[2]), 0)}
"""

Unavailable = RedisError
"""What every method raises when the server cannot be reached, for longer than a restart takes, or refuses."""


def key(*parts: object) -> str:
    """The full name of a key of ours."""
    return PREFIX + ":".join(str(part) for part in parts)


class Script:
    """A piece of Lua that the server runs as one step."""

    def __init__(self, script: AsyncScript) -> None:
        self._script: Any = script

    async def __call__(self, keys: Sequence[str], *arguments: str | float) -> list[str]:
        """Runs it; the answer, a list of strings and numbers, comes back as strings."""
        return _strings(await self._script(keys=list(keys), args=list(arguments)))

    async def many(self, calls: Iterable[tuple[Sequence[str], Sequence[str | float]]]) -> list[list[str]]:
        """Runs it for each of these keys and arguments, in one round trip; each run is a step of its own."""
        calls = list(calls)
        try:
            return await self._many(calls)
        except NoScriptError:
            # The server was started anew. What did run of them may run again.
            await self._script.registered_client.script_load(self._script.script)
            return await self._many(calls)

    async def _many(self, calls: list[tuple[Sequence[str], Sequence[str | float]]]) -> list[list[str]]:
        async with self._script.registered_client.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.evalsha(self._script.sha, len(keys), *keys, *arguments)
            return [_strings(answer) for answer in await pipeline.execute()]


def _strings(answer: Sequence[object]) -> list[str]:
    return [part.decode() if isinstance(part, bytes) else str(part) for part in answer]


class Store:
    """A connection pool to the server, and what we keep there.

    Calls are repeated for about three seconds while the server restarts; everything sent may be sent twice.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=5,
            socket_connect_timeout=2,
            socket_timeout=5,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=8),
            retry_on_error=[Disconnected, TooSlow, BusyLoadingError],
        )
        # Any: redis' own annotations are unions over sync, async and decoded answers. Ours are typed below.
        self.redis: Any = Redis.from_pool(pool)
        self._book, self._ahead = self.script(BOOK), self.script(AHEAD)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.redis.aclose()

    def script(self, lua: str) -> Script:
        """A script ready to be called; the server compiles it once."""
        return Script(self.redis.register_script(lua))

    async def is_reachable(self) -> bool:
        """Whether the server answers now: asked once, within a second."""
        try:
            async with asyncio.timeout(1):
                return bool(await self.redis.ping())
        except (Unavailable, TimeoutError):
            return False

    async def facts(self) -> dict[str, str]:
        """What the server says of itself: versions and persistence, and the settings that matter to us where it shows
        them."""
        told = {**await self.redis.info("server"), **await self.redis.info("persistence")}
        with contextlib.suppress(ResponseError):  # hosted servers know no CONFIG
            told |= await self.redis.config_get("append*", "maxmemory*")
        plain = ((name.decode() if isinstance(name, bytes) else name, value) for name, value in told.items())
        return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in plain}

    async def get(self, name: str) -> bytes | None:
        """What was last set under this name, while it lasts."""
        value: bytes | None = await self.redis.get(key("cache", name))
        return value

    async def set(self, name: str, value: bytes, *, seconds: float) -> None:
        """Keeps a value for `seconds`, or until the server needs the room."""
        await self.redis.set(key("cache", name), value, px=max(1, int(seconds * 1000)))

    async def forget(self, name: str) -> None:
        """Drops what was set under this name."""
        await self.redis.delete(key("cache", name))

    async def book(self, name: str, *, step: float, head_start: float) -> float:
        """Seconds until the turn that is booked by this call: turns under one name are `step` seconds apart, but for
        those that come within the first `head_start` seconds."""
        (wait,) = await self._book([key("turns", name)], int(step * 1000), int(head_start * 1000))
        return float(wait) / 1000

    async def ahead(self, name: str, *, head_start: float) -> tuple[float, float]:
        """Seconds until a turn that would be booked now, and seconds of silence under this name."""
        keys = [key("turns", name), key("silence", name)]
        wait, silence = await self._ahead(keys, int(head_start * 1000))
        return float(wait) / 1000, float(silence) / 1000

    async def silence(self, name: str, *, seconds: float) -> None:
        """Tells who asks `ahead` that nothing is to be done under this name for so long."""
        await self.redis.set(key("silence", name), 1, px=max(1, int(seconds * 1000)))

    async def notes(self, ref: PullRequestRef) -> dict[str, str]:
        """What was noted of a pull request (heads with an open check run); empty when nothing was."""
        fields: dict[bytes, bytes] = await self.redis.hgetall(_notes_key(ref))
        return {name.decode(): value.decode() for name, value in fields.items()}

    async def note(self, ref: PullRequestRef, notes: Mapping[str, str]) -> None:
        """Adds to what is noted of a pull request; kept 90 days after the last note."""
        async with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(_notes_key(ref), mapping=dict(notes))
            pipeline.expire(_notes_key(ref), NOTE_SECONDS)
            await pipeline.execute()

    async def forget_note(self, ref: PullRequestRef, *names: str) -> None:
        """Takes notes of a pull request back."""
        await self.redis.hdel(_notes_key(ref), *names)

    async def report(self, process: str, text: str, *, seconds: float) -> None:
        """Leaves the metrics of a process that serves no page, as Prometheus' text, for one that does."""
        await self.redis.set(key("metrics", process), text, px=int(seconds * 1000))

    async def reports(self) -> dict[str, str]:
        """The metrics that processes left and that have not expired, by process."""
        names = [name async for name in self.redis.scan_iter(match=key("metrics", "*"), count=1000)]
        if not names:
            return {}
        texts = await self.redis.mget(names)
        prefix = len(key("metrics", ""))
        return {
            name.decode()[prefix:]: text.decode() for name, text in zip(names, texts, strict=True) if text is not None
        }


def _notes_key(ref: PullRequestRef) -> str:
    return key("notes", ref.repository_id, ref.number)
