"""Reviews of ten-file pull requests: how soon after the webhook, and how many a second with one worker and with two"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from app.github.fetch import CHECK_NAME
from tests.bot import BROKEN_LOOP, LOOP
from tests.simulator import HostedRepository, OpenedPullRequest, Simulator
from tests.simulator.bot import APART, Bot

FILES = 10
OWNERS = 20
PATIENCE = 120.0
ENVIRONMENT = {"MLSTAFF_SECONDS_BETWEEN_WRITES": "0", "MLSTAFF_LOG_LEVEL": "WARNING"}


def latency(count: int) -> None:
    """One pull request after the other: the time from its webhook to the review on it."""
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        Simulator() as github,
        Bot(github, Path(folder), processes=APART, environment=ENVIRONMENT),
    ):
        repository = github.repository("org/project")
        _reviewed(repository, -1)  # the first pays for the token and the connections
        seconds = sorted(_reviewed(repository, number) for number in range(count))
    p95 = seconds[int(0.95 * (len(seconds) - 1))]
    print(
        f"webhook to posted review, {FILES} files: p50 {1000 * statistics.median(seconds):.0f} ms, "
        f"p95 {1000 * p95:.0f} ms of {count}",
        flush=True,
    )


def throughput(count: int, *, answers_after: float) -> None:
    """Many at once, over several installations: reviews a second while all places are taken, one worker and two."""
    rates = [_rate(workers, count, answers_after) for workers in (1, 2)]
    print(
        f"reviews a second, GitHub answering after {1000 * answers_after:.0f} ms: {rates[0]:.1f} with one worker, "
        f"{rates[1]:.1f} with two: {rates[1] / rates[0]:.2f} ×",
        flush=True,
    )


def _rate(workers: int, count: int, answers_after: float) -> float:
    processes = (*APART, "worker-2")[: 2 + workers]
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        Simulator(senders=4) as github,
        Bot(github, Path(folder), processes=processes, environment=ENVIRONMENT),
    ):
        repositories = [github.repository(f"org-{number}/project") for number in range(OWNERS)]
        for number, repository in enumerate(repositories):
            _reviewed(repository, -1 - number)  # every worker is warm when it counts
        time.sleep(1.0)
        github.api.latency = answers_after
        github.webhooks.hold()
        pulls = [_open(repositories[number % OWNERS], number) for number in range(count)]
        github.webhooks.release()
        done = _wait(pulls)
        tenth = count // 10  # at both ends: places are filled, and then not all used
        return (count - 2 * tenth) / (done[-1 - tenth] - done[tenth - 1])


def _reviewed(repository: HostedRepository, number: int) -> float:
    began = time.perf_counter()
    pull = _open(repository, number)
    while not pull.pull.reviews:
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError("a pull request was not reviewed")
        time.sleep(0.002)
    took = time.perf_counter() - began
    _wait([pull])
    return took


def _open(repository: HostedRepository, number: int) -> OpenedPullRequest:
    """Ten files that were never seen before, one with a bug."""
    texts = [BROKEN_LOOP, *[LOOP] * (FILES - 1)]
    files = {f"change_{number}/part_{index}.py": f"{text}# {number}\n" for index, text in enumerate(texts)}
    return repository.open_pull_request(files)


def _wait(pulls: Sequence[OpenedPullRequest]) -> list[float]:
    """Until all are done; when each was, in order."""
    end, left, done = time.perf_counter() + PATIENCE, list(pulls), list[float]()
    while left := [pull for pull in left if not _is_done(pull)]:
        now = time.perf_counter()
        if now > end:
            raise TimeoutError(f"{len(left)} pull requests were not reviewed")
        done += [now] * (len(pulls) - len(left) - len(done))
        time.sleep(0.01)
    return done + [time.perf_counter()] * (len(pulls) - len(done))


def _is_done(pull: OpenedPullRequest) -> bool:
    return any(run.status == "completed" for run in pull.check_runs(name=CHECK_NAME))
