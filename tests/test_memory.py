"""What a pull request remembers of its findings: given values"""

from dataclasses import replace

import pytest

from app.conversation.memory import as_fixed, dismissed, gone, named, voters_to_ask_for, with_mode
from app.conversation.standing import Standing
from app.pull_request import ChangedFile, PullRequest, Status, Thread
from app.review.find import FileReport
from app.review.fingerprint import marker, told
from detectors import Finding, Skipped, Tier
from tests.test_skip import pull_request

NAME = "0123456789abcdef"
FINDING = Finding("missing-zero-grad", Tier.BUG, 9, 9, "m", "bad", "good", "train", "loss.backward()")


def thread(**changes: object) -> Thread:
    """Ours, about one finding in train.py."""
    body = f"❌ words\n\n```suggestion\nx\n```\n{marker('missing-zero-grad', NAME)}"
    made = Thread("T", 1, "C", body, "train.py", 9, is_resolved=False, is_minimized=False, replied=False)
    return replace(made, **changes)  # type: ignore[arg-type]


def with_thread(its: Thread, *files: ChangedFile) -> PullRequest:
    """A pull request on which it is."""
    return replace(pull_request("train.py"), threads=(its,), **({"files": files} if files else {}))  # type: ignore[arg-type]


def test_a_finding_that_is_not_found_any_more_is_gone() -> None:
    its = thread()
    assert gone(with_thread(its), [FileReport("train.py")], {}, whole_files=False) == (its,)
    assert gone(with_thread(its), [FileReport("train.py")], {NAME: "r"}, whole_files=False) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"replied": True},
        {"is_resolved": True},
        {"body": "no marker"},
        {"body": with_mode(thread().body, whole_files=True)},
    ],
)
def test_what_people_took_over_and_what_is_not_comparable_is_left(change: dict[str, object]) -> None:
    assert gone(with_thread(thread(**change)), [FileReport("train.py")], {}, whole_files=False) == ()


def test_a_file_that_was_not_analysed_says_nothing() -> None:
    skipped = FileReport("train.py", skipped=(Skipped("train.py", "too big"),))
    assert gone(with_thread(thread()), [skipped], {}, whole_files=False) == ()
    unread = ChangedFile("fit.py", "train.py", Status.RENAMED, (), unread="a binary file")
    assert gone(with_thread(thread(), unread), [], {}, whole_files=False) == ()


def test_a_file_that_is_in_no_list_is_only_gone_when_the_list_is_whole() -> None:
    elsewhere = ChangedFile("other.py", None, Status.MODIFIED, ())
    pull = with_thread(thread(), elsewhere)
    assert len(gone(pull, [], {}, whole_files=False)) == 1
    assert gone(replace(pull, unread=("ten files",)), [], {}, whole_files=False) == ()


def test_a_fixed_comment_keeps_its_words_but_not_its_fingerprint() -> None:
    fixed = as_fixed(thread(), "abc")
    assert "words" in fixed
    assert "```suggestion" not in fixed
    assert told(fixed) == frozenset()
    assert len(as_fixed(thread(body="x" * 65_530), "abc")) <= 65_536


def test_findings_are_dismissed_by_rule_by_note_in_their_comment_and_by_vote() -> None:
    found = named(pull_request("train.py"), [FileReport("train.py", (FINDING,))])
    (name,) = found
    assert dismissed(Standing(ignored_rules=frozenset({FINDING.rule})), [], found, frozenset()) == {name}
    noted = thread(body=f"{thread().body}\n<!-- mlstaff ignored_by=someone -->")
    assert dismissed(Standing(), [noted], {}, frozenset()) == {NAME}
    voted = thread(downvoted_by=("one", "two"))
    assert voters_to_ask_for([voted, thread(downvoted_by=("three",), is_resolved=True)]) == {"one", "two"}
    assert dismissed(Standing(), [voted], {}, frozenset({"two"})) == {NAME}
    assert dismissed(Standing(), [voted], {}, frozenset({"three"})) == frozenset()


def test_a_renamed_file_s_findings_keep_their_names() -> None:
    renamed = ChangedFile("fit.py", "train.py", Status.RENAMED, ())
    before = named(pull_request("train.py"), [FileReport("train.py", (FINDING,))])
    after = named(replace(pull_request(), files=(renamed,)), [FileReport("fit.py", (FINDING,))])
    assert before == after
