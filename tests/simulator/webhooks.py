"""Signed deliveries to the App's webhook, and their log

https://docs.github.com/webhooks: an answer must come within 10 s, and nothing is sent again unless somebody asks.
"""

import hashlib
import hmac
import json
import queue
import random
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.simulator.errors import Refusal, not_found
from tests.simulator.model import Account, Installation, Json, Repository, iso
from tests.simulator.shapes import accounts, repositories
from tests.simulator.world import World, node_id

ANSWER_WITHIN, LARGEST_PAYLOAD, KEPT = 10.0, 25_000_000, 3 * 86_400
#: Sent to every App, subscribed or not.
_ALWAYS = ("installation", "installation_repositories", "ping")


@dataclass
class Delivery:
    """One attempt to deliver an event; a redelivery has the same `guid` and another `id`."""

    id: int
    guid: str
    event: str
    action: str | None
    content: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    installation_id: int | None
    repository_id: int | None
    redelivery: bool = False
    delivered_at: float = 0.0
    duration: float = 0.0
    status: str = "pending"
    status_code: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict, repr=False)
    answer: str = ""

    @property
    def payload(self) -> Json:
        """The event as JSON."""
        payload: Json = json.loads(self.content)
        return payload

    @property
    def failed(self) -> bool:
        """Whether the receiver did not answer 2xx in time."""
        return not 200 <= self.status_code < 300

    def item(self) -> Json:
        """`hook-delivery-item`."""
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": iso(self.delivered_at),
            "redelivery": self.redelivery,
            "duration": round(self.duration, 3),
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": self.action,
            "installation_id": self.installation_id,
            "repository_id": self.repository_id,
            "throttled_at": None,
        }

    def full(self) -> Json:
        """`hook-delivery`, with what was sent and what came back."""
        request = {"headers": self.headers, "payload": self.payload}
        response = {"headers": self.answer_headers, "payload": self.answer}
        return {**self.item(), "url": "", "request": request, "response": response}


