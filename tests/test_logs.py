"""Logs are JSON lines with the delivery on each, and hold no secret."""

import contextvars
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from app.logs import REDACTED, Redaction, configure
from app.settings import Settings
from tests.keys import every_key, is_in

TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
LONG_TOKEN = "ghs_12345_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjMifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjE3MDAwMDAwMDB9.c2lnbmF0dXJlLW9mLWl0"
KEY = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA4f5wg5l2hKsTeNem/V41fGnJm6gOdrj8ym3rFkEU/wT8RDtn",
        "SgFEZOQpHEgQ7JL38xUfU0Y3g6aYw9QT0hJ7mCpz9Er5qLaMXJwZxzHzAahlfA0i",
        "-----END RSA PRIVATE KEY-----",
    ]
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        private_key=SecretStr(KEY),
        webhook_secret=SecretStr('quote " and \\ ümlaut'),
        REDIS_URL=SecretStr("redis://user:hunter2hunter2@store:6379/0"),
        data_dir=tmp_path,
    )  # type: ignore[call-arg]


@pytest.fixture
def lines(settings: Settings) -> Iterator[Callable[[], list[dict[str, str]]]]:
    root = logging.getLogger()
    level = root.level
    stream = io.StringIO()
    configure(settings, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers.clear()
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        LONG_TOKEN,
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghu_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0_abcdefghijklmnop",
        JWT,
        KEY,
        KEY.replace("\n", "\\n"),
        KEY.replace("\n", "\\\\n"),
        KEY[:120],
    ],
)
def test_what_looks_like_a_secret_is_taken_out(secret: str) -> None:
    text = Redaction()(f"before {secret} after")
    assert text.startswith("before [redacted]")
    assert not any(part in text for part in (secret, secret[10:40]))


def test_words_around_a_secret_stay() -> None:
    assert Redaction()(f"'{TOKEN}', then") == f"'{REDACTED}', then"


@pytest.mark.parametrize("text", ["ghs_", "the eyJ prefix", "-----BEGIN CERTIFICATE----- MIIE", "highs_and_lows_x"])
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    assert Redaction()(text) == text


@pytest.mark.parametrize(
    "secret",
    ['quote " and \\ ümlaut', "hunter2hunter2", KEY.splitlines()[1], KEY.splitlines()[2]],
)
def test_configured_secrets_are_taken_out_of_messages_fields_and_tracebacks(
    secret: str, lines: Callable[[], list[dict[str, str]]]
) -> None:
    log = structlog.get_logger("test")
    log.info(f"message {secret}")
    log.info("field", value={"deep": [secret]})
    logging.getLogger("some.library").warning("argument %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("traceback")
        logging.getLogger("some.library").exception("theirs")
    written = lines()
    assert len(written) == 5
    assert all("[redacted]" in json.dumps(line) for line in written)
    assert not any(secret in str(line) or secret in json.dumps(line, ensure_ascii=False) for line in written)
    assert sum("Traceback" in line.get("exception", "") for line in written) == 2


def test_what_is_bound_is_on_each_line_of_ours_of_libraries_and_of_threads(
    lines: Callable[[], list[dict[str, str]]],
) -> None:
    with structlog.contextvars.bound_contextvars(delivery="d1"):
        structlog.get_logger("test").info("ours")
        logging.getLogger("some.library").warning("theirs")
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(structlog.get_logger("test").info, "thread"))
        thread.start()
        thread.join()
    structlog.get_logger("test").info("after")
    written = {line["event"]: line for line in lines()}
    assert [written[name].get("delivery") for name in ("ours", "theirs", "thread", "after")] == [
        "d1",
        "d1",
        "d1",
        None,
    ]
    assert written["theirs"]["logger"] == "some.library"
    assert all(line["level"] and line["timestamp"] for line in written.values())


def test_keys_that_a_traceback_quotes_are_redacted(lines: Callable[[], list[dict[str, str]]]) -> None:
    keys = [each for each in every_key() if "_KEY" not in each.name]
    for key in keys:
        try:
            raise ValueError(f"cannot read {key.line}")
        except ValueError:
            structlog.get_logger("mlstaff.test").exception("failed", text=key.value)

    written = json.dumps(lines())

    assert [key.name for key in keys if is_in(key.body, written)] == []
