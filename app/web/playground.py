"""The playground's reviews: made in the analysis processes, few at once, kept nowhere."""

import asyncio
from functools import cache

import structlog

from app.playground import Kind, Submission
from app.queue.analysts import AnalysisFailed
from app.web.review_view import Shown, shown
from app.web.site import Site
from app.web.templates import FOLDER

MOST_AT_ONCE = 4
"""Under way or waiting for a process; the next is told to come back."""
EXAMPLE = Submission(Kind.DIFF, diff=(FOLDER / "example.diff").read_text(encoding="utf-8"))

log = structlog.get_logger("mlstaff.playground")
_under_way = asyncio.Semaphore(MOST_AT_ONCE)


class Busy(Exception):
    """Too many reviews are under way."""


async def reviewed(site: Site, submission: Submission) -> Shown:
    """The review of an input.

    Raises:
        Busy: as many as may be are under way.
    """
    if _under_way.locked():
        raise Busy
    async with _under_way:
        try:
            return await site.analysts.run(shown, submission)
        except AnalysisFailed as failed:
            log.warning("a playground review failed", kind=submission.kind, reason=str(failed))
            return Shown(problem=f"This input {failed}. There is no review of it.")


async def example() -> Shown:
    """The review of the example, made once. It is our own text, and needs no process to be kept in."""
    return await asyncio.to_thread(_example)


@cache
def _example() -> Shown:
    return shown(EXAMPLE)
