"""Comments in the source that silence a rule, each with its reason.

    loss.backward()  # mlstaff: ignore[missing-zero-grad] gradients are summed on purpose
    # mlstaff: ignore-next[missing-zero-grad, logged-tensor] the same, for the statement below
    # mlstaff: ignore-file[hard-coded-path] an example

`ignore` holds for the lines of the finding it stands on, and alone on a line for the one below, like `ignore-next`.
A name may be a pattern (`missing-*`). Only comments count, not strings that look like one.
"""

import difflib
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from detectors import Finding, Tier

UNKNOWN = "unknown-suppression"
UNUSED = "unused-suppression"
OWN_RULES = frozenset({UNKNOWN, UNUSED})
"""What this module itself says; these have no page."""

_COMMENT = re.compile(r"#\s*mlstaff:\s*(?P<kind>ignore(?:-next|-file)?)\b\s*(?:\[(?P<names>[^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment; it silences findings on `lines` (None: everywhere in the file)."""

    line: int
    names: tuple[str, ...]
    lines: frozenset[int] | None
    text: str

    def silences(self, finding: Finding) -> bool:
        """Whether a finding is meant."""
        if not any(fnmatchcase(finding.rule, name) for name in self.names):
            return False
        return self.lines is None or any(line in self.lines for line in range(finding.line, finding.end_line + 1))


@dataclass(frozen=True, slots=True)
class Sifted:
    """What is left to say, and what is to be said of the comments themselves."""

    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...] = ()


def sift(findings: Sequence[Finding], text: str, rules: Collection[str]) -> Sifted:
    """The findings that no comment silences; comments that name no rule of `rules`, or silence nothing, are
    advice."""
    if "mlstaff:" not in text:  # most files; reading the comments of a long one takes a while
        return Sifted(tuple(findings))
    every = tuple(suppressions(text))
    kept = tuple(each for each in findings if not any(one.silences(each) for one in every))
    remarks = [_remark(one, name, rules) for one in every for name in _idle(one, findings, rules)]
    return Sifted(kept, tuple(remarks))


def _idle(one: Suppression, findings: Sequence[Finding], rules: Collection[str]) -> Iterator[str]:
    """The names of a comment that no rule has, or under which it silences nothing."""
    meant = [each.rule for each in findings if one.silences(each)]
    for name in one.names:
        known = any(fnmatchcase(rule, name) for rule in rules)
        if not known or not any(fnmatchcase(rule, name) for rule in meant):
            yield name


def _remark(one: Suppression, name: str, rules: Collection[str]) -> Finding:
    if any(fnmatchcase(rule, name) for rule in rules):
        rule, message = UNUSED, f"This comment silences `{name}`, which has nothing to say here."
    else:
        near = difflib.get_close_matches(name, list(rules), n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        rule, message = UNKNOWN, f"This comment silences `{name}`, and no rule is called so.{hint}"
    return Finding(rule, Tier.ADVICE, one.line, one.line, message, one.text, "", "", f"{one.text} {name}")


def suppressions(text: str) -> Iterator[Suppression]:
    """The comments of a source, in order; none of a source that is no Python."""
    lines = text.split("\n")
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
            found = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
            if found:
                yield _suppression(found, token.start, lines)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return


def _suppression(found: re.Match[str], start: tuple[int, int], lines: Sequence[str]) -> Suppression:
    line, column = start
    names = tuple(name.strip() for name in (found["names"] or "*").split(",") if name.strip())
    text = lines[line - 1].strip()
    if found["kind"] == "ignore-file":
        return Suppression(line, names, None, text)
    is_alone = not lines[line - 1][:column].strip()
    if is_alone or found["kind"] == "ignore-next":
        return Suppression(line, names, frozenset({line, _next_code(line, lines)}), text)
    return Suppression(line, names, frozenset({line}), text)


def _next_code(line: int, lines: Sequence[str]) -> int:
    """The first line below that is neither blank nor only a comment."""
    for number in range(line, len(lines)):
        stripped = lines[number].strip()
        if stripped and not stripped.startswith("#"):
            return number + 1
    return line
