"""What is a command in a comment, and who may give it"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.conversation.commands import USAGE, Command, Level, Misunderstood, Verb, commands_in, needed

RULES = frozenset({"missing-zero-grad", "loss-broadcast"})


def found(body: str, *, is_in_thread: bool = False) -> list[Command | Misunderstood]:
    return list(commands_in(body, rules=RULES, is_in_thread=is_in_thread))


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("/mlstaff review", Verb.REVIEW),
        ("/mlstaff review all", Verb.REVIEW_ALL),
        ("  /mlstaff   Review  ALL  ", Verb.REVIEW_ALL),
        ("/MLstaff help", Verb.HELP),
        ("/mlstaff", Verb.HELP),
        ("/mlstaff pause", Verb.PAUSE),
        ("/mlstaff resume\r", Verb.RESUME),
        ("/mlstaff config", Verb.CONFIG),
    ],
)
def test_a_command_is_understood(line: str, verb: Verb) -> None:
    assert found(line) == [Command(0, verb)]


@pytest.mark.parametrize(
    "body",
    [
        "please /mlstaff review",
        "> /mlstaff review",
        "    /mlstaff review",
        "`/mlstaff review`",
        "/mlstaffreview",
        "```\n/mlstaff review\n```",
        "~~~text\n/mlstaff review\n```\n~~~",
        "````\n```\n/mlstaff review\n````",
        "```\n/mlstaff review",
        "<!-- /mlstaff review -->",
        "<!--\n/mlstaff review\n-->",
        "@mlstaff review",
        "",
    ],
)
def test_what_is_quoted_in_code_or_inside_a_sentence_is_no_command(body: str) -> None:
    assert found(body) == []


def test_several_commands_of_a_comment_keep_their_order_and_their_number() -> None:
    body = "Hello\r\n/mlstaff review\r\n```\r\n/mlstaff pause\r\n```\r\nand\r\n/mlstaff explain loss-broadcast\r\n"
    assert found(body) == [Command(0, Verb.REVIEW), Command(1, Verb.EXPLAIN, "loss-broadcast")]


@pytest.mark.parametrize(
    "line",
    [
        "/mlstaff revew",
        "/mlstaff review everything",
        "/mlstaff explain",
        "/mlstaff explain no-such-rule",
        "/mlstaff ignore",
        "/mlstaff ignore no-such-rule because",
        "/mlstaff pause now",
        "/mlstaff `rm -rf` @everyone",
    ],
)
def test_a_mistake_is_named_and_never_done(line: str) -> None:
    (each,) = found(line)
    assert isinstance(each, Misunderstood)
    assert each.why.endswith(".")
    assert "@" not in each.why


def test_ignore_takes_a_rule_and_a_reason() -> None:
    assert found("/mlstaff ignore `missing-zero-grad` we accumulate") == [
        Command(0, Verb.IGNORE, "missing-zero-grad", "we accumulate")
    ]


def test_ignore_in_a_thread_is_about_the_thread_s_finding() -> None:
    assert found("/mlstaff ignore we accumulate", is_in_thread=True) == [Command(0, Verb.IGNORE, "", "we accumulate")]
    assert found("/mlstaff ignore", is_in_thread=True) == [Command(0, Verb.IGNORE)]
    assert found("/mlstaff unignore", is_in_thread=True) == [Command(0, Verb.UNIGNORE)]


def test_authors_may_ask_but_not_silence() -> None:
    allowed = {verb for verb in Verb if needed(verb, {}) <= Level.AUTHOR}
    assert allowed == {Verb.REVIEW, Verb.REVIEW_ALL, Verb.EXPLAIN, Verb.CONFIG, Verb.HELP}
    assert all(Level.NOBODY < needed(verb, {}) <= Level.WRITE for verb in Verb)


def test_a_repository_may_decide_otherwise() -> None:
    decided = {"review": "maintain", "ignore": "author"}
    assert needed(Verb.REVIEW, decided) is Level.MAINTAIN
    assert needed(Verb.IGNORE, decided) is Level.AUTHOR
    assert needed(Verb.PAUSE, decided) is Level.WRITE


def test_the_usage_names_every_command() -> None:
    assert all(f"/mlstaff {verb}" in USAGE for verb in Verb)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("/mlstaff review all`~>-<!\n\r @#"), max_size=80), st.booleans())
def test_any_text_is_read_without_an_error(body: str, is_in_thread: bool) -> None:
    numbers = [each.index for each in found(body, is_in_thread=is_in_thread)]
    assert numbers == list(range(len(numbers)))
