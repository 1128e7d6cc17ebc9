"""`/mlstaff …` in a comment: the grammar, and who may say what

Pure: text in, values out. What a command then does is in `app.conversation.answers`.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verb(StrEnum):
    """What can be asked for; the value is how it is written."""

    REVIEW = "review"
    REVIEW_ALL = "review all"
    EXPLAIN = "explain"
    IGNORE = "ignore"
    UNIGNORE = "unignore"
    PAUSE = "pause"
    RESUME = "resume"
    CONFIG = "config"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Command:
    """One understood line. `rule` is a rule's name or "", `reason` the words after it, `index` its place among
    the commands of its comment."""

    index: int
    verb: Verb
    rule: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """A line that begins like a command and is none; `why` is a sentence for who wrote it."""

    index: int
    why: str


class Level(IntEnum):
    """What somebody may do, by GitHub's roles; each includes those below it."""

    NOBODY = 0
    AUTHOR = 1
    WRITE = 2
    MAINTAIN = 3
    ADMIN = 4

    @property
    def words(self) -> str:
        """Who that is."""
        return "the author of the pull request" if self is Level.AUTHOR else f"people with {self.name.lower()} access"


#: What the author of a pull request may do without write access: it changes nothing for others.
FOR_AUTHORS = frozenset({Verb.REVIEW, Verb.REVIEW_ALL, Verb.EXPLAIN, Verb.CONFIG, Verb.HELP})
#: More in one comment are not looked at.
MOST_COMMANDS = 10
_LINE = re.compile(r" {0,3}/mlstaff(?=\s|$)(.*)", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_NOT_A_RULE = re.compile(r"[^a-z0-9-]")
_LONGEST_REASON = 300

USAGE = """\
| write on a line of its own | and I |
|---|---|
| `/mlstaff review` | review the newest commit again, also of a draft |
| `/mlstaff review all` | review the changed files as a whole, not only what is new in them |
| `/mlstaff explain RULE` | explain a rule, with an example |
| `/mlstaff ignore [REASON]` | in a thread of mine: stay quiet about this finding |
| `/mlstaff ignore RULE [REASON]` | elsewhere: stay quiet about this rule on this pull request |
| `/mlstaff unignore [RULE]` | take that back |
| `/mlstaff pause`, `/mlstaff resume` | stop and start reviewing what is pushed here |
| `/mlstaff config` | show the configuration that holds here, and where it is from |
| `/mlstaff help` | show this |

For people with write access; `review`, `explain`, `config` and `help` also for the author of the pull request."""


def commands_in(body: str, *, rules: Set[str], is_in_thread: bool) -> tuple[Command | Misunderstood, ...]:
    """The commands of a comment, in order; nothing that is quoted, in code or hidden is one."""
    lines = [match[1] for line in _plain_lines(body) if (match := _LINE.fullmatch(line.rstrip()))]
    parser = _Parser(rules, is_in_thread)
    return tuple(parser.command(index, words) for index, words in enumerate(lines[:MOST_COMMANDS]))


def needed(verb: Verb, configured: Mapping[str, str]) -> Level:
    """The least level for a command; `configured` is a repository's decision: verb -> level in lower case."""
    if verb in configured:
        return Level[configured[verb].upper()]
    return Level.AUTHOR if verb in FOR_AUTHORS else Level.WRITE


def _plain_lines(body: str) -> Iterator[str]:
    """The lines that are prose: https://github.github.com/gfm/#fenced-code-blocks"""
    fence, is_hidden = "", False
    for line in re.split(r"\r\n|\r|\n", body):
        if fence:
            fence = "" if _closes(line, fence) else fence
            continue
        if is_hidden:
            is_hidden = "-->" not in line
            continue
        opening = _FENCE.fullmatch(line)
        if opening and not (opening[1][0] == "`" and "`" in opening[2]):
            fence = opening[1]
        elif "<!--" in line:
            is_hidden = "-->" not in line.partition("<!--")[2]
        else:
            yield line


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(line) - len(line.lstrip(" ")) < 4 and len(stripped) >= len(fence) and set(stripped) == {fence[0]}


class _Parser:
    """Understands the words after `/mlstaff`."""

    def __init__(self, rules: Set[str], is_in_thread: bool) -> None:
        self._rules = rules
        self._is_in_thread = is_in_thread

    def command(self, index: int, text: str) -> Command | Misunderstood:
        verb, _, rest = text.strip().partition(" ")
        words = rest.split()
        match verb.lower():
            case "" | "help":
                return Command(index, Verb.HELP)
            case "review" if [word.lower() for word in words] in ([], ["all"]):
                return Command(index, Verb.REVIEW_ALL if words else Verb.REVIEW)
            case "pause" | "resume" | "config" if not words:
                return Command(index, Verb(verb.lower()))
            case "explain" if len(words) == 1:
                return self._about_rule(index, Verb.EXPLAIN, words[0])
            case "ignore" | "unignore":
                return self._ignore(index, Verb(verb.lower()), words)
            case "review" | "pause" | "resume" | "config" | "explain":
                return Misunderstood(index, _usage_of(verb.lower()))
        return Misunderstood(index, f"I do not know {_quoted(verb)}.")

    def _ignore(self, index: int, verb: Verb, words: list[str]) -> Command | Misunderstood:
        """The first word is a rule when it is the name of one; elsewhere than in a thread it has to be."""
        names_rule = bool(words) and words[0].strip("`").lower() in self._rules
        if names_rule or not self._is_in_thread:
            if not words:
                return Misunderstood(index, f"Outside a thread, `{verb}` needs the name of a rule.")
            return self._about_rule(index, verb, words[0], " ".join(words[1:]))
        return Command(index, verb, reason=" ".join(words)[:_LONGEST_REASON])

    def _about_rule(self, index: int, verb: Verb, word: str, reason: str = "") -> Command | Misunderstood:
        rule = word.strip("`").lower()
        if rule not in self._rules:
            return Misunderstood(index, f"There is no rule {_quoted(rule)}.")
        return Command(index, verb, rule, reason[:_LONGEST_REASON])


def _usage_of(verb: str) -> str:
    words = {"review": "nothing or `all`", "explain": "the name of one rule"}.get(verb, "nothing")
    return f"`{verb}` takes {words} after it."


def _quoted(word: str) -> str:
    """A stranger's word, harmless in our answer."""
    return f"`{_NOT_A_RULE.sub('', word.lower())[:40]}`"
