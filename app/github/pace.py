"""When the next write of an installation may go out

GitHub asks for at least a second between writes when there are many, for the sake of its secondary limits:
https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests
"""

import time

#: The writes of one review (check run opened, review, check run closed) are not "many": a quiet installation
#: may do so many at once, then the average holds.
BURST = 3


class Pace:
    """Books a time for every write, so that on average there is one each `seconds`, per installation."""

    def __init__(self, seconds: float = 1.0, burst: int = BURST) -> None:
        self._seconds, self._burst = seconds, burst
        self._next: dict[int, float] = {}

    def book(self, installation_id: int) -> float:
        """Seconds to wait before the write that is booked by this call."""
        now = time.monotonic()
        free = max(self._next.get(installation_id, now), now)
        self._next[installation_id] = free + self._seconds
        return max(free - (self._burst - 1) * self._seconds - now, 0.0)

    def backlog(self, installation_id: int) -> float:
        """Seconds that a write would have to wait which is booked now."""
        free = self._next.get(installation_id, 0.0)
        return max(free - (self._burst - 1) * self._seconds - time.monotonic(), 0.0)
