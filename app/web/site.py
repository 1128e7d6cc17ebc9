"""What the routes of the server share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from app.queue.analysts import Analysts
from app.queue.jobs import Jobs
from app.settings import Settings
from app.store import Store

CHECK_AGAIN_SECONDS = 60.0

log = structlog.get_logger("mlstaff.web")


class Credentials:
    """Whether GitHub takes our credentials, asked in the background so that no request waits for the answer."""

    NOT_CHECKED = "not checked yet"

    def __init__(self, check: Callable[[], Awaitable[str]], name: Callable[[], str]) -> None:
        self._check = check
        self._name = name
        self.problem = self.NOT_CHECKED
        """Empty when they are usable, else what is wrong, in words for the operator."""

    @property
    def app_name(self) -> str:
        """What GitHub calls the App; empty while it is not known."""
        return self._name()

    async def watch(self) -> None:
        """Asks now and then, until cancelled; more often while they are not usable."""
        while True:
            before = self.problem
            try:
                self.problem = await self._check()
            except Exception as error:
                log.exception("the credentials cannot be checked")
                self.problem = f"they cannot be checked ({type(error).__name__})"
            if self.problem and self.problem != before:
                log.warning("mlstaff is not connected to GitHub", reason=self.problem)
            await asyncio.sleep(CHECK_AGAIN_SECONDS / 6 if self.problem else CHECK_AGAIN_SECONDS)


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages of the server know: `request.app.state.site`."""

    settings: Settings
    store: Store
    jobs: Jobs
    credentials: Credentials
    analysts: Analysts

    @property
    def secret(self) -> str:
        """The webhook's; empty when there is none, since anybody can sign with an empty one."""
        secret = self.settings.webhook_secret
        return secret.get_secret_value() if secret else ""
