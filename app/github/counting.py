"""The calls of GitHub's API as metrics: by a few names, how they were answered, how long that took"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app import metrics
from app.github.weather import Answer

#: The first that fits names the operation; a path, with its owners and numbers, would be a label without end.
_OPERATIONS = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"POST .*/access_tokens$", "token"),
        (r"^\w+ /app(/|$)", "app"),
        (r"POST .*/graphql$", "graphql"),
        (r"GET .*/pulls/\d+$", "diff"),
        (r"GET .*/pulls/\d+/files", "files"),
        (r"GET .*/(contents|git)/", "text"),
        (r"GET .*/permission$", "permission"),
        (r"(POST|PATCH) .*/check-runs", "check_run"),
        (r"(POST|PUT|DELETE) .*/reviews", "review"),
        (r"(POST|PATCH|DELETE) .*/(comments|replies)", "comment"),
    )
)


def operation_of(method: str, path: str) -> str:
    """What kind of call this is."""
    line = f"{method} {path.partition('?')[0]}"
    return next((name for pattern, name in _OPERATIONS if pattern.search(line)), "other")


@contextmanager
def counted(operation: str) -> Iterator[Callable[[Answer], Answer]]:
    """Counts one call, whose answer goes through the function that this gives; without an answer it was broken."""
    began = time.perf_counter()
    status: str | int = "broken"

    def answered(answer: Answer) -> Answer:
        nonlocal status
        status = answer.status
        return answer

    try:
        yield answered
    finally:
        metrics.count_github_call(operation, status, time.perf_counter() - began)
