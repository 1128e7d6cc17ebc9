"""Limits, trouble and credentials of GitHub: each becomes a time to come back, an end, or nothing at all"""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from app.events import GiveUp, RetryLater, Trouble
from app.github.weather import Answer, Limits, Refused
from tests.bot import BROKEN_LOOP, LOOP, Bot, ref_of, repository_with, said
from tests.simulator import InstalledApp, OpenedPullRequest, Simulator, faults
from tests.simulator.auth import new_keys


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def pull(github: Simulator) -> OpenedPullRequest:
    return repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_out_by_the_queue_and_not_by_us(
    github: Simulator, pull: OpenedPullRequest, status: int
) -> None:
    github.faults.script("POST", "reviews$", faults.secondary_limit(status, retry_after=37))
    began = time.monotonic()
    with pytest.raises(RetryLater) as later:
        Bot(github).review(pull)
    assert later.value.seconds == 37
    assert time.monotonic() - began < 5
    Bot(github).review(pull)
    assert len(pull.state()["reviews"]) == 1


def test_a_primary_limit_is_waited_out_until_its_reset(github: Simulator, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/", faults.primary_limit(900))
    with pytest.raises(RetryLater) as later:
        Bot(github).review(pull)
    assert 890 <= later.value.seconds <= 902


def test_a_limit_without_a_time_is_a_minute_and_then_longer_each_time_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = Answer(403, {}, '{"message": "You have exceeded a secondary rate limit."}')
    named = Answer(403, {"retry-after": "7"}, "{}")
    limits, now = Limits(), 1000.0
    monkeypatch.setattr("app.github.weather.time.monotonic", lambda: now)
    for waits in (60, 120, 240):
        assert [limits.struck(1, limited).seconds for _ in range(3)] == [waits] * 3, "calls made together are one"
        now += waits + 1
    assert limits.struck(1, named).seconds == 7, "GitHub's own word counts"
    assert limits.struck(2, limited).seconds == 60
    limits.succeeded(1)
    now += 500
    assert limits.struck(1, limited).seconds == 60


def test_nobody_asks_while_a_limit_holds(github: Simulator, pull: OpenedPullRequest) -> None:
    github.faults.script("GET", "/pulls/", faults.secondary_limit(429, retry_after=30))
    bot, command = Bot(github), said(pull, "/mlstaff help")

    async def three_times() -> None:
        with pytest.raises(RetryLater):
            await bot.reviewer.review(ref_of(pull))
        with pytest.raises(RetryLater):
            await bot.reviewer.review(ref_of(pull))
        with pytest.raises(RetryLater):
            await bot.reviewer.answer(command)

    calls = bot.do(three_times())
    assert len(calls) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_on_github_s_side_is_soon_tried_again(github: Simulator, pull: OpenedPullRequest, status: int) -> None:
    github.faults.script("POST", "/graphql", faults.server_error(status))
    with pytest.raises(RetryLater) as later:
        Bot(github).review(pull)
    assert 0 < later.value.seconds <= 10
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


def test_trouble_of_one_job_does_not_hold_up_another_of_its_repository(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    github.faults.script("GET", "/pulls/", *[faults.server_error(502)] * 6)
    bot = Bot(github)

    async def in_turn() -> None:
        for _ in range(6):
            with pytest.raises(Trouble) as later:
                await bot.reviewer.review(ref_of(pull))
            assert later.value.seconds == 1, "the queue knows how often this job has failed"
        await bot.reviewer.review(ref_of(pull))

    bot.do(in_turn())
    assert len(pull.state()["comments"]) == 1


@pytest.mark.parametrize("path", ["/access_tokens$", "/app$"])
def test_the_app_s_own_limits_are_waited_for_as_long_as_github_says(
    github: Simulator, pull: OpenedPullRequest, path: str
) -> None:
    method = "GET" if path == "/app$" else "POST"
    github.faults.script(method, path, faults.secondary_limit(429, retry_after=123))
    bot = Bot(github)

    async def twice() -> None:
        for _ in range(2):
            if method == "GET":
                assert "rate limit" in await bot.reviewer.check_credentials()
            with pytest.raises(RetryLater) as later:
                await bot.reviewer.review(ref_of(pull))
            assert 120 < later.value.seconds <= 123

    before = len(github.calls)
    bot.do(twice())
    assert len(github.calls) - before == 1, "nobody asks while it holds"


def test_the_app_s_primary_limit_is_waited_out_until_its_reset(github: Simulator, pull: OpenedPullRequest) -> None:
    github.faults.script("POST", "/access_tokens$", faults.primary_limit(700))
    with pytest.raises(RetryLater) as later:
        Bot(github).review(pull)
    assert 690 <= later.value.seconds <= 702


@pytest.mark.parametrize("error", ["", "INTERNAL", "SOMETHING_NEW"])
@pytest.mark.parametrize("field", [("organisation",), ("repository",), ("repository", "pullRequest", "reviewThreads")])
def test_a_part_that_github_failed_to_give_is_asked_for_again_and_not_taken_for_nothing(
    github: Simulator, pull: OpenedPullRequest, field: tuple[str, ...], error: str
) -> None:
    Bot(github).review(pull)
    github.faults.script("POST", "/graphql", faults.partial(*field, error=error))
    with pytest.raises((RetryLater, Refused)):
        Bot(github).review(pull)
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


@pytest.mark.parametrize("error", ["FORBIDDEN", "INSUFFICIENT_SCOPES"])
def test_an_organisation_s_configuration_that_we_may_not_read_is_named(
    github: Simulator, pull: OpenedPullRequest, error: str
) -> None:
    github.faults.script("POST", "/graphql", faults.partial("organisation", error=error))
    Bot(github).review(pull)
    run = pull.state()["check_run"]
    assert run["conclusion"] == "failure"
    assert "octo-org/.github/.mlstaff.yml" in run["output"]["summary"]
    assert "does not let" in run["output"]["summary"]


def test_a_read_over_a_connection_that_was_closed_is_repeated_at_once(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    github.faults.script("GET", "/pulls/", faults.reset())
    github.faults.script("POST", "/graphql", faults.reset())
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


def test_a_write_is_never_repeated_by_itself(github: Simulator, pull: OpenedPullRequest) -> None:
    github.faults.script("POST", "reviews$", faults.reset(after_write=True))
    with pytest.raises(RetryLater):
        Bot(github).review(pull)
    assert len(pull.state()["reviews"]) == 1


def test_a_revoked_token_is_renewed_once(github: Simulator, pull: OpenedPullRequest) -> None:
    bot = Bot(github)

    async def with_a_revoked_token() -> None:
        await bot.reviewer.review(ref_of(pull))
        github.tokens.revoke()
        pull.push({"train.py": BROKEN_LOOP + "\n"})
        await bot.reviewer.review(ref_of(pull))

    before = len(github.calls)
    bot.do(with_a_revoked_token())
    tokens = [call for call in github.calls[before:] if call.path.endswith("/access_tokens")]
    assert len(tokens) == 2
    assert pull.state()["check_run"]["status"] == "completed"


def test_one_token_serves_many_reviews(github: Simulator, pull: OpenedPullRequest) -> None:
    bot = Bot(github)

    async def three_times() -> None:
        for _ in range(3):
            await bot.reviewer.review(ref_of(pull))

    before = len(github.calls)
    bot.do(three_times())
    tokens = [call for call in github.calls[before:] if call.path.endswith("/access_tokens")]
    assert len(tokens) == 1


def test_a_token_that_is_about_to_end_is_not_used(github: Simulator, pull: OpenedPullRequest) -> None:
    github.tokens.lifetime = 200.0
    before = len(github.calls)
    calls = Bot(github).review(pull)
    tokens = [call for call in github.calls[before:] if call.path.endswith("/access_tokens")]
    assert len(tokens) == len(calls)


@pytest.mark.parametrize("drift", [-7200, -90, 90, 7200])
def test_a_clock_that_is_wrong_is_set_by_github_s(github: Simulator, pull: OpenedPullRequest, drift: int) -> None:
    github.clock.advance(drift)
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


def test_a_key_of_another_app_keeps_the_job_and_says_so(github: Simulator, pull: OpenedPullRequest) -> None:
    bot = Bot(github, private_key=SecretStr(new_keys()[0]))
    with pytest.raises(RetryLater, match="key"):
        bot.review(pull)


@pytest.mark.parametrize(
    "wrong", [{"app_id": None}, {"private_key": None}, {"private_key": SecretStr("-----BEGIN nonsense")}]
)
def test_missing_credentials_are_named_without_being_shown(
    github: Simulator, pull: OpenedPullRequest, wrong: dict[str, Any]
) -> None:
    bot = Bot(github, **wrong)
    with pytest.raises(RetryLater) as later:
        bot.review(pull)
    assert "MLSTAFF" in str(later.value)
    assert "nonsense" not in str(later.value)


def test_credentials_are_checked_in_plain_words(github: Simulator) -> None:
    answers: list[str] = []

    async def check(bot: Bot) -> None:
        answers.append(await bot.reviewer.check_credentials())

    for bot in (Bot(github), Bot(github, app_id=None), Bot(github, private_key=SecretStr(new_keys()[0]))):
        bot.do(check(bot))
    assert answers[0] == ""
    assert "MLSTAFF_APP_ID" in answers[1]
    assert "401" in answers[2]


def test_a_missing_permission_ends_the_job_in_words(github: Simulator, pull: OpenedPullRequest) -> None:
    installation = github.world.installed_on(pull.pull.repository)
    assert installation is not None
    del installation.permissions["checks"]
    with pytest.raises(GiveUp, match="not accessible"):
        Bot(github).review(pull)


def test_a_suspended_installation_ends_the_job_and_a_later_one_works(
    github: Simulator, pull: OpenedPullRequest
) -> None:
    installation = github.world.installed_on(pull.pull.repository)
    assert installation is not None
    app = InstalledApp(github, installation)
    app.suspend()
    with pytest.raises(GiveUp, match="suspended"):
        Bot(github).review(pull)
    app.unsuspend()
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1


def test_no_token_and_no_key_is_in_any_log_or_error(
    github: Simulator, pull: OpenedPullRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Bot(github).review(pull)
    github.faults.script("POST", "reviews$", faults.server_error(422))
    pull.push({"more.py": BROKEN_LOOP})
    Bot(github).review(pull)
    github.tokens.revoke()
    bot = Bot(github, private_key=SecretStr(new_keys()[0]))
    with pytest.raises(RetryLater) as later:
        bot.review(pull)
    seen = caplog.text + str(later.value) + repr(later.value)
    assert "/pulls/" in seen
    for secret in ("ghs_", "BEGIN RSA", "eyJ", github.app.private_key[100:140]):
        assert secret not in seen


def test_enterprise_server_s_addresses_are_used(github: Simulator, pull: OpenedPullRequest) -> None:
    Bot(github, github_url=f"{github.url}/api/v3").review(pull)
    assert len(pull.state()["comments"]) == 1
