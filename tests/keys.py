"""Keys of every provider, made when a test runs: none stands in this repository, and none of them opens anything."""

import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from detectors._engine.secrecy.secrets import FORMATS, NAMED, Format, checksum, secret_named, secrets_in

_MANY = 7
"""How much longer than it must be a part of open length is made."""
_TRIES = 50


@dataclass(frozen=True)
class Key:
    """A key: `body` is the part that no one may see, `line` a line of Python that gives it away."""

    name: str
    value: str
    body: str
    line: str


def every_key(seed: int = 1) -> list[Key]:
    """One key of each form that is known."""
    return [*_of_formats(seed), *_of_names(seed), private_key(seed)]


def private_key(seed: int) -> Key:
    """A block of several lines, in a literal of several lines."""
    random_text = random.Random(seed)
    alphabet = string.ascii_letters + string.digits + "+/"
    lines = ["".join(random_text.choices(alphabet, k=64)) for _ in range(6)]
    begin, end = ("-----" + f"{each} PRIVATE KEY-----" for each in ("BEGIN", "END"))
    value = "\n".join([begin, *lines, f"{lines[0][:11]}=", end])
    return Key("private key", value, "".join(lines), f'PRIVATE_KEY = """{value}"""')


def _of_formats(seed: int) -> Iterator[Key]:
    for number, form in enumerate(FORMATS):
        value = next(value for value in _values(form, seed) if any(each.value == value for each in secrets_in(value)))
        yield Key(f"{form.provider} {form.prefix}", value, value[len(form.prefix) :], f'TOKEN_{number} = "{value}"')


def _values(form: Format, seed: int) -> Iterator[str]:
    for attempt in range(_TRIES):
        body = text_like(form.body, random.Random(f"{form.prefix}{seed}{attempt}"))
        if form.provider in ("GitHub", "npm") and "_" not in body:
            body = body[:-6] + checksum(body[:-6])
        yield form.prefix + body


def _of_names(seed: int) -> Iterator[Key]:
    """Keys that only the name of their variable gives away."""
    for _, values, provider, variable in NAMED:
        made = (text_like(values.pattern, random.Random(f"{variable}{seed}{attempt}")) for attempt in range(_TRIES))
        value = next(each for each in made if secret_named(variable, each))
        yield Key(f"{provider} {variable}", value, value, f'{variable} = "{value}"')


def text_like(pattern: str, choices: random.Random) -> str:
    """A text that a regular expression matches whole."""
    return "".join(_parts(parser.parse(pattern), choices))


def _parts(parsed: Any, choices: random.Random) -> Iterator[str]:
    for kind, value in parsed:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.IN:
            yield choices.choice(_characters(value))
        elif kind is op.BRANCH:
            yield from _parts(choices.choice(value[1]), choices)
        elif kind is op.SUBPATTERN:
            yield from _parts(value[-1], choices)
        elif kind is op.MAX_REPEAT:
            least, most, repeated = value
            for _ in range(choices.randint(least, most if most < least + _MANY else least + _MANY)):
                yield from _parts(repeated, choices)
        else:
            raise NotImplementedError(f"{kind} in a key's pattern")


def _characters(members: Any) -> str:
    found = ""
    for kind, value in members:
        if kind is op.RANGE:
            found += "".join(map(chr, range(value[0], value[1] + 1)))
        elif kind is op.LITERAL:
            found += chr(value)
        else:
            found += {op.CATEGORY_WORD: string.ascii_letters + string.digits + "_", op.CATEGORY_DIGIT: string.digits}[
                value
            ]
    return found


def is_in(body: str, text: str, part: int = 10) -> bool:
    """Whether a text shows a key, or as much of it as could be of use."""
    flat = re.sub(r"\s", "", body)
    return any(flat[at : at + part] in text for at in range(max(1, len(flat) - part + 1)))
