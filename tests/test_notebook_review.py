"""A pull request that changes a notebook: comments stand on its lines, and one click leaves a notebook behind."""

import json
import re

import nbformat
import pytest

from app.notebooks.notebook import plain, read
from detectors import Edit, apply_edits
from tests.bot import Bot
from tests.simulator import Simulator
from tests.simulator.model import Json
from tests.test_notebook import LOOP, SET_UP, file_of

TEXT = '    log.info("loss of \\"this\\" batch: %.3f", loss)'
SPOILT = '    log.info(f"loss of \\"this\\" batch: {loss:.3f}")'
CELLS = (
    "%matplotlib inline\n!pip install torch \\\n  torchvision\nimport logging\n\nlog = logging.getLogger()",
    "%%bash\nfor x in *.csv; do\n  wc -l $x\ndone",
    SET_UP,
    f"%%time\n{LOOP}\n{TEXT}",
    "torch.save(model.state_dict(), 'model.pt')",
)
CLICK = re.compile(r"(`{3,})suggestion\n(.*?)\n?\1", re.S)


def reviewed(before: str, after: str) -> list[Json]:
    """The comments on a pull request that changes the notebook."""
    with Simulator() as github:
        pull = github.repository("octo-org/lab", files={"lab/train.ipynb": before}).open_pull_request(
            {"lab/train.ipynb": after}
        )
        Bot(github).review(pull)
        comments: list[Json] = pull.state()["comments"]
    return comments


@pytest.mark.parametrize(
    ("cell", "right", "wrong", "line"),
    [
        (4, "    optimizer.zero_grad()\n", "", "    loss = criterion(model(images), labels)"),
        (4, TEXT, SPOILT, SPOILT),
        (5, "model.state_dict()", "model", "torch.save(model, 'model.pt')"),
    ],
    ids=["a call is deleted", "quotes in quotes", "the last line of the last cell"],
)
def test_a_bug_in_a_cell_is_commented_on_its_line_and_mended_by_a_click(
    cell: int, right: str, wrong: str, line: str
) -> None:
    bad = [each.replace(right, wrong) if number == cell else each for number, each in enumerate(CELLS, start=1)]
    before, after = file_of(*CELLS), file_of(*bad)

    (comment,) = reviewed(before, after)
    assert comment["path"] == "lab/train.ipynb"
    assert comment["side"] == "RIGHT"
    first = comment["start_line"] or comment["line"]
    assert line in [plain(each) for each in after.split("\n")[first - 1 : comment["line"]]]
    assert f"In cell {cell + 1}, line " in comment["body"]

    click = CLICK.search(comment["body"])
    assert click is not None
    mended = apply_edits(after, [Edit(first, comment["line"], click[2])])
    nbformat.validate(nbformat.reads(mended, 4))  # type: ignore[no-untyped-call]
    assert read(mended).module == read(before).module
    assert json.loads(mended)["cells"][2] == json.loads(before)["cells"][2]


def test_a_notebook_that_cannot_be_read_is_named_and_the_rest_is_reviewed() -> None:
    before, broken = file_of(*CELLS), file_of(*CELLS)[:-40]
    with Simulator() as github:
        repository = github.repository("octo-org/lab", files={"a.ipynb": before, "b.ipynb": before})
        wrong = file_of(*(each.replace("    optimizer.zero_grad()\n", "") for each in CELLS))
        pull = repository.open_pull_request({"a.ipynb": broken, "b.ipynb": wrong})
        Bot(github).review(pull)
        state = pull.state(check="mlstaff")

    assert [each["path"] for each in state["comments"]] == ["b.ipynb"]
    assert "`a.ipynb`: no notebook: line " in state["check_run"]["output"]["summary"]
