"""How a request ends: done, put back, given up, tried again, or as a dead letter."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from app.events import (
    ActionRequested,
    CommandGiven,
    GiveUp,
    MergeGroupRequested,
    Request,
    RetryLater,
    ReviewRequested,
    Trouble,
)
from app.pull_request import PullRequestRef
from app.queue import inbox as inbox_module
from app.queue import work as work_module
from app.queue.inbox import Inbox, Subject
from app.queue.work import Wake, Work
from app.store import Store
from tests.service import valkey

REF = PullRequestRef(1, 42, "ada/engine", 5)
SUBJECT = Subject(1, "42:5")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@dataclass
class Scripted:
    """A reviewer that does what it is told, in turn, and notes what it was asked."""

    turns: list[Exception | Callable[[], Awaitable[None]] | None] = field(default_factory=list)
    asked: list[object] = field(default_factory=list)
    told: list[tuple[str, bool, bool]] = field(default_factory=list)
    cannot_tell: bool = False

    async def _turn(self, what: object) -> None:
        self.asked.append(what)
        turn = self.turns.pop(0) if self.turns else None
        if isinstance(turn, Exception):
            raise turn
        if turn is not None:
            await turn()

    async def review(self, ref: PullRequestRef) -> None:
        await self._turn(ref.repository)

    async def answer(self, command: CommandGiven) -> None:
        await self._turn(command.body)

    async def act(self, action: ActionRequested) -> None:
        await self._turn(action.identifier)

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        await self._turn(group.head_sha)

    async def tell_failure(
        self, ref: PullRequestRef, reason: str, *, is_retried: bool = False, only_open: bool = False
    ) -> None:
        self.told.append((reason, is_retried, only_open))
        if self.cannot_tell:
            raise RetryLater(60, "GitHub is away")


def on(url: str, body: Callable[[Inbox, Store], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Store(url) as store:
            await store.redis.flushall()
            await body(Inbox(store, per_installation=2), store)

    with capture_logs():
        asyncio.run(main())


def push(delivery: str, **fields: object) -> ReviewRequested:
    return replace(ReviewRequested(REF, delivery), **fields)  # type: ignore[arg-type]


def command(delivery: str, body: str) -> CommandGiven:
    return CommandGiven(REF, delivery, "conversation", 9, "N9", None, "ada", False, body)


async def finished(inbox: Inbox, *requests: Request) -> bool:
    return set(await inbox.admit(requests)) == {"finished"}


def test_pushes_that_wait_are_one_review_under_the_newest_name(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        moved = PullRequestRef(1, 42, "ada/motor", 5)
        requests = [push("d1"), push("d2"), push("d3", ref=moved)]
        for request in requests:
            await inbox.admit([request])
        reviewer = Scripted()
        assert await Work(inbox, reviewer).on(SUBJECT) == []
        assert reviewer.asked == ["ada/motor"]
        assert await finished(inbox, *requests)

    on(url, body)


def test_commands_are_done_in_their_order_before_the_review(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        for request in (push("d1"), command("d2", "/mlstaff pause"), command("d3", "/mlstaff resume")):
            await inbox.admit([request])
        reviewer = Scripted()
        await Work(inbox, reviewer).on(SUBJECT)
        assert reviewer.asked == ["/mlstaff pause", "/mlstaff resume", "ada/engine"]

    on(url, body)


def test_buttons_are_done_in_their_order_before_the_review(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        button = ActionRequested(REF, "d2", "ignore", "ada", 7, "c0ffee")
        for request in (push("d1"), button, command("d3", "/mlstaff pause")):
            await inbox.admit([request])
        reviewer = Scripted()
        await Work(inbox, reviewer).on(SUBJECT)
        assert reviewer.asked == ["ignore", "/mlstaff pause", "ada/engine"]
        assert await finished(inbox, push("d1"), button)

    on(url, body)


def test_a_merge_group_is_answered(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        group = MergeGroupRequested(1, 42, "ada/engine", "abc", "d1")
        await inbox.admit([group])
        reviewer = Scripted()
        await Work(inbox, reviewer).on(Subject.of(group))
        assert reviewer.asked == ["abc"]

    on(url, body)


def test_a_push_during_the_review_is_reviewed_in_the_same_turn(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        async def somebody_pushes() -> None:
            await inbox.admit([push("d2")])
            assert await Work(inbox, other).on(SUBJECT) != [], "who comes second looks again later"

        reviewer, other = Scripted([somebody_pushes]), Scripted()
        await inbox.admit([push("d1")])
        assert await Work(inbox, reviewer).on(SUBJECT) == []
        assert (len(reviewer.asked), other.asked) == (2, [])
        assert await finished(inbox, push("d1"), push("d2"))

    on(url, body)


def test_a_limited_job_is_put_back_and_what_comes_meanwhile_is_not(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([command("d1", "/mlstaff a")])
        reviewer = Scripted([RetryLater(1000)])
        (wake,) = await Work(inbox, reviewer).on(SUBJECT)
        assert wake.subject == SUBJECT
        assert 900 < wake.seconds <= 1000
        assert await Work(inbox, reviewer).on(SUBJECT) != [], "not due yet"
        assert len(reviewer.asked) == 1
        await inbox.admit([push("d2")])
        await Work(inbox, reviewer).on(SUBJECT)
        assert reviewer.asked == ["/mlstaff a", "ada/engine"]
        assert [(item.delivery, item.attempts, item.crashes) for item in await inbox.items(SUBJECT)] == [("d1", 0, 0)]

    on(url, body)


def test_after_trouble_a_job_comes_back_ever_later_but_never_much_later(url: str) -> None:
    async def pauses(inbox: Inbox, failures: int, age: float) -> list[float]:
        """Of one job that began so long ago, looked at again and again as soon as it is due."""
        found = []
        await inbox.admit([push("d1")])
        work = Work(inbox, Scripted([Trouble(1, "GitHub answered 502")] * failures))
        for _ in range(failures):
            (item,) = await inbox.items(SUBJECT)
            await inbox.update(SUBJECT, [replace(item, not_before=0, first_seen=time.time() - age)])
            (wake,) = await work.on(SUBJECT)
            found.append(wake.seconds)
        assert await work.on(SUBJECT) != [], "not due yet"
        return found

    async def body(inbox: Inbox, store: Store) -> None:
        young = await pauses(inbox, 8, age=0)
        for pause, most in zip(young, (1, 2, 4, 8, 15, 15, 15, 15), strict=True):
            assert most / 2 - 0.2 <= pause <= most + 0.1
        assert len({round(pause, 4) for pause in young[4:]}) > 1, "not all at once"
        await store.redis.flushall()
        assert 37 <= (await pauses(inbox, 8, age=600))[-1] <= 76
        await store.redis.flushall()
        assert 149 <= (await pauses(inbox, 12, age=20_000))[-1] <= 300

    on(url, body)


def test_a_job_that_is_given_up_is_over(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([push("d1")])
        assert await Work(inbox, Scripted([GiveUp("the repository is gone")])).on(SUBJECT) == []
        assert await finished(inbox, push("d1"))
        assert await inbox.dead() == []

    on(url, body)


def test_a_failing_job_is_tried_again_later_each_time_and_then_a_dead_letter(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        token = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
        reviewer = Scripted([RuntimeError(f"no luck with {token}")] * 20)
        await inbox.admit([push("d1")])
        pauses = []
        while wakes := await Work(inbox, reviewer).on(SUBJECT):
            pauses.append(round(wakes[0].seconds))
            items = await inbox.items(SUBJECT)
            await inbox.update(SUBJECT, [replace(item, not_before=0.0) for item in items])
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
        (dead,) = await inbox.dead()
        assert dead.attempts == work_module.MAXIMUM_ATTEMPTS
        assert dead.error == "RuntimeError: no luck with [redacted]"

    on(url, body)


def test_the_pull_request_is_told_after_some_failures_and_when_it_is_given_up(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        reviewer = Scripted([RuntimeError("what nobody else should read")] * 20)
        await inbox.admit([push("d1")])
        while await Work(inbox, reviewer).on(SUBJECT):
            items = await inbox.items(SUBJECT)
            await inbox.update(SUBJECT, [replace(item, not_before=0.0) for item in items])
        assert reviewer.told == [
            ("it failed 3 times (RuntimeError); in the log it is the delivery d1", True, False),
            ("it failed 10 times (RuntimeError); in the log it is the delivery d1", False, False),
        ]

    on(url, body)


def test_a_failure_that_cannot_be_told_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "LONGEST_WAIT", -1.0)

    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([command("d1", "/mlstaff a")])
        reviewer = Scripted([RetryLater(5)], cannot_tell=True)
        assert await Work(inbox, reviewer).on(SUBJECT) == []
        assert [only_open for _, _, only_open in reviewer.told] == [True]
        assert [item.delivery for item in await inbox.dead()] == ["d1"]

    on(url, body)


def test_one_failing_command_does_not_hold_up_the_review(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([command("d1", "/mlstaff a"), push("d2")])
        reviewer = Scripted([RuntimeError("no luck")])
        assert len(await Work(inbox, reviewer).on(SUBJECT)) == 1
        assert await finished(inbox, push("d2"))
        assert [item.delivery for item in await inbox.items(SUBJECT)] == ["d1"]

    on(url, body)


def test_what_is_put_back_for_more_than_a_day_is_a_dead_letter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "LONGEST_WAIT", -1.0)

    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([push("d1")])
        assert await Work(inbox, Scripted([RetryLater(5)])).on(SUBJECT) == []
        assert [item.delivery for item in await inbox.dead()] == ["d1"]

    on(url, body)


def test_what_kills_the_worker_each_time_is_a_dead_letter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "LEASE_SECONDS", 0.05)

    class Killed(BaseException):
        """Stands for kill -9: nothing after it runs."""

    async def die() -> None:
        raise Killed

    async def body(inbox: Inbox, store: Store) -> None:
        await inbox.admit([push("d1"), command("d2", "/mlstaff a")])
        crashes = 0
        while await inbox.items(SUBJECT) and crashes < 100:
            try:
                await Work(inbox, Scripted([die])).on(SUBJECT)
            except Killed:
                crashes += 1
            await asyncio.sleep(0.02)
        assert crashes == work_module.MAXIMUM_CRASHES
        assert {item.delivery for item in await inbox.dead()} == {"d1", "d2"}

    on(url, body)


def test_who_loses_the_lease_is_stopped(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "LEASE_SECONDS", 0.1)

    async def body(inbox: Inbox, store: Store) -> None:
        async def somebody_takes_it() -> None:
            await store.redis.set("mlstaff:lease:42:5", "other")
            await asyncio.sleep(60)

        await inbox.admit([push("d1")])
        wakes = await Work(inbox, Scripted([somebody_takes_it])).on(SUBJECT)
        assert wakes == [Wake(SUBJECT, 0.1)]
        assert [item.delivery for item in await inbox.items(SUBJECT)] == ["d1"]

    on(url, body)


def test_the_lease_is_renewed_during_a_long_job(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(inbox_module, "LEASE_SECONDS", 1.0)

    async def body(inbox: Inbox, store: Store) -> None:
        async def take_three_leases_long() -> None:
            for _ in range(12):
                assert (await inbox.take(SUBJECT, "other")).answer == "held"
                await asyncio.sleep(0.25)

        await inbox.admit([push("d1")])
        reviewer = Scripted([take_three_leases_long])
        assert await Work(inbox, reviewer).on(SUBJECT) == []
        assert len(reviewer.asked) == 1

    on(url, body)


def test_the_next_of_the_installation_is_woken(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        others = [Subject(1, f"42:{number}") for number in (6, 7)]
        waiting = Subject(1, "42:8")
        for subject in others:
            await inbox.take(subject, "other")
        await inbox.admit([push("d1")])
        assert await Work(inbox, Scripted()).on(SUBJECT) == [Wake(SUBJECT, work_module.FULL_PAUSE)]
        await inbox.take(waiting, "other")
        await inbox.release(others[0], "other", left=[])
        assert await Work(inbox, Scripted()).on(SUBJECT) == [Wake(waiting, 0)]

    on(url, body)


def test_a_renewal_that_outlives_its_cancellation_does_no_harm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "LEASE_SECONDS", 1.0)

    async def body(inbox: Inbox, store: Store) -> None:
        asking, answered = asyncio.Event(), asyncio.Event()

        async def renew(subject: Subject, token: str) -> bool:
            asking.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                answered.set()
            return False

        async def until_asked() -> None:
            await asking.wait()

        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        monkeypatch.setattr(inbox, "renew", renew)
        await inbox.admit([push("d1")])
        assert await Work(inbox, Scripted([until_asked])).on(SUBJECT) == []
        await answered.wait()
        await asyncio.sleep(0)
        gc.collect()
        assert complaints == []

    on(url, body)
