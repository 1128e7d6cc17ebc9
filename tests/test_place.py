"""Each finding on a line that GitHub accepts, the nearest to what it is about."""

from app.pull_request import Side
from app.review.place import Place, Placer
from detectors import Edit, Related
from tests.changes import BUGGY, TRAINING, changed, finding

LONG = "import torch\n\n\ndef train(loader):\n" + "".join(f"    step_{number}()\n" for number in range(40))


def place(base: str, head: str, *, context: int = 3, **values: object) -> Place | None:
    return Placer(changed(base, head, context=context)).place(finding(**values))  # type: ignore[arg-type]


def test_on_its_own_line() -> None:
    assert place(TRAINING, BUGGY, line=7) == Place(7)


def test_on_its_own_lines_as_a_range() -> None:
    assert place(TRAINING, BUGGY, line=6, end_line=7) == Place(7, start_line=6)


def test_a_range_is_cut_where_its_hunk_ends() -> None:
    head = LONG.replace("step_20()", "step_x()")

    assert place(LONG, head, line=26, end_line=33) == Place(28, start_line=26)
    assert place(LONG, head, line=18, end_line=23) == Place(23, start_line=22)


def test_a_range_over_two_hunks_stays_in_the_first() -> None:
    head = LONG.replace("step_10()", "step_x()").replace("step_18()", "step_y()")

    assert place(LONG, head, line=16, end_line=22, context=1) == Place(16)


def test_a_long_range_is_shown_on_its_first_line() -> None:
    assert place("", LONG, line=4, end_line=40) == Place(4)


def test_on_a_related_line_where_its_own_is_not_shown() -> None:
    head = LONG.replace("step_20()", "step_x()")
    related = (Related(5, "the loop"), Related(25, "the step"))

    assert place(LONG, head, line=40, related=related) == Place(25)


def test_on_the_deleted_line_that_the_mended_code_brings_back() -> None:
    base = LONG.replace("    step_20()\n", "    optimizer.zero_grad()\n    step_20()\n    other()\n")
    head = LONG

    assert place(base, head, context=0, line=40) == Place(25, Side.LEFT)


def test_at_module_level_only_the_cause_itself_is_taken_from_the_deleted_lines() -> None:
    base = "setup()\noptimizer.zero_grad()\n" + "x = 1\n" * 20
    head = "x = 1\n" * 20

    assert place(base, head, line=18, definition="") == Place(2, Side.LEFT)
    assert place(base.replace("zero_grad", "other"), head, line=18, definition="") is None


def test_on_the_nearest_deleted_line_of_the_same_function() -> None:
    base = LONG.replace("    step_20()\n", "    before()\n    step_20()\n")

    assert place(base, LONG, context=0, line=40) == Place(25, Side.LEFT)


def test_lines_deleted_further_up_do_not_move_the_ones_below() -> None:
    other = "def other():\n" + "    line()\n" * 30 + "    last()\n\n\n"
    shorter = "def other():\n    last()\n\n\n"
    base = LONG.replace("    step_20()\n", "    before()\n    step_20()\n")

    assert place(other + base, shorter + LONG, context=0, line=44) == Place(59, Side.LEFT)


def test_on_the_nearest_shown_line_of_the_definition() -> None:
    head = LONG.replace("step_20()", "step_20()\n    step_x()")

    assert place(LONG, head, line=40) == Place(29)


def test_nowhere_where_the_diff_shows_nothing_of_its_definition() -> None:
    head = LONG.replace("import torch\n", "import torch\nimport math\n") + "\n\ndef other():\n    pass\n"

    assert place(LONG, head, context=0, line=30) is None


def test_the_innermost_definition_of_that_name_is_meant() -> None:
    twice = "def f():\n    a()\n\n\n" + "x = 1\n" * 10 + "def f():\n    b()\n    c()\n"
    head = twice.replace("    a()\n", "    a()\n    z()\n")

    assert place(twice, head, context=0, line=17, definition="f") is None
    assert place(twice, head, context=0, line=1, definition="f") == Place(3)


def suggestion(base: str, head: str, *fix: Edit) -> Edit | None:
    return Placer(changed(base, head)).suggestion(finding(7, fix=fix))


def test_a_fix_on_shown_lines_is_a_suggestion() -> None:
    edit = Edit(7, 7, "        optimizer.zero_grad()\n        loss.backward()")

    assert suggestion(TRAINING, BUGGY, edit) == edit


def test_a_fix_outside_of_the_diff_is_none() -> None:
    assert suggestion(LONG, LONG.replace("step_20()", "x()"), Edit(7, 7, "a")) is None
    assert suggestion(LONG, LONG.replace("step_20()", "x()"), Edit(28, 29, "a")) is None


def test_a_fix_over_two_hunks_is_none() -> None:
    head = LONG.replace("step_10()", "step_x()").replace("step_20()", "step_y()")

    assert suggestion(LONG, head, Edit(15, 15, "a"), Edit(25, 25, "b")) is None


def test_edits_close_together_become_one() -> None:
    fix = (Edit(5, 5, "    a()\n    b()"), Edit(7, 8, None))

    assert suggestion("", LONG, *fix) == Edit(5, 8, "    a()\n    b()\n    step_1()")


def test_deleting_lines_is_a_suggestion_without_text() -> None:
    assert suggestion("", LONG, Edit(5, 6, None)) == Edit(5, 6, None)


def test_no_fix_no_suggestion() -> None:
    assert suggestion(TRAINING, BUGGY) is None
    assert suggestion("", LONG * 3, Edit(5, 60, "a")) is None
