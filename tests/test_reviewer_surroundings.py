"""What the bot knows of the repository around a pull request's files, on a simulated GitHub"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bot import LOOP, Bot
from tests.simulator import Exchange, OpenedPullRequest, Simulator

UNSAFE = "import torch\n\n\ndef weights(path):\n    return torch.load(path)\n"


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def opened(github: Simulator, before: dict[str, str], after: dict[str, str | bytes | None]) -> OpenedPullRequest:
    """A pull request that changes some files of a repository."""
    return github.repository("octo-org/vision", files={**before}).open_pull_request(after)


def methods(calls: list[Exchange]) -> list[str]:
    return ["QUERY" if call.path == "/graphql" else call.method for call in calls]


def told(pull: OpenedPullRequest) -> str:
    """Everything that the pull request says of its head."""
    state: dict[str, Any] = pull.state()
    return str((state["reviews"], state["comments"], state["check_run"]))


@pytest.mark.parametrize(
    ("manifest", "text", "said"),
    [
        ("requirements.txt", "torch==2.1.0\n", "torch 2.1 is pinned in requirements.txt"),
        ("uv.lock", '[[package]]\nname = "torch"\nversion = "2.5.1"\n', "torch 2.5.1 is pinned in uv.lock"),
        ("pyproject.toml", "[project]\ndependencies = ['torch>=2.6']\n", ""),
        ("README.md", "torch==2.7\n", "no version of torch is pinned here"),
    ],
)
def test_the_versions_that_the_repository_pins_are_known_at_no_further_call(
    github: Simulator, manifest: str, text: str, said: str
) -> None:
    pull = opened(github, {manifest: text, "load.py": "import torch\n"}, {"load.py": UNSAFE})
    calls = Bot(github).review(pull)

    assert len(calls) <= 5
    assert said in told(pull)
    assert ("weights_only" in told(pull)) is bool(said)


def test_a_pin_that_the_change_moves_is_known_on_both_sides(github: Simulator) -> None:
    before = {"uv.lock": '[[package]]\nname = "torch"\nversion = "2.6.0"\n', "load.py": UNSAFE}
    after: dict[str, str | bytes | None] = {
        "uv.lock": '[[package]]\nname = "torch"\nversion = "2.5.1"\n',
        "load.py": UNSAFE + "\n",
    }
    pull = opened(github, before, after)
    Bot(github).review(pull)

    assert "torch 2.5.1 is pinned in uv.lock" in told(pull)


def test_a_broken_manifest_is_named_and_costs_only_itself(github: Simulator) -> None:
    before = {"pyproject.toml": "[project\n", "setup.cfg": "[options]\ninstall_requires = torch<2.6\n", "load.py": LOOP}
    pull = opened(github, before, {"load.py": UNSAFE})
    Bot(github).review(pull)

    assert "setup.cfg asks for" in told(pull)
    assert "pyproject.toml" in told(pull)
    assert "its versions were not read: it is no TOML" in told(pull)


def test_a_manifest_beside_a_changed_file_is_read_when_the_change_touches_it(github: Simulator) -> None:
    before = {"requirements.txt": "torch==2.7\n", "jobs/requirements.txt": "torch==2.7\n", "jobs/load.py": UNSAFE}
    after: dict[str, str | bytes | None] = {"jobs/requirements.txt": "torch==2.2\n", "jobs/load.py": UNSAFE + "\n"}
    pull = opened(github, before, after)
    Bot(github).review(pull)

    assert "torch 2.2 is pinned in jobs/requirements.txt" in told(pull)
