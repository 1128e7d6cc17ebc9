"""Every exchange with the API, kept in memory and written as one JSON object a line"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Written for an exchange that had no answer.
NO_ANSWER = 599


@dataclass(frozen=True)
class Exchange:
    """A request and its answer; the bodies when they were JSON. `fault` names trouble made on purpose."""

    method: str
    path: str
    query: str
    request: Any
    status: int
    response: Any
    caller: str
    seconds: float
    fault: str | None = None

    def line(self) -> str:
        """The exchange as a line of a recording."""
        shown = {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "request": self.request,
            "status": self.status,
            "response": _described(self.response),
        }
        return json.dumps({**shown, "fault": self.fault} if self.fault else shown)


class Recording:
    """The exchanges so far; with a file, each is on disk as soon as it is over."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file.open("w", encoding="utf-8") if file is not None else None
        self.exchanges: list[Exchange] = []

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        with self._lock:
            self.exchanges.append(exchange)
            if self._file is not None:
                self._file.write(exchange.line() + "\n")
                self._file.flush()

    def save(self, file: Path) -> None:
        """Write all exchanges so far."""
        with self._lock:
            file.write_text("".join(each.line() + "\n" for each in self.exchanges), encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def json_or_none(content: bytes) -> Any:
    """The JSON of a body; `None` for an empty body and for what is none."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def _described(response: Any) -> Any:
    """An answer without the nulls that GitHub gives where its own description has no null.

    `line` and `position` of an outdated comment on a diff are null, and are described as numbers.
    """
    if isinstance(response, list):
        return [_described(each) for each in response]
    if not isinstance(response, dict) or "original_position" not in response:
        return response
    return {name: value for name, value in response.items() if value is not None or name not in ("line", "position")}
