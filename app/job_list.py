"""`mlstaff jobs`: what is not done yet, and what was given up, for the operator on the command line."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from app.embedded import Embedded
from app.events import MergeGroupRequested, kind_of
from app.queue.jobs import Job, Jobs
from app.settings import Settings
from app.store import Store, Unavailable


class NoStore(Exception):
    """The store does not answer."""


class UnknownDelivery(Exception):
    """No dead letter has this name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A job in plain values. Times are ISO 8601; `due` is when it is looked at next, empty for what runs or is dead."""

    state: str
    delivery: str
    kind: str
    subject: str
    installation: int
    since: str
    due: str
    attempts: int
    error: str

    @classmethod
    def of(cls, job: Job) -> "Line":
        """The line of a job."""
        item, request = job.item, job.item.request
        if isinstance(request, MergeGroupRequested):
            subject, installation = f"{request.repository}@{request.head_sha[:12]}", request.installation_id
        else:
            subject, installation = f"{request.ref.repository}#{request.ref.number}", request.ref.installation_id
        due = _time(max(item.not_before, item.first_seen)) if job.state == "waiting" else ""
        return cls(
            job.state,
            item.delivery,
            kind_of(request),
            subject,
            installation,
            _time(item.first_seen),
            due,
            item.attempts,
            item.error,
        )


async def listed(settings: Settings, *, as_json: bool) -> str:
    """All jobs: a table, or a JSON array.

    Raises:
        NoStore: there is nobody to ask.
    """
    async with _jobs(settings) as jobs:
        lines = [Line.of(job) for job in await jobs.listing()]
    if as_json:
        return json.dumps([{name: getattr(line, name) for name in Line.__slots__} for line in lines], indent=2)
    return table(lines)


async def retried(settings: Settings, delivery: str) -> str:
    """Has a dead letter done after all; says so.

    Raises:
        NoStore: there is nobody to ask.
        UnknownDelivery: there is no such dead letter.
    """
    async with _jobs(settings) as jobs:
        if not await jobs.retry(delivery):
            raise UnknownDelivery(f"there is no dead letter {delivery}")
    return f"{delivery} is waiting again"


def table(lines: Sequence[Line]) -> str:
    """Columns for a terminal; what it died of below a job."""
    rows = [(line.state, line.delivery, line.kind, line.subject, line.since, f"{line.attempts}") for line in lines]
    if not rows:
        return "nothing waits, nothing runs, nothing was given up"
    heads = ("STATE", "DELIVERY", "KIND", "SUBJECT", "SINCE", "FAILED")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]]
    errors = ["", *(f"\n    {' '.join(line.error.split())}" if line.error else "" for line in lines)]
    return "\n".join(row.rstrip() + error for row, error in zip(shown, errors, strict=True))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@asynccontextmanager
async def _jobs(settings: Settings) -> AsyncIterator[Jobs]:
    """The queue of the running server: of the store that is named, else of the one in the data folder."""
    given = settings.redis_url
    url = given.get_secret_value() if given else Embedded(settings.data_dir).url
    async with Store(url) as store:
        if not await store.is_reachable():
            where = "REDIS_URL" if given else f"the folder {settings.data_dir}; `mlstaff serve` keeps one there"
            raise NoStore(f"no store answers at {where}")
        try:
            async with Jobs(store, url, per_installation=settings.installation_jobs) as jobs:
                yield jobs
        except Unavailable as error:
            raise NoStore(f"the store went away: {error}") from None
