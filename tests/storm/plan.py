"""What people do in a storm, all of it known before it begins: a function of the seed

Who does what does not depend on what the bot says, and what the bot has to say in the end depends on the last
heads alone, so that a calm run and a storm can be compared. Hence nothing that was ignored or paused is taken up again
in another comment, and nobody answers in the bot's threads.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from detectors import all_detectors

Kind = Literal["open", "push", "force", "comment", "command", "edit", "ready", "reopen", "rerun", "title"]
Place = Literal["conversation", "review", "thread"]

RULES = (
    "fit-before-split",
    "freeze-typo",
    "hidden-state-attached",
    "missing-train-mode",
    "plateau-without-metric",
    "sampler-with-shuffle",
    "stale-optimizer",
    "step-before-backward",
    "unsafe-deserialisation",
    "zero-grad-before-step",
)
"""Rules whose pages are the files that people write; few of a pull request, so that each finding is beside its line."""
LOOP = """\
import torch


def train(model, loader, optimizer, criterion):
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
"""
BROKEN = LOOP.replace("        optimizer.zero_grad()\n", "")
BASE = {"README.md": "# A project\n", "train.py": LOOP, "old.py": BROKEN}
"""What every repository begins with: a loop in order, and one with a bug that no pull request brings."""
MOST_FILES = 4


@dataclass(frozen=True)
class Saying:
    """A comment with commands: who says it where, and how many replies it gets; of a stranger's nothing comes."""

    words: str
    author: str
    place: Place
    replies: int
    reaction: str | None


@dataclass(frozen=True)
class Act:
    """One thing that somebody does; `at` is when, from 0 to 1, `pull` which pull request, from 0."""

    at: float
    pull: int
    kind: Kind
    files: Mapping[str, str | None] = field(default_factory=dict)
    saying: Saying | None = None
    path: str = ""


@dataclass(frozen=True)
class Plan:
    """All acts in their order, and for each pull request its repository and the rules that are ignored on it."""

    acts: tuple[Act, ...]
    repositories: tuple[str, ...]
    homes: tuple[str, ...]
    ignored: Mapping[int, frozenset[str]]


def planned(seed: int, *, pulls: int, repositories: int) -> Plan:
    """The plan of a seed."""
    names = tuple(f"org-{index % max(repositories // 4, 1)}/project-{index}" for index in range(repositories))
    homes = random.Random(f"{seed} homes")
    ignored: dict[int, frozenset[str]] = {}
    acts: list[Act] = []
    for number in range(pulls):
        writer = _Writer(random.Random(f"{seed} {number}"), number)
        acts += writer.acts()
        ignored[number] = frozenset(writer.ignored)
    acts.sort(key=lambda act: act.at)
    return Plan(tuple(acts), names, tuple(homes.choice(names) for _ in range(pulls)), ignored)


