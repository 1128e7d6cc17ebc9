"""What the bot knows of the repository around a pull request's files, on a simulated GitHub"""

from collections.abc import Iterator
from typing import Any

import pytest

from app.events import ActionRequested
from tests.bot import LOOP, Bot, ref_of
from tests.simulator import Exchange, OpenedPullRequest, Simulator, faults
from tests.simulator.faults import Fault

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


CLEARING = "def clear(optimizer):\n    optimizer.zero_grad()\n"
FORGETFUL = "def clear(optimizer):\n    optimizer.state.clear()\n    optimizer.step()\n"
TRAINING = "from {module} import clear\n\n" + LOOP.replace("optimizer.zero_grad()", "clear(optimizer)")


@pytest.mark.parametrize(
    ("path", "module", "place"),
    [
        ("train.py", "cleaning", "cleaning.py"),
        ("train.py", "vision.cleaning", "src/vision/cleaning.py"),
        ("scripts/train.py", "cleaning", "scripts/cleaning.py"),
        ("scripts/train.py", "vision.cleaning", "vision/cleaning.py"),
        ("scripts/train.py", "vision.cleaning", "src/vision/cleaning.py"),
        ("src/vision/jobs/train.py", "vision.cleaning", "src/vision/cleaning/__init__.py"),
        ("vision/jobs/train.py", "..cleaning", "vision/cleaning.py"),
        ("vision/train.py", ".cleaning", "vision/cleaning/__init__.py"),
    ],
)
def test_an_imported_module_that_is_not_changed_is_read_in_one_call(
    github: Simulator, path: str, module: str, place: str
) -> None:
    training = TRAINING.format(module=module)
    for number, (helper, found) in enumerate(((CLEARING, False), (FORGETFUL, True))):
        repository = github.repository(f"octo-org/vision{number}", files={place: helper, path: "import torch\n"})
        pull = repository.open_pull_request({path: training})
        calls = Bot(github).review(pull)

        assert methods(calls) == ["GET", "QUERY", "QUERY", *(["POST"] if found else []), "POST"]
        assert ("missing-zero-grad" in told(pull)) is found


def test_what_is_no_module_of_the_repositorys_costs_no_call(github: Simulator) -> None:
    imports = "import os, yaml\nimport torch.nn.functional as F\nfrom tqdm import tqdm\nfrom ray.train import report\n"
    pull = opened(github, {"train.py": LOOP}, {"train.py": imports + LOOP})

    assert methods(Bot(github).review(pull)) == ["GET", "QUERY", "POST", "PATCH"]


def test_a_changed_module_counts_on_both_sides_as_it_was_there(github: Simulator) -> None:
    before = {"train.py": TRAINING.format(module="cleaning"), "cleaning.py": CLEARING}
    after: dict[str, str | bytes | None] = {"train.py": before["train.py"] + "\n", "cleaning.py": FORGETFUL}
    pull = opened(github, before, after)
    calls = Bot(github).review(pull)

    assert methods(calls) == ["GET", "QUERY", "POST", "POST", "PATCH"]
    assert "missing-zero-grad" in told(pull)


def test_a_module_that_is_not_there_is_unknown(github: Simulator) -> None:
    pull = opened(github, {"train.py": "import torch\n"}, {"train.py": TRAINING.format(module="cleaning")})
    calls = Bot(github).review(pull)

    assert methods(calls) == ["GET", "QUERY", "QUERY", "POST"]
    assert pull.state()["check_run"]["conclusion"] == "success"


@pytest.mark.parametrize("fault", [faults.server_error(502), faults.reset(), faults.server_error(500)])
def test_a_failure_of_that_call_costs_only_the_neighbours_and_marks_nothing_as_gone(
    github: Simulator, fault: Fault
) -> None:
    before = {"train.py": "import torch\n", "cleaning.py": FORGETFUL}
    pull = opened(github, before, {"train.py": TRAINING.format(module="cleaning")})
    Bot(github).review(pull)
    assert len(pull.state()["comments"]) == 1

    pull.push({"train.py": TRAINING.format(module="cleaning") + "\n" + UNSAFE})
    github.faults.script("POST", "/graphql$", None, fault, fault, fault)
    Bot(github).review(pull)

    assert "weights_only" in told(pull)
    (comment,) = [each for each in pull.state()["comments"] if "zero_grad" in each["body"]]
    assert "Gone with" not in comment["body"]


def test_a_manifest_beside_the_file_comes_with_the_modules(github: Simulator) -> None:
    before = {"jobs/requirements.txt": "torch==2.2\n", "jobs/train.py": "import torch\n", "jobs/cleaning.py": CLEARING}
    pull = opened(github, before, {"jobs/train.py": TRAINING.format(module="cleaning") + "\n" + UNSAFE})
    calls = Bot(github).review(pull)

    assert len(calls) <= 5
    assert "torch 2.2 is pinned in jobs/requirements.txt" in told(pull)


def test_a_hundred_files_with_imports_cost_five_calls_too(github: Simulator) -> None:
    before = {f"jobs/train_{n}.py": LOOP for n in range(100)} | {f"jobs/cleaning_{n}.py": CLEARING for n in range(100)}
    after: dict[str, str | bytes | None] = {
        f"jobs/train_{n}.py": TRAINING.format(module=f"cleaning_{n}") for n in range(99)
    }
    pull = opened(github, before, {**after, "jobs/train_99.py": LOOP.replace("optimizer.zero_grad()", "pass")})

    assert methods(Bot(github).review(pull)) == ["GET", "QUERY", "QUERY", "POST", "POST"]


def test_pressing_ignore_knows_the_neighbours_too(github: Simulator) -> None:
    before = {"train.py": "import torch\n", "cleaning.py": FORGETFUL}
    pull = opened(github, before, {"train.py": TRAINING.format(module="cleaning")})
    Bot(github).review(pull)
    assert pull.state()["check_run"]["conclusion"] == "failure"
    action = ActionRequested(ref_of(pull), "d", "ignore", "maintainer", 1, pull.head_sha)
    other = Bot(github)
    other.do(other.reviewer.act(action))

    assert pull.state()["check_run"]["conclusion"] == "success"
