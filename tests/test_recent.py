"""What is kept of texts has a bound in their length, and the newest of it always stays."""

from detectors._engine.source.recent import Recent


def made_for(asked: list[str], *, most: int) -> list[str]:
    """For which of the texts something was made."""
    made: list[str] = []

    def make(text: str, path: str) -> None:
        made.append(text)

    recent = Recent(make, most)
    for each in asked:
        recent.of(each, "module.py")
    return made


def test_each_text_is_made_once_while_there_is_room() -> None:
    assert made_for(["aaaa", "bbbb", "aaaa", "bbbb"], most=8) == ["aaaa", "bbbb"]


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    assert made_for(["aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"], most=8) == ["aaaa", "bbbb", "cccc", "bbbb"]


def test_a_long_text_takes_the_room_of_many_and_is_kept_itself() -> None:
    assert made_for(["aa", "bb", "c" * 20, "c" * 20, "aa"], most=8) == ["aa", "bb", "c" * 20, "aa"]


def test_the_same_text_at_another_path_is_another_file() -> None:
    recent = Recent(lambda text, path: path, 100)

    assert [recent.of("a", "one.py"), recent.of("a", "two.py"), recent.of("a", "one.py")] == [
        "one.py",
        "two.py",
        "one.py",
    ]
