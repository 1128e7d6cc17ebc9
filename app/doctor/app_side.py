"""The App as GitHub knows it: who it is, what it is allowed and told, where its deliveries go and how they fare"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from app.doctor.line import Line, fail, ok, warn
from app.doctor.needs import EVENTS, OPTIONAL, missing
from app.events import GiveUp, RetryLater
from app.github.connection import GitHub
from app.github.weather import Answer, Refused
from app.settings import Settings

DRIFT = 30.0
"""A JWT is dated a minute back, for clocks that are fast."""
LATEST = 50
"""Deliveries that are looked at."""
_KEY = "Give the App's own id (a number, under General) and a private key generated for this very App."
_CLOCK = "Have the host's clock set by NTP; mlstaff helps itself with GitHub's meanwhile."
_ADDRESS = "Correct the webhook URL in the App's settings, or MLSTAFF_PUBLIC_URL."


async def app_side(github: GitHub, settings: Settings) -> AsyncIterator[Line]:
    """The lines of the App; the first says whether GitHub was reached and knows it."""
    began = time.time()
    try:
        answer = await github.introduce()
    except (RetryLater, GiveUp, Refused) as error:
        yield fail("GitHub", f"{error}", _way_out(str(error)))
        return
    yield _clock(answer, (began + time.time()) / 2)
    if answer.status != 200:
        todo = _KEY if answer.status in (401, 404) else "Is MLSTAFF_GITHUB_URL GitHub's API?"
        yield fail("App", f"GitHub answers {answer.status}: {answer.message or 'in words that are not its own'}", todo)
        return
    app = answer.json()
    yield ok("App", f"{app.get('name')} (id {app.get('id')}) of {(app.get('owner') or {}).get('login')}")
    for line in (*permissions("App: permissions", app.get("permissions") or {}), *_events(app.get("events") or [])):
        yield line
    async for line in _webhook(github, settings):
        yield line


def _clock(answer: Answer, now: float) -> Line:
    if "date" not in answer.headers:
        return ok("clock", "GitHub did not say what time it is")
    drift = now - answer.time
    if abs(drift) <= DRIFT:
        return ok("clock", f"within {max(abs(drift), 1):.0f} s of GitHub's")
    return warn("clock", f"{abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} GitHub's.", _CLOCK)


def _way_out(error: str) -> str:
    """What to do when GitHub was not reached."""
    ways = {
        "SSLError": "Set MLSTAFF_CA_BUNDLE to the PEM of the authority that signed GitHub's certificate.",
        "ProxyError": "Correct HTTPS_PROXY, or name the host in NO_PROXY.",
        "connection": "Correct MLSTAFF_GITHUB_URL; look at DNS, firewall and proxy (HTTPS_PROXY).",
        "rate limit": "Wait until it is over.",
    }
    return next((way for sign, way in ways.items() if sign in error), "Try again in a minute.")


def permissions(name: str, granted: dict[str, str], todo: str = "") -> Iterator[Line]:
    """One line, or one for what is needed and one for what is not but missed."""
    lacking = missing(granted)
    needed = [f"{each}: {level}" for each, level in lacking.items() if each not in OPTIONAL]
    if needed:
        yield fail(name, f"Missing: {', '.join(needed)}.", todo or "Add them in the App's settings, under Permissions.")
    for each in sorted(lacking.keys() & OPTIONAL.keys()):
        words = f"Without {each}: {lacking[each]}, {OPTIONAL[each]}."
        yield warn(name, words, todo or "Add it in the App's settings, or do not require the check there.")
    if not lacking:
        yield ok(name, "all that is needed")


def _events(subscribed: list[str]) -> Iterator[Line]:
    lacking = [event for event in EVENTS if event not in subscribed]
    todo = "Subscribe to it in the App's settings, under Permissions & events."
    for event in lacking:
        line = fail if event == "pull_request" else warn
        yield line("App: events", f"Without {event}, {EVENTS[event]}.", todo)
    if not lacking:
        yield ok("App: events", "all that are needed")


async def _webhook(github: GitHub, settings: Settings) -> AsyncIterator[Line]:
    try:
        config = (await github.as_app("GET", "/app/hook/config")).json() or {}
        log = (await github.as_app("GET", f"/app/hook/deliveries?per_page={LATEST}")).json() or []
    except Refused as refused:
        yield fail("webhook", f"{refused}", "Make the webhook active in the App's settings, and give it an address.")
        return
    except (RetryLater, GiveUp) as error:
        yield warn("webhook", f"It could not be looked at: {error}", "Try again in a minute.")
        return
    for line in (*_address(config, settings), *_deliveries(log)):
        yield line


def _address(config: dict[str, Any], settings: Settings) -> Iterator[Line]:
    url, wanted = config.get("url") or "", f"{settings.public_url.rstrip('/')}/webhook"
    if not url:
        yield fail("webhook", "The App has no webhook URL.", f"Set it to {wanted}")
    elif settings.public_url and url.rstrip("/") != wanted:
        yield warn("webhook", f"Its URL is {url}, and this server is {wanted}.", _ADDRESS)
    else:
        yield ok("webhook", url)
    if not config.get("secret"):
        todo = "Set the value of MLSTAFF_WEBHOOK_SECRET as the webhook secret in the App's settings."
        yield fail("webhook", "It has no secret: nothing that it sends is taken.", todo)
    if config.get("content_type") != "json":
        todo = "Choose application/json in the App's settings."
        yield fail("webhook", f"Its content type is {config.get('content_type')}.", todo)
    if str(config.get("insecure_ssl", "0")) == "1":
        yield warn("webhook", "GitHub does not verify this server's certificate.", "Enable SSL verification.")


def _deliveries(log: list[dict[str, Any]]) -> Iterator[Line]:
    """How the latest fared, the last attempt of each."""
    latest: dict[str, dict[str, Any]] = {}
    for entry in log:
        latest.setdefault(str(entry.get("guid")), entry)
    failed = [each for each in latest.values() if not 200 <= (each.get("status_code") or 0) < 300]
    if not latest:
        yield warn("deliveries", "GitHub has sent none lately.", "Push to a pull request, then look here again.")
    elif not failed:
        yield ok("deliveries", f"the latest {len(latest)} arrived")
    else:
        counts = Counter(str(each.get("status_code") or each.get("status")) for each in failed)
        words = f"{len(failed)} of the latest {len(latest)} failed ({_listed(counts)})"
        is_last = failed[0] is next(iter(latest.values()))
        line = fail if is_last else warn
        yield line("deliveries", f"{words}{', the last one too' if is_last else ''}.", _remedy(counts))


def _remedy(counts: Counter[str]) -> str:
    if "401" in counts:
        return "401: MLSTAFF_WEBHOOK_SECRET is not the secret in the App's settings."
    if "503" in counts:
        return "503: the store was away, or no webhook secret is set here. What failed is asked for again."
    if "404" in counts:
        return f"404: the path is /webhook. {_ADDRESS}"
    return f"Can GitHub reach this server? {_ADDRESS} What failed is asked for again."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} × {status}" for status, number in counts.most_common())
