"""Notebooks: one Python module, every line of which knows its place in the file."""

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from app.notebooks import notebook
from app.notebooks.notebook import BrokenNotebook, read
from app.playground import Kind, Submission, play
from app.pull_request import ChangedFile, Status
from app.review.find import found_in, introduced_in
from app.review.place import Placer
from detectors import Edit, Finding, apply_edits
from tests.changes import changed

SET_UP = "import torch\n\nmodel = torch.nn.Linear(10, 2)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
LOOP = """\
for images, labels in loader:
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()"""
BUGGY = LOOP.replace("    optimizer.zero_grad()\n", "")


def file_of(*cells: str, **metadata: Any) -> str:
    """A notebook's file as Jupyter writes it, with a heading first."""
    book = new_notebook(cells=[new_markdown_cell("# Training"), *map(new_code_cell, cells)], metadata=metadata)  # type: ignore[no-untyped-call]
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    return str(nbformat.writes(book)) + "\n"  # type: ignore[no-untyped-call]


def only(found: tuple[Finding, ...], rule: str = "missing-zero-grad") -> Finding:
    (finding,) = (each for each in found if each.rule == rule)
    return finding


def module_of(*cells: str) -> str:
    return read(file_of(*cells)).module


def test_the_cells_are_one_module_in_their_order() -> None:
    assert module_of("import torch", "x = 1\ny = 2\n") == "import torch\nx = 1\ny = 2\n"


def test_outputs_and_texts_are_not_read() -> None:
    book = json.loads(file_of("x = 1"))
    book["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["import torch\n"]}]

    assert read(json.dumps(book)).module == "x = 1\n"


def test_a_finding_is_on_the_line_of_the_file_and_says_its_cell() -> None:
    text = file_of(SET_UP, BUGGY)
    finding = only(found_in(text, "train.ipynb").findings)

    assert "for images, labels in loader" in text.split("\n")[finding.line - 1]
    assert finding.message.startswith("In cell 3, line 1: ")


def test_line_numbers_in_a_message_are_those_of_cells() -> None:
    message = only(found_in(file_of(SET_UP, BUGGY), "train.ipynb").findings).message

    assert "cell 3, line 4" in message


def test_a_fix_is_made_in_the_lines_of_the_file() -> None:
    text = file_of(SET_UP, BUGGY)
    finding = only(found_in(text, "train.ipynb").findings)
    mended = apply_edits(text, finding.fix)

    nbformat.validate(nbformat.reads(mended, 4))  # type: ignore[no-untyped-call]
    assert LOOP in read(mended).module
    assert [each.rule for each in found_in(mended, "train.ipynb").findings if each.rule == finding.rule] == []


def test_a_fix_at_the_end_of_a_cell_keeps_its_last_line_without_a_newline() -> None:
    text = file_of("import logging\nlog = logging.getLogger()\nname = input()", 'log.info(f"training {name}")')
    (finding,) = found_in(text, "train.ipynb").findings
    mended = json.loads(apply_edits(text, finding.fix))

    assert mended["cells"][2]["source"] == ['log.info("training %s", name)']


def test_where_one_line_of_the_file_holds_a_whole_cell_there_is_no_fix() -> None:
    book = json.loads(file_of(SET_UP, BUGGY))
    for cell in book["cells"]:
        cell["source"] = "".join(cell["source"])
    text = json.dumps(book, indent=1)
    finding = only(found_in(text, "train.ipynb").findings)

    assert finding.fix == ()
    assert "for images" in text.split("\n")[finding.line - 1]


def test_a_notebook_in_one_line_is_found_on_it() -> None:
    text = json.dumps(json.loads(file_of(SET_UP, BUGGY)))
    finding = only(found_in(text, "train.ipynb").findings)

    assert (finding.line, finding.end_line, finding.fix) == (1, 1, ())


def test_deleting_a_call_in_a_notebook_brings_the_bug_and_a_suggestion() -> None:
    file = changed(file_of(SET_UP, LOOP), file_of(SET_UP, BUGGY), "train.ipynb")
    finding = only(introduced_in(file).findings)
    placer = Placer(file)

    assert placer.place(finding) is not None
    assert placer.suggestion(finding) is not None


def test_a_bug_that_was_there_before_is_not_brought() -> None:
    file = changed(file_of(SET_UP, BUGGY), file_of("import math", SET_UP, BUGGY), "train.ipynb")

    assert introduced_in(file).findings == ()


def test_a_suggestion_in_the_playground_keeps_the_json_valid() -> None:
    played = play(Submission(Kind.NOTEBOOK, before=file_of(SET_UP, LOOP), after=file_of(SET_UP, BUGGY)))
    comment = next(each for each in played.review.comments if "```suggestion" in each.body)
    suggestion = comment.body.partition("```suggestion\n")[2].partition("\n```")[0]
    edit = Edit(comment.start_line or comment.line, comment.line, suggestion)
    head = played.files[0].head

    assert head is not None
    assert LOOP in read(apply_edits(head, [edit])).module


def test_a_comment_silences_a_rule_in_a_cell() -> None:
    silenced = BUGGY.replace("loader:", "loader:  # mlstaff: ignore[missing-zero-grad] on purpose")

    rules = {each.rule for each in found_in(file_of(SET_UP, silenced), "train.ipynb").findings}

    assert "missing-zero-grad" not in rules


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1\n"),
        ("!pip install torch\nx = 1", "pass\nx = 1\n"),
        ("pip install -q torch\nx = 1", "pass\nx = 1\n"),
        ("cd ../data\nmkdir -p out\nx = 1", "pass\npass\nx = 1\n"),
        ("cat = ls\ncat (1)\nmv -x", "cat = ls\ncat (1)\nmv -x\n"),
        ("!pip install \\\n  torch\nx = 1", "pass\n\nx = 1\n"),
        ("files = !ls\nx = 1", "files = get_ipython()\nx = 1\n"),
        ("path = %pwd", "path = get_ipython()\n"),
        ("if gpu:\n    !nvidia-smi", "if gpu:\n    pass\n"),
        ("model?\nx = 1", "pass\nx = 1\n"),
        ("?model\nmodel.fit??", "pass\npass\n"),
        ("%time model.fit(x)", "model.fit(x)\n"),
        ("%%time\nx = 1", "\nx = 1\n"),
        ("%%bash\nls -l\nfor x in y", "\n\n\n"),
        ("%%writefile train.py\nimport torch", "\n\n"),
        ('text = ("loss %s"\n% loss)\n!ls', 'text = ("loss %s"\n% loss)\npass\n'),
        ('text = """\n!no command\n%none either\n"""\n!ls', 'text = """\n!no command\n%none either\n"""\npass\n'),
        ("!echo \"it's (\nx = [1]", "pass\nx = [1]\n"),
        ("x = 1 if y else '?'", "x = 1 if y else '?'\n"),
        ("await train()", "await train()\n"),
    ],
)
def test_a_magic_gives_way_and_lines_keep_their_numbers(cell: str, python: str) -> None:
    assert module_of(cell) == python


