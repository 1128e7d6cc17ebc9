"""The simulated API as an ASGI application, and uvicorn in a thread to serve it"""

import asyncio
import contextlib
import copy
import logging
import re
import socket
import struct
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.simulator import reviewing
from tests.simulator.auth import Caller, Tokens
from tests.simulator.errors import Refusal
from tests.simulator.faults import Fault, Faults
from tests.simulator.http import Answer, Call, Router
from tests.simulator.limits import HOUR, Meter, primary_refusal, secondary_refusal
from tests.simulator.recording import NO_ANSWER, Exchange, Recording, json_or_none
from tests.simulator.world import World

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_LOG = logging.getLogger(__name__)
#: Routes whose description names 304; elsewhere `If-None-Match` is not looked at.
_CONDITIONAL = re.compile(r"^/repos/[^/]+/[^/]+/(pulls(/\d+)?|contents/.+)$|^/rate_limit$|^/installation/repositories$")
#: "Content-creating" requests for the secondary limit.
_CONTENT = re.compile(r"/(reviews|comments|replies|check-runs|reactions|events)$")


class Api:
    """Authenticates, meters, routes, records; and breaks what it is told to break."""

    def __init__(
        self, world: World, router: Router, tokens: Tokens, meter: Meter, faults: Faults, recording: Recording
    ) -> None:
        self._world, self._router, self._tokens = world, router, tokens
        self._meter, self._faults, self._recording = meter, faults, recording
        self.latency = 0.0
        self.connections: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        content = await _body(receive)
        call = self._call(scope, content)
        fault = self._faults.next(call.method, call.path)
        if self.latency:
            await asyncio.sleep(self.latency)
        answer = None if fault is not None and not _carried_out(fault) else self._answer(call)
        if fault is not None:
            answer = self._spoil(call, fault, answer)
        self._record(scope, call, answer, fault, started)
        if answer is None or (fault is not None and fault.kind in ("reset", "timeout")):
            await self._break(scope, fault)
            return
        await _send(send, call, answer, fault.seconds if fault is not None else 0.0)

    def _call(self, scope: Scope, content: bytes) -> Call:
        path = scope.get("raw_path", scope["path"].encode()).decode().split("?")[0]
        path = re.sub(r"^/api/(v3(?=/)|(?=graphql))", "", path)
        path = self._by_name(path if path.startswith("/") else f"/{path}")
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        return Call(self._world, scope["method"], path, query, headers, content, Caller())

    def _by_name(self, path: str) -> str:
        """`/repositories/{id}/…` as `/repos/{owner}/{repo}/…`: where a moved repository's old address leads."""
        match = re.match(r"/repositories/(\d+)(/.*)?$", path)
        if match is None:
            return path
        with self._world.lock:
            names = {each.id: each.full_name for each in self._world.repositories.values()}
        return f"/repos/{names[int(match[1])]}{match[2] or ''}" if int(match[1]) in names else path

    def _answer(self, call: Call) -> Answer:
        try:
            with self._world.lock:
                answer = self._handle(call)
        except Refusal as refusal:
            answer = _refused(refusal)
        except Exception:
            _LOG.exception("the simulator itself failed on %s %s", call.method, call.path)
            answer = Answer(500, {"message": "Server Error"})
        return self._finish(call, answer)

    def _handle(self, call: Call) -> Answer:
        call.caller = self._tokens.caller(call.headers.get("authorization"))
        makes_content = call.method in ("POST", "PATCH", "PUT") and _CONTENT.search(call.path) is not None
        self._meter.take(call.caller.bucket, call.method, makes_content=makes_content)
        found = self._router.find(call.method, call.path)
        if found is None:
            raise Refusal(404, "Not Found")
        handler, call.parameters = found
        return handler(call)

    def _finish(self, call: Call, answer: Answer) -> Answer:
        headers = {
            "date": formatdate(self._world.clock.now(), usegmt=True),
            "x-github-request-id": uuid.uuid4().hex[:20].upper(),
            "x-github-media-type": "github.v3; format=json",
        }
        if call.method == "GET" and answer.status == 200 and _CONDITIONAL.match(call.path):
            headers["etag"] = answer.etag()
            if call.headers.get("if-none-match") == headers["etag"]:
                self._meter.give_back(call.caller.bucket)
                answer = Answer(304)
        resource = "graphql" if call.path == "/graphql" else "core"
        answer.headers = {**self._meter.headers(call.caller.bucket, resource), **headers, **answer.headers}
        return answer

    def _spoil(self, call: Call, fault: Fault, answer: Answer | None) -> Answer | None:
        if fault.kind == "orphan" and answer is not None and answer.status == 422:
            with self._world.lock:
                reviewing.leave_orphan(self._world, call.pull_request(), call.user)
        if fault.kind == "partial" and answer is not None:
            return self._finish(call, Answer(answer.status, _without(answer.body, fault)))
        if fault.kind in ("slow", "orphan"):
            return answer
        if fault.kind == "status":
            page = b"<html><body><h1>Server Error</h1></body></html>"
            return self._finish(call, Answer(fault.status, page, media_type="text/html"))
        if fault.kind == "primary-limit":
            refusal = primary_refusal(self._world.clock.now() + (fault.retry_after or HOUR))
            return self._finish(call, _refused(refusal))
        if fault.kind == "secondary-limit":
            return self._finish(call, _refused(secondary_refusal(fault.status, fault.retry_after)))
        return None

    def _record(self, scope: Scope, call: Call, answer: Answer | None, fault: Fault | None, started: float) -> None:
        response = None if answer is None or isinstance(answer.body, bytes) else answer.body
        self._recording.add(
            Exchange(
                method=call.method,
                path=call.path,
                query=scope["query_string"].decode(),
                request=json_or_none(call.content),
                status=NO_ANSWER if answer is None else answer.status,
                response=response,
                caller=call.caller.bucket,
                seconds=time.monotonic() - started,
                fault=None if fault is None else fault.kind,
            )
        )

    async def _break(self, scope: Scope, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "timeout":
            await asyncio.sleep(fault.seconds)
        transport = self.connections.get(tuple(scope["client"]))
        if transport is not None:
            raw = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # with a zero linger the peer sees a reset, not an end
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


def _carried_out(fault: Fault) -> bool:
    return fault.after_write or fault.kind in ("slow", "orphan", "partial")


def _without(body: Any, fault: Fault) -> Any:
    """A GraphQL answer without the field that a fault is about."""
    spoiled = copy.deepcopy(body)
    holder = spoiled["data"]
    for name in fault.path[:-1]:
        holder = holder[name]
    holder[fault.path[-1]] = None
    kind = {"type": fault.error} if fault.error else {}
    said = "Something went wrong while executing your query."
    spoiled.setdefault("errors", []).append({**kind, "path": list(fault.path), "message": said})
    return spoiled


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, refusal.body(), dict(refusal.headers))


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, call: Call, answer: Answer, seconds: float) -> None:
    content = b"" if call.method == "HEAD" else answer.content
    headers = {"content-type": answer.media_type, **answer.headers, "content-length": str(len(content))}
    if answer.status in (204, 304):
        del headers["content-type"], headers["content-length"]
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if seconds and content:
        step = max(len(content) // 10, 1)
        for at in range(0, len(content), step):
            await asyncio.sleep(seconds / 10)
            await send({"type": "http.response.body", "body": content[at : at + step], "more_body": True})
        content = b""
    await send({"type": "http.response.body", "body": content})


class _QuickServer(uvicorn.Server):
    """uvicorn that stops at once: it waits for nobody, and a test has its own simulator."""

    async def main_loop(self) -> None:
        """Look for the end fifty times a second, and not ten."""
        counter = 0
        while not await self.on_tick(counter // 5 * 10):
            counter = (counter + 1) % 100_000
            await asyncio.sleep(0.02)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets and drop every connection."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


class Server:
    """uvicorn on a free port of the loopback, in a thread; over TLS with `tls`, a certificate's and its key's file."""

    def __init__(self, api: Api, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            api,
            log_level="critical",
            lifespan="off",
            http=_protocol(api),
            ws="none",
            timeout_keep_alive=60,
            date_header=False,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        self._server = _QuickServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self) -> None:
        """Serve; returns when requests are taken."""
        self._thread.start()
        end = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > end:
                raise TimeoutError("uvicorn did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving, without waiting for connections that are kept open."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


def _protocol(api: Api) -> type[asyncio.Protocol]:
    """A protocol that lets the application break the connection a request came on."""

    class Breakable(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            api.connections[tuple(transport.get_extra_info("peername")[:2])] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            peer = self.transport.get_extra_info("peername")
            if peer:
                api.connections.pop(tuple(peer[:2]), None)
            super().connection_lost(exc)

    return Breakable