class _Writer:
    """Writes the life of one pull request and keeps what is in its head meanwhile."""

    def __init__(self, luck: random.Random, number: int) -> None:
        self._luck, self._number = luck, number
        self._head: dict[str, str] = {}
        self._rules = luck.sample(RULES, len(RULES))
        self.ignored: set[str] = set()
        self._written = 0

    def acts(self) -> list[Act]:
        """From its opening on; often two things happen at once."""
        at = self._luck.uniform(0.0, 0.6)
        is_draft = self._luck.random() < 0.1
        acts = [Act(at, self._number, "open", self._first(), path="draft" if is_draft else self._where_from())]
        for _ in range(self._luck.choice((0, 1, 2, 3, 3, 4, 5))):
            at = at if self._luck.random() < 0.3 else self._luck.uniform(at, 1.0)
            act = self._next(at)
            acts.append(act)
            if act.kind == "command" and act.saying is not None and self._luck.random() < 0.3:
                acts.append(Act(at, self._number, "edit", saying=act.saying))
        if is_draft:
            acts.append(Act(self._luck.uniform(at, 1.0), self._number, "ready"))
        return acts

    def _where_from(self) -> str:
        return "fork" if self._luck.random() < 0.1 else ""

    def _first(self) -> dict[str, str | None]:
        match self._luck.choice(("docs", "fine", "broken", "broken", "new", "new", "new")):
            case "docs":
                files = {"README.md": f"# A project\n\nChange {self._number}.\n"}
            case "fine":
                files = {self._name(): self._good()}
            case "broken":
                files = {"train.py": BROKEN}
            case _:
                files = {self._name(): self._bad() for _ in range(self._luck.randint(1, 2))}
        self._head = dict(files)
        return dict(files)

    def _next(self, at: float) -> Act:
        kinds: tuple[Kind, ...] = ("push", "push", "push", "force", "command", "command", "comment")
        rare: tuple[Kind, ...] = ("rerun", "reopen", "title")
        kind = self._luck.choice((*kinds, self._luck.choice(rare)))
        if kind == "push":
            return Act(at, self._number, kind, self._push())
        if kind == "force":
            return Act(at, self._number, kind, self._force())
        if kind == "command":
            paths = [path for path in self._head if path != "train.py"]  # of which the first line is on the diff
            return Act(at, self._number, kind, saying=self._saying(can_thread=bool(paths)), path=(*paths, "")[0])
        return Act(at, self._number, kind)

    def _push(self) -> dict[str, str | None]:
        python = [path for path in self._head if path.endswith(".py")]
        what = self._luck.choice(("bad", "mend", "move", "delete", "docs"))
        if what == "bad" and len(python) < MOST_FILES:
            changes: dict[str, str | None] = {self._name(): self._bad()}
        elif what == "docs" or not python:
            changes = {f"docs/{self._name()}.md": "Words.\n"}
        else:
            path = self._luck.choice(python)
            changes = {path: self._changed(path, what)}
        for path, text in changes.items():
            self._head.pop(path, None)
            if text is not None:
                self._head[path] = text
        return changes

    def _changed(self, path: str, what: str) -> str | None:
        if what == "delete" and path != "train.py" and len(self._head) > 1:
            return None
        self._written += 1
        if what == "mend":
            return f"{LOOP if path == 'train.py' else self._good()}# {self._written}\n"
        return f"# Change {self._written}.\n{self._head[path]}"

    def _force(self) -> dict[str, str | None]:
        """One commit with some of what was there, and perhaps something more."""
        kept = {path: text for path, text in self._head.items() if self._luck.random() < 0.7}
        if not kept or (len(kept) < MOST_FILES and self._luck.random() < 0.4):
            kept[self._name()] = self._bad()
        self._head = kept
        return dict(kept)

    def _saying(self, *, can_thread: bool) -> Saying:
        places: tuple[Place, ...] = ("conversation", "conversation", "review", "thread")
        place = self._luck.choice(places[: 4 if can_thread else 3])
        if self._luck.random() < 0.1:
            return Saying("/mlstaff help", "stranger", "conversation", 0, None)
        rule = self._luck.choice(RULES)
        match self._luck.choice(("review", "help", "explain", "config", "two", "pause", "wrong", "ignore", "author")):
            case "review":
                return Saying("/mlstaff review", "maintainer", place, 0, "rocket")
            case "explain":
                return Saying(f"/mlstaff explain {rule}", "maintainer", place, 1, "rocket")
            case "config":
                return Saying("/mlstaff config", "maintainer", place, 1, "rocket")
            case "two":
                words = f"/mlstaff help\nand\n/mlstaff explain {rule}"
                return Saying(words, "maintainer", place, 2, "rocket")
            case "pause":
                return Saying("/mlstaff pause\n/mlstaff resume", "maintainer", place, 2, "rocket")
            case "wrong":
                return Saying("/mlstaff explain everything", "maintainer", place, 1, "confused")
            case "ignore":
                self.ignored.add(self._rules[0])
                words = f"/mlstaff ignore {self._rules[0]} it is meant"
                return Saying(words, "maintainer", "conversation", 1, "rocket")
            case "author":
                return Saying("/mlstaff help", "contributor", place, 1, "rocket")
        return Saying("/mlstaff help", "maintainer", place, 1, "rocket")

    def _name(self) -> str:
        self._written += 1
        return f"change_{self._number}/part_{self._written}.py"

    def _bad(self) -> str:
        return _page(self._rules[self._written % len(self._rules)], is_good=False)

    def _good(self) -> str:
        return _page(self._rules[self._written % len(self._rules)], is_good=True)


def _page(rule: str, *, is_good: bool) -> str:
    page = next(each for each in all_detectors() if each.name == rule).page
    return page.good if is_good else page.bad
