"""A log message is formatted before the logger knows whether to write it

An f-string, `%`, `.format` or `+` builds the text on every call, also where the level is off, and every message
becomes a different one for tools that group by template. Given as arguments, the values are formatted only when
the record is written. In a training step this costs time every batch, and formatting a GPU tensor makes the host
wait for it; in an endpoint it costs time every request.

❌
```python
import logging

logger = logging.getLogger(__name__)


def load(path, rows):
    logger.info(f"read {len(rows)} rows from {path}")  # ❌
```

✅
```python
import logging

logger = logging.getLogger(__name__)


def load(path, rows):
    logger.info("read %s rows from %s", len(rows), path)
```

https://docs.python.org/3/howto/logging.html#optimization
https://docs.python.org/3/library/logging.html#logging.Logger.debug
"""

import ast
from collections.abc import Iterator

from detectors import FUNCTIONS, Code, Problem, Tier, is_built, last_name, lazy_form, placeholders

TIER = Tier.ADVICE
WORDS = ("log", "debug(|info(|warning(|warn(|error(|exception(|critical(|fatal(|.log(")

_LEVELS = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log")
_ROUTINE = ("debug", "info", "log")
_MODULES = ("logging", "absl.logging", "transformers.utils.logging")
_MADE_BY = (
    "logging.getLogger", "logging.Logger", "absl.logging", "accelerate.logging.get_logger",
    "transformers.utils.logging.get_logger", "datasets.utils.logging.get_logger", "diffusers.utils.logging.get_logger",
    "multiprocessing.get_logger", "celery.utils.log.get_task_logger", "distributed.worker.logger",
)  # fmt: skip


def detect(code: Code) -> Iterator[Problem]:
    """Logger calls whose message is put together in place."""
    if code.is_test:
        return
    formatting = _formatting(code)
    for call in code.method_calls(*_LEVELS):
        assert isinstance(call.func, ast.Attribute)
        position = 1 if call.func.attr == "log" else 0
        message = call.args[position] if len(call.args) > position else None
        if message is None or not is_built(message) or _is_asked(code, call):
            continue
        if not _is_logger(code, call.func.value) and ast.unparse(call.func.value) not in formatting:
            continue
        lazy = lazy_form(message, code.source) if len(call.args) == position + 1 else None
        often = _repeats(code, call) if call.func.attr in _ROUTINE else ""
        yield code.problem(
            call,
            f"`{code.name(call.func)}` gets a finished text: it is built {often or 'even where the level is off'}, "
            "and each message is a template of its own.",
            fix=[code.source.replace(message, lazy.text)] if lazy is not None else [],
            tier=Tier.RISK if often else None,
        )


def _is_logger(code: Code, node: ast.expr) -> bool:
    """Whether it is a logger that formats `%` templates: the standard library's, or one made of it."""
    if code.origin(node) in _MODULES:
        return True
    values = code.values.of(node)
    return all(each.origin in _MADE_BY or _is_relative(each.origin) for each in values)


def _formatting(code: Code) -> frozenset[str]:
    """The loggers of unknown make that are given a template with its arguments somewhere in the file."""
    found = set()
    for call in code.method_calls(*_LEVELS[:-1]):
        template = call.args[0] if len(call.args) > 1 else None
        is_text = isinstance(template, ast.Constant) and isinstance(template.value, str)
        if is_text and placeholders(template.value) == len(call.args) - 1:  # type: ignore[union-attr]
            logger = call.func.value  # type: ignore[attr-defined]
            if last_name(logger) in ("log", "logger", "_logger", "_log"):
                found.add(ast.unparse(logger))
    return frozenset(found)


def _is_relative(origin: str | None) -> bool:
    """A package's own `logging.get_logger`, as the Hugging Face libraries have it."""
    return origin is not None and origin.startswith(".") and origin.endswith(".logging.get_logger")


def _is_asked(code: Code, call: ast.Call) -> bool:
    """Whether the level is looked at first."""
    tests = [each.test for each in code.tree.ancestors(call) if isinstance(each, ast.If)]
    return any("isEnabledFor" in ast.unparse(each) or "getEffectiveLevel" in ast.unparse(each) for each in tests)


def _repeats(code: Code, call: ast.Call) -> str:
    """How often the call runs, where that is every training step or every request to a model."""
    below: ast.AST = call
    loops = {id(each.loop) for each in code.training_steps} if "backward" in code.text else set()
    for above in code.tree.ancestors(call):
        if isinstance(above, (ast.If, ast.ExceptHandler, ast.Lambda)):
            break
        if isinstance(above, FUNCTIONS):
            return _per_request(code, call)
        if id(above) in loops and below in getattr(above, "body", []):
            return "in every training step"
        below = above
    return ""


def _per_request(code: Code, call: ast.Call) -> str:
    """The endpoint must run a model: for other handlers a text more or less is nothing."""
    endpoint = code.endpoints.directly_in(call) if code.endpoints.all else None
    runs = code.inference.runs if endpoint is not None else []
    if endpoint is None or not any(each.is_certain and code.endpoints.around(each.node) is endpoint for each in runs):
        return ""
    return f"for every request that `{endpoint.function.name}` answers"
