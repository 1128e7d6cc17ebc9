"""A key in a pull request gets a comment on its line, and goes nowhere: not to GitHub, a log, the store or a page."""

import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.keys import Key, every_key, is_in
from tests.simulator import Exchange, OpenedPullRequest, Simulator
from tests.simulator.bot import APART, Bot
from tests.simulator.run import CHECK
from tests.test_notebook import file_of

KEYS = every_key(seed=7)
HEAD = """\
import logging

import torch
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
logger = logging.getLogger(__name__)
model = torch.nn.Linear(10, 2)
"""
USES = """\
client = OpenAI(api_key={key})


@app.post("/ask{number}")
def ask_{number}(question: str):
    logger.info(f"asked {{question}} of " + {key})
    return client.responses.create(model="gpt-4.1", input=question, user={key}).output_text


torch.save(model, "model-" + {key})  # {comment}
"""
"""Code in which other rules speak of lines that hold a key."""
PATIENCE = 180


def source(key: Key, number: int) -> str:
    """A module that gives a key away at its tenth line, and more than once."""
    literal = json.dumps(key.value)
    return f"{HEAD}{key.line}\n{USES.format(key=literal, number=number, comment=key.value.partition(chr(10))[0])}"


def shown_in(text: str) -> list[str]:
    """The keys of which a text shows anything."""
    return [key.name for key in KEYS if is_in(key.body, text)]


@dataclass
class Travelled:
    """What is left of two reviews by the real processes."""

    alone: OpenedPullRequest
    used: OpenedPullRequest
    exchanges: list[Exchange]
    recording: list[str]
    kept: dict[str, str]
    page: str


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Travelled:
    """Each key alone in a file; and used in modules and notebooks. Every process logs whatever it can."""
    folder = tmp_path_factory.mktemp("travelled")
    record = folder / "record.jsonl"
    alone = {f"alone/key_{number}.py": f"import torch\n\n{key.line}\n" for number, key in enumerate(KEYS)}
    used = {f"used/key_{number}.py": source(key, number) for number, key in enumerate(KEYS)}
    used |= {f"used/key_{number}.ipynb": file_of(source(key, number)) for number, key in enumerate(KEYS)}
    loud = {"MLSTAFF_LOG_LEVEL": "DEBUG", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with (
        Simulator(record=record) as github,
        Bot(github, folder / "bot", processes=APART, environment=loud, ready_within=PATIENCE) as bot,
    ):
        repository = github.repository("octo-org/vault", files={"README.md": "A vault.\n"})
        first, second = repository.open_pull_request(alone), repository.open_pull_request(used)
        wait(lambda: _is_checked(first) and _is_checked(second))
        first.comment("/mlstaff review", author="maintainer")
        form = {"kind": (None, "diff"), "diff": (None, second.diff)}
        page = httpx.post(f"{bot.url}/playground", files=form, timeout=PATIENCE, trust_env=False).text
        wait(lambda: bool(first.state()["reactions"]))
        kept = {
            path.name: path.read_bytes().decode("latin-1")
            for path in (folder / "bot").rglob("*")
            if path.is_file() and path.suffix != ".pem"
        }
        return Travelled(first, second, list(github.calls), record.read_text().splitlines(), kept, page)


def wait(happened: Callable[[], bool]) -> None:
    """Waits for something, for a bounded time."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def _is_checked(pull: OpenedPullRequest) -> bool:
    runs = pull.check_runs(name=CHECK)
    return bool(runs) and all(run.status == "completed" for run in runs)


def test_every_key_gets_a_comment_on_its_line(travelled: Travelled) -> None:
    commented = {(each["path"], each["start_line"] or each["line"]) for each in travelled.alone.state()["comments"]}

    assert [key.name for n, key in enumerate(KEYS) if (f"alone/key_{n}.py", 3) not in commented] == []


def test_nothing_that_is_sent_to_github_shows_a_key(travelled: Travelled) -> None:
    sent = [each for each in travelled.exchanges if each.caller.startswith("installation")]
    assert any(each.method == "POST" and each.path.endswith("/reviews") for each in sent)

    assert shown_in("".join(json.dumps([each.path, each.query, each.request]) for each in sent)) == []


def test_the_recording_shows_keys_only_in_githubs_own_texts(travelled: Travelled) -> None:
    others = []
    for line in travelled.recording:
        exchange = json.loads(line)
        if exchange["path"].endswith("/graphql") and shown_in(json.dumps(exchange["request"])) == []:
            continue
        if exchange["method"] == "GET":
            exchange.pop("response")
        others.append(json.dumps(exchange))

    assert shown_in("".join(others)) == []


def test_nothing_that_is_kept_shows_a_key(travelled: Travelled) -> None:
    assert {"web.log", "worker.log", "valkey.log"} <= travelled.kept.keys()
    assert any(name.endswith(".aof") for name in travelled.kept)

    assert {name: shown for name, text in travelled.kept.items() if (shown := shown_in(text))} == {}


def test_the_playground_shows_no_key(travelled: Travelled) -> None:
    assert "hard-coded-secret" in travelled.page

    assert shown_in(html.unescape(re.sub(r"<[^>]+>", "", travelled.page))) == []


@pytest.mark.parametrize("format", ["text", "json", "sarif", "github", "markdown"])
def test_no_report_and_no_cache_shows_a_key(format: str, tmp_path: Path) -> None:
    project, cache = tmp_path / "project", tmp_path / "cache"
    project.mkdir()
    for number, key in enumerate(KEYS):
        (project / f"key_{number}.py").write_text(source(key, number))
        (project / f"key_{number}.ipynb").write_text(file_of(source(key, number)))
    mlstaff = Path(sys.executable).with_name("mlstaff")
    done = subprocess.run(
        [mlstaff, "check", "--format", format, str(project)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    kept = "".join(path.read_bytes().decode("latin-1") for path in cache.rglob("*") if path.is_file())

    assert kept
    assert "hard-coded-secret" in done.stdout
    assert shown_in(done.stdout + done.stderr + kept) == []
