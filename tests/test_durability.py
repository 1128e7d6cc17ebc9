"""What was answered 202 is done, once, whatever is killed meanwhile."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.service import HELD, LIMITED, PATIENCE, Service, running, valkey, wait


def children(process: int) -> Iterator[int]:
    """All that descends from a process."""
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield int(child)
            yield from children(int(child))


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_done(service: Service, number: int, delivery: str) -> bool:
    """A delivery that is not done yet changes nothing when it comes again."""
    return bool(service.push(number, delivery=delivery).json()["outcome"] == "done_already")


def test_serve_killed_right_after_the_202_has_the_job_done_after_its_restart(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        process = service.processes["serve"].pid
        descendants = list(children(process))
        assert service.push(1, delivery="promised").status_code == 202
        service.kill()
        assert not service.asked(number=1), "this proves nothing when it was quicker than the kill"
        wait(lambda: not any(is_alive(each) for each in descendants))

        service.start()
        wait(lambda: service.asked(number=1), service)
        wait(lambda: is_done(service, 1, "promised"), service)
        assert len(service.asked(number=1)) == 1


def test_a_worker_killed_in_a_job_and_valkey_killed_too_lose_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.push(HELD, delivery="held")
        service.push(LIMITED, delivery="limited")
        wait(lambda: service.asked("begun", number=HELD), service)
        wait(lambda: any(line["event"] == "put back" for line in service.lines()), service)
        (begun,) = service.asked("begun", number=HELD)
        os.kill(int(str(begun["process"])), signal.SIGKILL)
        service.push(HELD, delivery="during")

        (store,) = [
            each
            for each in children(service.processes["serve"].pid)
            if "valkey-server" in Path(f"/proc/{each}/cmdline").read_text()
        ]
        os.kill(store, signal.SIGKILL)
        assert service.push(2).status_code == 202

        wait(lambda: len(service.asked("begun", number=HELD)) == 2, service)
        service.let_go(HELD)
        wait(lambda: service.asked(number=2), service)
        wait(lambda: is_done(service, HELD, "held") and is_done(service, HELD, "during"), service)
        assert len(service.asked("begun", number=LIMITED)) == 1, "nobody worked on what is to come later"
        assert {line["event"] for line in service.lines() if line["level"] == "error"} >= {
            "the worker died and is started again",
            "the embedded Valkey died and is started again",
        }


def test_parts_that_are_stopped_finish_what_they_are_at(tmp_path: Path) -> None:
    with valkey(tmp_path / "store") as url, running(tmp_path, "web", "worker", REDIS_URL=url) as service:
        service.push(HELD, delivery="held")
        wait(lambda: service.asked("begun", number=HELD), service)
        service.processes["worker"].terminate()
        service.push(1)
        service.let_go(HELD)
        assert service.processes.pop("worker").wait(timeout=PATIENCE) == 0
        assert len(service.asked(number=HELD)) == 1
        assert not service.asked(number=1)

        service.start("worker")
        wait(lambda: service.asked(number=1), service)
        assert is_done(service, HELD, "held")
        service.processes["web"].terminate()
        assert service.processes.pop("web").wait(timeout=PATIENCE) == 0


def test_a_data_folder_is_not_shared_and_a_second_server_says_why(tmp_path: Path) -> None:
    with running(tmp_path) as service, contextlib.ExitStack() as stack:
        second = Service(tmp_path, service.environment)
        stack.callback(second.stop)
        with contextlib.suppress(AssertionError):
            second.start("serve-2")
        assert second.processes["serve-2"].wait(timeout=PATIENCE) == 1
        assert "another mlstaff uses the data folder" in second.log("serve-2").read_text()
        assert service.push(1).status_code == 202
        wait(lambda: service.asked(number=1), service)