def test_a_line_that_was_a_magic_is_never_written_to() -> None:
    assert [line.layout is None for line in read(file_of("%time x = 1\ny = 2")).lines] == [True, False]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no notebook: line 1 is no JSON (Expecting value)"),
        ('{"cells": [}', "no notebook: line 1 is no JSON (Expecting value)"),
        ("[]", "no notebook: its JSON has no list of cells"),
        ('{"cells": {}}', "no notebook: its JSON has no list of cells"),
        ('{"cells": [1]}', "no notebook: cell 1 has no source"),
        ('{"cells": [{"cell_type": "code", "source": [1]}]}', "no notebook: cell 1 has no source"),
        ('{"worksheets": []}', "a notebook of format 3; `jupyter nbconvert --to notebook` brings it up to date"),
        ("[" * 100_000, "no notebook: its JSON is nested too deeply or has numbers too long"),
        (
            file_of("x <- 1", kernelspec={"language": "R", "name": "ir", "display_name": "R"}),
            "a notebook in R, not in Python",
        ),
        (file_of("x = 1", language_info={"name": "julia"}), "a notebook in julia, not in Python"),
    ],
)
def test_what_is_no_python_notebook_says_why(text: str, reason: str) -> None:
    with pytest.raises(BrokenNotebook) as broken:
        read(text)
    assert str(broken.value) == reason
    assert [each.reason for each in found_in(text, "a.ipynb").skipped] == [reason]


def test_a_huge_notebook_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "LARGEST", 100)

    with pytest.raises(BrokenNotebook, match="larger than"):
        read(file_of("x = 1"))


def test_a_cell_in_another_language_is_blank() -> None:
    book = json.loads(file_of("SELECT 1", "x = 1"))
    book["cells"][1]["metadata"] = {"vscode": {"languageId": "sql"}}

    assert read(json.dumps(book)).module == "x = 1\n"


def test_a_broken_cell_is_named_with_its_line() -> None:
    report = found_in(file_of(SET_UP, f"{BUGGY}\ndef broken(:"), "train.ipynb")

    assert [each.reason for each in report.skipped] == ["cell 3, line 5: invalid syntax"]


def test_an_empty_notebook_has_nothing() -> None:
    assert found_in(file_of(), "a.ipynb").skipped == ()
    assert (
        introduced_in(ChangedFile("a.ipynb", None, Status.ADDED, (), head=file_of("")), whole_file=True).findings == ()
    )


def test_a_line_of_the_file_gives_its_source() -> None:
    assert notebook.plain('    "x = \\"a\\"\\n",') == 'x = "a"'
    assert notebook.plain('   "metadata": {},') == '   "metadata": {},'
    assert notebook.plain("]") == "]"


SOURCES = st.lists(st.text(alphabet='ab="\\\n\r %!\u2028é\x0c#', max_size=12), max_size=5)


@given(
    st.lists(SOURCES | st.text(alphabet='ab"\\\n', max_size=20), max_size=4),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
)
def test_every_line_is_where_the_file_holds_it(sources: list[Any], indent: int | None, escapes: bool) -> None:
    cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    text = json.dumps({"cells": cells, "metadata": {}}, indent=indent, ensure_ascii=escapes)
    book = read(text)
    file_lines = text.split("\n")

    assert book.module.count("\n") == len(book.lines)
    for line, python in zip(book.lines, book.module.split("\n"), strict=False):
        if line.layout:
            assert notebook.plain(file_lines[line.json_line - 1]) == python
    for number, line in enumerate(book.lines, start=1):
        for edit in book._fix([Edit(number, number, "new = 1\nlines = 2")] if line.layout else []):
            assert (
                "new = 1\nlines = 2\n"
                in read(apply_edits(text.replace("\u2028", " ").replace("\x0c", " "), [edit])).module
            )
