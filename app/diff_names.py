"""File names in a diff's headers: quoted, prefixed, renamed.

Git quotes a name with control characters, quotes, backslashes or (by default) bytes above 0x7f as a C string:
https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath
"""

import re

_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.S)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PREFIX = re.compile(r"[abciow12]/")


def plain_name(text: str) -> str:
    """The name as it is on disk: unquoted; a plain one loses the tab and time that may follow it."""
    quoted = _QUOTED.match(text)
    if quoted is None:
        return text.partition("\t")[0]
    inner = quoted[0][1:-1].encode("utf-8", "surrogatepass")
    return _ESCAPE.sub(_unescaped, inner).decode("utf-8", "replace")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 3:
        return bytes([int(code, 8) & 0xFF])
    return _ESCAPED.get(code, code)


def unprefixed(old: str, new: str) -> tuple[str, str]:
    """Both names without git's `a/` and `b/` (or `i/`, `w/`, `c/`, `o/`: diff.mnemonicPrefix).

    Names with the same first folder keep it: that is a diff without prefixes. An empty name is one not known.
    """
    known = [name for name in (old, new) if name]
    if not all(_PREFIX.match(name) for name in known) or (len(known) == 2 and old[0] == new[0]):
        return old, new
    return old[2:], new[2:]


def names_of_header(rest: str) -> tuple[str, str]:
    """Old and new name from what follows `diff --git `; the halves are equal unless quoted or renamed.

    A renamed pair of names with blanks cannot be told apart here; the lines that follow (`rename from`,
    `---`) name both and win.
    """
    quoted = _QUOTED.match(rest)
    if quoted is not None:
        return unprefixed(plain_name(rest), plain_name(rest[quoted.end() :].lstrip(" ")))
    if rest.endswith('"') and ' "' in rest:
        old, _, new = rest.partition(' "')
        return unprefixed(old, plain_name('"' + new))
    middle = len(rest) // 2
    if rest[middle : middle + 1] == " ":
        old, new = unprefixed(rest[:middle], rest[middle + 1 :])
        if old == new:
            return old, new
    old, _, new = rest.partition(" ")
    return unprefixed(old, new)
