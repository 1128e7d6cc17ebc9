"""Whatever the text is, the analysis of a file ends with findings or with a reason."""

import ast
import gc
import logging
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Detector, Problem, Tier, all_detectors, analyse, introduced
from detectors._engine import analysis
from detectors._engine.source.tree import Tree
from tests.test_detectors import cases

SOURCES = [case.after for case in cases()]
STATEMENTS = [statement for source in SOURCES for statement in ast.parse(source).body]


@st.composite
def modules(draw: st.DrawFn) -> str:
    """A module of statements from all the cases, some of them taken apart: names, loops and calls that do not fit."""
    seed = draw(st.integers(0, 2**32))
    chance = random.Random(seed)
    body = [chance.choice(STATEMENTS) for _ in range(chance.randint(1, 8))]
    tree = ast.parse(ast.unparse(ast.Module(body=body, type_ignores=[])))
    for node in ast.walk(tree):
        for name in ("body", "orelse", "args", "keywords", "targets", "decorator_list"):
            children = getattr(node, name, None)
            if isinstance(children, list) and children and chance.random() < 0.1:
                if name in ("args", "keywords", "decorator_list", "orelse"):
                    children.pop(chance.randrange(len(children)))
                else:
                    chance.shuffle(children)
    return ast.unparse(tree)


@settings(max_examples=150, deadline=None)
@given(modules())
def test_no_detector_raises_on_a_module_put_together_at_random(source: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError:
        return
    result = analyse(source, "train.py")

    assert not result.skipped
    lines = source.count("\n") + 1
    assert all(1 <= each.line <= each.end_line <= lines for each in result.findings)


@settings(max_examples=60, deadline=None)
@given(modules())
def test_blank_lines_introduce_nothing(source: str) -> None:
    before = analyse(source, "train.py").findings
    after = analyse("\n\n" + source, "train.py").findings

    assert introduced(after, before) == ()
    assert len(after) == len(before)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_gives_an_answer(text: str) -> None:
    analyse(f"import torch\n{text}\nloss.backward()\nmodel.eval()", "train.py")


def test_a_crash_in_one_detector_costs_only_its_own_findings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = next(each.page.bad for each in all_detectors() if each.name == "missing-zero-grad")
    calm = analyse(source, "train.py")

    def explode(code: object) -> list[Problem]:
        raise RuntimeError("planted")

    planted = Detector("planted-crash", "training", Tier.BUG, all_detectors()[0].page, (), explode)  # type: ignore[arg-type]
    monkeypatch.setattr(analysis, "all_detectors", lambda: (planted, *all_detectors()))
    with caplog.at_level(logging.ERROR):
        shaken = analyse(source, "train.py")

    assert shaken.findings == calm.findings
    assert [each.reason for each in shaken.skipped] == ["planted-crash failed: RuntimeError"]
    assert [(each.detector, each.path) for each in caplog.records] == [("planted-crash", "train.py")]  # type: ignore[attr-defined]


def test_a_model_goes_back_to_train_mode_after_the_evaluation_and_not_after_the_condition_of_its_switch() -> None:
    source = """
import torch


def accuracy(net, loader):
    if isinstance(net, torch.nn.Module):
        net.eval()
    right = 0
    for x, y in loader:
        right += (net(x).argmax(1) == y).sum().item()
    return right


def train(net, loader, test_loader, optimizer, criterion):
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        criterion(net(x), y).backward()
        optimizer.step()
        print(accuracy(net, test_loader))
"""

    (finding,) = analyse(source, "train.py", rules={"missing-train-mode"}).findings

    assert finding.bad.startswith("if isinstance(net, torch.nn.Module):\n    net.eval()\n")
    assert finding.good == f"{finding.bad}\nnet.train()"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import torch\nloss.backward(\noptimizer.step()", "line 2: '(' was never closed"),
        ("import torch\x00\nloss.backward()\noptimizer.step()", "null bytes"),
        ("import torch\nloss.backward()\noptimizer.step()\nx = " + "(" * 500 + ")" * 500, "too many nested"),
        ("import torch\nloss.backward()\noptimizer.step()\nx = " + "-" * 100_000 + "1", ""),
    ],
)
def test_a_text_that_is_no_python_is_named_with_the_reason(text: str, reason: str) -> None:
    result = analyse(text, "broken.py")

    assert result.findings == ()
    assert [each.path for each in result.skipped] == ["broken.py"]
    assert reason in result.skipped[0].reason


def test_every_detector_is_found_by_its_folder_alone() -> None:
    files = {
        path.stem.replace("_", "-")
        for path in Path("detectors").glob("[a-z]*/[a-z]*.py")
        if not path.parent.name.startswith("_")
    }

    assert {each.name for each in all_detectors()} == files


def test_an_example_whose_change_is_far_from_the_problem_shows_the_place_of_the_change() -> None:
    lines = ["import torch", "", "", "def evaluate(model, loader):", "    model.eval()", "    correct = 0"]
    lines += [f"    print({count})" for count in range(30)]
    lines += [
        "    for x, y in loader:",
        "        correct += (model(x).argmax(1) == y).sum().item()",
        "    return correct",
    ]

    (finding,) = analyse("\n".join(lines), "evaluate.py", rules={"missing-no-grad"}).findings

    shown = "def evaluate(model, loader):\n    ...\n        correct += (model(x).argmax(1) == y).sum().item()"
    assert (finding.bad, finding.good) == (shown, f"@torch.no_grad()\n{shown}")


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ("print(torch.stack(losses).mean())", "loss.detach()"),
        ("print(losses[-1].item())", "loss.detach()"),
        ("print(sum(losses) / len(losses))", "loss.item()"),
    ],
)
def test_a_loss_that_is_kept_stays_a_tensor_where_one_is_needed(after: str, kept: str) -> None:
    loop = "for x, y in loader:\n    loss = criterion(model(x), y)\n    loss.backward()\n    losses.append(loss)\n"
    source = f"import torch\n\nmodel = torch.nn.Linear(2, 2)\nlosses = []\n{loop}{after}\n"

    (finding,) = analyse(source, "train.py", rules={"graph-retention"}).findings

    assert finding.good == f"losses.append({kept})"


def test_a_function_that_also_trains_is_not_wrapped_into_no_grad() -> None:
    source = """import torch


class Booster:
    def train_model(self, x, y):
        self.model.train()
        loss = criterion(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def evaluate_after(self, x, y):
        self.train_model(x, y)
        self.model.eval()
        return self.model(x).argmax(1).tolist()
"""
    findings = analyse(source, "booster.py", rules={"missing-no-grad"}).findings

    assert not any(each.fix for each in findings)


def test_an_analysis_leaves_no_tree_for_the_garbage_collector() -> None:
    """A tree is large, and what is said of it refers to itself in circles."""

    def trees() -> int:
        return sum(isinstance(each, Tree) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = trees()
        for each in list(cases())[::40]:
            analyse(each.after, each.path)
        assert trees() == before
    finally:
        gc.enable()
