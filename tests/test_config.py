"""A repository's decisions: what holds, what is wrong and on which line."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.configuration.config import Config, Layer, Reading, json_schema, read
from app.pipeline import find, review
from app.review.comment import Conclusion
from app.review.find import FileReport
from app.review.options import Options
from detectors import Tier
from tests.changes import BUGGY, TRAINING, changed, finding, pull_request


def reading(text: str) -> Reading:
    return read([Layer(".mlstaff.yml", text)])


def mistakes(text: str) -> list[str]:
    return [str(each) for each in reading(text).mistakes]


def test_nothing_decided_is_the_defaults() -> None:
    assert read([]) == Reading(Config())
    assert Config().options(Options()) == Options()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", ".mlstaff.yml:1: no valid YAML: expected the node content, but found '<stream end>'"),
        ("- x", ".mlstaff.yml:1: it must be a mapping, such as `fail_on: risk`"),
        ("drafts: &x no\ncomments: *x", ".mlstaff.yml:2: no valid YAML: aliases are not read here"),
        ("drafts: no\ndrafts: no", ".mlstaff.yml:2: no valid YAML: drafts is given twice"),
        ("drafts: no\ncoments: 3", ".mlstaff.yml:2: coments: is no setting"),
        ("comments: 99", ".mlstaff.yml:1: comments: input should be less than or equal to 30"),
        ("fail_on:", ".mlstaff.yml:1: fail_on: input should be 'bug', 'risk', 'advice' or 'never'"),
        ("rules:\n  ignore:\n    - nonsense", ".mlstaff.yml:3: no rule is called nonsense"),
        ("overrides:\n- paths: [a]\n- ignore: [b]", ".mlstaff.yml:3: overrides.1.paths: field required"),
        ("x" * 20_001, ".mlstaff.yml:1: no valid YAML: it is longer than 20,000 characters"),
        ("[" * 20_000, ".mlstaff.yml:1: no valid YAML: it is nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, said: str) -> None:
    (mistake,) = mistakes(text)

    assert mistake.startswith(said)


def test_a_mistake_costs_only_itself() -> None:
    text = """\
fail_on: risk
coments: 3
rules:
  tiers:
    missing-no-grad: bug
    missing-eval-mode: fatal
overrides:
  - ignore: [missing-no-grad]
  - paths: [tests]
"""
    result = reading(text)

    assert [each.line for each in result.mistakes] == [2, 6, 8]
    assert result.config.fail_on == "risk"
    assert result.config.rules.tiers == {"missing-no-grad": Tier.BUG}
    assert [each.paths for each in result.config.overrides] == [("tests",)]


def test_layers_lie_over_each_other_and_say_where_a_value_is_from() -> None:
    own = Layer("own", "rules:\n  ignore: [missing-no-grad]\ncomments: 3\n")
    organisation = Layer("org", "rules:\n  ignore: []\n  select: ['training/*']\ncomments: 9\ndrafts: yes\n")

    values = {name: (value, origin) for name, value, origin in read([own, organisation]).effective()}

    assert values["rules.ignore"] == (["missing-no-grad"], "own")
    assert values["rules.select"] == (["training/*"], "org")
    assert values["comments"] == (3, "own")
    assert values["drafts"] == (True, "org")
    assert values["inline"] == (["bug", "risk"], "the defaults")


REPORT = FileReport("tests/a.py", (finding(1), finding(2, rule="missing-no-grad", tier=Tier.RISK)))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", [(1, "bug"), (2, "risk")]),
        ("rules:\n  ignore: [missing-zero-grad]", [(2, "risk")]),
        ("rules:\n  select: [missing-zero-*]", [(1, "bug")]),
        ("rules:\n  select: [training/*]", [(1, "bug"), (2, "risk")]),
        ("rules:\n  select: [production/*]", []),
        ("rules:\n  tiers: {'missing-*': advice}", [(1, "advice"), (2, "advice")]),
        ("overrides:\n- paths: [tests]\n  ignore: [missing-no-grad]", [(1, "bug")]),
        ("overrides:\n- paths: [src]\n  ignore: [missing-no-grad]", [(1, "bug"), (2, "risk")]),
        ("overrides:\n- paths: ['*/a.py']\n  tiers: {missing-no-grad: bug}", [(1, "bug"), (2, "bug")]),
        ("ignore_paths: [tests/]", []),
        ("ignore_paths: [tes]", [(1, "bug"), (2, "risk")]),
    ],
)
def test_rules_and_paths_decide_what_is_said(text: str, left: list[tuple[int, str]]) -> None:
    result = reading(text)

    assert result.mistakes == ()
    assert [(each.line, each.tier.value) for each in result.config.applied(REPORT).findings] == left


def test_a_review_follows_the_file_of_the_base_branch_and_says_its_mistakes() -> None:
    files = changed(TRAINING, BUGGY)
    text = "fail_on: never\ninline: [advice]\nnonsense: 1\n"
    request = pull_request(files, config_text=text)

    result = review(request, find(request), Options())

    assert (result.conclusion, result.comments, result.annotations) == (Conclusion.NEUTRAL, (), ())
    assert "**Configuration**\n\n- .mlstaff.yml:3: nonsense: is no setting" in result.summary


def test_the_schema_is_one_and_knows_every_setting() -> None:
    schema = json_schema()
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)

    assert set(schema["properties"]) == set(Config.model_fields)
    assert all("description" in each or "$ref" in each for each in schema["properties"].values())
    assert validator.is_valid(json.loads(Config().model_dump_json()))
    assert not validator.is_valid({"nonsense": 1})


def test_the_example_in_the_documentation_holds(tmp_path: Path) -> None:
    text = """\
rules:
  ignore: [production/*]
  tiers:
    missing-no-grad: bug
ignore_paths: [examples, "*_generated.py"]
overrides:
  - paths: [tests]
    ignore: ["*"]
fail_on: risk
"""
    assert mistakes(text) == []


@given(st.text(alphabet="rules:ignoftc \n-[]{}'\"&*|>#!%@0\t,", max_size=60))
def test_no_text_raises(text: str) -> None:
    assert isinstance(reading(text).config, Config)


@given(
    st.recursive(
        st.none() | st.integers() | st.sampled_from(["rules", "ignore", "bug", "*"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["rules", "ignore", "tiers", "overrides", "paths", "inline"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_no_values_raise(values: object) -> None:
    assert isinstance(reading(json.dumps(values)).config, Config)
