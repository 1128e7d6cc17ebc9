"""What people read: comments, the review's body, the check run."""

import re

import pytest
from markdown_it import MarkdownIt

from app.pull_request import Side
from app.review import write
from app.review.budget import Remark, Shares, remarks, share_out
from app.review.comment import Comment, Conclusion
from app.review.excerpt import excerpt, sentence
from app.review.fingerprint import fingerprints, marker, review_marker, reviewed_head, told
from app.review.markdown import cell, code_span, fence, prose
from app.review.options import Options
from app.review.place import Place
from app.review.write import Said
from detectors import Edit, Skipped, Tier, all_detectors
from tests.changes import BUGGY, TRAINING, changed, finding

NAME = "0123456789abcdef"
LINE_7 = Place(7)


def remark(line: int = 7, place: Place | None = LINE_7, suggestion: Edit | None = None, **values: object) -> Remark:
    path = str(values.pop("path", "train.py"))
    fingerprint = str(values.pop("fingerprint", f"{line:016x}"))
    return Remark(path, finding(line, **values), fingerprint, place, suggestion)  # type: ignore[arg-type]


def html(markdown: str) -> str:
    """As CommonMark renders it, HTML let through as on GitHub before its sanitiser."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def test_a_comment_has_the_form_of_the_example() -> None:
    edit = Edit(7, 7, "        optimizer.zero_grad()\n        loss.backward()")
    comment = write.comment(
        remark(message="This adds up the gradients of every batch.", suggestion=edit, fingerprint=NAME),
        Options(public_url="https://bot.example/"),
    )

    assert comment == Comment(
        path="train.py",
        line=7,
        side=Side.RIGHT,
        start_line=None,
        fingerprint=NAME,
        body=f"""\
❌ This adds up the gradients of every batch:

```python
loss.backward()
```

✅ Mended:

```python
optimizer.zero_grad()
loss.backward()
```

```suggestion
        optimizer.zero_grad()
        loss.backward()
```

