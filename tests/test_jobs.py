"""What is asked is done, even when nobody was told; what was given up can be asked again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from app.events import ActionRequested, CommandGiven, MergeGroupRequested, ReviewRequested
from app.pull_request import PullRequestRef
from app.queue import jobs as jobs_module
from app.queue import work as work_module
from app.queue.jobs import Jobs
from app.store import Store
from tests.service import PATIENCE, valkey


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@dataclass
class Counting:
    """A reviewer that counts, and fails while it is told to."""

    failing: bool = False
    reviewed: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    at_work: int = 0
    most_at_work: int = 0

    async def review(self, ref: PullRequestRef) -> None:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await asyncio.sleep(0.01)
        self.at_work -= 1
        if self.failing:
            raise RuntimeError("no luck")
        self.reviewed.append(ref.number)

    async def answer(self, command: CommandGiven) -> None:
        raise NotImplementedError

    async def act(self, action: ActionRequested) -> None:
        raise NotImplementedError

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        raise NotImplementedError

    async def tell_failure(
        self, ref: PullRequestRef, reason: str, *, is_retried: bool = False, only_open: bool = False
    ) -> None:
        self.told.append(reason)


@contextlib.asynccontextmanager
async def queue(url: str, *, per_installation: int = 2) -> AsyncIterator[Jobs]:
    async with Store(url) as store:
        await store.redis.flushall()
        async with Jobs(store, url, per_installation=per_installation) as jobs:
            yield jobs


@contextlib.asynccontextmanager
async def worker(jobs: Jobs, reviewer: Counting) -> AsyncIterator[None]:
    working = asyncio.create_task(jobs.work(reviewer, name="tester", at_once=20))
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.01)


def push(number: int, delivery: str = "", installation: int = 1) -> ReviewRequested:
    ref = PullRequestRef(installation, 42, "ada/engine", number)
    return ReviewRequested(ref, delivery or f"{installation}-{number}")


def run(main: Callable[[], object]) -> None:
    with capture_logs():
        asyncio.run(main())  # type: ignore[arg-type]


def test_a_request_whose_wake_up_was_lost_is_found_when_a_worker_starts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "OVERDUE_SECONDS", 1e9)

    async def main() -> None:
        async with queue(url) as jobs:
            await jobs.inbox.admit([push(1)])
            reviewer = Counting()
            async with worker(jobs, reviewer):
                await until(lambda: reviewer.reviewed)
            assert reviewer.reviewed == [1]
            assert await jobs.listing() == []

    run(main)


def test_a_request_whose_wake_up_was_lost_is_found_by_a_worker_that_runs(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "OVERDUE_SECONDS", 0.0)

    async def main() -> None:
        async with queue(url) as jobs:
            reviewer = Counting()
            async with worker(jobs, reviewer):
                await jobs.enqueue(push(1))
                await until(lambda: reviewer.reviewed)
                await jobs.inbox.admit([push(2)])
                await until(lambda: len(reviewer.reviewed) == 2)

    run(main)


def test_no_more_of_an_installation_than_its_share_run_at_once_and_all_run(url: str) -> None:
    async def main() -> None:
        async with queue(url, per_installation=3) as jobs:
            reviewer = Counting()
            async with worker(jobs, reviewer):
                await asyncio.gather(*(jobs.enqueue(push(number)) for number in range(30)))
                await until(lambda: len(reviewer.reviewed) == 30)
            assert sorted(reviewer.reviewed) == list(range(30))
            assert reviewer.most_at_work <= 3

    run(main)


def test_a_dead_letter_is_listed_and_done_when_it_is_retried(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(work_module, "MAXIMUM_ATTEMPTS", 3)

    async def main() -> None:
        async with queue(url) as jobs:
            reviewer = Counting(failing=True)
            async with worker(jobs, reviewer):
                await jobs.enqueue(push(1, "d1"))
                async with asyncio.timeout(PATIENCE):
                    while not (dead := await jobs.inbox.dead()):
                        await asyncio.sleep(0.02)
                assert [(job.state, job.item.error) for job in await jobs.listing()] == [
                    ("dead", "RuntimeError: no luck")
                ]
                assert dead[0].attempts == 3
                reviewer.failing = False
                assert not await jobs.retry("unknown")
                assert await jobs.retry("d1")
                await until(lambda: reviewer.reviewed)
            assert await jobs.listing() == []
            assert await jobs.enqueue(push(1, "d1")) == "finished"

    run(main)


def test_workers_that_run_are_known(url: str) -> None:
    async def main() -> None:
        async with queue(url) as jobs:
            assert await jobs.workers() == []
            reviewer = Counting()
            async with worker(jobs, reviewer):
                await jobs.enqueue(push(1))
                await until(lambda: reviewer.reviewed)
                assert await jobs.workers() == ["tester"]
            assert await jobs.workers() == []

    run(main)
