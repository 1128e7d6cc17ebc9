"""What GitHub could not deliver: found in the App's delivery log, and asked for again

GitHub does not retry by itself and keeps the log three days (seven on Enterprise Server). A redelivery has the same
`X-GitHub-Delivery`. https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.github.connection import GitHub

EVENTS = frozenset(
    {
        "check_run",
        "check_suite",
        "issue_comment",
        "merge_group",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
    }
)
#: Pages of a hundred, the newest first.
MOST_PAGES = 30
#: A delivery that failed so often is not asked for again.
MOST_ATTEMPTS = 5
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many deliveries were asked for again, and how many are given up after too many attempts."""

    asked_for: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log; `delivery` is the same for all attempts of a delivery."""

    id: int
    delivery: str
    at: float
    event: str
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
    for delivery, tries in attempts.items():
        if tries[0].event not in EVENTS or any(each.is_delivered for each in tries):
            continue
        if await is_finished(delivery):
            continue
        if len(tries) >= MOST_ATTEMPTS:
            given_up += 1
            continue
        newest = max(tries, key=lambda each: each.at)
        await github.as_app("POST", f"/app/hook/deliveries/{newest.id}/attempts", {})
        asked_for += 1
    return Recovered(asked_for, given_up)


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
    return found


def _attempt(entry: Mapping[str, Any]) -> Attempt:
    at = datetime.fromisoformat(entry["delivered_at"]).timestamp()
    is_delivered = 200 <= (entry.get("status_code") or 0) < 300
    return Attempt(entry["id"], entry["guid"], at, entry["event"], is_delivered)
