"""The requests that are not done yet, by what they are about, and who is at work on which.

The queue (`app.queue.jobs`) only says *look here now*; what there is to do stands here, from before the 202 until
it is done. So pushes that come during a review are neither lost nor reviewed one by one, a delivery counts
as seen only when it is finished, and whatever happens to a wake-up, the request is still there to be found.

A subject is one pull request (or one merge group). One process at a time works on a subject, and a bounded
number of an installation's subjects are worked on at once, so that a busy organisation leaves room for
others. Both are leases that expire unless renewed. Each script below is one step of the server.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from pydantic import ValidationError

from app.events import MergeGroupRequested, Request, dump, kind_of, load
from app.store import DAY, FINISHED_SECONDS, Store, key

Admission = Literal["new", "known", "finished"]
"""Of a request: it was not known, waits or runs already, ran to its end within the last week."""

LEASE_SECONDS = 5.0
DEAD_SECONDS = 30 * DAY

ADMIT = """
if redis.call('EXISTS', KEYS[1]) == 1 then return {'finished'} end
local new = redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], 'LT', ARGV[4], ARGV[3])
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[1])
return {new == 1 and 'new' or 'known'}
"""

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token, subject, limit, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= token then return {'held', redis.call('PTTL', KEYS[1]), ''} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if not holder and redis.call('ZCARD', KEYS[2]) >= limit then
    redis.call('ZADD', KEYS[3], 'NX', now, subject)
    return {'full', 0, ''}
end
redis.call('SET', KEYS[1], token, 'PX', lease)
redis.call('ZADD', KEYS[2], now + lease, subject)
redis.call('ZREM', KEYS[3], subject)
local next = ''
if redis.call('ZCARD', KEYS[2]) < limit then next = redis.call('ZRANGE', KEYS[3], 0, 0)[1] or '' end
return {'taken', 0, next}
"""

RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local time = redis.call('TIME')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3], ARGV[2])
return {'renewed'}
"""

RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost', ''} end
local left = redis.call('HLEN', KEYS[4])
if left > tonumber(ARGV[3]) then return {'more', ''} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
if left == 0 then redis.call('ZREM', KEYS[5], ARGV[2]) else redis.call('ZADD', KEYS[5], ARGV[4], ARGV[2]) end
return {'released', redis.call('ZRANGE', KEYS[3], 0, 0)[1] or ''}
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What requests are about: `name` is `<repository id>:<number>`, or `<repository id>:merge:<head>`."""

    installation_id: int
    name: str

    @classmethod
    def of(cls, request: Request) -> "Subject":
        """The subject of a request."""
        if isinstance(request, MergeGroupRequested):
            return cls(request.installation_id, f"{request.repository_id}:merge:{request.head_sha}")
        return cls(request.ref.installation_id, f"{request.ref.repository_id}:{request.ref.number}")

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """The subject that `str` wrote."""
        installation, name = text.split("/", 1)
        return cls(int(installation), name)

    def __str__(self) -> str:
        return f"{self.installation_id}/{self.name}"


