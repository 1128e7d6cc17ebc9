"""Whether the store can be reached, and keeps what it was given"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from app.doctor.line import Line, fail, ok, warn
from app.embedded import Embedded
from app.settings import Settings
from app.store import Store, Unavailable

_OURS = "Leave REDIS_URL unset to have mlstaff keep its own store."
_DURABLE, _EVICTION = "store: durable", "store: eviction"


async def shelf(settings: Settings) -> list[Line]:
    """The lines of the store."""
    given = settings.redis_url
    url = given.get_secret_value() if given else Embedded(settings.data_dir).url
    try:
        async with Store(url) as store:
            if not await store.is_reachable():
                return [_away(url)] if given else [ok("store", "its own, with `mlstaff serve`, which does not run now")]
            facts = await store.facts()
    except ValueError:
        return [
            fail("store", "REDIS_URL is no address of a store.", f"redis://HOST:6379/0, or rediss:// with TLS. {_OURS}")
        ]
    except Unavailable as error:
        return [fail("store", f"It refuses: {error}", f"Correct REDIS_URL (password, database). {_OURS}")]
    return [_version(facts), *_durable(facts), *_eviction(facts)]


def _away(url: str) -> Line:
    where = urlsplit(url)
    place = f"{where.hostname}:{where.port or 6379}" if where.hostname else where.path
    return fail(
        "store", f"Nobody answers at {place}: deliveries are refused.", f"Start it, or correct REDIS_URL. {_OURS}"
    )


def _version(facts: Mapping[str, str]) -> Line:
    name, version = next(
        ((name, facts[f"{name}_version"]) for name in ("valkey", "redis") if facts.get(f"{name}_version")),
        ("redis", "0"),
    )
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "redis" and numbers < (6, 2):
        return fail("store", f"Redis {version} is too old.", "Redis 6.2 or newer, or Valkey.")
    return ok("store", f"{name.capitalize()} {version} answers")


def _durable(facts: Mapping[str, str]) -> Iterator[Line]:
    todo = "Set `appendonly yes` and `appendfsync always` in its configuration."
    if "appendonly" not in facts:
        words = "It does not show its configuration, as hosted stores do not."
        yield warn(_DURABLE, words, f"Make sure that it writes every change to disk. {todo}")
    elif facts["appendonly"] != "yes":
        yield fail(_DURABLE, "It keeps no append-only file: accepted deliveries are lost when it restarts.", todo)
    elif facts.get("appendfsync") != "always":
        words = f"appendfsync is {facts.get('appendfsync')}: what was accepted in the last second is lost in a crash."
        yield warn(_DURABLE, words, todo)
    elif facts.get("aof_last_write_status", "ok") != "ok":
        yield fail(_DURABLE, "Its last write to disk failed.", "Look at its log and at the room on its disk.")
    else:
        yield ok(_DURABLE, "every change is on disk before it is answered")


def _eviction(facts: Mapping[str, str]) -> Iterator[Line]:
    policy = facts.get("maxmemory-policy")
    if policy is None:
        return
    if policy == "noeviction" or facts.get("maxmemory", "0") == "0":
        yield ok(_EVICTION, "nothing is dropped")
        return
    todo = "Set `maxmemory-policy noeviction`, and give it a store of its own."
    words = f"With {policy} it drops what it was given when {facts['maxmemory']} bytes are full"
    if policy.startswith("allkeys"):
        yield fail(_EVICTION, f"{words}: accepted deliveries too.", todo)
    else:
        yield warn(_EVICTION, f"{words}: what was done may be done again.", todo)
