"""Commands given on a simulated GitHub: who is answered, how, and how often"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.events import Place, RetryLater
from tests.bot import BROKEN_LOOP, LOOP, Bot, ref_of, repository_with, said
from tests.simulator import OpenedPullRequest, Simulator, faults

PLACES: tuple[Place, ...] = ("conversation", "thread", "review")


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


def reactions(pull: OpenedPullRequest) -> list[str]:
    """Ours, on anything, in order."""
    return [each["content"] for each in pull.state()["reactions"] if each["user"].endswith("[bot]")]


def replies(pull: OpenedPullRequest) -> list[str]:
    """What we said in the conversation and in threads, but for the findings."""
    state = pull.state()
    bodies = [each["body"] for each in state["conversation"] if each["user"]["login"].endswith("[bot]")]
    threads = [each for each in state["comments"] if each["user"].endswith("[bot]") and each["in_reply_to_id"]]
    return [*bodies, *(each["body"] for each in threads)]


@pytest.mark.parametrize("place", PLACES)
def test_help_is_answered_where_it_was_asked_for(github: Simulator, pull: OpenedPullRequest, place: Place) -> None:
    Bot(github).answer(pull, "/mlstaff help", place=place)
    (reply,) = replies(pull)
    assert "/mlstaff review" in reply
    assert reactions(pull) == ["eyes", "rocket"]
    assert len(pull.state()["conversation"]) == (0 if place == "thread" else 1 + (place == "conversation"))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_not_understood_is_said_with_the_usage(
    github: Simulator, pull: OpenedPullRequest, place: Place
) -> None:
    Bot(github).answer(pull, "/mlstaff reviw @everyone", place=place)
    (reply,) = replies(pull)
    assert "reviw" in reply
    assert "@everyone" not in reply
    assert "/mlstaff help" in reply
    assert reactions(pull) == ["eyes", "confused"]


@pytest.mark.parametrize("author", ["maintainer", "contributor"])
def test_review_is_for_maintainers_and_for_the_author_even_of_a_draft(github: Simulator, author: str) -> None:
    repository = repository_with(github, train=LOOP)
    draft = repository.open_pull_request({"train.py": BROKEN_LOOP}, draft=True, author="contributor")
    Bot(github).answer(draft, "/mlstaff review", author=author)
    assert len(draft.state()["comments"]) == 1
    assert reactions(draft) == ["eyes", "rocket"]
    assert replies(draft) == []


@pytest.mark.parametrize("author", ["stranger", "reader", "triager", "helper[bot]", "mlstaff[bot]"])
def test_others_are_not_answered_at_all(github: Simulator, author: str) -> None:
    repository = repository_with(github, train=LOOP)
    repository.role("reader", "read")
    repository.role("triager", "triage")
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    command = said(pull, "/mlstaff review\n/mlstaff nonsense", author=author)
    bot, before = Bot(github), pull.state()
    calls = bot.do(bot.reviewer.answer(command))
    assert [call.method for call in calls if call.method != "GET"] == []
    assert pull.state() == before


def test_an_author_without_write_access_is_told_so(github: Simulator, pull: OpenedPullRequest) -> None:
    Bot(github).answer(pull, "/mlstaff pause", author="contributor")
    (reply,) = replies(pull)
    assert "write access" in reply
    assert reactions(pull) == ["eyes", "confused"]


def test_a_permission_that_cannot_be_had_is_none(github: Simulator, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/permission$", faults.server_error(502))
    with pytest.raises(RetryLater):
        Bot(github).answer(pull, "/mlstaff help")
    assert reactions(pull) == []
    github.faults.script("GET", "/permission$", faults.server_error(403))
    Bot(github).answer(pull, "/mlstaff help")
    assert reactions(pull) == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["/mlstaff help", "/mlstaff nonsense", "/mlstaff pause"])
def test_a_command_is_answered_once_however_often_it_is_delivered(
    github: Simulator, pull: OpenedPullRequest, place: Place, command: str
) -> None:
    given = said(pull, f"{command}\n{command}", place=place)
    github.faults.script("POST", r"/(comments|replies)$", None, faults.reset(after_write=True))
    bot = Bot(github)
    with pytest.raises(RetryLater):
        bot.do(bot.reviewer.answer(given))
    for _ in range(2):
        again = Bot(github)
        again.do(again.reviewer.answer(given))
    assert len(replies(pull)) == 2


def test_rules_are_explained(github: Simulator, pull: OpenedPullRequest) -> None:
    Bot(github, public_url="https://mlstaff.example.org").answer(pull, "/mlstaff explain missing-zero-grad")
    (reply,) = replies(pull)
    assert "❌" in reply
    assert "✅" in reply
    assert "https://mlstaff.example.org/rules/missing-zero-grad" in reply


def test_a_finding_ignored_in_its_thread_stays_quiet_until_that_is_taken_back(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    Bot(github).answer(pull, "/mlstaff ignore we accumulate on purpose", place="thread")
    assert pull.state()["check_run"]["conclusion"] == "success"
    pull.push({"train.py": BROKEN_LOOP + "\n# more\n"})
    Bot(github).review(pull)
    assert pull.state()["check_run"]["conclusion"] == "success"
    Bot(github).answer(pull, "/mlstaff unignore", place="thread")
    assert pull.state()["check_run"]["conclusion"] == "failure"
    assert len(pull.threads()) == 1


def test_a_rule_ignored_in_the_conversation_stays_quiet_on_this_pull_request(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    Bot(github).answer(pull, "/mlstaff ignore missing-zero-grad it is a demo")
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert len(pull.threads()) == 1
    assert pull.state()["check_run"]["conclusion"] == "success"
    Bot(github).answer(pull, "/mlstaff unignore missing-zero-grad")
    assert len(pull.threads()) == 2
    assert pull.state()["check_run"]["conclusion"] == "failure"


def test_a_paused_pull_request_is_left_alone_until_it_is_resumed(github: Simulator, pull: OpenedPullRequest) -> None:
    Bot(github).answer(pull, "/mlstaff pause")
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert "paused" in pull.state()["check_run"]["output"]["summary"]
    assert len(pull.threads()) == 1
    Bot(github).answer(pull, "/mlstaff resume")
    assert len(pull.threads()) == 2


def test_review_all_also_tells_what_is_not_new_and_the_next_push_does_not_call_it_gone(
    github: Simulator,
) -> None:
    old = BROKEN_LOOP.replace("train(", "old(")
    repository = repository_with(github, train=old)
    pull = repository.open_pull_request({"train.py": old + "\nLR = 0.1\n"})
    Bot(github).review(pull)
    assert pull.threads() == []
    Bot(github).answer(pull, "/mlstaff review all")
    state = pull.state()
    assert state["check_run"]["conclusion"] == "failure"
    told = state["check_run"]["output"]["summary"] + "".join(each["body"] for each in state["reviews"])
    assert "missing-zero-grad" in told
    before = [each["body"] for each in state["comments"]]
    assert before
    pull.push({"train.py": old + "\nLR = 0.2\n"})
    Bot(github).review(pull)
    assert [each["body"] for each in pull.state()["comments"]] == before


def configured(github: Simulator, text: str) -> OpenedPullRequest:
    """A pull request on a base branch with this configuration."""
    repository = github.repository("octo-org/vision", files={"train.py": LOOP, ".github/mlstaff.yml": text})
    return repository.open_pull_request({"train.py": BROKEN_LOOP, ".mlstaff.yml": "fail_on: never\n"})


def test_config_says_what_holds_and_where_it_is_from(github: Simulator) -> None:
    pull = configured(github, "fail_on: risk\nnonsense: 1\n")
    Bot(github).answer(pull, "/mlstaff config")
    (reply,) = replies(pull)
    (line,) = [line for line in reply.splitlines() if "`fail_on`" in line]
    assert "risk" in line
    assert ".github/mlstaff.yml" in line
    assert "nonsense" in reply.partition("Not followed")[2]
    assert "the defaults" in reply


def layered(github: Simulator, organisation: str, **own: str) -> OpenedPullRequest:
    """A pull request in an organisation with this configuration."""
    github.repository("octo-org/.github", files={".mlstaff.yml": organisation})
    repository = github.repository("octo-org/vision", files={"train.py": LOOP, **{f".{k}.yml": own[k] for k in own}})
    return repository.open_pull_request({"train.py": BROKEN_LOOP})


def test_the_organisation_s_configuration_holds_below_the_repository_s_in_five_calls(github: Simulator) -> None:
    pull = layered(github, "fail_on: never\ncomments: 7\nnonsense: 1\n", mlstaff="comments: 8\n")
    calls = Bot(github).review(pull)
    assert [call.path.rpartition("/")[2] for call in calls][1] == "graphql"
    assert len(calls) == 5
    run = pull.state()["check_run"]
    assert run["conclusion"] == "neutral"
    assert "octo-org/.github/.mlstaff.yml:3" in run["output"]["summary"]
    Bot(github).answer(pull, "/mlstaff config")
    lines = {line.split("`")[1]: line for line in replies(pull)[0].splitlines() if line.startswith("| `")}
    assert "never" in lines["fail_on"]
    assert "octo-org/.github/.mlstaff.yml" in lines["fail_on"]
    assert "8" in lines["comments"]
    assert "octo-org" not in lines["comments"]


def test_the_organisation_decides_on_commands_and_drafts_too(github: Simulator) -> None:
    pull = layered(github, "drafts: true\ncommands: {help: admin}\n")
    pull.convert_to_draft()
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1
    Bot(github).answer(pull, "/mlstaff help")
    assert "admin" in replies(pull)[0]


def test_the_server_s_defaults_hold_below_all(github: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "defaults.yml"
    file.write_text("fail_on: never\ninline: [advice]\ndrafts: true\nnonsense: 1\n")
    pull = layered(github, "inline: [bug]\n", mlstaff="drafts: false\n")
    Bot(github, defaults_file=file).review(pull)
    state = pull.state()
    assert state["check_run"]["conclusion"] == "neutral"
    assert len(state["comments"]) == 1
    assert "the server's defaults:4" in state["check_run"]["output"]["summary"]
    assert str(tmp_path) not in state["check_run"]["output"]["summary"]


def test_the_repository_that_holds_the_organisation_s_configuration_is_one_layer(github: Simulator) -> None:
    repository = github.repository("octo-org/.github", files={"train.py": LOOP, ".mlstaff.yml": "nonsense: 1\n"})
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    Bot(github).review(pull)
    assert pull.state()["check_run"]["output"]["summary"].count("nonsense") == 1


def test_a_repository_that_was_moved_has_its_new_organisation_s_configuration(github: Simulator) -> None:
    github.repository("new-org/.github", files={".mlstaff.yml": "fail_on: never\n"})
    repository = github.repository("octo-org/vision", files={"train.py": LOOP})
    pull = repository.open_pull_request({"train.py": BROKEN_LOOP})
    old = ref_of(pull).repository
    repository.move("new-org/vision")
    bot = Bot(github)
    bot.do(bot.reviewer.review(replace(ref_of(pull), repository=old)))
    assert pull.state()["check_run"]["conclusion"] == "neutral"


def test_the_base_branch_decides_who_may_give_a_command(github: Simulator) -> None:
    pull = configured(github, "commands: {help: admin, pause: author}\n")
    Bot(github).answer(pull, "/mlstaff help", author="maintainer")
    Bot(github).answer(pull, "/mlstaff pause", author="contributor")
    first, second = replies(pull)
    assert "admin" in first
    assert "resume" in second


def test_the_base_branch_s_configuration_holds_and_not_the_pull_request_s(github: Simulator) -> None:
    pull = configured(github, "rules: {ignore: [missing-zero-grad]}\n")
    Bot(github).review(pull)
    assert pull.state()["comments"] == []
    assert pull.state()["check_run"]["conclusion"] == "success"


def test_drafts_are_reviewed_where_that_is_configured(github: Simulator) -> None:
    pull = configured(github, "drafts: true\n")
    pull.convert_to_draft()
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


def test_review_all_on_a_head_that_was_reviewed_lists_what_is_on_no_line_of_the_diff(github: Simulator) -> None:
    far = BROKEN_LOOP + "\n" * 30 + "LR = 0.1\n"
    pull = repository_with(github, train=far).open_pull_request({"train.py": far + "MORE = 1\n"})
    Bot(github).review(pull)
    assert pull.state()["reviews"] == []
    for _ in range(2):
        Bot(github).answer(pull, "/mlstaff review all")
    (review,) = pull.state()["reviews"]
    assert "missing-zero-grad" in review["body"]
