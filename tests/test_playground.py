"""The playground: what is made of an input, and that nothing in it becomes a page's own HTML."""

import asyncio
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diff import parse
from app.local.whole_file import context_of, head_of
from app.playground import Kind, Played, Submission, Unusable, play
from app.review.comment import Conclusion
from app.web import diff_view, forms, highlight, markdown, playground
from app.web.review_view import shown
from tests.changes import BUGGY, TRAINING, changed, unified
from tests.site import CONNECTED, Client, site

SCRIPT = "<script>alert(1)</script>"


def of_diff(diff: str, **heads: str) -> Played:
    return play(Submission(Kind.DIFF, diff=diff, heads={f"{name}.py": text for name, text in heads.items()}))


def problem(submission: Submission) -> str:
    with pytest.raises(Unusable) as unusable:
        play(submission)
    return str(unusable.value)


def lines(played: Played) -> list[tuple[str, int]]:
    return [(comment.path, comment.line) for comment in played.review.comments]


# -- what is reviewed ---------------------------------------------------------------------------------------


def test_before_and_after_bring_what_the_change_brings() -> None:
    played = play(Submission(Kind.FILE, before=TRAINING, after=BUGGY))

    assert lines(played) == [("train.py", 6)]
    assert played.review.conclusion is Conclusion.FAILURE
    assert play(Submission(Kind.FILE, before=BUGGY, after=TRAINING)).review.comments == ()


def test_a_file_without_a_before_is_new() -> None:
    played = play(Submission(Kind.FILE, after=BUGGY, name="models/vision"))

    assert lines(played) == [("models/vision.py", 6)]
    assert played.files[0].status == "added"


def test_hunks_are_those_of_a_diff() -> None:
    before = "".join(f"x{number} = {number}\n" for number in range(40))
    after = before.replace("x5 = 5\n", "").replace("x30 = 30", "x30 = 31")

    assert play(Submission(Kind.FILE, before=before, after=after)).files[0].hunks == changed(before, after).hunks


def test_a_diff_of_a_new_file_needs_nothing_else() -> None:
    played = of_diff(unified("", BUGGY))

    assert lines(played) == [("train.py", 6)]
    assert played.caveats == ()


def test_a_diff_that_shows_whole_files_needs_nothing_else() -> None:
    long = TRAINING + "".join(f"\nx{number} = {number}" for number in range(60)) + "\n"
    buggy = long.replace("        optimizer.zero_grad()\n", "")

    assert lines(of_diff(unified(long, buggy, context=99999))) == [("train.py", 6)]


def test_a_diff_that_shows_parts_says_that_it_needs_the_rest() -> None:
    long = TRAINING + "".join(f"\nx{number} = {number}" for number in range(60)) + "\n"
    diff = unified(long, long.replace("        optimizer.zero_grad()\n", ""))
    played = of_diff(diff)

    assert played.review.comments == ()
    assert played.caveats == ("`train.py` was not reviewed: the diff shows only parts of it; its whole text is needed",)
    assert lines(of_diff(diff, train=long.replace("        optimizer.zero_grad()\n", ""))) == [("train.py", 6)]


def test_a_whole_file_that_does_not_fit_its_diff_is_said_to() -> None:
    long = TRAINING + "x = 1\n" * 60
    played = of_diff(unified(long, long.replace("        optimizer.zero_grad()\n", "")), train="y = 1\n" * 90)

    assert "is not what the diff shows" in played.caveats[0]


def test_a_removed_and_a_binary_file_are_shown_without_a_review() -> None:
    binary = "diff --git a/a.bin b/a.bin\nBinary files a/a.bin and b/a.bin differ\n"
    played = of_diff(unified(BUGGY, "") + binary)

    assert [file.path for file in played.files] == ["train.py", "a.bin"]
    assert played.caveats == ("`a.bin` was not reviewed: a binary file",)


def test_a_broken_diff_says_where() -> None:
    played = of_diff(unified("", BUGGY).rstrip("\n").rpartition("\n")[0] + "\n")

    assert "its diff is broken: it ends inside a hunk" in played.caveats[0]


def test_python_that_cannot_be_parsed_is_named_with_its_line() -> None:
    played = play(Submission(Kind.FILE, after=f"{BUGGY}def broken(:\n"))

    assert played.caveats == ("`train.py` could not be analysed: line 9: invalid syntax",)


