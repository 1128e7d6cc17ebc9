"""The web application in this process, with what its pages ask for standing in for a store and its workers."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
from pydantic import SecretStr

from app.doctor.line import Line
from app.queue.analysts import Analysts
from app.settings import Settings
from app.web.server import create_app
from app.web.site import Credentials, Site

CONNECTED = Settings().model_copy(  # type: ignore[call-arg]
    update={"app_id": 7, "private_key": SecretStr("-----BEGIN"), "webhook_secret": SecretStr("secret")}
)


class Queue:
    """A store and its queue, which are or are not there."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers

    async def is_reachable(self) -> bool:
        return self._workers is not None

    async def workers(self) -> list[str]:
        return [f"worker {number}" for number in range(self._workers or 0)]


class Client:
    """Asks an application, one request after the other."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._runner.run(self._request(method, path, arguments))

    async def _request(self, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://mlstaff") as client:
            return await client.request(method, path, **arguments)


@contextlib.contextmanager
def site(
    settings: Settings = CONNECTED,
    *,
    problem: str = "",
    name: str = "Staff",
    workers: int | None = 1,
    failing: tuple[Line, ...] = (),
) -> Iterator[Client]:
    """A client of a site that is as told; `workers` None: the store is gone."""

    async def check() -> str:
        return problem

    credentials = Credentials(check, lambda: name)
    credentials.problem, credentials.failing = problem, failing
    queue: Any = Queue(workers)
    analysts = Analysts(settings)
    with asyncio.Runner() as runner:
        try:
            yield Client(create_app(Site(settings, queue, queue, credentials, analysts)), runner)
        finally:
            runner.run(analysts.stop())
