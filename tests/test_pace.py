"""Writes keep GitHub's pace, over all processes together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from app.events import RetryLater
from app.github.connection import LONGEST_QUEUE, GitHub
from app.github.pace import Pace
from app.github.weather import Limited
from app.store import Store
from tests.bot import BROKEN_LOOP, LOOP, Bot, ref_of, repository_with
from tests.service import valkey
from tests.simulator import Simulator, faults


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


def on(url: str, body: Callable[[Store, Store], Awaitable[None]]) -> None:
    """With the stores of two processes."""

    async def main() -> None:
        async with Store(url) as one, Store(url) as other:
            await one.redis.flushall()
            await body(one, other)

    asyncio.run(main())


def test_the_writes_of_an_installation_keep_their_distance_after_a_burst_over_all_processes(url: str) -> None:
    async def body(one: Store, other: Store) -> None:
        paces = [Pace(one, 1.0, burst=3), Pace(other, 1.0, burst=3)]
        waits = [await paces[nth % 2].book(1) for nth in range(6)]
        assert waits[:3] == [0, 0, 0]
        assert waits[3:] == pytest.approx([1, 2, 3], abs=0.1)
        assert await paces[1].book(2) == 0, "each installation for itself"
        assert (await paces[0].ahead(1))[0] == pytest.approx(4, abs=0.1)
        assert await paces[0].ahead(3) == (0, 0)

    on(url, body)


def test_a_booking_is_forgotten_when_it_is_over(url: str) -> None:
    async def body(one: Store, other: Store) -> None:
        pace = Pace(one, 0.01, burst=3)
        for _ in range(5):
            await pace.book(1)
        assert 0 < await one.redis.pttl("mlstaff:turns:installation 1") <= 1100

    on(url, body)


def test_without_a_store_each_process_keeps_the_pace_for_itself() -> None:
    async def body(pace: Pace) -> None:
        waits = [await pace.book(1) for _ in range(6)]
        assert waits[:3] == [0, 0, 0]
        assert waits[3:] == pytest.approx([1, 2, 3], abs=0.2)
        assert (await pace.ahead(1))[0] == pytest.approx(4, abs=0.2)

    asyncio.run(body(Pace(None, 1.0, burst=3)))


def test_a_store_that_does_not_answer_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.github.pace.PATIENCE", 0.05)

    async def body() -> None:
        async with Store("redis://127.0.0.1:1") as store:
            pace = Pace(store, 1.0, burst=1)
            assert await pace.book(1) == 0
            assert await pace.book(1) == pytest.approx(1, abs=0.2)
            assert (await pace.ahead(1))[0] == pytest.approx(2, abs=0.3)
            await pace.silence(1, 10)

    asyncio.run(body())


def test_a_limit_that_one_process_met_is_known_to_the_others(url: str) -> None:
    with Simulator() as github:
        pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
        github.faults.script("GET", "/pulls/", faults.secondary_limit(429, retry_after=30))
        ref = ref_of(pull)

        async def body(one: Store, other: Store) -> None:
            first, second = Bot(github, store=one), Bot(github, store=other)
            with pytest.raises(RetryLater):
                await first.reviewer.review(ref)
            before = len(github.calls)
            with pytest.raises(Limited) as later:
                await second.reviewer.review(ref)
            assert 28 < later.value.seconds <= 30
            assert len(github.calls) == before
            await first.reviewer.close()
            await second.reviewer.close()

        on(url, body)


def test_a_review_does_not_begin_behind_many_writes_of_another_process(url: str) -> None:
    with Simulator() as github:
        bot = Bot(github)

        async def body(one: Store, other: Store) -> None:
            busy = Pace(one, 1.0)
            for _ in range(int(LONGEST_QUEUE) + 5):
                await busy.book(1)
            late = GitHub(bot.settings.model_copy(update={"seconds_between_writes": 1.0}), other)
            with pytest.raises(RetryLater, match="writes"):
                await late.check_queue(1)
            await late.check_queue(2)
            await late.close()

        on(url, body)
