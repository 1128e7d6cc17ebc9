"""What a change brings: at the head and not at the merge base."""

import pickle

import pytest

from app.pull_request import ChangedFile, Status
from app.review import find
from app.review.find import FileReport, found_in, introduced_in
from detectors import Analysis, Skipped
from tests.changes import BUGGY, LENGTH, LOOP, TRAINING, changed, finding


def rules(report: FileReport) -> list[tuple[str, int]]:
    return [(each.rule, each.line) for each in report.findings]


def test_deleting_a_call_brings_the_bug() -> None:
    assert rules(introduced_in(changed(TRAINING, BUGGY))) == [("missing-zero-grad", LOOP)]


def test_a_bug_that_moved_down_is_not_brought() -> None:
    assert introduced_in(changed(BUGGY, "import math\n\n" + BUGGY)) == FileReport("train.py")


def test_a_whole_file_review_says_what_was_there_before() -> None:
    assert rules(introduced_in(changed(BUGGY, "import math\n" + BUGGY), whole_file=True)) == [
        ("missing-zero-grad", LOOP + 1)
    ]


def test_everything_in_an_added_file_is_new() -> None:
    assert rules(introduced_in(changed("", BUGGY))) == [("missing-zero-grad", LOOP)]


def test_a_renamed_file_brings_nothing() -> None:
    file = ChangedFile("new.py", "old.py", Status.RENAMED, (), head=BUGGY, base=BUGGY)

    assert introduced_in(file) == FileReport("new.py")


def test_a_removed_file_and_one_that_is_no_python_have_nothing() -> None:
    assert introduced_in(changed(BUGGY, "")) == FileReport("train.py")
    assert introduced_in(changed("", BUGGY, "train.md"), whole_file=True) == FileReport("train.md")


def test_a_head_that_cannot_be_parsed_is_skipped_with_its_line() -> None:
    report = introduced_in(changed(TRAINING, f"{BUGGY}def broken(:\n"))

    assert report.findings == ()
    assert report.skipped == (Skipped("train.py", "line 9: invalid syntax"),)


def test_where_the_base_cannot_be_parsed_only_added_lines_count() -> None:
    other = BUGGY.replace("train(", "other(")
    base = f"{BUGGY}def broken(:\n"

    assert introduced_in(changed(base, BUGGY)).findings == ()
    assert rules(introduced_in(changed(base, BUGGY + other))) == [("missing-zero-grad", LENGTH + LOOP)]


def test_a_file_that_was_not_read_says_why() -> None:
    file = ChangedFile("a.py", None, Status.MODIFIED, (), unread="its text could not be read")

    assert introduced_in(file).skipped == (Skipped("a.py", "its text could not be read"),)


def test_carriage_returns_inside_lines_would_shift_every_line() -> None:
    report = found_in(BUGGY.replace("import torch\n", "import torch\rimport os\n"), "a.py")

    assert report.findings == ()
    assert "carriage returns" in report.skipped[0].reason
    assert rules(found_in(BUGGY.replace("\n", "\r\n"), "a.py")) == [("missing-zero-grad", LOOP)]


def test_a_crash_of_the_analysis_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> Analysis:
        raise RecursionError

    monkeypatch.setattr(find, "analyse", crash)

    assert found_in("x", "a.py").skipped == (Skipped("a.py", "the analysis failed: RecursionError"),)


def test_a_file_that_half_fails_at_the_base_does_not_repeat_old_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(text: str, path: str, **_: object) -> Analysis:
        if text == "old\nbase\n":
            return Analysis(skipped=(Skipped(path, "one detector failed"),))
        return Analysis((finding(1, text="old"), finding(2, text="new")))

    monkeypatch.setattr(find, "analyse", half)

    assert [each.line for each in introduced_in(changed("old\nbase\n", "old\nnew\n")).findings] == [2]


def test_it_can_be_sent_to_another_process() -> None:
    file = changed(TRAINING, BUGGY)

    assert pickle.loads(pickle.dumps(introduced_in))(pickle.loads(pickle.dumps(file))).findings
    assert pickle.loads(pickle.dumps(introduced_in(file))) == introduced_in(file)


@pytest.mark.parametrize(
    "text", ["\0", "\ufeff" + BUGGY, "é" * 1000, "(" * 5000, "x = " + "-" * 20_000 + "1\n", "\x0c"]
)
def test_hostile_sources_end_as_reports(text: str) -> None:
    assert found_in(f"import torch\n{BUGGY}{text}", "a.py").path == "a.py"
