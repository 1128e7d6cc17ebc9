"""Calls that come while others are on their way go together with the next."""

import asyncio
from collections.abc import Sequence

import pytest

from app.queue.together import LARGEST, Together


def test_what_comes_meanwhile_goes_together_and_each_gets_its_own_answer() -> None:
    batches: list[list[int]] = []

    async def double(numbers: Sequence[int]) -> list[int]:
        batches.append(list(numbers))
        await asyncio.sleep(0.01)
        return [number * 2 for number in numbers]

    async def main() -> None:
        together = Together(double)
        first = asyncio.create_task(together(1))
        await asyncio.sleep(0.001)
        second = asyncio.create_task(together(2))
        await asyncio.sleep(0.001)
        assert await asyncio.gather(*(together(number) for number in range(3, 7))) == [6, 8, 10, 12]
        assert (await first, await second) == (2, 4)
        assert await together(9) == 18

    asyncio.run(main())
    assert batches == [[1], [2], [3, 4, 5, 6], [9]]


def test_a_batch_has_an_end() -> None:
    sizes: list[int] = []

    async def same(numbers: Sequence[int]) -> Sequence[int]:
        sizes.append(len(numbers))
        return numbers

    async def main() -> None:
        together = Together(same)
        assert await asyncio.gather(*map(together, range(LARGEST + 5))) == list(range(LARGEST + 5))

    asyncio.run(main())
    assert sizes == [LARGEST, 5]


def test_a_failure_is_of_its_batch_only_and_who_has_left_is_not_missed() -> None:
    async def picky(numbers: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0.01)
        if 0 in numbers:
            raise ValueError("zero")
        return numbers

    async def main() -> None:
        together = Together(picky)
        failing, leaving = asyncio.create_task(together(0)), asyncio.create_task(together(0))
        await asyncio.sleep(0.001)
        leaving.cancel()
        after = asyncio.create_task(together(1))
        with pytest.raises(ValueError, match="zero"):
            await failing
        assert await after == 1

    asyncio.run(main())
