"""`mlstaff jobs`: what waits, runs and was given up, as an operator sees it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.embedded import Embedded
from app.events import MergeGroupRequested, ReviewRequested
from app.pull_request import PullRequestRef
from app.queue.inbox import Item, Subject
from app.queue.jobs import Jobs
from app.store import Store
from tests.service import HELD, LIMITED, Service, running, wait


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as service:
        yield service


def jobs(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from app.cli import main; main()", "jobs", *arguments]
    environment = {**os.environ, "MLSTAFF_DATA_DIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def listed(service: Service) -> dict[str, dict[str, object]]:
    answer = jobs(service.folder, "--json")
    assert answer.returncode == 0, answer.stderr
    return {line["delivery"]: line for line in json.loads(answer.stdout)}


async def bury(service: Service) -> None:
    url = Embedded(service.folder).url
    async with Store(url) as store, Jobs(store, url, per_installation=1) as queue:
        push = ReviewRequested(PullRequestRef(1, 42, "ada/engine", 7), "dead-one")
        group = MergeGroupRequested(1, 42, "ada/engine", "c0ffee" * 6, "dead-group")
        for request in (push, group):
            item = Item(request, first_seen=1_000_000.0)
            await queue.inbox.bury(Subject.of(request), replace(item, attempts=10, error="RuntimeError:\n no luck"))


def test_what_is_not_done_is_listed_and_a_dead_letter_is_retried(service: Service) -> None:
    assert "nothing waits" in jobs(service.folder).stdout
    service.push(HELD, delivery="held")
    service.push(LIMITED, delivery="limited")
    wait(lambda: service.asked("begun", number=HELD), service)
    wait(lambda: any(line["event"] == "put back" for line in service.lines()), service)
    asyncio.run(bury(service))
    assert "mlstaff_dead_letters 2.0" in service.get("/metrics").text

    lines = listed(service)
    assert {name: line["state"] for name, line in lines.items()} == {
        "held": "running",
        "limited": "waiting",
        "dead-one": "dead",
        "dead-group": "dead",
    }
    assert str(lines["limited"]["due"]) > str(lines["limited"]["since"])
    assert lines["dead-one"]["since"] == "1970-01-12T13:46:40+00:00"

    text = jobs(service.folder).stdout
    assert "ada/engine#7" in text
    assert "ada/engine@c0ffeec0ffee" in text
    assert "    RuntimeError: no luck\n" in text

    assert "is waiting again" in jobs(service.folder, "--retry", "dead-one").stdout
    wait(lambda: service.asked(number=7), service)
    assert "dead-one" not in listed(service)
    assert "mlstaff_dead_letters 1.0" in service.get("/metrics").text
    service.let_go(HELD)

    unknown = jobs(service.folder, "--retry", "dead-one")
    assert unknown.returncode == 1
    assert "no dead letter dead-one" in unknown.stderr


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    answer = jobs(tmp_path)
    assert answer.returncode == 1
    assert "no store answers" in answer.stderr
    assert "Traceback" not in answer.stderr
