"""`python -m tests.load.sender URL RATE SECONDS`: signed webhooks over kept connections; prints what became of them

With a rate, webhooks go out at their times whether or not the earlier ones were answered, and a latency counts from
the time a webhook was to go out. With rate 0 each connection sends as soon as it has an answer.
"""

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.webhook import signature_of
from tests.service import SECRET, pull_request

CONNECTIONS = 16
WAIT = 15.0
PADDING = "x" * 8_000
"""GitHub's payload of a pull request has some ten kilobytes."""


@dataclass
class Sent:
    """Latencies of what was accepted, and how many were not."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0


async def main(url: str, rate: float, seconds: float) -> None:
    """Send for so many seconds; print the figures as JSON."""
    sent, began = Sent(), time.perf_counter()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    connections = [asyncio.create_task(_connection(url, due, sent, began + seconds)) for _ in range(CONNECTIONS)]
    if rate:
        for index in range(int(rate * seconds)):
            at = began + index / rate
            await asyncio.sleep(max(at - time.perf_counter(), 0.0))
            due.put_nowait(at)
    else:
        for _ in connections:
            due.put_nowait(0.0)
    for _ in connections:
        due.put_nowait(None)
    await asyncio.wait_for(asyncio.gather(*connections), seconds + WAIT)
    took = time.perf_counter() - began
    print(json.dumps({"accepted": len(sent.seconds), "refused": sent.refused, "took": took, "ms": _shares(sent)}))


def _shares(sent: Sent) -> dict[str, float]:
    ordered = sorted(sent.seconds) or [0.0]
    return {name: 1000 * ordered[int(share * (len(ordered) - 1))] for name, share in (("p50", 0.5), ("p99", 0.99))}


async def _connection(url: str, due: "asyncio.Queue[float | None]", sent: Sent, until: float) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        while (at := await due.get()) is not None:
            if at:
                await _one(reader, writer, sent, at)
                continue
            while (now := time.perf_counter()) < until:
                await _one(reader, writer, sent, now)
            return
    finally:
        writer.close()


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Sent, at: float) -> None:
    writer.write(_request())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    if head.split(b" ", 2)[1] == b"202":
        sent.seconds.append(time.perf_counter() - at)
    else:
        sent.refused += 1


def _request() -> bytes:
    """A push to one of some hundred pull requests of ten installations."""
    name = uuid.uuid4()
    number = name.int % 100
    body = json.dumps(pull_request("synchronize", number, installation=number % 10 + 1, padding=PADDING)).encode()
    lines = (
        "POST /webhook HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        "X-GitHub-Event: pull_request",
        f"X-GitHub-Delivery: {name}",
        f"X-Hub-Signature-256: {signature_of(body, SECRET)}",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
