"""What is kept in the store comes back, and only as long as it should."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from app.pull_request import PullRequestRef
from app.store import Store
from tests.service import valkey

REF = PullRequestRef(1, 42, "ada/engine", 5)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


def on(url: str, body: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Store(url) as store:
            await store.redis.flushall()
            await body(store)

    asyncio.run(main())


def test_a_value_is_kept_for_its_time(url: str) -> None:
    async def body(store: Store) -> None:
        assert await store.get("a") is None
        await store.set("a", b"\x00\xff", seconds=60)
        assert await store.get("a") == b"\x00\xff"
        await store.forget("a")
        assert await store.get("a") is None
        await store.set("b", b"1", seconds=0.05)
        while await store.get("b") is not None:
            await asyncio.sleep(0.01)

    on(url, body)


def test_notes_are_of_one_pull_request(url: str) -> None:
    async def body(store: Store) -> None:
        other = PullRequestRef(1, 42, "ada/engine", 6)
        renamed = PullRequestRef(1, 42, "ada/motor", 5)
        await store.note(REF, {"paused": "by ada", "ignored": "x"})
        await store.note(REF, {"ignored": "x y"})
        assert await store.notes(REF) == {"paused": "by ada", "ignored": "x y"}
        assert await store.notes(renamed) == await store.notes(REF), "a repository keeps its id"
        assert await store.notes(other) == {}
        await store.forget_note(REF, "paused")
        assert await store.notes(REF) == {"ignored": "x y"}

    on(url, body)


def test_reports_are_by_process(url: str) -> None:
    async def body(store: Store) -> None:
        assert await store.reports() == {}
        await store.report("host#1", "a 1\n", seconds=60)
        await store.report("host#2", "é 2\n", seconds=60)
        assert await store.reports() == {"host#1": "a 1\n", "host#2": "é 2\n"}

    on(url, body)


def test_an_unreachable_store_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with Store(f"unix://{tmp_path}/nobody.sock") as store:
            assert not await store.is_reachable()

    asyncio.run(main())
