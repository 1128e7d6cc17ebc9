"""Requests are kept until they are done, and one process at a time works on a subject."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from app.events import CommandGiven, MergeGroupRequested, Request, ReviewRequested
from app.pull_request import PullRequestRef
from app.queue import inbox
from app.queue.inbox import Inbox, Item, Subject
from app.store import Store, key
from tests.service import valkey


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


def on(url: str, body: Callable[[Inbox, Store], Awaitable[None]], *, per_installation: int = 2) -> None:
    """Runs a test's body on an empty store."""

    async def main() -> None:
        async with Store(url) as store:
            await store.redis.flushall()
            await body(Inbox(store, per_installation=per_installation), store)

    asyncio.run(main())


def push(number: int, delivery: str, *, installation: int = 1) -> ReviewRequested:
    return ReviewRequested(PullRequestRef(installation, 42, "ada/engine", number), delivery)


REQUESTS: list[Request] = [
    push(5, "d1"),
    ReviewRequested(PullRequestRef(1, 42, "ada/engine", 5), "d2"),
    CommandGiven(
        PullRequestRef(1, 42, "ada/engine", 5), "d3", "thread", 9, "N9", 3, "ada", False, "/mlstaff hélp", "g"
    ),
    MergeGroupRequested(1, 42, "ada/engine", "abc", "d4"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.delivery)
def test_a_request_survives_the_store(request_: Request) -> None:
    item = Item(request_, first_seen=1.5, not_before=2.5, attempts=3, crashes=1, error="é")
    assert Item.from_json(item.to_json().encode()) == item


def test_a_subject_survives_its_name() -> None:
    for request in REQUESTS:
        assert Subject.parse(str(Subject.of(request))) == Subject.of(request)


def test_the_same_delivery_twice_is_one_item_and_finished_is_remembered(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        request = push(5, "d1")
        subject = Subject.of(request)
        assert await inbox.admit([request]) == ["new"]
        assert await inbox.admit([request, push(5, "d2")]) == ["known", "new"]
        items = await inbox.items(subject)
        assert [item.delivery for item in items] == ["d1", "d2"]
        await inbox.finish(subject, items[:1])
        assert await inbox.admit([request]) == ["finished"]
        assert [item.delivery for item in await inbox.items(subject)] == ["d2"]

    on(url, body)


def test_a_delivery_again_does_not_undo_how_it_went_so_far(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        request = push(5, "d1")
        await inbox.admit([request])
        (item,) = await inbox.items(Subject.of(request))
        await inbox.update(Subject.of(request), [replace(item, attempts=3)])
        await inbox.admit([request])
        assert [item.attempts for item in await inbox.items(Subject.of(request))] == [3]

    on(url, body)


def test_a_subject_is_taken_by_one_and_given_back(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        subject = Subject.of(push(5, "d1"))
        assert (await inbox.take(subject, "me")).answer == "taken"
        other = await inbox.take(subject, "other")
        assert other.answer == "held"
        assert 0 < other.seconds <= 5
        assert (await inbox.take(subject, "me")).answer == "taken"
        assert (await inbox.release(subject, "other", left=[])).answer == "lost"
        assert (await inbox.release(subject, "me", left=[])).answer == "released"
        assert (await inbox.take(subject, "other")).answer == "taken"

    on(url, body)


def test_a_lease_that_is_not_renewed_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LEASE_SECONDS", 0.2)

    async def body(inbox: Inbox, store: Store) -> None:
        subject = Subject.of(push(5, "d1"))
        await inbox.take(subject, "me")
        assert await inbox.renew(subject, "me")
        while (await inbox.take(subject, "other")).answer == "held":
            await asyncio.sleep(0.02)
        assert not await inbox.renew(subject, "me")
        assert (await inbox.release(subject, "me", left=[])).answer == "lost"

    on(url, body)


def test_an_installation_has_its_share_and_the_others_are_not_held_up(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        busy = [Subject.of(push(number, "d")) for number in range(4)]
        quiet = Subject.of(push(9, "d", installation=2))
        answers = [(await inbox.take(subject, "me")).answer for subject in busy]
        assert answers == ["taken", "taken", "full", "full"]
        assert (await inbox.take(quiet, "me")).answer == "taken"
        left = await inbox.release(busy[0], "me", left=[])
        assert left.next == busy[2], "who waited longest is woken"
        after = await inbox.take(busy[2], "me")
        assert (after.answer, after.next) == ("taken", None)
        left = await inbox.release(busy[1], "me", left=[])
        assert left.next == busy[3]

    on(url, body)


def test_places_that_become_free_together_are_all_filled(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        busy = [Subject.of(push(number, "d")) for number in range(4)]
        for subject in busy:
            await inbox.take(subject, "me")
        woken = [(await inbox.release(subject, "me", left=[])).next for subject in busy[:2]]
        assert woken == [busy[2], busy[2]], "nobody has started yet"
        assert (await inbox.take(busy[2], "me")).next == busy[3]

    on(url, body)


def test_a_dead_holder_does_not_keep_a_place(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LEASE_SECONDS", 0.2)

    async def body(inbox: Inbox, store: Store) -> None:
        first, second = Subject.of(push(1, "d")), Subject.of(push(2, "d"))
        assert (await inbox.take(first, "dead")).answer == "taken"
        while (await inbox.take(second, "me")).answer == "full":
            await asyncio.sleep(0.02)

    on(url, body, per_installation=1)


def test_who_leaves_is_told_of_what_came_meanwhile(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        subject = Subject.of(push(5, "d1"))
        await inbox.admit([push(5, "d1")])
        await inbox.take(subject, "me")
        done = await inbox.items(subject)
        await inbox.admit([push(5, "d2")])
        await inbox.finish(subject, done)
        assert (await inbox.release(subject, "me", left=[])).answer == "more"
        assert (await inbox.take(subject, "other")).answer == "held"
        later = await inbox.items(subject)
        assert (await inbox.release(subject, "me", left=later)).answer == "released"

    on(url, body)


def test_what_is_left_for_later_is_overdue_only_then(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        subject, now = Subject.of(push(5, "d1")), time.time()
        await inbox.admit([push(5, "d1")])
        assert await inbox.overdue(before=now - 60, look_again=now) == []
        assert await inbox.overdue(before=now + 60, look_again=now + 90) == [subject]
        assert await inbox.overdue(before=now + 60, look_again=now + 90) == [], "not named twice"
        await inbox.take(subject, "me")
        (item,) = await inbox.items(subject)
        await inbox.release(subject, "me", left=[replace(item, not_before=now + 1000)])
        assert await inbox.overdue(before=now + 900, look_again=now) == []
        assert await inbox.overdue(before=now + 1100, look_again=now) == [subject]

    on(url, body)


def test_nothing_is_left_of_what_is_done(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        subject = Subject.of(push(5, "d1"))
        await inbox.admit([push(5, "d1")])
        await inbox.take(subject, "me")
        await inbox.finish(subject, await inbox.items(subject))
        await inbox.release(subject, "me", left=[])
        assert await inbox.depth() == (0, 0)
        assert {name.decode() async for name in store.redis.scan_iter()} == {key("finished", "d1")}

    on(url, body)


def test_a_dead_letter_is_listed_and_can_be_revived(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        request = push(5, "d1")
        subject = Subject.of(request)
        await inbox.admit([request])
        (item,) = await inbox.items(subject)
        await inbox.bury(subject, replace(item, attempts=10, error="no luck"))
        assert await inbox.items(subject) == []
        assert [(dead.delivery, dead.error) for dead in await inbox.dead()] == [("d1", "no luck")]
        assert (await inbox.depth())[1] == 1
        assert await inbox.revive("unknown") is None
        assert await inbox.revive("d1") is not None
        assert [(item.delivery, item.attempts) for item in await inbox.items(subject)] == [("d1", 0)]
        assert await inbox.dead() == []

    on(url, body)


def test_a_dead_letter_that_is_delivered_again_lives_again(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        request = push(5, "d1")
        await inbox.admit([request])
        await inbox.bury(Subject.of(request), (await inbox.items(Subject.of(request)))[0])
        assert await inbox.admit([request]) == ["new"]
        assert await inbox.dead() == []

    on(url, body)


def test_what_another_version_wrote_is_set_aside_and_the_rest_is_done(url: str) -> None:
    async def body(inbox: Inbox, store: Store) -> None:
        subject = Subject.of(push(5, "d1"))
        await inbox.admit([push(5, "d1")])
        await store.redis.hset(key("inbox", subject.name), "d0", '{"kind": "Tomorrow", "request": {}}')
        await store.redis.hset(key("inbox", subject.name), "d9", "not JSON")
        assert [item.delivery for item in await inbox.items(subject)] == ["d1"]
        assert (await inbox.depth())[1] == 2
        assert await inbox.dead() == [], "it cannot be read, but it is not lost either"
        assert await store.redis.get(key("dead", "d9")) == b"not JSON"

    on(url, body)
