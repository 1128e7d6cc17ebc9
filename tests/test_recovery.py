"""Deliveries that were missed are asked for again, by one process at a time, and reviewed."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app import metrics, recovery
from app.events import RetryLater
from app.github import deliveries, weather
from app.github.deliveries import Recovered
from app.queue.inbox import Inbox
from app.recovery import IsFinished, Recovery
from app.store import Store
from tests.bot import BROKEN_LOOP, LOOP, Bot, repository_with
from tests.service import PATIENCE, valkey, wait
from tests.simulator import HostedRepository, Simulator, faults


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(recovery, "SOON", 0.05)
    monkeypatch.setattr(weather, "BREATHER", 0.05)


@dataclass
class Looking:
    """A reviewer that notes how often and since when it looked, and fails while it is told to."""

    failing: bool = False
    since: list[float | None] = field(default_factory=list)

    async def recover_deliveries(self, is_finished: IsFinished, *, since: float | None) -> Recovered:
        self.since.append(since)
        if self.failing:
            raise RetryLater(0.01, "GitHub is away")
        return Recovered(asked_for=1, unsettled_since=1_000_000.0, read_at=2_000_000.0)


def on(url: str, body: Callable[[Store], Awaitable[None]]) -> list[str]:
    async def main() -> None:
        async with Store(url) as store:
            await store.redis.flushall()
            await body(store)

    with capture_logs() as lines:
        asyncio.run(main())
    return [line["event"] for line in lines]


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.01)


async def never(delivery: str) -> bool:
    return False


def test_one_process_looks_and_another_takes_over_when_it_ends(url: str) -> None:
    async def body(store: Store) -> None:
        first, second = Looking(), Looking()
        one = asyncio.create_task(Recovery(store, first, never, seconds=0.05).run())
        await until(lambda: first.since)
        other = asyncio.create_task(Recovery(store, second, never, seconds=0.05).run())
        await until(lambda: len(first.since) > 10)
        assert second.since == []
        one.cancel()
        await asyncio.wait([one])
        ended = len(first.since)
        await until(lambda: second.since)
        assert len(first.since) == ended
        other.cancel()
        await asyncio.wait([other])

    on(url, body)


def test_who_lost_the_lease_stops_looking(url: str) -> None:
    async def body(store: Store) -> None:
        looking = Looking()
        task = asyncio.create_task(Recovery(store, looking, never, seconds=0.05).run())
        await until(lambda: looking.since)
        await store.redis.set("mlstaff:recovery", "another")
        await asyncio.sleep(0.4)
        ended = len(looking.since)
        await asyncio.sleep(0.3)
        assert len(looking.since) == ended
        task.cancel()
        await asyncio.wait([task])
        assert await store.redis.get("mlstaff:recovery") == b"another"

    on(url, body)


def test_a_failure_is_logged_and_tried_again_over_the_same_time(url: str) -> None:
    async def body(store: Store) -> None:
        looking = Looking(failing=True)
        task = asyncio.create_task(Recovery(store, looking, never, seconds=0.05).run())
        await until(lambda: len(looking.since) > 1)
        looking.failing = False
        await until(lambda: 1_000_000.0 - recovery.LEAST_OVERLAP in looking.since)
        task.cancel()
        await asyncio.wait([task])
        assert looking.since[:2] == [None, None]

    assert "deliveries were not recovered; it is tried again" in on(url, body)


def missed(github: Simulator, repository: HostedRepository) -> list[str]:
    """The deliveries of a pull request that was opened, edited and closed while nobody listened."""
    github.webhooks.lose(1000)
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    pull.edit(title="Another title")
    pull.close()
    github.webhooks.settle()
    github.webhooks.lose(-1000)
    return [f"{each.event}.{each.action}" for each in github.deliveries]


def redelivered(github: Simulator) -> list[str]:
    github.webhooks.settle()
    return [f"{each.event}.{each.action}" for each in github.deliveries if each.redelivery]


def look(github: Simulator, url: str, **settings: Any) -> None:
    async def body(store: Store) -> None:
        bot = Bot(github, **settings)
        inbox = Inbox(store, per_installation=2)
        await Recovery(store, bot.reviewer, inbox.is_settled).round()
        await bot.reviewer.close()

    on(url, body)


def test_only_what_something_is_done_on_is_asked_for_and_counted(github: Simulator, url: str) -> None:
    assert "pull_request.closed" in missed(github, repository_with(github, train=LOOP))
    before = metrics.DELIVERIES_RECOVERED._value.get()
    look(github, url)
    assert "pull_request.opened" in redelivered(github)
    assert "pull_request.closed" not in redelivered(github)
    assert metrics.DELIVERIES_RECOVERED._value.get() - before == len(redelivered(github))
    assert "mlstaff_deliveries_recovered_total" in metrics.own()


def test_what_fails_again_is_asked_for_ever_later(github: Simulator, url: str) -> None:
    missed(github, repository_with(github, train=LOOP))
    look(github, url)
    first = redelivered(github)
    look(github, url)
    assert redelivered(github) == first, "too soon after the second failure"
    for _ in range(deliveries.MOST_ATTEMPTS + 2):
        github.clock.advance(10_000)
        look(github, url, recovery_seconds=30.0)
    assert len(redelivered(github)) == len(first) * (deliveries.MOST_ATTEMPTS - 1)


@pytest.mark.parametrize("drift", [-7200, 7200])
def test_a_clock_that_is_wrong_by_hours_hides_no_missed_delivery(github: Simulator, url: str, drift: float) -> None:
    """The marks of the rounds are in GitHub's time."""
    github.clock.advance(drift)
    repository = repository_with(github, train=LOOP)

    async def body(store: Store) -> None:
        bot = Bot(github)
        rounds = Recovery(store, bot.reviewer, Inbox(store, per_installation=2).is_settled)
        await rounds.round()
        missed(github, repository)
        assert (await rounds.round()).asked_for == 2
        await bot.reviewer.close()

    on(url, body)


