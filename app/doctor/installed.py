"""Where the App is installed: whether each installation can be worked for, and how much of its limit is left"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from app.doctor.app_side import permissions
from app.doctor.line import Line, fail, ok, warn
from app.events import GiveUp, RetryLater
from app.github.connection import GitHub
from app.github.weather import Answer, Refused

MOST = 30
"""Installations that are looked at: each costs two calls."""
LITTLE = 0.1
_ACCEPT = "An owner has to accept the App's new permissions: "


async def installed(github: GitHub) -> AsyncIterator[Line]:
    """The lines of the installations."""
    try:
        found = (await github.as_app("GET", "/app/installations?per_page=100")).json() or []
    except (RetryLater, GiveUp, Refused) as error:
        yield warn("installations", f"They could not be listed: {error}", "Try again in a minute.")
        return
    if not found:
        yield warn("installations", "The App is installed nowhere.", "Install it on an account, from the App's page.")
    for each in found[:MOST]:
        async for line in _one(github, each):
            yield line
    if len(found) > MOST:
        yield ok("installations", f"the first {MOST} of {len(found)}{'+' if len(found) == 100 else ''} were looked at")


async def _one(github: GitHub, found: Mapping[str, Any]) -> AsyncIterator[Line]:
    name = f"installation {(found.get('account') or {}).get('login')}"
    if found.get("suspended_at"):
        yield warn(
            name, f"It is suspended since {found['suspended_at']}.", "An owner can lift that, or uninstall the App."
        )
        return
    lines = list(permissions(name, dict(found.get("permissions") or {}), f"{_ACCEPT}{found.get('html_url')}"))
    for line in lines:
        if line.todo:
            yield line
    try:
        answer = await github.read(found["id"], "/installation/repositories", query={"per_page": 1})
    except (RetryLater, GiveUp, Refused) as error:
        yield fail(
            name, f"It cannot be worked for: {error}", "Try again in a minute; is the App still installed there?"
        )
        return
    for line in _reached(name, answer):
        yield line


def _reached(name: str, answer: Answer) -> Iterator[Line]:
    count = (answer.json() or {}).get("total_count", 0)
    left, limit = (answer.headers.get(f"x-ratelimit-{which}", "") for which in ("remaining", "limit"))
    words = f"{count} repositories"
    if not count:
        yield warn(name, "It covers no repository.", "Choose repositories on the installation's page.")
    elif left.isdigit() and limit.isdigit():
        words += f", {left} of {limit} calls left in this hour"
        if int(left) < int(limit) * LITTLE:
            yield warn(name, f"{words}.", "Reviews wait when it is used up. What else uses this App's key?")
        else:
            yield ok(name, words)
    else:
        yield ok(name, f"{words}, no rate limit")
