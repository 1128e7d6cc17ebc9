"""One pull request of a real repository, reviewed by the real bot from webhook to check run"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulator.bot import ALL_IN_ONE, APART, Bot
from tests.simulator.git import revision
from tests.simulator.model import IssueComment, Json
from tests.simulator.people import OpenedPullRequest
from tests.simulator.simulator import Simulator

CHECK = "mlstaff"
#: Reactions with which the bot says that it has dealt with a comment; 👀 only says that it was taken.
DEALT_WITH = ("rocket", "confused", "-1")
_STILL = 1.0


class TookTooLong(Exception):
    """Something did not happen in time; the text says what, and ends with the bot's log."""


@dataclass(frozen=True)
class Trial:
    """What to try: two revisions of a local repository, and a comment by a maintainer afterwards."""

    git: Path
    base: str
    head: str
    comment: str | None = None
    record: Path | None = None
    timeout: float = 120.0
    apart: bool = True
    program: Sequence[str] | None = None


def run(trial: Trial, folder: Path) -> Json:
    """What GitHub shows after the bot is done with the pull request.

    Raises:
        TookTooLong: the check run was not completed, or the comment not answered, in time.
        NotReady: the bot did not start.
        GitError: there is no such revision.
    """
    base, head = (revision(trial.git, name) for name in (trial.base, trial.head))
    with Simulator(record=trial.record) as github:
        repository = github.repository("octo-org/project", git=trial.git)
        processes = APART if trial.apart else ALL_IN_ONE
        with Bot(github, folder, processes=processes, program=trial.program) as bot:
            pull = repository.open_pull_request_between(base, head)
            _wait(bot, trial.timeout, lambda: _is_checked(pull), "the check run was not completed")
            if trial.comment is not None:
                said = pull.comment(trial.comment, author="maintainer")
                _wait(bot, trial.timeout, lambda: _is_answered(pull, said), "the comment was not answered")
            _wait(
                bot,
                trial.timeout,
                lambda: _is_still(github) and _is_checked(pull),
                "the bot did not come to rest",
            )
            return {**pull.state(check=CHECK), **_calls(github)}


def _calls(github: Simulator) -> Json:
    made = [call for call in github.calls if call.caller.startswith("installation")]
    names = Counter(f"{call.method} {call.path}" for call in made)
    return {"api_calls": len(made), "api_calls_by_route": dict(names)}


def _is_checked(pull: OpenedPullRequest) -> bool:
    runs = pull.check_runs(name=CHECK)
    return bool(runs) and all(run.status == "completed" for run in runs)


def _is_answered(pull: OpenedPullRequest, said: IssueComment) -> bool:
    with pull.world.lock:
        bot = pull.world.app.bot
        return any(each.user is bot and each.content in DEALT_WITH for each in said.reactions)


def _is_still(github: Simulator) -> bool:
    """Whether no call was made for a second: what the bot does last it has done."""
    before = len(github.calls)
    time.sleep(_STILL)
    return len(github.calls) == before


def _wait(bot: Bot, seconds: float, happened: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TookTooLong(f"{what} within {seconds:.0f} s\n{bot.log_tail()}")
        time.sleep(0.02)