def test_after_trouble_the_next_round_is_soon(github: Simulator, url: str) -> None:
    missed(github, repository_with(github, train=LOOP))
    github.faults.script("GET", "/app/hook/deliveries", *[faults.server_error()] * deliveries.MOST_TRIES)

    async def body(store: Store) -> None:
        bot = Bot(github)
        task = asyncio.create_task(Recovery(store, bot.reviewer, never).run())
        await until(lambda: any(each.redelivery for each in github.deliveries))
        task.cancel()
        await asyncio.wait([task])
        await bot.reviewer.close()

    on(url, body)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_that_stumbles_is_made_again(github: Simulator, url: str, method: str) -> None:
    missed(github, repository_with(github, train=LOOP))
    github.faults.script(method, "/app/hook/deliveries", faults.reset(), faults.secondary_limit(429, 1))
    look(github, url)
    assert len(redelivered(github)) == 2


def test_a_github_that_wants_a_long_silence_is_left_alone(github: Simulator, url: str) -> None:
    missed(github, repository_with(github, train=LOOP))
    github.faults.script("POST", "/attempts$", faults.secondary_limit(403, 30))
    with pytest.raises(RetryLater):
        look(github, url)
    assert sum(call.path.endswith("/attempts") for call in github.calls) == 1


def test_a_delivery_that_github_will_not_repeat_does_not_keep_us_from_the_others(github: Simulator, url: str) -> None:
    repository = repository_with(github, train=LOOP)
    missed(github, repository)
    missed(github, repository)
    github.faults.script("POST", "/attempts$", faults.server_error(422))
    look(github, url)
    assert len(redelivered(github)) == 3, "two pull requests, opened and edited, but for one"


@contextlib.contextmanager
def serving(github: Simulator, folder: Path, port: int) -> Iterator[None]:
    environment = {
        **os.environ,
        "MLSTAFF_DATA_DIR": str(folder),
        "MLSTAFF_PORT": str(port),
        "MLSTAFF_APP_ID": str(github.app.id),
        "MLSTAFF_PRIVATE_KEY": github.app.private_key,
        "MLSTAFF_WEBHOOK_SECRET": github.app.webhook_secret,
        "MLSTAFF_GITHUB_URL": github.url,
        "MLSTAFF_SECONDS_BETWEEN_WRITES": "0",
    }
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def test_a_pull_request_opened_while_we_were_down_is_reviewed_after_the_start(
    github: Simulator, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    github.connect(f"http://127.0.0.1:{port}/webhook")
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    github.webhooks.settle()
    assert all(each.failed for each in github.deliveries)
    with serving(github, tmp_path, port):
        wait(lambda: pull.state()["comments"] and pull.state()["check_run"]["conclusion"] == "failure")
        page = f"http://127.0.0.1:{port}/metrics"
        wait(lambda: "mlstaff_deliveries_recovered_total{worker=" in httpx.get(page, trust_env=False).text)
    assert len(pull.state()["comments"]) == 1
