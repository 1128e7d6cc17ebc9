"""`python -m tests.storm` (or `make storm`): a storm, compared with a calm run of the same seed"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.simulator import Exchange, Simulator
from tests.simulator.bot import APART, Bot
from tests.storm.outcome import End, Verdict, ends, judged
from tests.storm.plan import Plan, planned
from tests.storm.stage import Said, Stage
from tests.storm.trouble import FAULTS, SHARE, Killer, dead_letters_and_waiting, outstanding, redelivered

#: A pull request every so many seconds: more than two cores can review one by one.
PACE = 0.3
LONGEST = 290.0
#: So long before the end GitHub is well again: who was unlucky many times in a row waits long, and is not lost.
CLEARING = 60.0
SENDERS = 4
ENVIRONMENT = {"MLSTAFF_SECONDS_BETWEEN_WRITES": "0", "MLSTAFF_RECOVERY_SECONDS": "3"}


@dataclass(frozen=True)
class Size:
    """How large a storm is."""

    pulls: int = 300
    repositories: int = 20
    kills: int = 15

    @property
    def seconds(self) -> float:
        """How long people are at work."""
        return max(self.pulls * PACE, self.kills * 2.0)


@dataclass(frozen=True)
class Run:
    """How one run ended."""

    ends: dict[int, End]
    said: list[Said]
    is_quiet: bool
    dead: int
    seconds: float
    calls: int
    faults: Counter[str]
    killed: Counter[str]
    ended: Counter[str]
    deliveries: int
    redelivered: int


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing was lost or repeated, else 1."""
    given = _parser().parse_args(arguments)
    size = Size(given.pull_requests, given.repositories, given.kills)
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        wrong = storm(given.seed, size, given.logs or Path(folder), record=given.record)
    return 1 if wrong else 0


def storm(
    seed: int, size: Size, folder: Path, *, record: Path | None = None, within: float = LONGEST
) -> tuple[str, ...]:
    """Runs both with their files in `folder` and prints the figures; what is wrong, a line each."""
    end = time.monotonic() + within
    plan = planned(seed, pulls=size.pulls, repositories=size.repositories)
    print(f"seed {seed}: {size.pulls} pull requests, {len(plan.acts)} acts, {size.repositories} repositories")
    calm = run(plan, seed, size, folder / "calm", until=end, is_calm=True)
    _show("calm", calm)
    rough = run(plan, seed, size, folder / "storm", until=end, record=record)
    _show("storm", rough)
    verdict = judged(plan, calm.ends, rough.ends, rough.said)
    of_calm = judged(plan, calm.ends, calm.ends, calm.said)
    wrong = [*_unfinished("calm", calm), *_unfinished("storm", rough), *verdict.violations]
    wrong += [f"in the calm: {line}" for line in of_calm.violations]
    _conclude(verdict, rough)
    for line in wrong[:40]:
        print(f"  {line}")
    return tuple(wrong)


def run(
    plan: Plan, seed: int, size: Size, folder: Path, *, until: float, is_calm: bool = False, record: Path | None = None
) -> Run:
    """Carries the plan out and waits until everything is done."""
    began = time.monotonic()
    processes = APART if is_calm else (*APART, "worker-2")
    with Simulator(senders=SENDERS) as github:
        with Bot(github, folder, processes=processes, environment=ENVIRONMENT) as bot:
            stage = Stage(github, plan)
            kills = 0 if is_calm else size.kills
            if not is_calm:
                github.faults.at_random(SHARE, seed=seed, kinds=FAULTS)
            seconds = size.seconds / 3 if is_calm else size.seconds
            with Killer(bot, seed, kills=kills, seconds=seconds) as killer:
                stage.perform(seconds=seconds)
                is_quiet = _settle(bot, github, killer, until)
            dead, _ = _queue(bot)
            if not is_quiet:
                print(bot.log_tail())
        if record is not None:
            _save(record, github.calls)
        return Run(
            ends(stage),
            stage.said,
            is_quiet,
            dead,
            time.monotonic() - began,
            len(github.calls),
            Counter(f"{fault.kind} {fault.status}" for _, _, fault in github.faults.happened),
            killer.killed,
            killer.ended,
            len(github.deliveries),
            redelivered(github),
        )


def _settle(bot: Bot, github: Simulator, killer: Killer, until: float) -> bool:
    """Wait until everybody was killed, everything delivered, and nothing is left to be done."""
    calls, still = -1, 0
    while (left := until - time.monotonic()) > 0:
        if left < CLEARING:
            github.faults.clear()
        is_idle = not outstanding(github) and killer.is_done and _is_sent(github) and _queue(bot)[1] == 0
        # As the App the bot asks now and then what was not delivered, for ever.
        made = sum(not call.path.startswith("/app") for call in github.calls)
        still = still + 1 if is_idle and made == calls else 0
        if still == 3:
            return True
        calls = made
        time.sleep(0.3)
    return False


def _is_sent(github: Simulator) -> bool:
    try:
        github.webhooks.settle(within=0.01)
    except TimeoutError:
        return False
    return True


def _queue(bot: Bot) -> tuple[int, int]:
    try:
        return dead_letters_and_waiting(httpx.get(f"{bot.url}/metrics", timeout=5, trust_env=False).text)
    except httpx.HTTPError:
        return -1, -1


def _unfinished(name: str, ended: Run) -> list[str]:
    wrong = [] if ended.is_quiet else [f"the {name} did not come to rest in time"]
    return wrong + ([f"the {name} left {ended.dead} dead letters"] if ended.dead else [])


def _show(name: str, ended: Run) -> None:
    print(f"{name}: {ended.seconds:.0f} s, {ended.calls} calls, {ended.deliveries} deliveries", end="")
    told = sum(sum(end.told.values()) for end in ended.ends.values())
    print(f", {told} findings told, {len(ended.said)} comments with commands", flush=True)


def _conclude(verdict: Verdict, rough: Run) -> None:
    print(f"kills: {rough.killed.total()} ({_listed(rough.killed)}); ended by themselves: {rough.ended.total()}")
    print(f"faults: {rough.faults.total()} of {rough.calls} calls ({_listed(rough.faults)})")
    print(f"missed deliveries that the bot had sent again: {rough.redelivered}")
    print(
        f"lost {len(verdict.lost)}, repeated {len(verdict.repeated)}, different {len(verdict.different)}, "
        f"unanswered {len(verdict.unanswered)}, answered twice {len(verdict.answered_twice)}, "
        f"left open {len(verdict.left_open)}, "
        f"dead letters {rough.dead}, {rough.seconds:.0f} s"
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _save(record: Path, calls: list[Exchange]) -> None:
    """What was said without what was made to go wrong."""
    record.write_text("".join(call.line() + "\n" for call in calls if call.fault is None), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    size = Size()
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--pull-requests", type=int, default=size.pulls, metavar="N")
    parser.add_argument("--repositories", type=int, default=size.repositories, metavar="N")
    parser.add_argument("--kills", type=int, default=size.kills, metavar="N")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write every exchange that no fault befell")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all processes there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
