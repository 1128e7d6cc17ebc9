"""What GitHub could not deliver: found in the App's delivery log, and asked for again

GitHub does not retry by itself and keeps the log three days (seven on Enterprise Server). A redelivery has the same
`X-GitHub-Delivery`. https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from app.events import RetryLater
from app.github.connection import GitHub
from app.github.weather import Answer, Refused
from app.webhook import is_acted_on

#: Pages of a hundred, the newest first.
MOST_PAGES = 100
#: A delivery that failed so often is not asked for again.
MOST_ATTEMPTS = 10
#: A call is made so often, when GitHub wants no longer pause in between than so many seconds: a round is hundreds of
#: calls, and one that stumbles must not cost the others.
MOST_TRIES, LONGEST_PAUSE = 3, 10.0
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')

log = structlog.get_logger("mlstaff.deliveries")


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many deliveries were asked for again, and how many are given up after too many attempts.

    `unsettled_since` is when the first failed of those that are not known to have arrived, `read_at` when the log was
    read, both by GitHub's clock.
    """

    asked_for: int = 0
    given_up: int = 0
    unsettled_since: float | None = field(default=None, compare=False)
    read_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log; `delivery` is the same for all attempts of a delivery."""

    id: int
    delivery: str
    at: float
    is_acted_on: bool
    is_delivered: bool


async def recover(
    github: GitHub, is_finished: Callable[[str], Awaitable[bool]], *, since: float | None, pause: float
) -> Recovered:
    """Ask again for what failed since then (None: since the log begins) and was not finished in another way.

    What has failed again is asked for after `pause` seconds, then twice as many each time, so that at five minutes
    ten attempts fill the days of the log.

    Raises:
        RetryLater, Refused: the log cannot be read now, or what is in it cannot be asked for.
    """
    read_at, log_entries = await _log(github, since)
    attempts = defaultdict[str, list[Attempt]](list)
    for attempt in log_entries:
        attempts[attempt.delivery].append(attempt)
    asked_for = given_up = 0
    unsettled = list[float]()
    for delivery, tries in attempts.items():
        is_over = any(each.is_delivered for each in tries) or not tries[0].is_acted_on
        if is_over or await is_finished(delivery):
            continue
        if len(tries) >= MOST_ATTEMPTS:
            given_up += 1
            continue
        unsettled.append(min(each.at for each in tries))
        if _is_due(tries, read_at, pause):
            asked_for += await _redelivered(github, max(tries, key=lambda each: each.at))
    return Recovered(asked_for, given_up, min(unsettled, default=None), read_at)


def _is_due(tries: list[Attempt], now: float, pause: float) -> bool:
    """Whether enough time has passed since the last attempt."""
    if len(tries) == 1:
        return True
    return now - max(each.at for each in tries) >= pause * 2.0 ** (len(tries) - 2)


async def _redelivered(github: GitHub, attempt: Attempt) -> bool:
    """Ask for it, twice rather than not at all: the queue takes a delivery once. What GitHub refuses here must not
    keep us from the rest."""
    try:
        await _patiently(github, "POST", f"/app/hook/deliveries/{attempt.id}/attempts")
    except Refused as refused:
        log.warning("a delivery cannot be repeated", delivery=attempt.delivery, reason=str(refused))
        return False
    return True


async def _log(github: GitHub, since: float | None) -> tuple[float, list[Attempt]]:
    """When the log was read, and all attempts since then: a redelivery that went well is what tells that a failure no
    longer matters. Only GitHub's clock counts, as ours may be wrong by hours."""
    path, found, read_at = "/app/hook/deliveries?per_page=100", list[Attempt](), 0.0
    for _ in range(MOST_PAGES):
        answer = await _patiently(github, "GET", path)
        read_at = read_at or answer.time
        page = [_attempt(each) for each in answer.json() or ()]
        found += [each for each in page if since is None or each.at >= since]
        following = _NEXT.search(answer.headers.get("link", ""))
        if following is None or len(page) == 0 or (since is not None and page[-1].at < since):
            break
        path = f"/app/hook/deliveries?{following[1].partition('?')[2]}"
    else:
        log.warning("the log of deliveries is not read to its end", deliveries=len(found))
    return read_at, found


async def _patiently(github: GitHub, method: str, path: str) -> Answer:
    """A call as the App, made again after a short trouble."""
    for _ in range(MOST_TRIES - 1):
        try:
            return await github.as_app(method, path)
        except RetryLater as later:
            if later.seconds > LONGEST_PAUSE:
                raise
            await asyncio.sleep(later.seconds)
    return await github.as_app(method, path)


def _attempt(entry: Mapping[str, Any]) -> Attempt:
    at = datetime.fromisoformat(entry["delivered_at"]).timestamp()
    is_delivered = 200 <= (entry.get("status_code") or 0) < 300
    return Attempt(entry["id"], entry["guid"], at, is_acted_on(entry["event"], entry.get("action")), is_delivered)
