"""mlstaff as real processes for tests: uvicorn, Valkey, a worker; only what a job does is a stand-in.

The stand-in writes what it was asked into a file, and behaves as the pull request's title, its number, says.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app import serve
from app.embedded import Embedded
from app.events import ActionRequested, CommandGiven, GiveUp, MergeGroupRequested, RetryLater
from app.github.deliveries import Recovered
from app.pull_request import PullRequestRef
from app.queue.analysts import Analysts
from app.recovery import IsFinished
from app.settings import Settings
from app.store import Store
from app.webhook import signature_of

SECRET = "it is a secret to everybody"
PATIENCE = 120.0

HELD, FAILING, LIMITED, HOPELESS, ONCE_LIMITED = 200, 300, 400, 500, 600
"""Numbers of pull requests at which the stand-in waits for `let_go`, fails, is limited for an hour, gives up, or
is limited once."""


class StandIn:
    """A reviewer that only writes down what it is asked."""

    app_name = "Stand-in"

    def __init__(self, settings: Settings, store: Store, analysts: Analysts) -> None:
        self._path = settings.data_dir / "asked.jsonl"
        self._store = store

    def _write(self, **fields: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({**fields, "process": os.getpid(), "at": time.time()}) + "\n")

    async def review(self, ref: PullRequestRef) -> None:
        self._write(what="begun", number=ref.number, installation=ref.installation_id)
        if ref.number >= ONCE_LIMITED:
            if await self._store.get(f"limited {ref.number}") is None:
                await self._store.set(f"limited {ref.number}", b"1", seconds=60)
                raise RetryLater(0.5)
        elif ref.number >= HOPELESS:
            raise GiveUp("the repository is gone")
        elif ref.number >= LIMITED:
            raise RetryLater(3600)
        elif ref.number >= FAILING:
            raise RuntimeError("no luck with ghs_16C7e42F292c6912E7710c838347Ae178B4a")
        elif ref.number >= HELD:
            while not (self._path.parent / f"go {ref.number}").exists():
                await asyncio.sleep(0.02)
        self._write(what="review", number=ref.number, installation=ref.installation_id)

    async def answer(self, command: CommandGiven) -> None:
        self._write(what="answer", number=command.ref.number, body=command.body)

    async def act(self, action: ActionRequested) -> None:
        self._write(what="act", number=action.ref.number, button=action.identifier)

    async def pass_merge_group(self, group: MergeGroupRequested) -> None:
        self._write(what="pass_merge_group", head=group.head_sha)

    async def tell_failure(
        self, ref: PullRequestRef, reason: str, *, is_retried: bool = False, only_open: bool = False
    ) -> None:
        self._write(what="tell_failure", number=ref.number, reason=reason, retried=is_retried)

    async def recover_deliveries(self, is_finished: IsFinished, *, since: float | None) -> Recovered:
        self._write(what="recover", since=since)
        return Recovered()

    async def check_credentials(self) -> str:
        return ""

    async def close(self) -> None:
        return None


@dataclass
class Service:
    """A running `mlstaff serve|web|worker` with the stand-in, in `folder`."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    url: str = ""
    deliveries: int = 0

    def start(self, part: str = "serve", **environment: str) -> None:
        """Starts a part, and for those with a web server waits until it answers."""
        log = self.log(part)
        seen = len(self.lines(part))
        with log.open("ab") as file:
            self.processes[part] = subprocess.Popen(
                [sys.executable, "-m", "tests.service", part.partition("-")[0]],
                stderr=file,
                stdout=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "MLSTAFF_DATA_DIR": str(self.folder),
                    "MLSTAFF_PORT": "0",
                    "MLSTAFF_WEBHOOK_SECRET": SECRET,
                    **self.environment,
                    **environment,
                },
            )
        if not part.startswith("worker"):
            wait(lambda: any(line.get("event") == "listening" for line in self.lines(part)[seen:]), self)
            self.url = [line["url"] for line in self.lines(part) if line.get("event") == "listening"][-1]

    def log(self, part: str = "serve") -> Path:
        return self.folder / f"{part}.log"

    def lines(self, part: str = "serve") -> list[dict[str, str]]:
        """What a part logged, without what Python itself says of a process that was killed or cannot start."""
        path = self.log(part)
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self, part: str = "serve") -> None:
        """`kill -9`."""
        process = self.processes.pop(part)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """SIGTERM to all, and their end."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
            process.kill()
        self.processes.clear()

    def deliver(self, event: str, payload: dict[str, object], *, delivery: str = "", **headers: str) -> httpx.Response:
        """A signed delivery; each has a name of its own unless one is given."""
        self.deliveries += 1
        body = json.dumps(payload).encode()
        return httpx.post(
            f"{self.url}/webhook",
            content=body,
            headers={
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery or f"delivery-{self.deliveries}",
                "X-Hub-Signature-256": signature_of(body, SECRET),
                "Content-Type": "application/json",
                **headers,
            },
            timeout=20,
            trust_env=False,
        )

    def push(self, number: int, *, installation: int = 1, delivery: str = "") -> httpx.Response:
        """The delivery of a push to a pull request."""
        payload = pull_request("synchronize", number, installation=installation)
        return self.deliver("pull_request", payload, delivery=delivery)

    def asked(self, what: str = "review", number: int | None = None) -> list[dict[str, object]]:
        """What the stand-in was asked so far."""
        path = self.folder / "asked.jsonl"
        asked = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [each for each in asked if each["what"] == what and number in (None, each.get("number"))]

    def let_go(self, number: int) -> None:
        """Ends the waiting at a pull request."""
        (self.folder / f"go {number}").touch()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=20, trust_env=False)


def pull_request(action: str, number: int, *, installation: int = 1, **fields: object) -> dict[str, object]:
    """The payload of a pull request's event, with fields that nobody reads."""
    return {
        "action": action,
        "installation": {"id": installation, "node_id": "x"},
        "repository": {"id": installation * 100, "full_name": f"org{installation}/repo", "private": True},
        "pull_request": {"number": number, "user": {"login": "ada", "type": "User"}, "title": "…"},
        "sender": {"login": "ada", "type": "User"},
        **fields,
    }


def wait(happened: Callable[[], object], service: Service | None = None) -> None:
    """Waits for something, for a bounded time."""
    end = time.monotonic() + PATIENCE
    while not happened():
        ended = [p for p, process in service.processes.items() if process.poll()] if service else []
        if ended or time.monotonic() > end:
            logs = "\n".join(service.log(part).read_text()[-4000:] for part in service.processes) if service else ""
            raise AssertionError(f"it did not happen ({ended or 'in time'})\n{logs}")
        time.sleep(0.02)


@contextlib.contextmanager
def running(folder: Path, *parts: str, **environment: str) -> Iterator[Service]:
    """A service of these parts, stopped in the end."""
    service = Service(folder, environment)
    try:
        for part in parts or ("serve",):
            service.start(part)
        yield service
    finally:
        service.stop()


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The address of an embedded Valkey of its own."""
    with asyncio.Runner() as runner:
        embedded = Embedded(folder)
        runner.run(embedded.__aenter__())
        try:
            yield embedded.url
        finally:
            runner.run(embedded.__aexit__())


if __name__ == "__main__":
    from tests.service import StandIn as Stand  # not __main__'s, which the worker's process could not import

    parts = {"serve": serve.serve, "web": serve.web, "worker": serve.worker}
    parts[sys.argv[1]](Settings(), Stand)  # type: ignore[call-arg]
