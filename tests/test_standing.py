"""What holds after all that people decided"""

from app.conversation.standing import Standing, standing


def test_nothing_holds_before_anything_was_said() -> None:
    assert standing([{"command": "conversation:1:0"}]) == Standing()


def test_the_last_word_holds() -> None:
    notes = [{"pause": "one"}, {"resume": "two"}, {"pause": "three"}]
    assert standing(notes).paused_by == "three"
    assert standing(notes[:2]).paused_by == ""


def test_rules_are_ignored_until_that_is_taken_back() -> None:
    notes = [{"ignore": "a"}, {"ignore": "b"}, {"unignore": "a"}, {"unignore": "never-ignored"}]
    assert standing(notes).ignored_rules == {"b"}


def test_dismissed_fingerprints_add_up() -> None:
    assert standing([{"dismiss": "a,b"}, {"dismiss": "c"}, {"dismiss": ""}]).dismissed == {"a", "b", "c"}
