"""Processes for the work that needs a processor: nothing in them can stop, crash or starve the worker.

A call has a limit of time and each process one of memory. A process that exceeds one, or dies, is replaced, and
only its call fails. `pebble` does this; `concurrent.futures` would break the whole pool with one process.
https://pebble.readthedocs.io/en/latest/
"""

import asyncio
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError as Cancelled
from typing import ParamSpec, Self, TypeVar
from weakref import WeakValueDictionary

import structlog
from pebble import ProcessExpired, ProcessPool

from app import metrics
from app.settings import Settings

PRELOADED = ["__main__", "detectors", "app.pipeline"]
NICENESS = 5
"""Where webhooks are answered on the same cores, their ten seconds go before an analysis."""
OUT_OF_MEMORY = 97
"""Exit status of a process that reached its limit: a free heap after it is not to be trusted."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

log = structlog.get_logger("mlstaff.analysts")


class AnalysisFailed(Exception):
    """A call did not end well; the message says why, in words for the review's summary."""


class Analysts:
    """A pool of processes, started with the first call or by `warm`, and ended on exit."""

    def __init__(self, settings: Settings) -> None:
        self._processes = settings.analysis_processes
        self._seconds = settings.analysis_seconds
        self._megabytes = settings.analysis_megabytes
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        # A server forks each process with everything imported: a replacement is there at once, and a fork of
        # this one, with its threads, would not be safe.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._pool = ProcessPool(
            max_workers=self._processes,
            initializer=_prepare,
            initargs=[self._megabytes],
            context=context,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def warm(self) -> None:
        """Starts the processes, so that the first review does not wait for them."""
        await asyncio.gather(*(self.run(os.getpid) for _ in range(self._processes)))

    async def run(
        self, function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """The function's result, computed in one of the processes. Function, arguments and result are pickled.

        Raises:
            AnalysisFailed: it took too long or too much memory, crashed, or raised.
        """
        # A job has no more calls in the row than there are processes, so that a pull request of a thousand
        # files takes turns with the others. The delivery that is bound for the logs tells jobs apart.
        job = str(structlog.contextvars.get_contextvars().get("delivery", ""))
        share = self._shares.setdefault(job, asyncio.Semaphore(self._processes))
        async with share:
            future = self._pool.schedule(_call, args=[function, arguments, named], timeout=self._seconds)
            try:
                result: Result = await asyncio.wrap_future(future)
            except Exception as error:
                reason, outcome = self._in_words(error)
                metrics.ANALYSES.labels(outcome).inc()
                raise AnalysisFailed(reason) from error
        metrics.ANALYSES.labels("done").inc()
        return result

    def _in_words(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, TimeoutError) and error.args[:1] == ("Task timeout",):
            return f"took longer than {self._seconds:g} s", "too_long"
        if isinstance(error, ProcessExpired) and error.exitcode == OUT_OF_MEMORY:
            return f"needed more than {self._megabytes} MB", "too_big"
        if isinstance(error, ProcessExpired | Cancelled):
            return "crashed the analysis", "crashed"
        if isinstance(error, RecursionError):
            return "is nested too deeply", "too_deep"
        log.error("an analysis raised", exc_info=error)
        return f"could not be analysed ({type(error).__name__})", "raised"

    async def stop(self) -> None:
        """Ends the processes, and what they are at."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(self._pool.join)


def _prepare(megabytes: int) -> None:
    """Runs first in each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    os.nice(NICENESS)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1024 * 1024,) * 2)


def _end_with_parent() -> None:
    """A worker that is killed cannot end its processes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Result], arguments: tuple[object, ...], named: dict[str, object]) -> Result:
    try:
        return function(*arguments, **named)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
