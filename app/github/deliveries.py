"""What GitHub could not deliver: found in the App's delivery log, and asked for again

GitHub does not retry by itself and keeps the log three days (seven on Enterprise Server). A redelivery has the same
`X-GitHub-Delivery`. https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
"""

import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from app.github.connection import GitHub
from app.github.weather import Refused
from app.webhook import is_acted_on

#: Pages of a hundred, the newest first.
MOST_PAGES = 100
#: A delivery that failed so often is not asked for again.
MOST_ATTEMPTS = 10
#: After a second failure; twice as long after each further one, so that ten attempts fill the days of the log.
FIRST_PAUSE = 300.0
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')

log = structlog.get_logger("mlstaff.deliveries")


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many deliveries were asked for again, and how many are given up after too many attempts.

    `unsettled_since` is when the first failed of those that are not known to have arrived.
    """

    asked_for: int = 0
    given_up: int = 0
    unsettled_since: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log; `delivery` is the same for all attempts of a delivery."""

    id: int
    delivery: str
    at: float
    is_acted_on: bool
    is_delivered: bool


async def recover(github: GitHub, is_finished: Callable[[str], Awaitable[bool]], *, since: float) -> Recovered:
    """Ask again for what failed since then and was not finished in another way.

    Raises:
        RetryLater, Refused: the log cannot be read now.
    """
    attempts = defaultdict[str, list[Attempt]](list)
    for attempt in await _log(github, since):
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
        asked_for += await _redelivered(github, tries)
    return Recovered(asked_for, given_up, min(unsettled, default=None))


async def _redelivered(github: GitHub, tries: list[Attempt]) -> bool:
    """Ask for it, unless the last attempt was just now. What GitHub refuses here must not keep us from the rest."""
    newest = max(tries, key=lambda each: each.at)
    pause = FIRST_PAUSE * 2 ** (len(tries) - 2) if len(tries) > 1 else 0.0
    if time.time() - newest.at < pause:
        return False
    try:
        await github.as_app("POST", f"/app/hook/deliveries/{newest.id}/attempts", {})
    except Refused as refused:
        log.warning("a delivery cannot be repeated", delivery=newest.delivery, reason=str(refused))
        return False
    return True


async def _log(github: GitHub, since: float) -> list[Attempt]:
    """All attempts since then: a redelivery that went well is what tells that a failure no longer matters."""
    path, found = "/app/hook/deliveries?per_page=100", list[Attempt]()
    for _ in range(MOST_PAGES):
        answer = await github.as_app("GET", path)
        page = [_attempt(each) for each in answer.json() or ()]
        found += [each for each in page if each.at >= since]
        following = _NEXT.search(answer.headers.get("link", ""))
        if following is None or len(page) == 0 or page[-1].at < since:
            break
        path = f"/app/hook/deliveries?{following[1].partition('?')[2]}"
    else:
        log.warning("the log of deliveries is not read to its end", deliveries=len(found))
    return found


def _attempt(entry: Mapping[str, Any]) -> Attempt:
    at = datetime.fromisoformat(entry["delivered_at"]).timestamp()
    is_delivered = 200 <= (entry.get("status_code") or 0) < 300
    return Attempt(entry["id"], entry["guid"], at, is_acted_on(entry["event"], entry.get("action")), is_delivered)
