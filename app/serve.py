"""What `mlstaff serve`, `mlstaff web` and `mlstaff worker` do.

`serve` is a web server, a worker in a process of its own (so that no review delays a 202), and a store, and keeps
the two others running. `web` and `worker` are the halves of it, on a shared store, any number of each.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Protocol, Self

import structlog
import uvicorn
from pydantic import SecretStr

from app import logs, metrics
from app.doctor.examination import far_away
from app.embedded import CannotStart, Embedded
from app.queue.analysts import Analysts
from app.queue.jobs import GRACE_SECONDS, Jobs
from app.queue.work import Does
from app.recovery import Recovers, Recovery
from app.reviewer import Reviewer
from app.settings import Settings
from app.store import Store, Unavailable
from app.web.server import create_app
from app.web.site import Credentials, Site

REPORT_SECONDS = 2.0
BACKLOG = 2048
FORKED: Callable[..., BaseProcess] = multiprocessing.get_context("fork").Process
SPAWNED: Callable[..., BaseProcess] = multiprocessing.get_context("spawn").Process

log = structlog.get_logger("mlstaff.serve")


class Reviews(Does, Recovers, Protocol):
    """What a worker and the web server need of a reviewer."""

    app_name: str
    """What GitHub calls the App; empty until the credentials were checked."""

    async def check_credentials(self) -> str:
        """Empty when GitHub takes them, else what is wrong."""

    async def close(self) -> None:
        """Ends its connections."""


MakeReviewer = Callable[[Settings, Store, Analysts], Reviews]


class Beside:
    """A worker in a process beside us, started again whenever it dies; it ends when we do, however that is."""

    def __init__(self, settings: Settings, make_reviewer: MakeReviewer) -> None:
        self._arguments = (settings, make_reviewer)
        self._process: BaseProcess | None = None

    def start(self, kind: Callable[..., BaseProcess]) -> None:
        """Starts it as a process of this kind; only a process without threads may fork."""
        self._process = kind(target=_worker_beside, args=self._arguments, name="mlstaff worker")
        self._process.start()

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="keep worker")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._keeper.cancel()
        process = self._process
        assert process is not None
        process.terminate()
        until = time.monotonic() + GRACE_SECONDS + 2
        while process.is_alive() and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """Ends it at once; its jobs are done by the next."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            while self._process.is_alive():
                await asyncio.sleep(0.1)
            log.error("the worker died and is started again", status=self._process.exitcode)
            await asyncio.sleep(0.5)
            self.start(SPAWNED)


def _worker_beside(settings: Settings, make_reviewer: MakeReviewer) -> None:
    async def main(stop: asyncio.Event) -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        # Readable when the other end is closed, which the kernel does for a parent that was killed.
        asyncio.get_running_loop().add_reader(parent.sentinel, os._exit, 1)
        await _worker(settings, make_reviewer, stop)

    _run(settings, main)


def serve(settings: Settings, make_reviewer: MakeReviewer = Reviewer) -> None:
    """Everything on one machine, until SIGTERM or SIGINT; with `redis_url` on that store, else on our own."""
    embedded = Embedded(settings.data_dir) if settings.redis_url is None else None
    if embedded is not None:
        settings = settings.model_copy(update={"redis_url": SecretStr(embedded.url)})
    # Before there is a thread, a loop or an open socket here, the worker can be a fork: no second import.
    beside = Beside(settings, make_reviewer)
    beside.start(FORKED if sys.platform == "linux" else SPAWNED)
    try:
        _run(settings, lambda stop: _serve(settings, make_reviewer, stop, embedded, beside))
    finally:
        beside.kill()


def web(settings: Settings, make_reviewer: MakeReviewer = Reviewer) -> None:
    """Takes deliveries and serves pages, until SIGTERM or SIGINT."""
    _run(settings, lambda stop: _web(settings, make_reviewer, stop))


def worker(settings: Settings, make_reviewer: MakeReviewer = Reviewer) -> None:
    """Does what was asked, until SIGTERM or SIGINT; then it has a few seconds to finish what it is at."""
    _run(settings, lambda stop: _worker(settings, make_reviewer, stop))


