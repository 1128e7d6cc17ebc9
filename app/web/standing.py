"""Whether the bot is connected, in words."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from app.store import Unavailable
from app.web.site import Site

Mood = Literal["good", "waiting", "bad"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that must be well for reviews to appear; `missing` are settings that nobody has made."""

    name: str
    mood: Mood
    words: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a pull request would be reviewed now."""

    facts: tuple[Fact, ...]

    @property
    def mood(self) -> Mood:
        """The worst of all."""
        moods = {fact.mood for fact in self.facts}
        return "bad" if "bad" in moods else "waiting" if "waiting" in moods else "good"

    @property
    def missing(self) -> tuple[str, ...]:
        """Settings to make."""
        return tuple(name for fact in self.facts for name in fact.missing)

    @property
    def headline(self) -> str:
        """One sentence."""
        if self.missing:
            return "Not connected to GitHub yet"
        bad = next((fact for fact in self.facts if fact.mood == "bad"), None)
        if bad:
            return f"Not reviewing: {bad.name.lower()} trouble"
        return "Checking the connection" if self.mood == "waiting" else "Connected and reviewing"


async def standing(site: Site) -> Standing:
    """How things are now; the store is asked, GitHub is not."""
    return Standing((_github(site), *_app(site), *await _store(site)))


def _github(site: Site) -> Fact:
    settings = site.settings
    variables = {
        "MLSTAFF_APP_ID": settings.app_id,
        "MLSTAFF_PRIVATE_KEY": settings.private_key and settings.private_key.get_secret_value(),
        "MLSTAFF_WEBHOOK_SECRET": site.secret,
    }
    missing = tuple(name for name, value in variables.items() if not value)
    if missing:
        return Fact("GitHub", "bad", "No pull request reaches this server: credentials are missing.", missing)
    host = urlsplit(settings.github_url).hostname or settings.github_url
    problem = site.credentials.problem
    if problem == site.credentials.NOT_CHECKED:
        return Fact("GitHub", "waiting", f"{host} is being asked whether it accepts the credentials.")
    if problem:
        return Fact("GitHub", "bad", f"The credentials cannot be used: {problem}")
    app = f"{site.credentials.app_name} (id {settings.app_id})" if site.credentials.app_name else f"{settings.app_id}"
    return Fact("GitHub", "good", f"Connected to {host} as the App {app}.")


def _app(site: Site) -> tuple[Fact, ...]:
    """What the doctor found wrong; it says the same on the command line, and more."""
    return tuple(
        Fact(line.name.removeprefix("App: ").capitalize(), "bad", f"{line.words} {line.todo}")
        for line in site.credentials.failing
    )


async def _store(site: Site) -> tuple[Fact, ...]:
    reached = await site.store.is_reachable()
    try:
        workers = len(await site.jobs.workers()) if reached else 0
    except (Unavailable, OSError):
        reached = False
    if not reached:
        return (
            Fact("Store", "bad", "The store cannot be reached: deliveries are refused, and GitHub can repeat them."),
        )
    store = Fact("Store", "good", "The store is reachable.")
    if not workers:
        return store, Fact("Workers", "bad", "No worker is running: what is asked is kept, and done when one starts.")
    return store, Fact(
        "Workers", "good", "One worker is running." if workers == 1 else f"{workers} workers are running."
    )
