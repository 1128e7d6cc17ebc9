"""What stands on the pull requests at the end, and where a storm's end differs from a calm one's"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.conversation.marker import read
from app.github.fetch import CHECK_NAME
from app.review.fingerprint import told
from tests.simulator import OpenedPullRequest
from tests.storm.plan import Plan
from tests.storm.stage import Said, Stage

_RULE = re.compile(r"rule=([\w-]+) fingerprint=([0-9a-f]{16})")


@dataclass(frozen=True)
class End:
    """One pull request: the conclusion of its head ("" when it is not reviewed), how often each finding was told
    (`beside` in comments on the diff), how often each command was answered, and check runs left open on old heads."""

    name: str
    conclusion: str
    told: Counter[str]
    beside: frozenset[tuple[str, str]]
    rules: Mapping[str, str]
    answers: Counter[str]
    reactions: frozenset[tuple[int, str]]
    left_open: int


@dataclass(frozen=True)
class Verdict:
    """What is wrong, a line each."""

    lost: tuple[str, ...]
    repeated: tuple[str, ...]
    different: tuple[str, ...]
    unanswered: tuple[str, ...]
    answered_twice: tuple[str, ...]
    left_open: tuple[str, ...]

    @property
    def violations(self) -> tuple[str, ...]:
        """All of it."""
        parts = (
            self.lost,
            self.repeated,
            self.different,
            self.unanswered,
            self.answered_twice,
            self.left_open,
        )
        return tuple(line for part in parts for line in part)


def ends(stage: Stage) -> dict[int, End]:
    """How all pull requests stand."""
    return {number: _end(pull) for number, pull in sorted(stage.pulls.items())}


def _end(pull: OpenedPullRequest) -> End:
    state = pull.state(check=CHECK_NAME)
    bot = pull.world.app.bot.login
    comments = [each for each in state["comments"] if each["user"] == bot]
    spoken = [each for each in state["conversation"] if each["user"]["login"] == bot]
    reviews = [each["body"] or "" for each in state["reviews"] if each["user"]["login"] == bot]
    bodies = [each["body"] for each in comments]
    notes = [read(body).get("command", "") for body in [*bodies, *(each["body"] for each in spoken)]]
    return End(
        name=f"{pull.pull.repository.full_name}#{pull.number}",
        conclusion=_conclusion(state["check_run"]),
        told=Counter(name for body in [*bodies, *reviews] for name in told(body)),
        beside=frozenset((each["path"], name) for each in comments for name in told(each["body"])),
        rules={found[2]: found[1] for body in [*bodies, *reviews] for found in _RULE.finditer(body)},
        answers=Counter(note for note in notes if note),
        reactions=frozenset(_reactions(state, bot)),
        left_open=_left_open(pull),
    )


def _reactions(state: dict[str, Any], bot: str) -> Iterator[tuple[int, str]]:
    return ((each["subject_id"], each["content"]) for each in state["reactions"] if each["user"] == bot)


def _conclusion(run: dict[str, Any] | None) -> str:
    return str(run["conclusion"]) if run is not None and run["status"] == "completed" else ""


def _left_open(pull: OpenedPullRequest) -> int:
    older = set(pull.pull.heads) - {pull.head_sha}
    runs = [run for sha in older for run in pull.check_runs(name=CHECK_NAME, sha=sha)]
    return sum(run.status != "completed" for run in runs)


def judged(plan: Plan, calm: Mapping[int, End], storm: Mapping[int, End], said: list[Said]) -> Verdict:
    """Whether nothing was lost, nothing repeated, and every command answered once."""
    lost, repeated, different = list[str](), list[str](), list[str]()
    for number, end in storm.items():
        lost += _lost(end, calm[number], plan.ignored[number])
        repeated += [f"{end.name}: {name} told {times} times" for name, times in end.told.items() if times > 1]
        different += _different(end, calm[number], plan.ignored[number])
    unanswered, twice = list[str](), list[str]()
    for each in said:
        unanswered += _unanswered(storm[each.pull], each)
        twice += _answered_twice(storm[each.pull], each)
    left_open = [
        f"{end.name}: {end.left_open} check runs are open on old heads" for end in storm.values() if end.left_open
    ]
    return Verdict(tuple(lost), tuple(repeated), tuple(different), tuple(unanswered), tuple(twice), tuple(left_open))


def _beside(end: End, ignored: frozenset[str]) -> frozenset[tuple[str, str]]:
    """What is ignored may have been told before it was."""
    return frozenset((path, name) for path, name in end.beside if end.rules[name] not in ignored)


def _lost(end: End, calm: End, ignored: frozenset[str]) -> list[str]:
    lost = [] if end.conclusion else [f"{end.name}: its head is not reviewed"]
    missing = _beside(calm, ignored) - _beside(end, ignored)
    return lost + [f"{end.name}: {path} is not told {name} ({calm.rules[name]})" for path, name in sorted(missing)]


def _different(end: End, calm: End, ignored: frozenset[str]) -> list[str]:
    extra = _beside(end, ignored) - _beside(calm, ignored)
    found = [f"{end.name}: {path} is told {name} ({end.rules[name]}), not in the calm" for path, name in sorted(extra)]
    if end.conclusion and end.conclusion != calm.conclusion:
        found.append(f"{end.name}: ends with {end.conclusion}, in the calm with {calm.conclusion or 'nothing'}")
    return found


def _keys(said: Said) -> list[str]:
    return [f"{said.saying.place}:{said.id}:{index}" for index in range(10)]


def _unanswered(end: End, said: Said) -> list[str]:
    answers = sum(end.answers[key] > 0 for key in _keys(said))
    reaction = said.saying.reaction
    if answers >= said.saying.replies and (reaction is None or (said.id, reaction) in end.reactions):
        return []
    return [f"{end.name}: {said.saying.words!r} has {answers} of {said.saying.replies} answers, or no {reaction}"]


def _answered_twice(end: End, said: Said) -> list[str]:
    answers = sum(end.answers[key] for key in _keys(said))
    if answers <= said.saying.replies:
        return []
    return [f"{end.name}: {said.saying.words!r} has {answers} answers instead of {said.saying.replies}"]
