"""A diff becomes values, and its base text comes back exactly."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.diff import parse, parse_patch, split_lines, touched, with_texts
from app.pull_request import ChangedFile, DiffLine, Side, Status


def git_diff(folder: Path, base: bytes, head: bytes, *options: str) -> str:
    """What git says between two texts of one file."""
    (folder / "base").write_bytes(base)
    (folder / "head").write_bytes(head)
    command = ["git", "diff", "--no-index", "--text", "--no-color", *options, "base", "head"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.stdout.decode()


def only(diff_text: str) -> ChangedFile:
    (file,) = parse(diff_text)
    return file


TEXT = st.text(alphabet="ab\n\r\x0b\x0c\x85\u2028\t -+@\\é", max_size=40)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=TEXT, head=TEXT, context=st.integers(0, 3))
def test_the_diff_applied_backwards_to_the_head_is_the_base(tmp_path: Path, base: str, head: str, context: int) -> None:
    diff = git_diff(tmp_path, base.encode(), head.encode(), f"-U{context}")
    if base == head:
        assert diff == ""
        return
    file = with_texts(only(diff), head)

    assert file.unread == ""
    assert (file.base or "") == base
    assert file.head == head


def test_a_pull_request_of_every_kind_of_change(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True).stdout

    git("init", "-q")
    lines = "".join(f"line {number}\n" for number in range(9))
    for name in ("gone.py", "old name.py", "kept.py", "run.sh", 'quo"te.py', "naïve.py"):
        (tmp_path / name).write_text(lines + name)
    (tmp_path / "gone.py").write_text("nothing\nlike\nthe\nothers")
    (tmp_path / "picture.png").write_bytes(b"\0\1")
    git("add", ".")
    git("commit", "-qm", "base")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "old name.py").rename(tmp_path / "new name.py")
    (tmp_path / "new name.py").write_text(lines + "changed\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "picture.png").write_bytes(b"\0\2")
    (tmp_path / "added b/").mkdir()
    (tmp_path / "added b/ b.py").write_text("new\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "link").symlink_to("kept.py")
    (tmp_path / 'quo"te.py').write_text(lines)
    (tmp_path / "naïve.py").write_text(lines)
    git("add", ".")
    diff = git("diff", "--cached", "-M")

    files = {file.path: file for file in parse(diff)}

    assert {path: file.status.value for path, file in files.items()} == {
        "gone.py": "removed",
        "new name.py": "renamed",
        "run.sh": "modified",
        "picture.png": "modified",
        "added b/ b.py": "added",
        "empty.py": "added",
        "link": "added",
        'quo"te.py': "modified",
        "naïve.py": "modified",
    }
    assert files["new name.py"].previous_path == "old name.py"
    assert {path: file.unread for path, file in files.items() if file.unread} == {
        "picture.png": "a binary file",
        "link": "a symbolic link",
    }
    assert with_texts(files["gone.py"], None).base == "nothing\nlike\nthe\nothers"
    assert with_texts(files["new name.py"], lines + "changed\n").base == lines + "old name.py"
    assert with_texts(files["empty.py"], "").head == ""
    assert with_texts(files["run.sh"], "x").base == "x"


def test_content_that_looks_like_headers_stays_content() -> None:
    file = only(
        "diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,2 @@\n"
        "--- a comment\n-diff --git a/x b/x\n+++ b/other\n @@ -1 +1 @@\n"
    )

    assert [line.text for line in file.hunks[0].lines] == [
        "-- a comment",
        "diff --git a/x b/x",
        "++ b/other",
        "@@ -1 +1 @@",
    ]


def test_a_broken_file_is_named_and_the_rest_kept() -> None:
    broken = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,9 +1,9 @@\n-x\n+y\n"
    whole = "diff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-x\n+y\n"

    first, second = parse(broken + whole)

    assert (first.path, first.hunks) == ("a.py", ())
    assert first.unread == "its diff is broken: line 7 belongs to no hunk"
    assert second.hunks[0].lines == (DiffLine(1, None, "x"), DiffLine(None, 1, "y"))


def test_a_broken_plain_diff_does_not_hide_the_next_file() -> None:
    first, second = parse("--- a.py\n+++ a.py\n@@ -1,2 +1 @@\n x\n*\n--- b.py\n+++ b.py\n@@ -1 +1 @@\n-x\n+y\n")

    assert first.unread
    assert (second.path, second.unread) == ("b.py", "")


@pytest.mark.parametrize(
    ("names", "path"),
    [
        ("--- a/x.py\n+++ b/x.py\n", "x.py"),
        ("--- x.py\t2026-01-01 00:00:00\n+++ x.py\t2026-01-02 00:00:00\n", "x.py"),
        ("--- a/x.py\n+++ a/x.py\n", "a/x.py"),
        ('--- "a/\\303\\251 \\"q\\".py"\n+++ "b/\\303\\251 \\"q\\".py"\n', 'é "q".py'),
        ("diff --git i/x.py w/x.py\n--- i/x.py\n+++ w/x.py\n", "x.py"),
        ("diff --git a/x.py a/x.py\nnew file mode 100644\n--- /dev/null\n+++ a/x.py\n", "a/x.py"),
        ("diff --git a/x y.py b/x y.py\nnew file mode 100644\n--- /dev/null\n+++ b/x y.py\t\n", "x y.py"),
    ],
)
def test_names(names: str, path: str) -> None:
    assert only(names + "@@ -0,0 +1 @@\n+y\n").path == path


def test_a_diff_pasted_with_windows_line_ends_reads_like_the_original() -> None:
    diff = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"

    assert parse(diff.replace("\n", "\r\n")) == parse(diff)


def test_carriage_returns_of_the_file_itself_are_kept() -> None:
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@ def f():\r\n a\r\n-b\r\n+c\r\n"

    file = with_texts(only(diff), "a\r\nc\r\n")

    assert file.base == "a\r\nb\r\n"


def test_a_text_that_is_not_the_diffs_head_is_said() -> None:
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"

    assert with_texts(only(diff), "a\nother\n").unread == "line 2 of its text is not what the diff shows"
    assert with_texts(only(diff), "a\n").unread == "its text ends before line 2, which the diff shows"
    assert with_texts(only(diff), None).unread == "its text could not be read"


def test_hunks_that_go_backwards_are_said() -> None:
    diff = "--- a/x.py\n+++ b/x.py\n@@ -3 +3 @@\n-a\n+c\n@@ -1 +1 @@\n-a\n+c\n"

    assert with_texts(only(diff), "c\nb\nc\n").unread == "the hunks of its diff are out of order"


def test_submodules_combined_and_binary_diffs_say_what_they_are() -> None:
    diff = (
        "diff --git a/sub b/sub\nindex 1234567..89abcde 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-S 1\n+S 2\n"
        "diff --cc both.py\nindex 1,2..3\n--- a/both.py\n+++ b/both.py\n@@@ -1,1 -1,1 +1,1 @@@\n--x\n++y\n"
        "diff --git a/x.bin b/x.bin\nnew file mode 100644\nGIT binary patch\nliteral 3\nKcmZ\n\n"
    )

    assert [(file.path, file.unread) for file in parse(diff)] == [
        ("sub", "a submodule"),
        ("both.py", "a combined diff of a merge, which has no single base"),
        ("x.bin", "a binary file"),
    ]


def test_a_mail_with_a_patch_reads_like_the_patch() -> None:
    diff = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-b\n+c\n"
    mail = f"From 1 Mon\nSubject: [PATCH] x\n\n---\n x.py | 2 +-\n\n{diff}-- \n2.39.2\n\n"

    assert parse(mail) == parse(diff)


def test_blank_context_lines_that_lost_their_blank_are_context() -> None:
    file = only("--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n")

    assert with_texts(file, "a\n\nc\n").base == "a\n\nb\n"


def test_the_added_and_deleted_lines() -> None:
    file = only("--- a/x.py\n+++ b/x.py\n@@ -4,3 +4,3 @@\n a\n-b\n+c\n d\n")

    assert touched(file) == {5}
    assert touched(file, Side.LEFT) == {5}


def test_a_patch_of_the_files_list() -> None:
    (hunk,) = parse_patch("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b")

    assert [(line.old, line.new, line.text) for line in hunk.lines] == [(1, None, "a"), (None, 1, "b")]
    with pytest.raises(ValueError, match="line 1 is no hunk header"):
        parse_patch("nonsense")


@pytest.mark.parametrize("text", ["", "\n", "hello", "@@ -1 +1 @@\n-a\n+b\n", "diff --git \n", "--- \n+++ \n"])
def test_no_diff_has_no_files(text: str) -> None:
    assert parse(text) == ()


@given(st.text(alphabet='diff -gtab/@+-\\\n0129,\t"x é', max_size=200))
def test_nothing_raises(text: str) -> None:
    for file in parse(text):
        with_texts(file, text)


@given(st.text(alphabet="a\n\x0c\u2028\r"))
def test_lines_end_at_newlines_only(text: str) -> None:
    assert "\n".join(split_lines(text)) == text.removesuffix("\n")


def test_a_line_of_five_megabytes_and_three_thousand_files() -> None:
    one = "diff --git a/f{0}.py b/f{0}.py\n--- a/f{0}.py\n+++ b/f{0}.py\n@@ -1 +1 @@\n-a\n+b\n"
    long = "--- a/long.py\n+++ b/long.py\n@@ -0,0 +1 @@\n+" + "x" * 5_000_000 + "\n"

    files = parse("".join(one.format(number) for number in range(3000)))
    (file,) = parse(long)

    assert len(files) == 3000
    assert {file.status for file in files} == {Status.MODIFIED}
    assert len(file.hunks[0].lines[0].text) == 5_000_000
