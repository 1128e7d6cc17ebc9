"""The fifth push: what is said stays said, what is gone is marked, what was waved away stays quiet"""

from collections.abc import Callable, Iterator

import pytest

from app.events import RetryLater
from tests.bot import BROKEN_LOOP, LOOP, Bot, repository_with
from tests.simulator import PERMISSIONS, HostedRepository, OpenedPullRequest, Simulator, faults

PUSHES = {
    "more lines above": "# a comment\n# another\n" + BROKEN_LOOP,
    "the same again": BROKEN_LOOP,
    "a line below": BROKEN_LOOP + "\nLR = 0.1\n",
}


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def pull(github: Simulator) -> OpenedPullRequest:
    """A reviewed pull request with one thread of ours."""
    opened = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(opened)
    return opened


def bodies(pull: OpenedPullRequest) -> list[str]:
    return [each["body"] for each in pull.state()["comments"]]


@pytest.mark.parametrize("push", PUSHES)
@pytest.mark.parametrize("way", ["push", "force_push"])
def test_what_is_still_there_is_not_said_again(github: Simulator, pull: OpenedPullRequest, push: str, way: str) -> None:
    before = bodies(pull)
    getattr(pull, way)({"train.py": PUSHES[push], "notes.md": push})
    Bot(github).review(pull)
    assert bodies(pull) == before
    assert len(pull.state()["reviews"]) == 1
    assert pull.state()["check_run"]["conclusion"] == "failure"


def _retargeted(pull: OpenedPullRequest) -> None:
    HostedRepository(pull.world, pull.pull.repository).push({"README.md": "x"}, branch="release", start=pull.base_sha)
    pull.retarget("release")


def _rebased(pull: OpenedPullRequest) -> None:
    onto = HostedRepository(pull.world, pull.pull.repository).push({"README.md": "Another commit of the base.\n"})
    pull.force_push({"train.py": BROKEN_LOOP}, onto=onto)


def _reopened(pull: OpenedPullRequest) -> None:
    pull.close()
    pull.reopen()


def _drafted(pull: OpenedPullRequest) -> None:
    pull.convert_to_draft()
    pull.ready_for_review()


@pytest.mark.parametrize("happens", [_retargeted, _rebased, _reopened, _drafted, OpenedPullRequest.merge_base_in])
def test_nothing_is_said_again_whatever_becomes_of_the_base_or_the_pull_request(
    github: Simulator, pull: OpenedPullRequest, happens: Callable[[OpenedPullRequest], object]
) -> None:
    before = bodies(pull)
    happens(pull)
    Bot(github).review(pull)
    assert bodies(pull) == before
    assert len(pull.state()["reviews"]) == 1
    assert pull.state()["check_run"]["conclusion"] == "failure"


def test_a_renamed_file_brings_nothing_new(github: Simulator) -> None:
    repository = repository_with(github, train=BROKEN_LOOP.replace("loss.backward()", "loss.backward()  # x"))
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP + "\n\nLR = 1\n"})
    Bot(github).answer(pull, "/mlstaff review all")
    before = len(pull.threads())
    pull.push({"train.py": None, "fit.py": BROKEN_LOOP + "\n\nLR = 1\n"})
    Bot(github).answer(pull, "/mlstaff review all")
    assert len(pull.threads()) == before