<sub>[`missing-zero-grad`](https://bot.example/rules/missing-zero-grad) · bug · silence it with \
<code># mlstaff: ignore[missing-zero-grad] reason</code></sub>
<!-- mlstaff:finding rule=missing-zero-grad fingerprint={NAME} -->""",
    )


def test_without_a_public_address_the_rule_is_no_link() -> None:
    assert "<sub>`missing-zero-grad` · bug" in write.comment(remark(), Options()).body


def test_a_comment_without_a_mended_example_or_code_stays_whole() -> None:
    body = write.comment(remark(bad="", good=""), Options()).body

    assert body.startswith("❌ The gradients of every batch add up.\n\n<sub>")
    assert "✅" not in body


def test_the_rules_own_example_is_not_passed_off_as_the_authors_lines_mended() -> None:
    example = next(each.page.good for each in all_detectors() if each.name == "missing-zero-grad")

    assert "✅ As in this example:\n\n```python\nimport torch\n" in write.comment(remark(good=example), Options()).body
    assert "✅" not in write.comment(remark(bad="same()", good="same()\n"), Options()).body


def test_a_suggestion_decides_the_range() -> None:
    comment = write.comment(remark(suggestion=Edit(5, 8, "x")), Options())

    assert (comment.start_line, comment.line, comment.side) == (5, 8, Side.RIGHT)


def test_a_comment_on_another_line_says_which_one_it_is_about() -> None:
    assert "· about line 40 ·" in write.comment(remark(40, Place(7)), Options()).body
    assert "· about line 7 ·" in write.comment(remark(7, Place(7, Side.LEFT)), Options()).body
    assert "about line" not in write.comment(remark(7, Place(9, start_line=7)), Options()).body


def test_deleting_lines_is_an_empty_suggestion() -> None:
    assert "```suggestion\n```" in write.comment(remark(suggestion=Edit(7, 7, None)), Options()).body


def test_a_suggestion_too_long_to_read_is_left_out() -> None:
    comment = write.comment(remark(suggestion=Edit(5, 8, "x" * 10_001)), Options())

    assert "suggestion" not in comment.body
    assert comment.line == 7


def test_a_remark_without_a_place_is_no_comment() -> None:
    with pytest.raises(ValueError, match=r"train.py:7 is not on the diff"):
        write.comment(remark(place=None), Options())


def test_code_with_fences_and_markers_of_its_own_stays_code() -> None:
    code = f"x = '''\n```\n````\n'''  # {marker('x', 'f' * 16)}"
    body = write.comment(remark(bad=code, good=f"y\n{code}", fingerprint=NAME), Options()).body

    assert "`````python\n" in body
    assert told(body) == {NAME}
    assert html(body).count("<pre>") == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`x` is *bold*", "`x` is \\*bold\\*"),
        ("ask @octocat, see #12 and GH-3", "ask @\u200boctocat, see \\#\u200b12 and GH\u200b-3"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](http://b)", "\\[a\\](http:\u200b//b)"),
        ("www.example.com", "www\u200b.example.com"),
        ("odd ` backquote", "odd \\` backquote"),
        ("two\nlines", "two lines"),
        ("\x1b[31m \u202e", " \\[31m  "),
    ],
)
def test_prose_means_only_itself(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize("text", ["a", "`", "``a`", " ", "a|b", "a\nb", "<b>"])
def test_inline_code_shows_the_text(text: str) -> None:
    rendered = html(code_span(text))
    shown = re.fullmatch(r"<p><code>(.*)</code></p>\n", rendered)

    assert shown is not None
    assert shown[1].replace("&lt;", "<").replace("&gt;", ">").strip() == text.replace("\n", " ").strip()


def test_a_bar_does_not_end_a_cell() -> None:
    assert html(f"| a | b |\n|---|---|\n| {cell(code_span('x|y'))} | {cell(prose('p|q'))} |").count("<td>") == 2


def test_a_fence_is_longer_than_any_inside() -> None:
    assert fence("````", "python") == "`````python\n````\n`````"


def test_an_excerpt_is_cut_at_a_line_and_its_fence_closed() -> None:
    shown = excerpt("\n".join("x" * 100 for _ in range(100)))

    assert shown.endswith("\n...\n```")
    assert len(shown) < 4_200
    assert excerpt("x" * 10_000).endswith("…\n```")
    assert excerpt(" \n") == ""


def test_a_message_ends_in_a_colon_only_as_one_sentence_ahead_of_code() -> None:
    assert sentence("One thing.", has_code=True) == "One thing:"
    assert sentence("One thing.", has_code=False) == "One thing."
    assert sentence("One. Two.", has_code=True) == "One. Two."
    assert len(sentence("x" * 5000, has_code=False)) == 2000


def test_a_body_counts_lists_and_marks() -> None:
    shares = Shares(
        inline=(remark(),),
        listed=(remark(9, None, tier=Tier.RISK, rule="logged-tensor", message="Ask @octocat."),),
        more=(remark(11), remark(12)),
        advice=(remark(13, tier=Tier.ADVICE, rule="magic-number", message="Name it."),),
    )

    assert (
        write.body(Said(shares, [Skipped("b.py", "line 3: invalid syntax")]), "c" * 40, Options())
        == f"""\
This change brings 3 bugs and 1 risk.

Not on a line of the diff, or more than fits beside it:

- `train.py:9` `logged-tensor` Ask @\u200boctocat.
- `missing-zero-grad` also at `train.py:11`, `train.py:12`

<details><summary>Advice (1)</summary>

- `train.py:13` `magic-number` Name it.

</details>

<details><summary>Not reviewed (1)</summary>

- `b.py`: line 3: invalid syntax

</details>

{marker("logged-tensor", "0000000000000009")}
{marker("missing-zero-grad", "000000000000000b")}{marker("missing-zero-grad", "000000000000000c")}
{marker("magic-number", "000000000000000d")}
{review_marker("c" * 40)}"""
    )


def test_nothing_new_has_no_body() -> None:
    assert write.body(Said(Shares(), [Skipped("a.py", "x")]), "c" * 40, Options()) == ""
    assert write.body(Said(Shares(said=(remark(),)), []), "c" * 40, Options()) == ""
    assert write.body(Said(Shares(advice=(remark(tier=Tier.ADVICE),)), []), "c" * 40, Options()) == ""


def test_a_body_too_long_is_cut_at_an_entry_and_says_so() -> None:
    many = tuple(
        remark(line, None, message="`x` and " * 4 + "y" * 1500, fingerprint=f"{line:016x}") for line in range(1, 200)
    )
    body = write.body(Said(Shares(listed=many), [Skipped("a.py", "r")]), "c" * 40, Options())

    kept = body.count("\n- `train.py:")
    assert len(body) <= 65_536
    assert 20 < kept < 199
    assert f"\n- … and {199 - kept} more that found no room here\n" in body
    assert "Not reviewed (1)" in body
    assert len(told(body)) == kept
    assert reviewed_head(body) == "c" * 40


@pytest.mark.parametrize(
    ("tier", "fail_on", "conclusion"),
    [
        (Tier.BUG, Tier.BUG, Conclusion.FAILURE),
        (Tier.RISK, Tier.BUG, Conclusion.NEUTRAL),
        (Tier.RISK, Tier.RISK, Conclusion.FAILURE),
        (Tier.ADVICE, Tier.BUG, Conclusion.SUCCESS),
        (Tier.ADVICE, Tier.ADVICE, Conclusion.FAILURE),
        (Tier.BUG, None, Conclusion.NEUTRAL),
    ],
)
def test_the_conclusion(tier: Tier, fail_on: Tier | None, conclusion: Conclusion) -> None:
    assert write.conclusion(Shares(inline=(remark(tier=tier),)), Options(fail_on=fail_on)) is conclusion


def test_what_was_said_before_still_fails_and_what_was_dismissed_does_not() -> None:
    assert write.conclusion(Shares(said=(remark(),)), Options()) is Conclusion.FAILURE
    assert write.conclusion(Shares(dismissed=(remark(),)), Options()) is Conclusion.SUCCESS


def test_the_summary_is_a_table() -> None:
    shares = Shares(inline=(remark(path="a|b.py", message="Either `x|y`."),), said=(remark(9),), dismissed=(remark(3),))
    summary = write.summary(Said(shares, [Skipped("b.py", "too large")], reason="a.py imports torch."), Options())

    assert html(summary).count("<td>") == 8
    assert "1 of these was said on an earlier push and is still there." in summary
    assert "1 dismissed on this pull request." in summary
    assert "- `b.py`: too large" in summary
    assert "Reviewed because a.py imports torch." in summary


def test_a_summary_of_nothing() -> None:
    summary = write.summary(Said(Shares(), [], reason="a.py imports torch."), Options())

    assert summary.startswith("No ML problem is new in this change.")


def test_a_summary_stays_inside_its_limit() -> None:
    many = tuple(remark(line, message="y" * 300) for line in range(1, 400))
    summary = write.summary(Said(Shares(inline=many), [], reason="x"), Options())

    assert len(summary) <= 65_535
    assert "more that found no room here." in summary


def test_annotations_are_the_findings_that_may_be_inline() -> None:
    shares = Shares(
        inline=(remark(7, end_line=8),), listed=(remark(9, None, tier=Tier.RISK),), advice=(remark(tier=Tier.ADVICE),)
    )

    assert [(each.start_line, each.end_line, each.level) for each in write.annotations(shares, Options())] == [
        (7, 8, "failure"),
        (9, 9, "warning"),
    ]


def test_the_most_severe_come_first_and_few_of_one_rule() -> None:
    many = [remark(line, rule=f"rule-{line % 2}", tier=Tier.RISK) for line in range(1, 15)]
    bugs = [remark(line, rule="worst") for line in (50, 40)]
    lost = [remark(60, None, rule="lost")]

    shares = share_out([*many, *lost, *bugs], Options(budget=9, per_rule=4))

    assert [each.finding.line for each in shares.inline] == [40, 50, 1, 2, 3, 4, 5, 6, 7]
    assert [each.finding.line for each in shares.listed] == [60, 8]
    assert len(shares.more) == 6


def test_no_option_makes_more_than_thirty_inline() -> None:
    many = [remark(line, rule=f"rule-{line}") for line in range(1, 100)]

    assert len(share_out(many, Options(budget=99)).inline) == 30


def test_every_key_has_its_comment_and_takes_no_room_from_others() -> None:
    keys = [remark(line, rule="hard-coded-secret") for line in range(1, 100)]
    risks = [remark(200, rule="risk", tier=Tier.RISK)]

    shares = share_out([*keys, *risks], Options(budget=1, per_rule=1))

    assert (len(shares.inline), len(shares.listed), shares.inline[-1].finding.line) == (61, 39, 200)
    assert share_out(keys, Options(budget=0)).inline == ()


def test_said_and_dismissed_remarks_take_no_room() -> None:
    options = Options(budget=1, said=frozenset({f"{1:016x}"}), dismissed=frozenset({f"{2:016x}"}))
    shares = share_out([remark(1), remark(2), remark(3)], options)

    assert [[each.finding.line for each in share] for share in (shares.inline, shares.said, shares.dismissed)] == [
        [3],
        [1],
        [2],
    ]


def test_fingerprints_tell_equal_lines_apart_and_stay_when_lines_move() -> None:
    first, second = fingerprints("a.py", [finding(3), finding(9)])

    assert first != second
    assert fingerprints("a.py", [finding(30), finding(90)]) == (first, second)
    assert len({*fingerprints("b.py", [finding(3)]), *fingerprints("a.py", [finding(3, rule="x")]), first}) == 3
    assert re.fullmatch("[0-9a-f]{16}", first)


def test_a_rename_keeps_the_fingerprint() -> None:
    before = changed(TRAINING, BUGGY)
    moved = changed(TRAINING, BUGGY, "new.py")
    renamed = type(moved)("new.py", "train.py", moved.status, moved.hunks, head=moved.head, base=moved.base)

    assert remarks(before, [finding(7)])[0].fingerprint == remarks(renamed, [finding(7)])[0].fingerprint
    assert remarks(before, [finding(7)])[0].fingerprint != remarks(moved, [finding(7)])[0].fingerprint


def test_only_markers_at_the_end_count() -> None:
    one = marker("a", "1" * 16)

    assert told(f"{one} text") == set()
    assert told(f"text\n{one}\n<!-- mlstaff fixed_by=abc -->\n") == {"1" * 16}
    assert reviewed_head(f"{review_marker('a' * 40)} text") is None
