"""A log call gets arguments that its text has no place for

A logger puts its arguments into the `%` places of the text. Without such a place the message is not written at all: the
handler prints a traceback of its own to stderr instead, and the value that was to be logged is lost.

❌
```python
import logging

logger = logging.getLogger(__name__)


def save(path):
    logger.info("Saving the checkpoint to", path)  # ❌
```

✅
```python
import logging

logger = logging.getLogger(__name__)


def save(path):
    logger.info("Saving the checkpoint to %s", path)
```

https://docs.python.org/3/library/logging.html#logging.Logger.debug
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier, placeholders

TIER = Tier.BUG
WORDS = ("log", "debug(|info(|warning(|warn(|error(|exception(|critical(|fatal(|.log(")
_LEVELS = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log")


def detect(code: Code) -> Iterator[Problem]:
    """Calls of the standard library's loggers with more or fewer arguments than their text has places."""
    if code.is_test:
        return
    for call in code.method_calls(*_LEVELS):
        assert isinstance(call.func, ast.Attribute)
        first = 1 if call.func.attr == "log" else 0
        given = call.args[first + 1 :]
        if (
            not given
            or any(isinstance(each, ast.Starred) for each in call.args)
            or not _is_logger(code, call.func.value)
        ):
            continue
        text = call.args[first]
        if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
            continue
        places = placeholders(text.value)
        if places is None or places == len(given) or (places and isinstance(given[0], ast.Dict)):
            continue
        added = " %s" * (len(given) - places)
        yield code.problem(
            call,
            f"The text has {places or 'no'} place{'' if places == 1 else 's'} for {len(given)} "
            f"argument{'' if len(given) == 1 else 's'}: logging prints a traceback instead of the message.",
            mend=[_with_places(code, text, added)] if added else [],
        )


def _with_places(code: Code, text: ast.Constant, added: str):  # type: ignore[no-untyped-def]
    source = code.source.of(text)
    return (
        code.source.replace(text, f"{source[:-1].rstrip()}{added}{source[-1]}")
        if source[-3:-1] != source[-1] * 2
        else None
    )


def _is_logger(code: Code, node: ast.expr) -> bool:
    if code.origin(node) == "logging":
        return True
    values = code.values.of(node)
    return bool(values) and all(each.origin in ("logging.getLogger", "logging.Logger") for each in values)