@dataclass(frozen=True, slots=True)
class Item:
    """A request and how it went so far. Times are seconds since 1970. `attempts` counts runs that failed,
    `crashes` runs of which nothing was heard again (the process was killed), `troubles` runs that GitHub's weather
    ended."""

    request: Request
    first_seen: float
    not_before: float = 0.0
    attempts: int = 0
    crashes: int = 0
    troubles: int = 0
    error: str = ""

    @property
    def delivery(self) -> str:
        """GitHub's name for it."""
        return self.request.delivery

    def to_json(self) -> str:
        """The item as the store keeps it."""
        return json.dumps(
            {
                "kind": kind_of(self.request),
                "request": dump(self.request),
                "first_seen": self.first_seen,
                "not_before": self.not_before,
                "attempts": self.attempts,
                "crashes": self.crashes,
                "troubles": self.troubles,
                "error": self.error,
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> "Item":
        """The item that `to_json` wrote.

        Raises:
            ValueError: another version of mlstaff wrote it, with a request that this one does not know.
        """
        fields = json.loads(text)
        try:
            request = load(fields.pop("kind"), fields.pop("request"))
            return cls(request, **fields)
        except (KeyError, TypeError, ValidationError) as error:
            raise ValueError(f"a request that this version cannot read ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to *may I work on it?* With *held* somebody does: `seconds` is what is left of their lease.
    With *full* the installation has its share. `next` is another subject that may start now."""

    answer: Literal["taken", "held", "full"]
    seconds: float
    next: Subject | None


@dataclass(frozen=True, slots=True)
class Leave:
    """The answer to *I am done*. With *more*, requests have come meanwhile and the lease is still ours."""

    answer: Literal["released", "more", "lost"]
    next: Subject | None


class Inbox:
    """The requests in the store. `token` stands for who works: a new one for each turn."""

    def __init__(self, store: Store, *, per_installation: int) -> None:
        self._redis = store.redis
        self._limit = per_installation
        self._admit, self._take = store.script(ADMIT), store.script(TAKE)
        self._renew, self._release = store.script(RENEW), store.script(RELEASE)

    async def admit(self, requests: Sequence[Request]) -> list[Admission]:
        """Keeps requests until they are done; the server has them on disk when this returns."""
        now = time.time()
        return await self._put([Item(request, first_seen=now) for request in requests])

    async def _put(self, items: Sequence[Item]) -> list[Admission]:
        calls: list[tuple[list[str], list[str | float]]] = []
        for item in items:
            subject, delivery = Subject.of(item.request), item.delivery
            keys = [key("finished", delivery), _inbox(subject), _INDEX, key("dead", delivery), _DEAD]
            calls.append((keys, [delivery, item.to_json(), str(subject), time.time()]))
        return [cast(Admission, answer) for (answer,) in await self._admit.many(calls)]

    async def take(self, subject: Subject, token: str) -> Turn:
        """Asks to work on a subject; who is refused for the installation's sake is put in its row."""
        answer, milliseconds, after = await self._take(
            _leases(subject), token, str(subject), self._limit, int(LEASE_SECONDS * 1000)
        )
        return Turn(
            cast(Literal["taken", "held", "full"], answer),
            max(0, int(milliseconds)) / 1000,
            Subject.parse(after) if after else None,
        )

    async def renew(self, subject: Subject, token: str) -> bool:
        """Keeps the lease for another `LEASE_SECONDS`; False when somebody else has it by now."""
        (answer,) = await self._renew(_leases(subject)[:2], token, str(subject), int(LEASE_SECONDS * 1000))
        return answer == "renewed"

    async def release(self, subject: Subject, token: str, *, left: Iterable[Item]) -> Leave:
        """Ends the turn, unless more has come than the items `left` for later."""
        waiting = list(left)
        due = min((item.not_before for item in waiting), default=0.0)
        keys = [*_leases(subject), _inbox(subject), _INDEX]
        answer, after = await self._release(keys, token, str(subject), len(waiting), due)
        return Leave(cast(Literal["released", "more", "lost"], answer), Subject.parse(after) if after else None)

    async def items(self, subject: Subject) -> list[Item]:
        """What is to be done, oldest first. What cannot be read is set aside as a dead letter."""
        fields: dict[bytes, bytes] = await self._redis.hgetall(_inbox(subject))
        items = []
        for delivery, text in fields.items():
            try:
                items.append(Item.from_json(text))
            except ValueError:
                await self._set_aside(subject, delivery.decode(), text)
        return sorted(items, key=lambda item: item.first_seen)

    async def update(self, subject: Subject, items: Iterable[Item]) -> None:
        """Writes down how it went with items that stay."""
        mapping = {item.delivery: item.to_json() for item in items}
        if mapping:
            await self._redis.hset(_inbox(subject), mapping=mapping)

    async def finish(self, subject: Subject, items: Iterable[Item]) -> None:
        """Takes items out for good: their deliveries are seen from now on."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            for item in items:
                pipeline.hdel(_inbox(subject), item.delivery)
                pipeline.set(key("finished", item.delivery), 1, ex=FINISHED_SECONDS)
            await pipeline.execute()

    async def bury(self, subject: Subject, item: Item) -> None:
        """Makes an item a dead letter: out of the way, but listed and to be retried for 30 days."""
        await self._set_aside(subject, item.delivery, item.to_json().encode())

    async def _set_aside(self, subject: Subject, delivery: str, text: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(key("dead", delivery), text, ex=DEAD_SECONDS)
            pipeline.zadd(_DEAD, {delivery: time.time()})
            pipeline.zremrangebyscore(_DEAD, "-inf", time.time() - DEAD_SECONDS)
            pipeline.hdel(_inbox(subject), delivery)
            await pipeline.execute()

    async def dead(self) -> list[Item]:
        """The dead letters that this version can read, newest first."""
        names = await self._redis.zrevrange(_DEAD, 0, -1)
        texts = await self._redis.mget([key("dead", name.decode()) for name in names]) if names else []
        return [item for text in texts if text is not None and (item := _readable(text)) is not None]

    async def revive(self, delivery: str) -> Item | None:
        """Puts a dead letter back as if it had just come; None when there is none of that name."""
        text = await self._redis.get(key("dead", delivery))
        item = _readable(text) if text is not None else None
        if item is not None:
            item = replace(item, attempts=0, crashes=0, troubles=0, not_before=0.0)
            await self._put([item])
        return item

    async def is_settled(self, delivery: str) -> bool:
        """Whether a delivery ran to its end, or is a dead letter: to ask for it again would change nothing."""
        return bool(await self._redis.exists(key("finished", delivery), key("dead", delivery)))

    async def overdue(self, *, before: float, look_again: float) -> list[Subject]:
        """Subjects that should have been looked at by then; each is named again only after `look_again`."""
        names: list[bytes] = await self._redis.zrangebyscore(_INDEX, "-inf", before, start=0, num=500)
        if names:
            await self._redis.zadd(_INDEX, dict.fromkeys(names, look_again), xx=True)
        return [Subject.parse(name.decode()) for name in names]

    async def subjects(self) -> list[Subject]:
        """Everything that something is to be done on."""
        return [Subject.parse(name.decode()) for name in await self._redis.zrange(_INDEX, 0, -1)]

    async def held(self, subjects: Sequence[Subject]) -> set[Subject]:
        """Which of them somebody is at work on."""
        leases = await self._redis.mget([_leases(subject)[0] for subject in subjects]) if subjects else []
        return {subject for subject, lease in zip(subjects, leases, strict=True) if lease is not None}

    async def depth(self) -> tuple[int, int]:
        """How many subjects something is to be done on, and how many dead letters there are."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zcard(_INDEX)
            pipeline.zcard(_DEAD)
            subjects, dead = await pipeline.execute()
        return int(subjects), int(dead)


_INDEX = key("inboxes")
_DEAD = key("dead-letters")


def _inbox(subject: Subject) -> str:
    return key("inbox", subject.name)


def _leases(subject: Subject) -> list[str]:
    return [
        key("lease", subject.name),
        key("running", subject.installation_id),
        key("waiting", subject.installation_id),
    ]


def _readable(text: bytes) -> Item | None:
    try:
        return Item.from_json(text)
    except ValueError:
        return None
