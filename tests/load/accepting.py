"""Webhooks from another process: how many are accepted a second, how soon, and beside a bare endpoint"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.service import running, valkey

RATE = 200.0
PATIENCE = 20.0


@dataclass(frozen=True)
class Accepting:
    """Webhooks accepted a second, how many were refused, and the latency of the 202 in milliseconds."""

    a_second: float
    refused: int
    p50: float
    p99: float


def measure(seconds: float) -> None:
    """Print the figures."""
    bare = _bare(seconds)
    _show("bare endpoint, only the signature", bare)
    for name, parts in (("mlstaff web", ("web",)), ("mlstaff web, a worker busy beside it", ("web", "worker"))):
        ours = _ours(parts, seconds)
        _show(f"{name}, each on disk before its 202", ours)
        print(
            f"  beside the bare endpoint: {ours[0.0].a_second / bare[0.0].a_second:.2f} of its webhooks a second, "
            f"{ours[RATE].p50 / bare[RATE].p50:.1f} × its p50, {ours[RATE].p99 / bare[RATE].p99:.1f} × its p99",
            flush=True,
        )


def _show(name: str, measured: Mapping[float, Accepting]) -> None:
    steady, most = measured[RATE], measured[0.0]
    print(
        f"{name}: at {RATE:.0f}/s p50 {steady.p50:.1f} ms, p99 {steady.p99:.1f} ms, {steady.refused} refused; "
        f"at most {most.a_second:.0f}/s (p99 {most.p99:.0f} ms, {most.refused} refused)",
        flush=True,
    )


def _ours(parts: Sequence[str], seconds: float) -> dict[float, Accepting]:
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        path = Path(folder)
        with valkey(path / "store") as url, running(path, *parts, REDIS_URL=url) as service:
            return {rate: _sent(service.url, rate, seconds) for rate in (RATE, 0.0)}


def _bare(seconds: float) -> dict[float, Accepting]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.load.bare", str(port)])
    try:
        _wait_for(port)
        return {rate: _sent(f"http://127.0.0.1:{port}", rate, seconds) for rate in (RATE, 0.0)}
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _sent(url: str, rate: float, seconds: float) -> Accepting:
    command = [sys.executable, "-m", "tests.load.sender", url, str(rate), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 2 * PATIENCE)
    told = json.loads(done.stdout)
    return Accepting(told["accepted"] / told["took"], told["refused"], told["ms"]["p50"], told["ms"]["p99"])