def test_a_broken_notebook_says_why() -> None:
    assert "no notebook: line 1 is no JSON" in problem(Submission(Kind.NOTEBOOK, after='{"cells": [import torch'))


@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (Submission(Kind.DIFF), "The diff is empty"),
        (Submission(Kind.DIFF, diff=BUGGY), "This is no unified diff"),
        (Submission(Kind.FILE), "There is no text to review"),
        (Submission(Kind.FILE, before="x", after="x"), "this change brings nothing"),
        (Submission(Kind.NOTEBOOK), "There is no text to review"),
    ],
)
def test_an_input_without_a_change_says_so(submission: Submission, words: str) -> None:
    assert words in problem(submission)


def test_the_example_is_found_as_it_says() -> None:
    played = play(playground.EXAMPLE)

    assert played.caveats == ()
    assert "missing-zero-grad" in played.review.summary
    assert len(played.review.comments) >= 3


LINES = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40)


@given(LINES, LINES, st.integers(0, 12))
def test_a_head_that_a_diff_gives_away_is_the_head(before: list[str], after: list[str], context: int) -> None:
    base, head = ("".join(f"{line}\n" for line in text) for text in (before, after))
    files = parse(unified(base, head, context=context))

    assert [file for file in files if head_of(file, context_of(files)) not in (None, head)] == []


# -- how it is shown ----------------------------------------------------------------------------------------


def test_a_long_diff_shows_what_is_near_a_comment() -> None:
    long = "".join(f"x{number} = {number}\n" for number in range(1000))
    played = play(Submission(Kind.FILE, after=BUGGY + long))
    rows = diff_view.view(played.files[0], played.review.comments).rows

    assert len(rows) < 50
    assert [row.kind for row in rows if row.threads] == ["add"]
    assert "lines without a comment" in rows[-1].text


def test_every_line_of_a_text_is_shown_once() -> None:
    text = 'def f():\r\n\t"""<b>\x0c\u2028\r\n"""\n\n\n'

    assert len(highlight.lines(text, "a.py")) == len(highlight.lines(text, "a.txt")) == text.count("\n") + 1


@given(st.text(alphabet="a\"'\\#\n\r\t <&\x0c\u2028(", max_size=60))
def test_colours_change_no_text(text: str) -> None:
    for path in ("a.py", "a.ipynb", "a.md", "a.toml", "a.yaml"):
        words = [_text(line) for line in highlight.lines(text, path)]
        assert words == [line.replace("\r", "") for line in text.split("\n")]


def test_a_suggestion_is_shown_as_a_change() -> None:
    page = markdown.rendered("```suggestion\nb = 2\n```", path="a.py", replaced=["a = 1"])

    assert page.index('class="del"') < page.index('class="add"')
    assert "a" in _text(page)


def test_an_empty_suggestion_deletes() -> None:
    page = markdown.rendered("```suggestion\n```", path="a.py", replaced=["a = 1"])

    assert 'class="del"' in page
    assert 'class="add"' not in page


# -- nothing of a stranger's is HTML ------------------------------------------------------------------------

TAGS = frozenset(
    "a article b caption code col colgroup dd details div dl dt em figcaption figure h1 h2 h3 header hr li ol p pre "
    "section span strong sub summary table tbody td th thead tr ul br blockquote".split()
)


