"""Every call of GitHub is counted, by a few names."""

from collections.abc import Iterator

import pytest

from app import metrics
from app.events import RetryLater
from app.github.counting import operation_of
from tests.bot import BROKEN_LOOP, LOOP, Bot, repository_with
from tests.simulator import Simulator, faults


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def counts() -> dict[tuple[str, str], float]:
    return {
        (sample.labels["operation"], sample.labels["status"]): sample.value
        for family in metrics.GITHUB_CALLS.collect()
        for sample in family.samples
        if sample.name == "mlstaff_github_calls_total"
    }


def since(before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    return {labels: value - before.get(labels, 0) for labels, value in counts().items() if value != before.get(labels)}


def test_the_calls_of_a_review_are_counted_with_their_answers(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    before = counts()
    Bot(github).review(pull)
    assert since(before) == {
        ("token", "201"): 1,
        ("diff", "200"): 1,
        ("graphql", "200"): 1,
        ("review", "200"): 1,
        ("check_run", "201"): 1,
        ("check_run", "200"): 1,
    }
    assert 'mlstaff_github_seconds_count{operation="diff"}' in metrics.own()


def test_what_went_wrong_is_counted_as_it_did(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    github.faults.script("GET", r"/pulls/\d+$", faults.server_error(502))
    before = counts()
    with pytest.raises(RetryLater):
        Bot(github).review(pull)
    assert since(before)["diff", "502"] == 1
    github.faults.script("POST", "/check-runs$", faults.reset())
    before = counts()
    with pytest.raises(RetryLater):
        Bot(github).review(pull)
    assert since(before)["check_run", "broken"] == 1


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("POST https://ghes.example/api/graphql", "graphql"),
        ("GET /repos/o/r/pulls/7/files?page=2", "files"),
        ("GET /repos/o/r/git/blobs/abc", "text"),
        ("GET /repos/o/r/collaborators/reviews/permission", "permission"),
        ("POST /repos/o/r/pulls/7/comments/9/replies", "comment"),
        ("PATCH /repos/o/r/issues/comments/9", "comment"),
        ("POST /repos/o/r/pulls/7/reviews/9/events", "review"),
        ("GET /app/hook/deliveries", "app"),
        ("GET /repos/o/app/commits", "other"),
    ],
)
def test_an_operation_is_one_of_a_few(line: str, operation: str) -> None:
    assert operation_of(*line.split()) == operation
