"""Redaction for whoever shows sources beside findings: a page that has the lines of a diff on it."""

from collections.abc import Callable, Iterable

from detectors._engine.flow.unit import Unit
from detectors._engine.secrecy.keys import keys_in
from detectors._engine.secrecy.secrets import Secret, redacted, secrets_in


def redaction_of(texts: Iterable[str]) -> Callable[[str], str]:
    """What takes the keys in these texts out of any text.

    In Python also those that only their name gives away; in everything else those that are known by their form.
    """
    found = {secret.value: secret for text in texts for secret in _secrets(text)}
    return lambda text: redacted(text, found.values()) if found else text


def _secrets(text: str) -> list[Secret]:
    try:
        unit = Unit(text)
        return [secret for secret, _, _ in keys_in(text, unit.tree, unit.names)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return list(secrets_in(text))
