"""What is hidden at the end of our texts comes back, and nothing else does"""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.conversation.marker import marked, marker, read, split

NAMES = st.text(alphabet="abcdefgh_", min_size=1, max_size=8)
WORDS = st.text(max_size=40)


@settings(deadline=None)
@given(st.text(max_size=200), st.dictionaries(NAMES, WORDS, min_size=1, max_size=4))
def test_values_survive_the_round_trip_whatever_they_are(body: str, values: dict[str, str]) -> None:
    text = marked(body, values)
    assert {name: read(text)[name] for name in values} == values
    assert text.count("-->") >= 1
    assert "--" not in marker(values).removeprefix("<!--").removesuffix("-->")


def test_a_marker_that_is_quoted_does_not_count() -> None:
    quoted = f"Look:\n\n```\n{marker({'pause': 'me'})}\n```\n"
    assert read(quoted) == {}
    assert read(marked(quoted, {"command": "1"})) == {"command": "1"}


def test_later_markers_win_and_the_text_is_kept_apart() -> None:
    text = marked(marked("Words.\n", {"mode": "all", "by": "a b"}), {"by": "c"})
    assert read(text) == {"mode": "all", "by": "c"}
    assert split(text)[0] == "Words."


def test_text_without_a_marker_is_all_text() -> None:
    assert split("Words.\n") == ("Words.", "")
    assert read("") == {}
