"""What else GitHub asks: buttons, merge queues, and what it could not deliver"""

import time
from collections.abc import Iterator

import pytest

from app.events import ActionRequested, GiveUp, MergeGroupRequested, RetryLater
from app.github.deliveries import Recovered
from tests.bot import BROKEN_LOOP, LOOP, Bot, ref_of, repository_with
from tests.simulator import HostedRepository, OpenedPullRequest, Simulator, faults


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def repository(github: Simulator) -> HostedRepository:
    return repository_with(github, train=LOOP)


@pytest.fixture
def pull(github: Simulator, repository: HostedRepository) -> OpenedPullRequest:
    opened = repository.open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(opened)
    return opened


def pressed(pull: OpenedPullRequest, button: str = "ignore", *, author: str = "maintainer") -> ActionRequested:
    """What a button of our check run sends."""
    run = pull.check_runs()[-1]
    assert button in [each["identifier"] for each in run.actions]
    return ActionRequested(ref_of(pull), "a-delivery", button, author, run.id, pull.head_sha)


def test_the_button_quiets_the_findings_that_are_there(github: Simulator, pull: OpenedPullRequest) -> None:
    action = pressed(pull)
    for _ in range(2):
        bot = Bot(github)
        bot.do(bot.reviewer.act(action))
    assert pull.state()["check_run"]["conclusion"] == "success"
    assert len(pull.state()["conversation"]) == 1
    pull.push({"train.py": BROKEN_LOOP + "\n", "more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert [each["path"] for each in pull.state()["comments"]] == ["train.py", "more.py"]


def test_a_button_of_an_older_commit_quiets_only_what_was_said_by_then(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    action = pressed(pull)
    pull.push({"more.py": BROKEN_LOOP})
    bot = Bot(github)
    bot.do(bot.reviewer.act(action))
    state = pull.state()
    assert [each["path"] for each in state["comments"]] == ["train.py", "more.py"]
    assert state["check_run"]["conclusion"] == "failure"
    assert len(pull.check_runs()[-1].annotations) == 1


def test_re_run_reviews_again_even_what_is_skipped(github: Simulator, repository: HostedRepository) -> None:
    draft = repository.open_pull_request({"train.py": BROKEN_LOOP}, draft=True)
    Bot(github).review(draft)
    assert draft.state()["comments"] == []
    bot = Bot(github)
    bot.do(bot.reviewer.act(pressed(draft, "rerun")))
    assert len(draft.state()["comments"]) == 1
    assert draft.state()["check_run"]["conclusion"] == "failure"


@pytest.mark.parametrize("button", ["ignore", "rerun"])
def test_buttons_are_for_people_with_write_access(github: Simulator, pull: OpenedPullRequest, button: str) -> None:
    bot, before = Bot(github), pull.state()
    calls = bot.do(bot.reviewer.act(pressed(pull, button, author="contributor")))
    assert [call.path.rpartition("/")[2] for call in calls] == ["permission"], "asked before anything else"
    github.faults.script("GET", "/permission$", faults.server_error(403))
    bot = Bot(github)
    bot.do(bot.reviewer.act(pressed(pull, button)))
    assert pull.state() == before


@pytest.mark.parametrize("button", ["ignore", "rerun"])
def test_buttons_are_for_whom_the_base_branch_says(github: Simulator, button: str) -> None:
    files = {"train.py": LOOP, ".mlstaff.yml": "commands: {ignore: admin, review: admin}\n"}
    pull = github.repository("octo-org/strict", files=files).open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(pull)
    bot, before = Bot(github), pull.state()
    bot.do(bot.reviewer.act(pressed(pull, button)))
    assert pull.state() == before


def test_an_unknown_button_ends_the_job(github: Simulator, pull: OpenedPullRequest) -> None:
    action = ActionRequested(ref_of(pull), "d", "launch", "maintainer", 1, pull.head_sha)
    bot = Bot(github)
    with pytest.raises(GiveUp):
        bot.do(bot.reviewer.act(action))


def test_a_merge_group_is_answered_once(
    github: Simulator, repository: HostedRepository, pull: OpenedPullRequest
) -> None:
    head = repository.merge_group(pull)
    ref = ref_of(pull)
    group = MergeGroupRequested(ref.installation_id, ref.repository_id, ref.repository, head, "a-delivery")
    github.faults.script("POST", "check-runs$", faults.reset(after_write=True))
    bot = Bot(github)
    with pytest.raises(RetryLater):
        bot.do(bot.reviewer.pass_merge_group(group))
    for _ in range(2):
        bot = Bot(github)
        bot.do(bot.reviewer.pass_merge_group(group))
    (run,) = pull.check_runs(sha=head)
    assert (run.name, run.conclusion) == ("mlstaff", "success")


def test_a_review_that_was_given_up_is_told_in_the_check_run(github: Simulator, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    github.faults.script("POST", "reviews$", faults.server_error(500))
    bot = Bot(github)
    with pytest.raises(RetryLater):
        bot.review(pull)
    fails(github, pull, "it failed 3 times", is_retried=True)
    (run,) = pull.check_runs()
    assert run.status == "in_progress"
    assert run.output["title"] == "Could not review, will be retried"
    fails(github, pull, "it failed 10 times", is_retried=False)
    (run,) = pull.check_runs()
    assert (run.status, run.conclusion) == ("completed", "neutral")
    assert run.output["title"] == "Could not review, gave up"
    assert "10 times" in run.output["summary"]
    Bot(github).review(pull)
    assert pull.state()["check_run"]["conclusion"] == "failure"
    assert len(pull.check_runs()) == 1


def fails(
    github: Simulator, pull: OpenedPullRequest, reason: str, *, is_retried: bool, only_open: bool = False
) -> None:
    bot = Bot(github)
    bot.do(bot.reviewer.tell_failure(ref_of(pull), reason, is_retried=is_retried, only_open=only_open))


def test_a_failure_says_nothing_over_an_outcome_or_of_a_command_beside_a_review(
    github: Simulator, repository: HostedRepository, pull: OpenedPullRequest
) -> None:
    before = pull.state()
    fails(github, pull, "it failed 10 times", is_retried=False)
    assert pull.state() == before
    other = repository.open_pull_request({"train.py": BROKEN_LOOP})
    fails(github, other, "it failed 10 times", is_retried=False, only_open=True)
    assert other.check_runs() == []


def test_failed_deliveries_are_asked_for_again_unless_they_were_finished(
    github: Simulator, repository: HostedRepository
) -> None:
    github.connect("http://127.0.0.1:9/webhook")
    for _ in range(3):
        repository.open_pull_request({"train.py": BROKEN_LOOP})
    end = time.monotonic() + 10
    while sum(each.event == "pull_request" for each in github.deliveries) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    wanted = [each.guid for each in github.deliveries if each.event == "pull_request"]
    finished, results = {wanted[0]}, list[Recovered]()

    async def is_finished(delivery: str) -> bool:
        return delivery in finished or delivery not in wanted

    async def recover(bot: Bot) -> None:
        results.append(await bot.reviewer.recover_deliveries(is_finished, since=time.time() - 3600))

    bot = Bot(github)
    calls = bot.do(recover(bot))
    assert results == [Recovered(asked_for=2)]
    assert [call.method for call in calls] == ["GET", "POST", "POST"]