class Reader(HTMLParser):
    """The tags, attributes and text of a piece of HTML."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(str(page))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def _text(page: str) -> str:
    return Reader(page).words


def is_harmless(page: str) -> bool:
    read = Reader(page)
    names = {name for name, _ in read.attributes}
    links = [value or "" for name, value in read.attributes if name == "href"]
    known = {"class", "href", "aria-label", "aria-hidden", "tabindex", "colspan", "open", "start"}
    return (
        read.tags <= TAGS
        and names <= known
        and all(link.startswith(("/rules/", "https://", "http://")) for link in links)
    )


HOSTILE = [
    SCRIPT,
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://example.com/x.png)",
    "<javascript:alert(1)>",
    "</code></pre></td></table><script>",
    "<details open ontoggle=alert(1)>",
    "<!-- --><svg onload=alert(1)>",
    "&lt;script&gt;",
    '"><script>',
    "`<script>`",
    "<sub onclick=alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_markdown_of_strangers_becomes_no_html(hostile: str) -> None:
    for text in (
        hostile,
        f"a {hostile} b",
        f"```python\n{hostile}\n```",
        f"```suggestion\n{hostile}\n```",
        f"| a |\n|-|\n| {hostile} |",
    ):
        assert is_harmless(markdown.rendered(text, replaced=[hostile])), text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_input_becomes_html(hostile: str) -> None:
    line = hostile.replace("\n", " ")
    code = f"import torch\n# {line}\n{BUGGY}"
    code = code.replace("loss.backward()", f"loss.backward()  # {line}")
    quoted = line.replace('"', '\\"')
    diff = unified("", code).replace("b/train.py", f'"b/{quoted}.py"')
    for submission in (
        Submission(Kind.DIFF, diff=diff),
        Submission(Kind.DIFF, diff=f"diff --git a/{line} b/{line}\n{diff}\n@@ broken {line}"),
        Submission(Kind.FILE, after=code, name=line),
        Submission(Kind.FILE, after=f"{code}\n{line}(", name=line),
        Submission(Kind.NOTEBOOK, after=line, name=line),
        Submission(Kind.DIFF, diff=line),
    ):
        result = shown(submission)
        assert is_harmless(result.html), submission
        assert result.html or result.problem


# -- over HTTP ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with site() as client:
        yield client


def post(client: Client, **fields: str | tuple[str, bytes]) -> httpx.Response:
    """A form as a browser sends it: text areas with CRLF, files as they are."""
    parts = [
        (name, (None, value.replace("\n", "\r\n").encode()) if isinstance(value, str) else value)
        for name, value in fields.items()
    ]
    return client.request("POST", "/playground", files=parts)


def test_a_posted_change_is_answered_with_its_review(client: Client) -> None:
    answer = post(client, kind="file", file_before=TRAINING, file_after=BUGGY)

    assert answer.status_code == 200
    assert 'aria-label="Comment on line +6"' in answer.text
    assert 'value="file" id="kind-file" checked' in answer.text
    assert "1 bug" in answer.text


def test_a_dropped_file_wins_over_the_text_beside_it(client: Client) -> None:
    answer = post(client, kind="file", file_after="nothing", file_after_upload=("deep/model.py", BUGGY.encode()))

    assert "<h3>model.py</h3>" in answer.text


def test_whole_files_go_with_a_diff(client: Client) -> None:
    long = TRAINING + "x = 1\n" * 60
    head = long.replace("        optimizer.zero_grad()\n", "")
    answer = post(client, kind="diff", diff=unified(long, head), heads=("train.py", head.encode()))

    assert 'aria-label="Comment on line +6"' in answer.text


def test_a_file_that_is_no_text_says_so(client: Client) -> None:
    answer = post(client, kind="file", file_after_upload=("model.py", b"\0\1"))

    assert answer.status_code == 422
    assert "cannot be read: a binary file" in answer.text


def test_what_is_no_form_is_refused_in_words(client: Client) -> None:
    answer = client.request("POST", "/playground", json={"diff": "x"})

    assert (answer.status_code, "No review." in answer.text) == (422, True)
    broken = client.request("POST", "/playground", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 422


def test_more_than_two_megabytes_are_refused_in_words(client: Client) -> None:
    answer = post(client, kind="file", file_after="x" * (forms.MOST_BYTES + 1))

    assert answer.status_code == 413
    assert "more than 2 MB" in answer.text


def test_what_was_typed_is_still_there_and_only_text(client: Client) -> None:
    answer = post(client, kind="diff", diff=f"</textarea>{SCRIPT}")

    assert answer.status_code == 422
    assert SCRIPT not in answer.text
    assert "&lt;/textarea&gt;" in answer.text


def test_an_input_that_takes_too_long_is_given_up() -> None:
    with site(CONNECTED.model_copy(update={"analysis_seconds": 0.001})) as client:
        answer = post(client, kind="file", file_after=BUGGY)

    assert "took longer than 0.001 s" in answer.text


def test_one_too_many_is_told_to_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground, "_under_way", asyncio.Semaphore(0))
    answer = post(client, kind="file", file_after=BUGGY)

    assert answer.status_code == 503
    assert "busy" in answer.text


def test_the_answer_asked_for_without_a_form_is_the_first_page(client: Client) -> None:
    answer = client.get("/playground")

    assert (answer.status_code, answer.headers["location"]) == (303, "/#playground")
