"""A review from its reading to its check run, on a simulated GitHub"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app import reviewing
from app.events import GiveUp, RetryLater
from app.github import publish
from app.review.comment import Comment
from tests.bot import BROKEN_LOOP, LOOP, Bot, InMemory, SameProcess, ref_of, repository_with, said
from tests.simulator import Exchange, InstalledApp, Simulator, Submodule, Symlink, faults


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def methods(calls: list[Exchange]) -> list[str]:
    """How the calls were made, in order; a query is a POST to /graphql."""
    return ["QUERY" if call.path == "/graphql" else call.method for call in calls]


def test_a_deleted_zero_grad_is_told_on_its_line_in_five_calls(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    calls = Bot(github).review(pull)
    state = pull.state()
    (comment,) = state["comments"]
    assert comment["path"] == "train.py"
    assert "zero_grad" in comment["body"]
    assert state["check_run"]["conclusion"] == "failure"
    assert [review["state"] for review in state["reviews"]] == ["COMMENTED"]
    assert state["conversation"] == []
    assert methods(calls) == ["GET", "QUERY", "POST", "POST", "PATCH"]


def test_a_hundred_files_cost_five_calls_too(github: Simulator) -> None:
    before = {f"model_{n}.py": LOOP for n in range(100)}
    after: dict[str, str | bytes | None] = {f"model_{n}.py": LOOP + "\n" for n in range(99)}
    repository = github.repository("octo-org/vision", files=before)
    pull = repository.open_pull_request({**after, "model_99.py": BROKEN_LOOP})
    calls = Bot(github).review(pull)
    assert methods(calls) == ["GET", "QUERY", "POST", "POST", "PATCH"]
    assert len(pull.state()["comments"]) == 1


def test_a_clean_change_gets_a_check_run_and_no_word(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": LOOP.replace("train(", "fit(")})
    calls = Bot(github).review(pull)
    state = pull.state()
    assert state["check_run"]["conclusion"] == "success"
    assert state["reviews"] == []
    assert len(calls) == 4


def test_nothing_of_machine_learning_costs_three_calls_and_ends_neutral_with_the_reason(
    github: Simulator,
) -> None:
    view = "from django.http import HttpResponse\n\n\ndef home(request):\n    return HttpResponse('hello')\n"
    pull = repository_with(github, views="").open_pull_request({"views.py": view})
    calls = Bot(github).review(pull)
    state = pull.state()
    assert methods(calls) == ["GET", "QUERY", "POST"]
    assert state["check_run"]["conclusion"] == "neutral"
    assert "views" in state["check_run"]["output"]["summary"]
    assert state["reviews"] == state["conversation"] == []


@pytest.mark.parametrize(
    ("opened", "then", "reason"),
    [
        ({"draft": True}, "", "draft"),
        ({"author": "renovate[bot]"}, "", "bot"),
        ({}, "label", "skip-mlstaff"),
        ({}, "close", "closed"),
    ],
)
def test_what_is_skipped_says_why_in_the_check_run(
    github: Simulator, opened: dict[str, object], then: str, reason: str
) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP}, **opened)  # type: ignore[arg-type]
    if then == "label":
        pull.label("skip-mlstaff")
    if then == "close":
        pull.close()
    calls = Bot(github).review(pull)
    state = pull.state()
    assert len(calls) == 3
    assert state["check_run"]["conclusion"] == "neutral"
    assert reason in state["check_run"]["output"]["summary"]
    assert state["reviews"] == []


def test_a_dependency_bump_is_skipped(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request(
        {"requirements.txt": "torch==2.9\n"}, title="Bump torch from 2.8 to 2.9"
    )
    Bot(github).review(pull)
    assert "dependencies" in pull.state()["check_run"]["output"]["summary"]


def test_a_pull_request_of_a_fork_is_reviewed_like_any_other(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP}, fork=True)
    for _ in range(2):
        Bot(github).review(pull)
    assert len(pull.state()["comments"]) == len(pull.check_runs()) == 1


def test_two_pull_requests_with_the_same_head_have_a_check_run_each(github: Simulator) -> None:
    repository = repository_with(github, train=LOOP)
    one = repository.open_pull_request({"train.py": BROKEN_LOOP})
    repository.push({"README.md": "other"}, branch="release", start=one.base_sha)
    other = repository.open_pull_request({"notes.md": "x"}, base="release")
    other.set_head(one.head_sha)
    for pull in (one, other, one, other):
        Bot(github).review(pull)
    assert len(one.check_runs()) == 2
    assert [len(pull.state()["comments"]) for pull in (one, other)] == [1, 1]


def test_the_same_head_is_never_told_twice(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(pull)
    first = pull.state()
    Bot(github).review(pull)
    again = pull.state()
    assert [each["id"] for each in again["comments"]] == [each["id"] for each in first["comments"]]
    assert len(again["reviews"]) == 1
    assert len(pull.check_runs()) == 1
    assert again["check_run"]["conclusion"] == "failure"
    assert len(pull.check_runs()[0].annotations) == 1


@pytest.mark.parametrize("kind", ["reset", "timeout", "status"])
@pytest.mark.parametrize("step", ["check-runs$", "reviews$", "check-runs/"])
def test_a_job_begun_again_after_an_answer_was_lost_says_nothing_twice(github: Simulator, step: str, kind: str) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    trouble = {
        "reset": faults.reset(after_write=True),
        "timeout": faults.timeout(0.1, after_write=True),
        "status": faults.server_error(502, after_write=True),
    }[kind]
    github.faults.script("PATCH" if step.endswith("/") else "POST", step, trouble)
    with pytest.raises(RetryLater) as later:
        Bot(github).review(pull)
    assert 0 < later.value.seconds <= 10
    Bot(github).review(pull)
    state = pull.state()
    assert len(state["reviews"]) == len(state["comments"]) == 1
    assert state["check_run"]["conclusion"] == "failure"
    assert len(pull.check_runs()) == 1
    assert len(pull.check_runs()[0].annotations) == 1


def test_more_than_fifty_annotations_go_out_in_parts_and_once(github: Simulator) -> None:
    before = {f"model_{n}.py": LOOP for n in range(60)}
    after: dict[str, str | bytes | None] = {f"model_{n}.py": BROKEN_LOOP for n in range(60)}
    pull = github.repository("octo-org/vision", files=before).open_pull_request(after)
    github.faults.script("PATCH", "check-runs/", None, faults.server_error(502))
    with pytest.raises(RetryLater):
        Bot(github).review(pull)
    assert pull.check_runs()[0].status == "in_progress"
    Bot(github).review(pull)
    (run,) = pull.check_runs()
    assert run.status == "completed"
    assert len(run.annotations) == 60
    assert len({each["path"] for each in run.annotations}) == 60


def test_a_head_that_moves_between_the_two_reads_is_read_again_and_never_mixed(github: Simulator) -> None:
    repository = repository_with(github, train=LOOP, other=LOOP)
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    moved: list[str] = []
    bot = Bot(github)
    original = github.api._answer  # the push happens after the diff was answered and before the query is

    def answer(call: object) -> object:
        given = original(call)  # type: ignore[arg-type]
        if call.method == "GET" and not moved:  # type: ignore[attr-defined]
            moved.append(pull.push({"train.py": LOOP + "\n", "other.py": BROKEN_LOOP}))
        return given

    github.api._answer = answer  # type: ignore[method-assign, assignment]
    calls = bot.review(pull)
    state = pull.state()
    assert methods(calls)[:4] == ["GET", "QUERY", "GET", "QUERY"]
    assert [comment["path"] for comment in state["comments"]] == ["other.py"]
    assert [comment["commit_id"] for comment in state["comments"]] == moved
    assert state["check_run"]["head_sha"] == moved[0]


def test_a_refused_comment_costs_only_its_own_place(github: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {f"model_{n}.py": LOOP for n in range(4)}
    after: dict[str, str | bytes | None] = {f"model_{n}.py": BROKEN_LOOP for n in range(4)}
    pull = github.repository("octo-org/vision", files=before).open_pull_request(after)
    original = publish._comment

    def misplaced(comment: Comment) -> dict[str, object]:
        place = original(comment)
        return {**place, "line": 4000} if comment.path == "model_2.py" else place

    monkeypatch.setattr(publish, "_comment", misplaced)
    Bot(github).review(pull)
    state = pull.state()
    assert sorted(each["path"] for each in state["comments"]) == ["model_0.py", "model_1.py", "model_3.py"]
    assert any("**model_2.py**" in review["body"] for review in state["reviews"])
    monkeypatch.undo()
    reviews = len(state["reviews"])
    Bot(github).review(pull)
    assert len(pull.state()["reviews"]) == reviews


def test_an_orphan_of_a_refused_review_is_cleared_away(github: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    original = publish._comment
    places = iter([4000])  # the first attempt only

    def misplaced_once(comment: Comment) -> dict[str, object]:
        return {**original(comment), "line": next(places, comment.line)}

    monkeypatch.setattr(publish, "_comment", misplaced_once)
    github.faults.script("POST", "reviews$", faults.orphan())
    Bot(github).review(pull)
    assert [review.state for review in pull.pull.reviews].count("PENDING") == 0
    assert [comment["path"] for comment in pull.state()["comments"]] == ["train.py"]
    bodies = [review["body"] for review in pull.state()["reviews"]]
    assert sum("This change brings" in body for body in bodies) == 1


def test_a_head_that_moves_during_the_analysis_is_left_for_the_next_job(
    github: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewing, "STALE_SECONDS", 0.0)
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    old = pull.head_sha

    class Pushed(SameProcess):
        """Analyses while somebody pushes."""

        async def run(self, function: Any, *arguments: Any, **named: Any) -> Any:
            if pull.head_sha == old:
                pull.push({"train.py": LOOP + "\n"})
            return await super().run(function, *arguments, **named)

    with pytest.raises(RetryLater):
        Bot(github, analysts=Pushed()).review(pull)
    (run,) = pull.check_runs(sha=old)
    assert (run.status, run.conclusion) == ("completed", "neutral")
    Bot(github).review(pull)
    assert pull.state()["comments"] == []
    assert pull.state()["check_run"]["conclusion"] == "success"


@pytest.mark.parametrize("way", ["push", "force_push"])
def test_a_check_run_that_an_interrupted_review_left_open_is_closed_when_a_push_came(
    github: Simulator, way: str
) -> None:
    store = InMemory()
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    old = pull.head_sha
    github.faults.script("POST", "reviews$", faults.server_error())
    with pytest.raises(RetryLater):
        Bot(github, store=store).review(pull)
    assert [run.status for run in pull.check_runs(sha=old)] == ["in_progress"]
    getattr(pull, way)({"train.py": BROKEN_LOOP + "\n"})
    Bot(github, store=store).review(pull)
    (run,) = pull.check_runs(sha=old)
    assert (run.status, run.conclusion) == ("completed", "neutral")
    assert pull.head_sha in run.output["summary"]
    assert pull.state()["check_run"]["conclusion"] == "failure"
    pull.push({"train.py": BROKEN_LOOP + "\n\n"})
    assert len(Bot(github, store=store).review(pull)) == 4, "what is closed is not looked for again"


@pytest.mark.parametrize("end", ["close", "convert_to_draft"])
def test_an_open_check_run_is_closed_also_when_the_next_head_is_not_reviewed(github: Simulator, end: str) -> None:
    store = InMemory()
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    old = pull.head_sha
    github.faults.script("POST", "reviews$", faults.reset())
    with pytest.raises(RetryLater):
        Bot(github, store=store).review(pull)
    pull.push({"train.py": BROKEN_LOOP + "\n"})
    getattr(pull, end)()
    Bot(github, store=store).review(pull)
    assert [run.status for run in pull.check_runs(sha=old)] == ["completed"]


def test_a_check_run_of_another_pull_request_with_the_same_head_stays_open(github: Simulator) -> None:
    store = InMemory()
    repository = repository_with(github, train=LOOP)
    one = repository.open_pull_request({"train.py": BROKEN_LOOP})
    repository.push({"README.md": "other"}, branch="release", start=one.base_sha)
    other = repository.open_pull_request({"notes.md": "x"}, base="release")
    old = one.head_sha
    other.set_head(old)
    github.faults.script("POST", "reviews$", faults.server_error(), faults.server_error())
    for pull in (one, other):
        with pytest.raises(RetryLater):
            Bot(github, store=store).review(pull)
    one.push({"train.py": BROKEN_LOOP + "\n"})
    Bot(github, store=store).review(one)
    assert sorted(run.status for run in one.check_runs(sha=old)) == ["completed", "in_progress"]


def test_files_without_a_text_are_named_and_the_rest_is_reviewed(github: Simulator) -> None:
    repository = repository_with(github, train=LOOP)
    pull = repository.open_pull_request(
        {
            "train.py": BROKEN_LOOP,
            "weights.bin": b"\0\1\2" * 100,
            "binary.py": b"import torch\n\0\0\0",
            "latin.py": "import torch\nname = 'caf\xe9'\n".encode("latin-1"),
            "link.py": Symlink("train.py"),
            "vendored": Submodule("a" * 40),
        }
    )
    Bot(github).review(pull)
    state = pull.state()
    assert [comment["path"] for comment in state["comments"]] == ["train.py"]
    assert "binary.py" in state["check_run"]["output"]["summary"]


def test_a_truncated_text_is_read_whole(github: Simulator) -> None:
    long = LOOP + "# a line that is here only to be long\n" * 14_000
    repository = github.repository("octo-org/vision", files={"train.py": long})
    pull = repository.open_pull_request({"train.py": long.replace("        optimizer.zero_grad()\n", "")})
    calls = Bot(github).review(pull)
    assert methods(calls) == ["GET", "QUERY", "GET", "POST", "POST", "PATCH"]
    assert len(pull.state()["comments"]) == 1


def test_a_diff_that_is_too_large_is_read_page_by_page(github: Simulator) -> None:
    before = {f"notes/{n}.txt": "a\n" for n in range(310)}
    after: dict[str, str | bytes | None] = {f"notes/{n}.txt": "b\n" for n in range(310)}
    repository = github.repository("octo-org/vision", files={**before, "train.py": LOOP})
    pull = repository.open_pull_request({**after, "train.py": BROKEN_LOOP})
    calls = Bot(github).review(pull)
    assert calls[0].status == 406
    assert sum(call.path.endswith("/files") for call in calls) == 4
    assert [comment["path"] for comment in pull.state()["comments"]] == ["train.py"]


def test_a_renamed_repository_is_followed(github: Simulator) -> None:
    repository = repository_with(github, train=LOOP)
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    bot = Bot(github)
    ref = ref_of(pull)
    repository.rename("sight")
    bot.do(bot.reviewer.review(ref))
    assert len(pull.state()["comments"]) == 1


@pytest.mark.parametrize("is_left", [True, False])
def test_a_repository_that_was_transferred_while_the_request_waited_is_followed(
    github: Simulator, is_left: bool
) -> None:
    """Also when the App was removed from where it was."""
    repository = repository_with(github, train=LOOP)
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    old = ref_of(pull)
    github.repository("new-org/other")
    repository.move("new-org/vision")
    if not is_left:
        github.installation_on("octo-org").remove()
    bot = Bot(github)
    bot.do(bot.reviewer.review(old))
    assert len(pull.state()["comments"]) == 1
    command = replace(said(pull, "/mlstaff help"), ref=old)
    bot = Bot(github)
    bot.do(bot.reviewer.answer(command))
    assert "/mlstaff review" in pull.state()["conversation"][-1]["body"]


def test_two_pushes_a_second_apart_are_told_once(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    first = pull.head_sha

    class Pushed(SameProcess):
        """Analyses while somebody pushes once more."""

        async def run(self, function: Any, *arguments: Any, **named: Any) -> Any:
            if pull.head_sha == first:
                pull.push({"train.py": "# A second later.\n" + BROKEN_LOOP})
            return await super().run(function, *arguments, **named)

    store = InMemory()
    Bot(github, analysts=Pushed(), store=store).review(pull)
    Bot(github, store=store).review(pull)
    assert len(pull.state()["comments"]) == 1
    assert len(pull.state()["reviews"]) == 1
    assert [run.conclusion for run in pull.check_runs(sha=first)] == ["failure"]
    assert pull.state()["check_run"]["conclusion"] == "failure"


@pytest.mark.parametrize("end", ["delete", "suspend", "remove"])
def test_what_is_gone_ends_the_job(github: Simulator, end: str) -> None:
    repository = repository_with(github, train=LOOP)
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    bot = Bot(github)
    ref = ref_of(pull)
    installation = InstalledApp(github, github.world.installations[ref.installation_id])
    {"delete": repository.delete, "suspend": installation.suspend, "remove": installation.remove}[end]()
    with pytest.raises(GiveUp):
        bot.do(bot.reviewer.review(ref))
