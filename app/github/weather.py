"""What an answer that is not a success means: later, never, or a refusal to be looked at

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from app.events import GiveUp, RetryLater, Trouble

#: "Wait for at least one minute" when a secondary limit names no time, then exponentially longer.
SHORTEST_WAIT, LONGEST_WAIT = 60.0, 3600.0
#: After a 5xx, a time-out or a broken connection: the least; the queue makes it longer from failure to failure.
BREATHER = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of GitHub; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """The body as JSON values.

        Raises:
            Unwell: it is none, as when a proxy on the way answers for GitHub.
        """
        try:
            return json.loads(self.text) if self.text else None
        except ValueError:
            raise Unwell(f"GitHub answered {self.status} with something that is no JSON") from None

    @property
    def message(self) -> str:
        """GitHub's own words for what is wrong, shortened."""
        try:
            body = json.loads(self.text)
        except ValueError:
            return ""
        return str(body.get("message") or "")[:300] if isinstance(body, dict) else ""

    @property
    def time(self) -> float:
        """GitHub's clock, in seconds since 1970; ours where the answer has no `Date`."""
        try:
            return parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return time.time()


class Unwell(Trouble):
    """GitHub, or the way to it, is in trouble: nothing is known of what became of the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(BREATHER, reason)


class Refused(Exception):
    """GitHub understood and said no: 4xx other than a limit. `errors` are the sentences of a 422."""

    def __init__(self, status: int, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(f"GitHub answered {status}: {'; '.join((message, *errors))}")
        self.status = status
        self.message = message
        self.errors = errors


#: Calls with the App's own JWT have limits of their own; no installation has this number.
THE_APP = 0


class Limited(RetryLater):
    """GitHub wants silence for `seconds`; `whose` calls are meant is an installation's number, or THE_APP."""

    def __init__(self, whose: int, seconds: float, reason: str) -> None:
        super().__init__(seconds, reason)
        self.whose = whose


class Limits:
    """Which installations GitHub wants silence from, and until when; nobody asks before that.

    Used by all threads; a number that is one behind does no harm.
    """

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        self._strikes: Counter[int] = Counter()

    def check(self, installation_id: int) -> None:
        """Raises RetryLater while a limit holds."""
        left = self._until.get(installation_id, 0.0) - time.monotonic()
        if left > 0:
            raise Limited(installation_id, left, "GitHub's rate limit is not over yet")

    def succeeded(self, installation_id: int) -> None:
        """An answer came; the next wait is the shortest again."""
        self._strikes.pop(installation_id, None)

    def struck(self, installation_id: int, answer: Answer) -> Limited:
        """Note a limit; the exception says for how long: as long as GitHub names, else a minute, and twice as long
        each time in a row. Calls that were under way together are struck once."""
        now = time.monotonic()
        seconds = _named_wait(answer)
        if seconds is None:
            if self._until.get(installation_id, 0.0) <= now:
                self._strikes[installation_id] += 1
            seconds = min(SHORTEST_WAIT * 2 ** (max(self._strikes[installation_id], 1) - 1), LONGEST_WAIT)
        self._until[installation_id] = max(self._until.get(installation_id, 0.0), now + seconds)
        return Limited(installation_id, seconds, f"GitHub's rate limit ({answer.status}): {answer.message}")


def is_limit(answer: Answer) -> bool:
    """Whether a 403 or 429 is one of GitHub's limits and not a missing permission."""
    if answer.status not in (403, 429):
        return False
    said = answer.message.lower()
    return (
        answer.status == 429
        or "retry-after" in answer.headers
        or answer.headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in said
        or "abuse detection" in said
    )


def check_status(answer: Answer) -> None:
    """Pass a success.

    Raises:
        RetryLater: GitHub is unwell.
        GiveUp: the installation is suspended.
        Refused: anything else; limits and 401 are to be dealt with before.
    """
    if answer.status < 400:
        return
    if answer.status >= 500 or answer.status == 408:
        raise Unwell(f"GitHub answered {answer.status}")
    if answer.status == 403 and "suspended" in answer.message.lower():
        raise GiveUp(answer.message)
    raise Refused(answer.status, answer.message, _sentences(answer))


def _named_wait(answer: Answer) -> float | None:
    after = answer.headers.get("retry-after", "")
    if after.isdigit():
        return max(float(after), 1.0)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(float(reset) - answer.time + 1, 1.0)
    return None


def _sentences(answer: Answer) -> tuple[str, ...]:
    try:
        errors = json.loads(answer.text).get("errors") or []
    except (ValueError, AttributeError):
        return ()
    if not isinstance(errors, list):
        errors = [errors]
    return tuple(_sentence(each)[:300] for each in errors[:10])


def _sentence(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    words = (error.get("field"), error.get("message") or error.get("code"))
    return " ".join(str(word) for word in words if word)
