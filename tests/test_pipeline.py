"""The whole line on values: from a pull request to the review that GitHub is given."""

from app import pipeline
from app.pipeline import declined, find, review, to_analyse
from app.pull_request import ChangedFile, Side, Status
from app.review.comment import Conclusion, Review
from app.review.find import FileReport
from app.review.fingerprint import told
from app.review.options import Options
from detectors import Skipped, Tier
from tests.changes import BUGGY, LOOP, TRAINING, changed, finding, pull_request, thread

DJANGO = "from django.views import View\n\n\nclass Home(View):\n    pass\n"


def reviewed(*files: ChangedFile, **values: object) -> Review:
    request = pull_request(*files, **values)  # type: ignore[arg-type]
    return review(request, find(request), Options())


def test_deleting_zero_grad_gets_its_comment() -> None:
    result = reviewed(changed(TRAINING, BUGGY))

    (comment,) = result.comments
    assert (comment.path, comment.side) == ("train.py", Side.RIGHT)
    assert comment.line in (LOOP, LOOP + 1)
    assert comment.body.startswith("❌ ")
    assert "`optimizer" in comment.body.split("\n")[0]
    assert "```suggestion\n" in comment.body
    assert result.body.startswith("This change brings 1 bug.\n")
    assert (result.conclusion, result.title) == (Conclusion.FAILURE, "1 bug")
    assert [each.start_line for each in result.annotations] == [LOOP]


def test_a_change_of_code_of_another_field_is_declined_with_the_reason() -> None:
    result = reviewed(changed("", DJANGO, "views.py"))

    assert result == Review(
        "", (), Conclusion.NEUTRAL, "Nothing to review", "Nothing to review: views.py has no ML context.", ()
    )


def test_nothing_new_says_nothing() -> None:
    result = reviewed(changed(BUGGY, "import math\n" + BUGGY))

    assert (result.body, result.comments, result.annotations) == ("", (), ())
    assert (result.conclusion, result.title) == (Conclusion.SUCCESS, "No ML problems found")


def test_the_second_push_says_nothing_twice_but_still_fails() -> None:
    (said,) = reviewed(changed(TRAINING, BUGGY)).comments
    result = reviewed(changed(TRAINING, "import math\n" + BUGGY), threads=(thread(said.body),))

    assert (result.body, result.comments) == ("", ())
    assert (result.conclusion, len(result.annotations)) == (Conclusion.FAILURE, 1)


def test_a_resolved_thread_stays_quiet_and_does_not_fail() -> None:
    (said,) = reviewed(changed(TRAINING, BUGGY)).comments
    result = reviewed(changed(TRAINING, BUGGY), threads=(thread(said.body, is_resolved=True),))

    assert (result.body, result.comments, result.conclusion) == ("", (), Conclusion.SUCCESS)


def test_what_was_told_in_an_earlier_body_is_not_told_again() -> None:
    request = pull_request(changed(TRAINING, BUGGY))
    reports = [FileReport("train.py", (finding(8, tier=Tier.RISK), finding(900, good="", text="far")))]
    first = review(request, reports, Options())

    second = review(request, reports, Options(said=told(first.body) | told(first.comments[0].body)))

    assert "`train.py:900`" in first.body
    assert (second.body, second.comments) == ("", ())


def test_what_was_not_read_is_said_with_the_review_only() -> None:
    broken = ChangedFile("broken.py", None, Status.MODIFIED, (), unread="its diff is broken: line 3")
    result = reviewed(changed(TRAINING, BUGGY), broken, unread=("400 more files",))

    assert "- `broken.py`: its diff is broken: line 3" in result.body
    assert "- `the pull request`: 400 more files" in result.summary
    assert reviewed(changed(BUGGY, BUGGY + "x = 1\n"), broken).body == ""


def test_only_python_of_the_field_and_what_could_not_be_read_is_analysed() -> None:
    files = (
        changed(TRAINING, BUGGY),
        changed("", DJANGO, "views.py"),
        changed("", "lr: 1\nbatch_size: 2\n", "train.yaml"),
        ChangedFile("broken.py", None, Status.MODIFIED, (), unread="its diff is broken"),
    )

    assert [file.path for file in to_analyse(files)] == ["train.py", "broken.py"]


def test_a_reason_to_decline_is_escaped() -> None:
    assert declined("The author, @octocat, is a bot.").summary == "The author, @\u200boctocat, is a bot."


def test_reports_of_files_that_only_say_why_they_were_skipped() -> None:
    request = pull_request(changed(TRAINING, BUGGY))
    result = review(request, [FileReport("train.py", skipped=(Skipped("train.py", "took too long"),))], Options())

    assert (result.conclusion, result.title) == (Conclusion.NEUTRAL, "No ML problems in what could be reviewed")
    assert "- `train.py`: took too long" in result.summary


def test_the_page_a_newcomer_reads_first_names_only_what_exists() -> None:
    described = pipeline.__doc__ or ""

    for word in ("relevance.decide", "review.find", "pipeline.review"):
        assert word in described
