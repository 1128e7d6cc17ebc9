"""Many small calls made as one: what comes while two calls are on their way goes with the next.

Nobody waits for a batch to fill. Alone, a call goes at once; under load, a round trip to the store and its fsync
are shared by all that came meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")

LARGEST = 200
AT_ONCE = 2


class Together(Generic[Argument, Answer]):
    """Calls of one function, which takes a list of arguments and returns a list of their answers."""

    def __init__(self, function: Callable[[Sequence[Argument]], Awaitable[Sequence[Answer]]]) -> None:
        self._function = function
        self._waiting: list[tuple[Argument, asyncio.Future[Answer]]] = []
        self._calls = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, argument: Argument) -> Answer:
        """The answer to this argument; what the call that held it raised, all that were in it get."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((argument, future))
        if self._calls < AT_ONCE:
            self._calls += 1
            task = asyncio.create_task(self._call_until_empty(), name="calls together")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _call_until_empty(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            await self._call(batch)
        # In the same step as the look at what waits, so that nothing is left without somebody to call for it.
        self._calls -= 1

    async def _call(self, batch: list[tuple[Argument, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._function([argument for argument, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