def _run(settings: Settings, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await main(stop)

    logs.configure(settings)
    # uvicorn knows whether uvloop is installed.
    factory = uvicorn.Config(until_told, loop="auto", log_config=None).get_loop_factory()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(until_told())
    except CannotStart as reason:
        log.critical("mlstaff does not start", reason=str(reason))
        raise SystemExit(1) from None


async def _serve(
    settings: Settings,
    make_reviewer: MakeReviewer,
    stop: asyncio.Event,
    embedded: Embedded | None,
    beside: Beside,
) -> None:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(settings))
        if embedded is not None:
            await stack.enter_async_context(embedded)
        await stack.enter_async_context(beside)
        await _answer(settings, make_reviewer, stop, listener)


async def _web(settings: Settings, make_reviewer: MakeReviewer, stop: asyncio.Event) -> None:
    with _listener(settings) as listener:
        await _answer(settings, make_reviewer, stop, listener)


@contextlib.contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """Bound before anything else is started: whether the address is free is the first thing to know."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotStart(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}") from None
    with listener:
        yield listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn would raise them once more when it is done, before the store is stopped."""
        yield


async def _answer(
    settings: Settings, make_reviewer: MakeReviewer, stop: asyncio.Event, listener: socket.socket
) -> None:
    """Serves until told to stop, then answers what was asked before."""
    url = _store_url(settings)
    async with Store(url) as store, _jobs(settings, store, url) as jobs, Analysts(settings) as analysts:
        reviewer = make_reviewer(settings, store, analysts)
        examine = partial(far_away, settings, with_installations=False)
        credentials = Credentials(reviewer.check_credentials, lambda: reviewer.app_name, examine)
        config = uvicorn.Config(
            create_app(Site(settings, store, jobs, credentials, analysts)),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        server = _Server(config)
        watching = asyncio.create_task(credentials.watch(), name="credentials")
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="web server")
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        log.info("listening", url=address, webhook=settings.webhook_secret is not None)
        print(f"mlstaff is at {address}", flush=True)
        await _first(serving, stop)
        server.should_exit = True
        await serving
        watching.cancel()
        await reviewer.close()


async def _worker(settings: Settings, make_reviewer: MakeReviewer, stop: asyncio.Event) -> None:
    url = _store_url(settings)
    name = f"{socket.gethostname()}#{os.getpid()}"
    await _wait_for_store(url, stop)
    async with Store(url) as store, _jobs(settings, store, url) as jobs, Analysts(settings) as analysts:
        reviewer = make_reviewer(settings, store, analysts)
        warming = asyncio.create_task(analysts.warm(), name="warm")
        reporting = asyncio.create_task(_report(store, name), name="report")
        recovery = Recovery(store, reviewer, jobs.inbox.is_settled, seconds=settings.recovery_seconds)
        recovering = asyncio.create_task(_recover(settings, recovery), name="recovery")
        working = asyncio.create_task(jobs.work(reviewer, name=name, at_once=settings.worker_jobs), name="work")
        log.info("working", worker=name)
        await _first(working, stop)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        for task in (warming, reporting, recovering):
            task.cancel()
        await asyncio.wait([recovering])
        await reviewer.close()
    log.info("stopped", worker=name)


async def _first(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Until told to stop, or the task has ended, which it never should."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def _wait_for_store(url: str, stop: asyncio.Event) -> None:
    """It may be started after us, and reads its file first."""
    async with Store(url) as store:
        while not stop.is_set() and not await store.is_reachable():
            await asyncio.sleep(0.05)


async def _recover(settings: Settings, recovery: Recovery) -> None:
    """Without credentials there is nobody to ask."""
    if settings.app_id is not None and settings.private_key is not None:
        await recovery.run()


async def _report(store: Store, name: str) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        with contextlib.suppress(Unavailable):
            await store.report(name, metrics.own(), seconds=REPORT_SECONDS * 5)


def _store_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise CannotStart("REDIS_URL is not set: `web` and `worker` need a store that they share")
    return settings.redis_url.get_secret_value()


def _jobs(settings: Settings, store: Store, url: str) -> Jobs:
    return Jobs(store, url, per_installation=settings.installation_jobs)