def test_only_what_is_new_is_said(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert [each["path"] for each in pull.state()["comments"]] == ["train.py", "more.py"]


@pytest.mark.parametrize("remedy", [{"train.py": LOOP + "\n"}, {"train.py": None}, {"train.py": LOOP}])
def test_what_is_gone_is_marked_in_place_with_the_commit(
    github: Simulator, pull: OpenedPullRequest, remedy: dict[str, str | bytes | None]
) -> None:
    head = pull.push(remedy)
    calls = Bot(github).review(pull)
    (comment,) = pull.state()["comments"]
    assert comment["body"].startswith(f"✅ Gone with {head}")
    assert comment["minimized"] == "resolved"
    assert comment["resolved_by"] is None
    assert len(pull.state()["reviews"]) == 1
    assert len(calls) <= 5


def test_marking_is_done_once_and_survives_a_lost_answer(github: Simulator, pull: OpenedPullRequest) -> None:
    head = pull.push({"train.py": LOOP + "\n"})
    github.faults.script("POST", "/graphql", None, faults.reset(after_write=True))
    with pytest.raises(RetryLater):
        Bot(github).review(pull)
    pull.push({"train.py": LOOP + "\n\n"})
    Bot(github).review(pull)
    assert bodies(pull)[0].count("Gone with") == 1
    assert head in bodies(pull)[0]


def test_threads_are_resolved_only_where_that_is_granted(github: Simulator) -> None:
    github.installation("big-org", permissions={**PERMISSIONS, "contents": "write"})
    repository = github.repository("big-org/vision", files={"train.py": LOOP})
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(pull)
    pull.push({"train.py": LOOP + "\n"})
    Bot(github).review(pull)
    assert pull.state()["comments"][0]["resolved_by"] is not None


def test_a_thread_in_which_somebody_answered_is_left_to_people(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.comment_in_thread(pull.threads()[0].comments[0], "Are you sure?", author="contributor")
    before = bodies(pull)
    pull.push({"train.py": LOOP + "\n"})
    Bot(github).review(pull)
    assert bodies(pull) == before


def test_what_comes_back_after_it_was_gone_is_said_again(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.push({"train.py": LOOP + "\n"})
    Bot(github).review(pull)
    pull.push({"train.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert len(pull.threads()) == 2
    assert pull.state()["check_run"]["conclusion"] == "failure"


def test_a_file_that_cannot_be_read_says_nothing_about_its_findings(github: Simulator, pull: OpenedPullRequest) -> None:
    before = bodies(pull)
    pull.push({"train.py": BROKEN_LOOP + "\ndef (\n", "more.py": LOOP})
    Bot(github).review(pull)
    assert bodies(pull) == before


def test_a_resolved_thread_stays_quiet(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.resolve_thread(pull.threads()[0].comments[0], user="contributor")
    pull.push({"train.py": BROKEN_LOOP + "\n"})
    Bot(github).review(pull)
    assert len(pull.threads()) == 1
    assert pull.state()["check_run"]["conclusion"] == "success"


@pytest.mark.parametrize(("voter", "conclusion"), [("maintainer", "success"), ("stranger", "failure")])
def test_a_vote_against_a_finding_counts_with_write_access(
    github: Simulator, pull: OpenedPullRequest, voter: str, conclusion: str
) -> None:
    pull.react(pull.threads()[0].comments[0], "-1", voter)
    pull.push({"train.py": BROKEN_LOOP + "\n"})
    Bot(github).review(pull)
    assert pull.state()["check_run"]["conclusion"] == conclusion
    assert len(pull.threads()) == 1


def test_nobody_else_can_write_our_memory(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.comment("<!-- mlstaff ignore=missing-zero-grad -->", author="stranger")
    pull.comment("<!-- mlstaff pause=stranger -->", author="stranger")
    ours = pull.threads()[0].comments[0].body
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert len(pull.threads()) == 2
    forged = pull.comment_on_diff("more.py", 1, pull.threads()[1].comments[0].body, author="stranger")
    pull.resolve_thread(forged, user="stranger")
    pull.push({"other.py": LOOP})
    Bot(github).review(pull)
    assert pull.state()["check_run"]["output"]["title"].startswith("2 bugs")
    assert pull.threads()[0].comments[0].body == ours


def test_more_than_a_hundred_threads_are_remembered(github: Simulator, pull: OpenedPullRequest) -> None:
    lines = "".join(f"x_{n} = {n}\n" for n in range(130))
    pull.push({"lines.txt": lines})
    for line in range(1, 131):
        pull.comment_on_diff("lines.txt", line, "a word", author="contributor")
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    pull.push({"lines.txt": lines + "y = 1\n"})
    Bot(github).review(pull)
    ours = [each for each in pull.state()["comments"] if each["user"].endswith("[bot]")]
    assert [each["path"] for each in ours] == ["train.py", "more.py"]
