"""For any diff and any findings: GitHub accepts the review, and what it says survives."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.diff import split_lines
from app.pipeline import review
from app.pull_request import ChangedFile, Side
from app.review.bullets import Entry, cut
from app.review.comment import Comment
from app.review.find import FileReport, introduced_in
from app.review.fingerprint import fingerprints, told
from app.review.markdown import fence, prose
from app.review.options import Options
from detectors import Edit, Finding, Related, Tier
from tests.changes import BUGGY, changed, finding, pull_request, thread, unified
from tests.simulator.diffs import FileDiff

LINES = st.lists(
    st.sampled_from(["a", "b", "def f():", "    c", "    d", "", "class C:", "    def g(self):"]), max_size=30
)
HOSTILE = st.text(alphabet="ab `*_<>@#[]()!\\\n~|$&;:/-éx", max_size=80)


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Edit, ...]:
    starts = sorted(draw(st.sets(st.integers(1, 30), max_size=3)))
    ends = [*(start - 1 for start in starts[1:]), 40]
    return tuple(
        Edit(start, draw(st.integers(start, min(end, start + 3))), draw(st.none() | HOSTILE))
        for start, end in zip(starts, ends, strict=False)
    )


@st.composite
def some_findings(draw: st.DrawFn) -> tuple[Finding, ...]:
    lines = draw(st.lists(st.integers(1, 32), max_size=12))
    return tuple(
        finding(
            line,
            line + draw(st.integers(0, 12)),
            rule=draw(st.sampled_from(["missing-zero-grad", "logged-tensor", "loss-broadcast"])),
            tier=draw(st.sampled_from(list(Tier))),
            message=draw(HOSTILE),
            bad=draw(HOSTILE),
            good=draw(st.sampled_from(["a\nb", "    c", ""])),
            definition=draw(st.sampled_from(["", "f", "C.g", "nowhere"])),
            text=draw(st.sampled_from(["a", "b"])),
            fix=draw(edits()),
            related=tuple(Related(each, "") for each in draw(st.lists(st.integers(1, 40), max_size=2))),
        )
        for line in sorted(lines)
    )


def accepts(diff: FileDiff, comment: Comment) -> bool:
    """GitHub's rule, by the simulator's own reading of the diff."""
    last = diff.find(comment.side.value, comment.line)
    if comment.start_line is None:
        return last is not None
    first = diff.find(comment.side.value, comment.start_line)
    return bool(last and first and last[0] is first[0] and comment.start_line < comment.line)


@settings(deadline=None, max_examples=80)
@given(base=LINES, head=LINES, found=some_findings(), context=st.integers(0, 3), budget=st.integers(0, 40))
def test_github_accepts_every_comment(
    base: list[str], head: list[str], found: tuple[Finding, ...], context: int, budget: int
) -> None:
    diff = unified(text(base), text(head), context=context)
    if not diff:
        return
    hunks = diff.encode().partition(b"\n@@")
    judge = FileDiff("train.py", None, "modified", "", "", b"", b"@@" + hunks[2], binary=False)
    file = changed(text(base), text(head), context=context)

    result = review(pull_request(file), [FileReport("train.py", found)], Options(budget=budget))

    assert len(result.comments) <= 30
    assert len(result.body) <= 65_536
    assert len(result.summary) <= 65_535
    for comment in result.comments:
        assert accepts(judge, comment)
        assert len(comment.body) <= 65_536
        assert told(comment.body) == {comment.fingerprint}
        check_suggestion(file, comment)


def check_suggestion(file: ChangedFile, comment: Comment) -> None:
    """A suggestion replaces lines of the head, so it never stands on the left side."""
    if re.search(r"^`{3,}suggestion$", comment.body, re.M):
        assert comment.side is Side.RIGHT
        assert comment.line <= len(split_lines(file.head or ""))


@settings(deadline=None, max_examples=40)
@given(base=LINES, head=LINES, found=some_findings())
def test_whatever_was_said_is_not_said_again(base: list[str], head: list[str], found: tuple[Finding, ...]) -> None:
    if base == head:
        return
    request = pull_request(changed(text(base), text(head)))
    reports = [FileReport("train.py", found)]
    first = review(request, reports, Options())
    threads = tuple(thread(comment.body) for comment in first.comments)
    again = pull_request(*request.files, threads=threads)

    second = review(again, reports, Options(said=told(first.body)))

    assert {each.fingerprint for each in first.comments}.isdisjoint(each.fingerprint for each in second.comments)
    assert not second.comments
    assert second.conclusion is first.conclusion


@given(HOSTILE)
def test_prose_renders_as_one_paragraph_of_its_text(message: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True})
    inline = [token for token in parser.parse("❌ " + prose(message)) if token.type == "inline"]

    (paragraph,) = inline
    kinds = {token.type for token in paragraph.children or []}
    assert kinds <= {"text", "code_inline", "text_special"}
    outside = "".join(token.content for token in paragraph.children or [] if token.type != "code_inline")
    assert not re.search(r"@\w", outside)


@given(st.lists(HOSTILE, max_size=5))
def test_a_fence_closes_whatever_is_inside(lines: list[str]) -> None:
    code = "\n".join(lines)
    block, *after = MarkdownIt("commonmark").parse(fence(code, "python") + "\n\nafter")

    assert (block.type, block.content.rstrip("\n")) == ("fence", code.rstrip("\n"))
    assert [token.type for token in after] == ["paragraph_open", "inline", "paragraph_close"]


@given(st.lists(HOSTILE), st.integers(0, 200))
def test_a_cut_keeps_whole_entries_and_counts_the_rest(texts: list[str], room: int) -> None:
    entries = [Entry(each) for each in texts]
    kept, left = cut(entries, room)

    assert len(kept.kept) + kept.left_out == len(entries)
    assert list(kept.kept) == entries[: len(kept.kept)]
    assert left == room - sum(len(entry) for entry in kept.kept) >= 0


def fingerprints_of(lines: list[str]) -> set[str]:
    """Of what is found in a new file of these lines."""
    report = introduced_in(changed("", text(lines)))
    return set(fingerprints("train.py", report.findings))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["", "# why", "# a longer remark"])), max_size=8))
def test_a_fingerprint_survives_every_sequence_of_pushes_that_keeps_the_finding(pushes: list[tuple[int, str]]) -> None:
    lines = BUGGY.splitlines()
    before = fingerprints_of(lines)
    for place, line in pushes:
        at = place % (len(lines) + 1)
        indent = len(lines[at]) - len(lines[at].lstrip()) if at < len(lines) else 0
        lines.insert(at, " " * indent + line if line else "")
        assert fingerprints_of(lines) == before
    assert before
