"""Whether the mlstaff of this host is well, for a container's health check: `python -m app.health` exits 0 or 1.

A web server is asked over HTTP. Where none listens there should be a worker, and the store knows when it
was heard of last.
"""

import asyncio
import http.client
import socket
import sys

from app.queue.jobs import Jobs
from app.settings import Settings
from app.store import Store, Unavailable

SECONDS = 5


def web_is_well(settings: Settings) -> bool | None:
    """What `/healthz` says; None when nobody listens."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def worker_is_well(settings: Settings) -> bool:
    """Whether a worker of this host was heard of within the last seconds."""
    if settings.redis_url is None:
        return False
    url = settings.redis_url.get_secret_value()
    try:
        async with (
            asyncio.timeout(SECONDS),
            Store(url) as store,
            Jobs(store, url, per_installation=settings.installation_jobs) as jobs,
        ):
            return any(name.startswith(f"{socket.gethostname()}#") for name in await jobs.workers())
    except (Unavailable, TimeoutError, OSError):
        return False


def main() -> int:
    """0 when well, else 1."""
    settings = Settings()  # type: ignore[call-arg]  # pydantic fills it from the environment
    web = web_is_well(settings)
    well = asyncio.run(worker_is_well(settings)) if web is None else web
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
