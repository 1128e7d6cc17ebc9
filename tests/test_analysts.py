"""A call that does not end well ends alone, and says why."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from structlog.testing import capture_logs

from app.queue.analysts import AnalysisFailed, Analysts
from app.settings import Settings


def double(number: int, *, plus: int = 0) -> int:
    return number * 2 + plus


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def eat_memory() -> int:
    return len(bytearray(4 * 1024**3))


def die() -> None:
    os._exit(3)


def dig(depth: int) -> int:
    return dig(depth + 1)


def raise_with(words: str) -> None:
    raise KeyError(words)


@pytest.fixture(scope="module")
def analysts() -> Iterator[tuple[asyncio.Runner, Analysts]]:
    settings = Settings(analysis_processes=1, analysis_seconds=1.5, analysis_megabytes=1024)  # type: ignore[call-arg]
    with asyncio.Runner() as runner:
        analysts = Analysts(settings)
        yield runner, analysts
        runner.run(analysts.stop())


def test_a_call_is_answered_by_another_process(analysts: tuple[asyncio.Runner, Analysts]) -> None:
    runner, pool = analysts
    assert runner.run(pool.run(double, 4, plus=1)) == 9
    assert runner.run(pool.run(os.getpid)) != os.getpid()


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (sleep, (60,), "took longer than 1.5 s"),
        (eat_memory, (), "needed more than 1024 MB"),
        (die, (), "crashed the analysis"),
        (dig, (0,), "is nested too deeply"),
        (raise_with, ("words",), "could not be analysed (KeyError)"),
    ],
)
def test_a_failed_call_says_why_and_the_others_go_on(
    analysts: tuple[asyncio.Runner, Analysts],
    function: Callable[..., object],
    arguments: tuple[object, ...],
    words: str,
) -> None:
    runner, pool = analysts

    async def both() -> Sequence[object]:
        return await asyncio.gather(pool.run(function, *arguments), pool.run(double, 4), return_exceptions=True)

    with capture_logs():
        failed, answer = runner.run(both())
    assert isinstance(failed, AnalysisFailed)
    assert str(failed) == words
    assert answer == 8


def test_a_pool_that_was_never_used_ends() -> None:
    async def main() -> None:
        async with Analysts(Settings()):  # type: ignore[call-arg]
            pass

    asyncio.run(main())
