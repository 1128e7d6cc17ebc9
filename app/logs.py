"""JSON lines on stderr, ours and every library's, without a secret in any of them.

What `structlog.contextvars` holds (the delivery, the pull request) is on each line, through threads and
tasks. Secrets are taken out of the finished line, so it does not matter whether they came in a message, a
field or a traceback.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import Settings
from detectors import without_keys

REDACTED = "[redacted]"
SHORTEST_SECRET = 6
"""What is shorter is no secret, and would redact ordinary words."""

# GitHub's tokens by their prefixes (new installation tokens hold a JWT: dots and dashes belong to them), JWTs,
# and private keys, whether their newlines are real or escaped, even when the end is cut off.
# https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
PATTERNS = (
    r"\bgh[opsur]_[A-Za-z0-9_.\-]+",
    r"\bgithub_pat_[A-Za-z0-9_]+",
    r"\beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"(?:.*?-----END [A-Z ]*PRIVATE KEY-----|(?:[A-Za-z0-9+/=\s]|\\+[nr])*)",
)


class Redaction:
    """Takes secrets out of text: everything that looks like one, the values we were configured with, and the keys
    that a traceback may quote from the sources that were read."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST_SECRET}
        exact = [re.escape(secret) for secret in sorted(known, key=len, reverse=True)]
        self._pattern = re.compile("|".join([*exact, *PATTERNS]), re.DOTALL)

    @classmethod
    def of(cls, settings: Settings) -> "Redaction":
        """Redaction that knows every secret of the settings."""
        values = [value for _, value in settings if isinstance(value, SecretStr)]
        return cls(value.get_secret_value() for value in values)

    def __call__(self, text: str) -> str:
        return without_keys(self._pattern.sub(REDACTED, text))


def _forms(secret: str) -> Iterable[str]:
    """A secret as it may stand in a JSON line, and the lines of one that has several, such as a key."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    lines = secret.replace("\\n", "\n").splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= 16 and not line.startswith("-----"))
    if "://" in secret and "@" in secret:
        yield secret.split("://", 1)[1].rsplit("@", 1)[0].split(":", 1)[-1]


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends the logs of this process, from structlog and from `logging`, through one formatter to stderr."""
    redact = Redaction.of(settings)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]

    def render(_: WrappedLogger, __: str, event: EventDict) -> str:
        return redact(json.dumps(event, ensure_ascii=False, default=repr))

    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=())],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("docket", "uvicorn", "httpx", "httpcore", "github", "urllib3", "asyncio"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )
