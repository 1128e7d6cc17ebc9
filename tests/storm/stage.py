"""Where a plan is carried out: a simulated GitHub with repositories of several owners, and who does what there"""

import time
from dataclasses import dataclass
from typing import Any

from tests.simulator import HostedRepository, OpenedPullRequest, Simulator
from tests.simulator.model import IssueComment, ReviewComment
from tests.storm.plan import BASE, Act, Plan, Saying


@dataclass(frozen=True)
class Said:
    """A comment with commands that was made; `id` is the comment's, or the review's."""

    pull: int
    id: int
    saying: Saying


class Stage:
    """Carries out a plan on a simulator."""

    def __init__(self, github: Simulator, plan: Plan) -> None:
        self._plan = plan
        self._repositories = {name: self._repository(github, name) for name in plan.repositories}
        self.pulls: dict[int, OpenedPullRequest] = {}
        self.said: list[Said] = []
        self._comments: dict[tuple[int, str], IssueComment | ReviewComment] = {}

    @staticmethod
    def _repository(github: Simulator, name: str) -> HostedRepository:
        repository = github.repository(name, files=BASE)
        repository.role("stranger", "none")
        return repository

    def perform(self, *, seconds: float) -> None:
        """Everything, spread over so many seconds."""
        began = time.monotonic()
        for act in self._plan.acts:
            time.sleep(max(began + act.at * seconds - time.monotonic(), 0.0))
            self._do(act)

    def _do(self, act: Act) -> None:
        if act.kind == "open":
            self._open(act)
            return
        pull = self.pulls[act.pull]
        match act.kind:
            case "push":
                pull.push(act.files)
            case "force":
                pull.force_push(act.files)
            case "comment":
                pull.comment("What about `/mlstaff review`? Only asking.", author="maintainer")
            case "ready":
                pull.ready_for_review()
            case "title":
                pull.edit(title="Another name for the same")
            case "rerun":
                pull.rerequest_suite(user="maintainer")
            case "reopen":
                pull.close()
                pull.reopen()
            case "command":
                self._say(pull, act)
            case "edit":
                self._edit(pull, act)

    def _open(self, act: Act) -> None:
        repository = self._repositories[self._plan.homes[act.pull]]
        self.pulls[act.pull] = repository.open_pull_request(
            act.files, draft=act.path == "draft", fork=act.path == "fork", title=f"Change {act.pull}"
        )

    def _say(self, pull: OpenedPullRequest, act: Act) -> None:
        saying = act.saying
        assert saying is not None
        made: Any
        if saying.place == "review":
            identifier = pull.review_with_body(saying.words, author=saying.author)["id"]
        elif saying.place == "thread":
            made = pull.comment_on_diff(act.path, 1, saying.words, author=saying.author)
            identifier = made.id
        else:
            made = pull.comment(saying.words, author=saying.author)
            identifier = made.id
        if saying.place != "review":
            self._comments[act.pull, saying.words] = made
        self.said.append(Said(act.pull, identifier, saying))

    def _edit(self, pull: OpenedPullRequest, act: Act) -> None:
        """An edit of a comment gives no second answer."""
        saying = act.saying
        assert saying is not None
        made = self._comments.get((act.pull, saying.words))
        if made is not None:
            pull.edit_comment(made, f"{saying.words}\n\nThanks.")
