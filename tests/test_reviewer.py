"""A review from its reading to its check run, on a simulated GitHub"""

from collections.abc import Iterator

import pytest

from tests.bot import BROKEN_LOOP, LOOP, Bot, repository_with
from tests.simulator import Simulator


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def test_a_deleted_zero_grad_is_told_on_its_line_in_five_calls(github: Simulator) -> None:
    pull = repository_with(github, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})
    calls = Bot(github).review(pull)
    state = pull.state()
    assert [comment["path"] for comment in state["comments"]] == ["train.py"]
    assert state["check_run"]["conclusion"] == "failure"
    assert len(state["reviews"]) == 1
    assert [(call.method, call.status) for call in calls] == [
        ("GET", 200),
        ("POST", 200),
        ("POST", 201),
        ("POST", 200),
        ("PATCH", 200),
    ]
