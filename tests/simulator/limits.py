"""Rate limits of the API; none is enforced until set

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from collections import deque
from dataclasses import dataclass, field

from tests.simulator.errors import Refusal
from tests.simulator.model import Clock, Json

HOUR, MINUTE = 3600.0, 60.0
_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID."
)


@dataclass
class Limits:
    """What is enforced. `None` is no limit; GitHub's figures are in the comments."""

    primary: int | None = None  # 5,000 requests an hour for an installation
    points_per_minute: int | None = None  # 900: a read counts 1, a write 5
    content_per_minute: int | None = None  # 80 requests that make content
    content_per_hour: int | None = None  # 500
    secondary_status: int = 403  # or 429: GitHub gives both
    retry_after: int | None = 60  # `None`: the header is missing, as it sometimes is


@dataclass
class _Bucket:
    window_ends: float
    used: int = 0
    points: deque[tuple[float, int]] = field(default_factory=deque)
    contents: deque[float] = field(default_factory=deque)


class Meter:
    """Counts the requests of each caller and refuses what is too much."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock, self.limits = clock, limits
        self._buckets: dict[str, _Bucket] = {}

    def _bucket(self, name: str) -> _Bucket:
        now = self._clock.now()
        bucket = self._buckets.get(name)
        if bucket is None or bucket.window_ends <= now:
            kept = bucket or _Bucket(0)
            bucket = self._buckets[name] = _Bucket(now + HOUR, 0, kept.points, kept.contents)
        return bucket

    def headers(self, name: str, resource: str = "core") -> dict[str, str]:
        """The `x-ratelimit-*` headers that every answer carries."""
        rate = self.rate(name)
        headers = {f"x-ratelimit-{key}": str(value) for key, value in rate.items()}
        return {**headers, "x-ratelimit-resource": resource}

    def rate(self, name: str) -> Json:
        """The primary limit as `GET /rate_limit` shows it."""
        bucket, limit = self._bucket(name), self.limits.primary or 5000
        return {
            "limit": limit,
            "remaining": max(limit - bucket.used, 0),
            "reset": int(bucket.window_ends),
            "used": bucket.used,
        }

    def take(self, name: str, method: str, *, makes_content: bool) -> None:
        """Count a request; raises the refusal when it is one too many."""
        bucket, now = self._bucket(name), self._clock.now()
        if self.limits.primary is not None and bucket.used >= self.limits.primary:
            raise primary_refusal(bucket.window_ends)
        bucket.used += 1
        self._take_points(bucket, now, 1 if method in ("GET", "HEAD") else 5)
        if makes_content:
            self._take_content(bucket, now)

    def give_back(self, name: str) -> None:
        """A conditional request answered 304 is free."""
        self._bucket(name).used -= 1

    def _take_points(self, bucket: _Bucket, now: float, points: int) -> None:
        while bucket.points and bucket.points[0][0] <= now - MINUTE:
            bucket.points.popleft()
        bucket.points.append((now, points))
        most = self.limits.points_per_minute
        if most is not None and sum(each for _, each in bucket.points) > most:
            raise secondary_refusal(self.limits.secondary_status, self.limits.retry_after)

    def _take_content(self, bucket: _Bucket, now: float) -> None:
        while bucket.contents and bucket.contents[0] <= now - HOUR:
            bucket.contents.popleft()
        last_minute = sum(when > now - MINUTE for when in bucket.contents)
        a_minute, an_hour = self.limits.content_per_minute, self.limits.content_per_hour
        if (a_minute is not None and last_minute >= a_minute) or (
            an_hour is not None and len(bucket.contents) >= an_hour
        ):
            raise secondary_refusal(self.limits.secondary_status, self.limits.retry_after)
        bucket.contents.append(now)


def primary_refusal(resets: float) -> Refusal:
    """403 with nothing remaining."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(resets))}
    return Refusal(
        403,
        "API rate limit exceeded for installation. If you reach out to GitHub Support for help, please include "
        "the request ID.",
        documentation="/overview/rate-limits-for-the-rest-api",
        headers=headers,
    )


def secondary_refusal(status: int, retry_after: int | None) -> Refusal:
    """403 or 429, with or without `retry-after`."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Refusal(
        status,
        _SECONDARY,
        documentation="/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        headers=headers,
    )