class Webhooks:
    """Sends what happens to the App's webhook, one after the other or `senders` at once."""

    def __init__(self, world: World, *, senders: int = 1) -> None:
        self._world = world
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._held: list[Delivery] | None = None
        self._to_lose = 0
        self.answer_within = ANSWER_WITHIN
        self.deliveries: deque[Delivery] = deque()
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(senders)]
        for thread in self._threads:
            thread.start()

    def emit(
        self, event: str, action: str | None, *, repository: Repository | None, sender: Account, parts: Json
    ) -> None:
        """Tell the App of an event, if it is installed there and subscribed to it."""
        installation = self._world.installed_on(repository) if repository is not None else None
        if event not in _ALWAYS:
            subscribed = event in self._world.app.events
            if not subscribed or installation is None or installation.suspended_at is not None:
                return
            if event == "merge_group" and "merge_queues" not in installation.permissions:
                return
        self.send(
            event,
            action,
            installation,
            repository,
            self._payload(action, parts, repository, installation, sender),
        )

    def send(
        self, event: str, action: str | None, to: Installation | None, about: Repository | None, payload: Json
    ) -> Delivery | None:
        """Deliver any payload; `None` when it is too large to be sent."""
        content = json.dumps(payload).encode()
        if len(content) > LARGEST_PAYLOAD:
            return None
        guid = str(uuid.uuid4())
        delivery = Delivery(
            id=self._world.ids.large(),
            guid=guid,
            event=event,
            action=action,
            content=content,
            headers=self._headers(event, guid, content),
            installation_id=to.id if to else payload.get("installation", {}).get("id"),
            repository_id=about.id if about else None,
        )
        self._enqueue(delivery)
        return delivery

    def redeliver(self, old: Delivery) -> Delivery:
        """Send a delivery again, as the App may ask for."""
        again = Delivery(
            id=self._world.ids.large(),
            guid=old.guid,
            event=old.event,
            action=old.action,
            content=old.content,
            headers=dict(old.headers),
            installation_id=old.installation_id,
            repository_id=old.repository_id,
            redelivery=True,
        )
        self._enqueue(again)
        return again

    def hold(self) -> None:
        """Keep deliveries back until `release`."""
        self._held = []

    def release(self, *, shuffled_by: int | None = None) -> None:
        """Send what was held, in order or in an order drawn from a seed: deliveries do arrive out of order."""
        held, self._held = self._held or [], None
        if shuffled_by is not None:
            random.Random(shuffled_by).shuffle(held)
        for delivery in held:
            self._enqueue(delivery)

    def lose(self, count: int) -> None:
        """Let the next deliveries fail without reaching the receiver."""
        self._to_lose += count

    def settle(self, within: float = 30.0) -> None:
        """Wait until everything that is not held was delivered or failed."""
        end = time.monotonic() + within
        while self._queue.unfinished_tasks:
            if time.monotonic() > end:
                raise TimeoutError(f"{self._queue.unfinished_tasks} deliveries are still under way")
            time.sleep(0.002)

    def find(self, identifier: int) -> Delivery:
        """A delivery of the log; 404 for none."""
        for delivery in list(self.deliveries):
            if delivery.id == identifier:
                return delivery
        raise not_found()

    def log(self, size: int, cursor: str | None, status: str | None) -> tuple[list[Delivery], str | None]:
        """A page of the log, the newest first, and the cursor of the next. The log goes three days back."""
        if cursor is not None and not cursor.removeprefix("v1_").isdigit():
            raise Refusal(422, "Validation Failed")
        before = int(cursor.removeprefix("v1_")) if cursor else None
        oldest = self._world.clock.now() - KEPT
        found = [
            each
            for each in reversed(list(self.deliveries))
            if each.delivered_at >= oldest
            and (before is None or each.id < before)
            and (status is None or each.failed == (status == "failure"))
        ]
        shown = found[:size]
        return shown, f"v1_{shown[-1].id}" if len(found) > size else None

    def close(self) -> None:
        """Stop sending."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=ANSWER_WITHIN + 1)

    def _payload(
        self,
        action: str | None,
        parts: Json,
        repository: Repository | None,
        installation: Installation | None,
        sender: Account,
    ) -> Json:
        payload: Json = {"action": action, **parts} if action else dict(parts)
        if repository is not None:
            payload["repository"] = repositories.repository(self._world, repository)
            if repository.owner.is_organization:
                payload["organization"] = accounts.user(self._world, repository.owner)
        if installation is not None:
            payload["installation"] = {"id": installation.id, "node_id": node_id(installation)}
        return {**payload, "sender": accounts.user(self._world, sender)}

    def _headers(self, event: str, guid: str, content: bytes) -> dict[str, str]:
        app = self._world.app
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/5a6e4f2",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": str(app.id),
            "X-GitHub-Hook-Installation-Target-ID": str(app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-Hub-Signature": "sha1=" + _signature(app.webhook_secret, content, "sha1"),
            "X-Hub-Signature-256": "sha256=" + _signature(app.webhook_secret, content, "sha256"),
        }

    def _enqueue(self, delivery: Delivery) -> None:
        if self._held is not None:
            self._held.append(delivery)
            return
        self._queue.put(delivery)

    def _send_all(self) -> None:
        with httpx.Client(trust_env=False, verify=False) as client:
            while (delivery := self._queue.get()) is not None:
                try:
                    self._send(client, delivery)
                finally:
                    self._queue.task_done()

    def _send(self, client: httpx.Client, delivery: Delivery) -> None:
        delivery.delivered_at = self._world.clock.now()
        started = time.monotonic()
        try:
            answer = self._post(client, delivery)
            delivery.status_code = answer.status_code
            delivery.answer_headers, delivery.answer = dict(answer.headers), answer.text
            delivery.status = "OK" if answer.is_success else f"Invalid HTTP Response: {answer.status_code}"
        except httpx.TimeoutException:
            delivery.status, delivery.status_code = "timed out", 504
        except httpx.HTTPError:
            delivery.status, delivery.status_code = "failed to connect to host", 502
        delivery.duration = time.monotonic() - started
        self.deliveries.append(delivery)

    def _post(self, client: httpx.Client, delivery: Delivery) -> httpx.Response:
        url = self._world.app.webhook_url
        if self._to_lose > 0 or url is None:
            self._to_lose = max(self._to_lose - 1, 0)
            raise httpx.ConnectError("lost on the way")
        return client.post(url, content=delivery.content, headers=delivery.headers, timeout=self.answer_within)


def _signature(secret: str, content: bytes, digest: Any) -> str:
    return hmac.new(secret.encode(), content, getattr(hashlib, digest)).hexdigest()
