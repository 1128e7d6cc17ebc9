"""Comments in the source silence what they name, where they stand, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.configuration.suppression import UNKNOWN, UNUSED, sift, suppressions
from app.review.find import found_in, introduced_in
from detectors import Tier
from tests.changes import BUGGY, TRAINING, changed, finding

RULES = ("missing-zero-grad", "missing-no-grad", "logged-tensor")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\nb  # mlstaff: ignore[missing-zero-grad] on purpose\nc\n", [1, 3]),
        ("a\n# mlstaff: ignore[missing-zero-grad] on purpose\nc\n", [1]),
        ("# mlstaff: ignore[missing-zero-grad] on purpose\n# and more\nc\n", []),
        ("# mlstaff: ignore[missing-zero-grad] on purpose\n\nc\n", []),
        ("a\nb  # mlstaff: ignore-next[missing-zero-grad]\nc\n", [1]),
        ("# mlstaff: ignore-file[missing-zero-grad] an example\nb\nc\n", []),
        ("a\nb  # mlstaff: ignore[logged-tensor, missing-zero-grad]\nc\n", [1, 3]),
        ("a\nb  # mlstaff: ignore[missing-*]\nc\n", [1, 3]),
        ("a\nb  # mlstaff: ignore\nc\n", [1, 3]),
        ("a\nb  # mlstaff: ignore[logged-tensor]\nc\n", [1, 2, 3]),
        ("a\nb = '# mlstaff: ignore[missing-zero-grad]'\nc\n", [1, 2, 3]),
        ("a\nb  # noqa\nc\n", [1, 2, 3]),
        ("a\nb  # mlstaff: ignored[missing-zero-grad]\nc\n", [1, 2, 3]),
        ("a\x0c\nb  # mlstaff: ignore[missing-zero-grad]\nc\n", [1, 3]),
    ],
)
def test_what_a_comment_silences(text: str, kept: list[int]) -> None:
    code = [number for number, line in enumerate(text.split("\n"), start=1) if line and not line.startswith("#")]

    assert [each.line for each in sift([finding(line) for line in code], text, RULES).findings] == kept


def test_any_line_of_a_finding_may_carry_the_comment() -> None:
    text = "f(\n    x,  # mlstaff: ignore[missing-zero-grad]\n)\n"

    assert sift([finding(1, 3)], text, RULES).findings == ()


def remarks(text: str, *lines: int) -> list[tuple[str, int, str]]:
    found = sift([finding(line) for line in lines], text, RULES).remarks
    assert {each.tier for each in found} <= {Tier.ADVICE}
    return [(each.rule, each.line, each.message) for each in found]


def test_a_name_that_no_rule_has_is_said_with_the_nearest() -> None:
    assert remarks("x  # mlstaff: ignore[missing-zero-gard]\n", 1) == [
        (
            UNKNOWN,
            1,
            "This comment silences `missing-zero-gard`, and no rule is called so. Did you mean `missing-zero-grad`?",
        )
    ]


def test_a_comment_that_silences_nothing_is_said() -> None:
    assert remarks("x  # mlstaff: ignore[missing-zero-grad, logged-tensor]\n", 1) == [
        (UNUSED, 1, "This comment silences `logged-tensor`, which has nothing to say here.")
    ]


def test_silencing_in_the_source_reaches_the_report() -> None:
    silenced = BUGGY.replace(" in loader:", " in loader:  # mlstaff: ignore[missing-zero-grad] on purpose")

    assert found_in(BUGGY, "a.py").findings
    assert found_in(silenced, "a.py").findings == ()


def test_removing_the_comment_brings_the_finding_back() -> None:
    silenced = BUGGY.replace(" in loader:", " in loader:  # mlstaff: ignore[missing-zero-grad]")

    assert [each.rule for each in introduced_in(changed(silenced, BUGGY)).findings] == ["missing-zero-grad"]


def test_mending_the_code_makes_the_comment_unused() -> None:
    comment = "  # mlstaff: ignore[missing-zero-grad]\n"
    before = BUGGY.replace(" in loader:\n", f" in loader:{comment}")
    after = TRAINING.replace(" in loader:\n", f" in loader:{comment}")

    assert [each.rule for each in introduced_in(changed(before, after)).findings] == [UNUSED]


@given(st.text(alphabet="a#\n '\"()[]\\\x0c\r\t:ignore mlstaff", max_size=80))
def test_no_source_is_too_odd(text: str) -> None:
    list(suppressions(f"# mlstaff: ignore\n{text}"))
