"""A small storm: whatever is killed and whatever GitHub answers, nothing is lost, repeated or answered twice"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.storm.__main__ import Size, storm
from tests.storm.outcome import End, judged
from tests.storm.plan import Saying, planned
from tests.storm.stage import Said

GOOD = End(
    name="org/project#1",
    conclusion="failure",
    told=Counter({"aa": 1}),
    beside=frozenset({("train.py", "aa")}),
    rules={"aa": "missing-zero-grad"},
    answers=Counter({"conversation:7:0": 1}),
    reactions=frozenset({(7, "rocket")}),
    left_open=0,
)
HELP = Said(0, 7, Saying("/mlstaff help", "maintainer", "conversation", 1, "rocket"))
PLAN = replace(planned(1, pulls=1, repositories=1), ignored={0: frozenset[str]()})


def test_nothing_is_lost_in_a_small_storm(tmp_path: Path) -> None:
    assert storm(11, Size(pulls=12, repositories=4, kills=3), tmp_path) == ()


def test_a_plan_is_a_function_of_its_seed() -> None:
    assert planned(5, pulls=9, repositories=4) == planned(5, pulls=9, repositories=4)
    assert planned(5, pulls=9, repositories=4) != planned(6, pulls=9, repositories=4)


def violations(end: End) -> tuple[str, ...]:
    """Of a storm that ended like this, beside a good calm."""
    return judged(PLAN, {0: GOOD}, {0: end}, [HELP]).violations


def test_the_verdict_sees_what_was_lost() -> None:
    assert violations(GOOD) == ()
    assert any("not reviewed" in line for line in violations(replace(GOOD, conclusion="")))
    silent = replace(GOOD, told=Counter[str](), beside=frozenset[tuple[str, str]]())
    assert violations(silent) == ("org/project#1: train.py is not told aa (missing-zero-grad)",)
    assert any("0 of 1 answers" in line for line in violations(replace(GOOD, answers=Counter[str]())))
    assert any("no rocket" in line for line in violations(replace(GOOD, reactions=frozenset[tuple[int, str]]())))


def test_the_verdict_sees_what_was_said_twice_or_is_not_so() -> None:
    assert violations(replace(GOOD, told=Counter({"aa": 2}))) == ("org/project#1: aa told 2 times",)
    assert any("2 answers" in line for line in violations(replace(GOOD, answers=Counter({"conversation:7:0": 2}))))
    other = replace(GOOD, beside=GOOD.beside | {("a.py", "bb")}, rules={**GOOD.rules, "bb": "freeze-typo"})
    assert any("not in the calm" in line for line in violations(other))
    assert any("open on old heads" in line for line in violations(replace(GOOD, left_open=1)))
    assert any("ends with success" in line for line in violations(replace(GOOD, conclusion="success")))
