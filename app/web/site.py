"""What the routes of the server share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from app.doctor.line import Line, Mark
from app.queue.analysts import Analysts
from app.queue.jobs import Jobs
from app.settings import Settings
from app.store import Store

CHECK_AGAIN_SECONDS = 60.0
EXAMINE_AGAIN_SECONDS = 600.0
Examine = Callable[[], Awaitable[Sequence[Line]]]

log = structlog.get_logger("mlstaff.web")


class Credentials:
    """Whether GitHub takes our credentials, asked in the background so that no request waits for the answer."""

    NOT_CHECKED = "not checked yet"

    def __init__(
        self, check: Callable[[], Awaitable[str]], name: Callable[[], str], examine: Examine | None = None
    ) -> None:
        self._check = check
        self._name = name
        self._examine = examine
        self._examined = -EXAMINE_AGAIN_SECONDS
        self.failing: tuple[Line, ...] = ()
        """What the doctor found wrong with the App's settings on GitHub, while its credentials are usable."""
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
            await self._look_closer()
            await asyncio.sleep(CHECK_AGAIN_SECONDS / 6 if self.problem else CHECK_AGAIN_SECONDS)

    async def _look_closer(self) -> None:
        """The rest of what GitHub knows of the App, now and then; what is wrong with it is soon looked at again."""
        pause = CHECK_AGAIN_SECONDS if self.failing else EXAMINE_AGAIN_SECONDS
        if self.problem or self._examine is None or time.monotonic() - self._examined < pause:
            return
        self._examined = time.monotonic()
        try:
            found = await self._examine()
        except Exception:
            log.exception("the App cannot be examined")
            return
        before, self.failing = self.failing, tuple(line for line in found if line.mark is Mark.FAIL)
        for line in self.failing:
            if line not in before:
                log.warning("the App is not set up as it should be", what=line.name, reason=line.words, todo=line.todo)


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
