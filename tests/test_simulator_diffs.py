"""The simulator's pull requests are git's, with GitHub's limits"""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from github import Auth, Github

from tests.simulator import Executable, HostedRepository, Simulator, Submodule, Symlink

DIFF = {"accept": "application/vnd.github.diff"}
COUNTED = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture
def repository(github: Simulator) -> HostedRepository:
    name = f"octo-org/train-{len(github.world.repositories)}"
    return github.repository(name, files={"a.py": COUNTED, "old.py": COUNTED})


@pytest.fixture
def client(github: Simulator, repository: HostedRepository) -> Iterator[httpx.Client]:
    with github.installation_on("octo-org").client() as made:
        yield made


def files_of(client: httpx.Client, path: str) -> dict[str, dict[str, object]]:
    return {each["filename"]: each for each in client.get(f"{path}/files?per_page=100").json()}


@pytest.mark.parametrize("media_type", ["application/vnd.github.diff", "application/vnd.github.v3.diff"])
def test_the_diff_is_that_of_git(client: httpx.Client, repository: HostedRepository, media_type: str) -> None:
    pull = repository.open_pull_request({"a.py": COUNTED.replace("line 7\n", "line seven\n")})
    answer = client.get(pull.path, headers={"accept": media_type})
    git_dir = str(repository.repository.git.path)
    own = subprocess.run(
        ["git", "--git-dir", git_dir, "diff", f"{pull.base_sha}...{pull.head_sha}"], capture_output=True, check=True
    )
    assert answer.content == own.stdout
    assert b"-line 7\n+line seven\n" in answer.content
    assert answer.headers["content-type"].startswith("application/vnd.github.diff")


def test_the_diff_starts_at_the_merge_base(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"new.py": "x = 1\n"})
    repository.push({"elsewhere.py": "y = 1\n"})
    assert list(files_of(client, pull.path)) == ["new.py"]
    pull.merge_base_in()
    assert list(files_of(client, pull.path)) == ["new.py"]
    assert client.get(pull.path).json()["base"]["sha"] == repository.repository.branches["main"]


def test_files_say_what_happened_to_each(client: httpx.Client, repository: HostedRepository) -> None:
    repository.push({"gone.py": "1\n", "mode.sh": "#!/bin/sh\n", "kind": "text\n"})
    pull = repository.open_pull_request(
        {
            "a.py": COUNTED + "more\n",
            "new.py": "x\ny\n",
            "gone.py": None,
            "old.py": None,
            "moved.py": COUNTED.replace("line 1\n", "line one\n"),
            "mode.sh": Executable("#!/bin/sh\n"),
            "kind": Symlink("a.py"),
            "image.png": b"\x89PNG\0\0" * 20,
            "vendored": Submodule("1" * 40),
            "dos.py": "a = 1\r\nb = 2\r\n",
            "no newline.py": "x = 1",
        }
    )
    shown = files_of(client, pull.path)
    assert {name: each["status"] for name, each in shown.items()} == {
        "a.py": "modified",
        "new.py": "added",
        "gone.py": "removed",
        "moved.py": "renamed",
        "mode.sh": "modified",
        "kind": "changed",
        "image.png": "added",
        "vendored": "added",
        "dos.py": "added",
        "no newline.py": "added",
    }
    assert shown["moved.py"]["previous_filename"] == "old.py"
    assert (shown["new.py"]["additions"], shown["new.py"]["deletions"], shown["new.py"]["changes"]) == (2, 0, 2)
    assert "patch" not in shown["image.png"]
    assert "patch" not in shown["mode.sh"]
    assert "Subproject commit " + "1" * 40 in str(shown["vendored"]["patch"])
    assert shown["dos.py"]["patch"] == "@@ -0,0 +1,2 @@\n+a = 1\r\n+b = 2\r"
    assert str(shown["no newline.py"]["patch"]).endswith("\\ No newline at end of file")
    assert str(shown["a.py"]["patch"]).startswith("@@ -38,3 +38,4 @@")


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({f"f{number}.py": "x\n" for number in range(301)}, "files (300)"),
        ({"long.py": "x\n" * 20_001}, "lines (20000)"),
        ({"wide.py": "x" * 1_000_001 + "\n"}, "bytes (1000000)"),
    ],
)
def test_a_diff_too_large_is_refused(
    client: httpx.Client, repository: HostedRepository, files: dict[str, str], word: str
) -> None:
    pull = repository.open_pull_request(files)
    answer = client.get(pull.path, headers=DIFF)
    assert answer.status_code == 406
    assert f"the diff exceeded the maximum number of {word}" in answer.json()["message"]
    assert answer.json()["errors"] == [{"resource": "PullRequest", "field": "diff", "code": "too_large"}]
    assert client.get(pull.path).json()["changed_files"] == len(files)


def test_a_diff_at_the_limit_is_given(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({f"f{number}.py": "x\n" for number in range(300)})
    assert client.get(pull.path, headers=DIFF).status_code == 200


def test_files_are_paged_and_end_at_three_thousand(github: Simulator, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({f"d/f{number:04}.py": "x\n" for number in range(3010)})
    token = Auth.Token(github.installation_on("octo-org").token())
    with Github(auth=token, base_url=github.url, per_page=100, seconds_between_requests=0) as api:
        listed = [file.filename for file in api.get_repo(repository.full_name).get_pull(pull.number).get_files()]
    assert len(listed) == len(set(listed)) == 3000
    assert sum(call.path == f"{pull.path}/files" for call in github.calls) == 30


def test_a_long_file_has_no_patch(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"long.py": "x\n" * 20_001, "short.py": "x\n"})
    shown = files_of(client, pull.path)
    assert "patch" not in shown["long.py"]
    assert (shown["long.py"]["additions"], shown["short.py"]["patch"]) == (20_001, "@@ -0,0 +1 @@\n+x")


def test_link_headers_lead_through_the_pages(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({f"f{number}.py": "x\n" for number in range(5)})
    first = client.get(f"{pull.path}/files?per_page=2")
    assert set(first.links) == {"next", "last"}
    middle = client.get(first.links["next"]["url"])
    assert set(middle.links) == {"prev", "next", "last", "first"}
    last = client.get(first.links["last"]["url"])
    assert (len(last.json()), set(last.links)) == (1, {"prev", "first"})


def test_contents_are_json_up_to_a_megabyte_and_raw_beyond(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"big.bin": b"\0" * 1_000_001, "small.py": "x = 1\n"})
    path = f"{repository.path}/contents"
    small = client.get(f"{path}/small.py?ref={pull.head_sha}").json()
    big = client.get(f"{path}/big.bin?ref={pull.head_sha}").json()
    raw = client.get(f"{path}/big.bin?ref={pull.head_sha}", headers={"accept": "application/vnd.github.raw+json"})
    assert base64.b64decode(small["content"]) == b"x = 1\n"
    assert (big["encoding"], big["content"], big["size"]) == ("none", "", 1_000_001)
    assert raw.content == b"\0" * 1_000_001
    assert client.get(f"{path}/small.py").status_code == 404


def test_blobs_trees_and_commits_can_be_read(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"pkg/new.py": "x = 1\n"}, author="contributor")
    sha = files_of(client, pull.path)["pkg/new.py"]["sha"]
    blob = client.get(f"{repository.path}/git/blobs/{sha}").json()
    tree = client.get(f"{repository.path}/git/trees/{pull.head_sha}?recursive=1").json()
    commits = client.get(f"{pull.path}/commits").json()
    assert base64.b64decode(blob["content"]) == b"x = 1\n"
    assert [each["path"] for each in tree["tree"]] == ["a.py", "old.py", "pkg", "pkg/new.py"]
    assert [(each["sha"], each["author"]["login"]) for each in commits] == [(pull.head_sha, "contributor")]


def test_compare_is_from_the_merge_base(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"new.py": "x = 1\n"})
    tip = repository.push({"elsewhere.py": "y\n"})
    path = f"{repository.path}/compare/{tip}...{pull.head_sha}"
    shown = client.get(path).json()
    assert (shown["status"], shown["ahead_by"], shown["behind_by"]) == ("diverged", 1, 1)
    assert [each["filename"] for each in shown["files"]] == ["new.py"]
    assert client.get(path, headers=DIFF).text == pull.diff


def test_a_pull_request_can_be_two_revisions_of_a_local_repository(github: Simulator, tmp_path: Path) -> None:
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    for text in ("one\n", "two\n"):
        (tmp_path / "a.py").write_text(text)
        for command in (["init", "-q"], ["add", "a.py"], [*who, "commit", "-qm", text]):
            subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    repository = github.repository("octo-org/local", git=tmp_path)
    pull = repository.open_pull_request_between("HEAD~1", "HEAD")
    assert pull.diff.endswith("@@ -1 +1 @@\n-one\n+two\n")
    pull.push({"a.py": "three\n"})
    assert pull.diff.endswith("@@ -1 +1 @@\n-one\n+three\n")


def test_a_change_of_nothing_has_an_empty_diff(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({})
    assert client.get(pull.path, headers=DIFF).content == b""
    assert client.get(f"{pull.path}/files").json() == []


def test_a_conditional_request_is_answered_304_and_free(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"new.py": "x\n"})
    first = client.get(pull.path)
    again = client.get(pull.path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"]
    pull.push({"new.py": "y\n"})
    assert client.get(pull.path, headers={"if-none-match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_folder_is_listed(client: httpx.Client, repository: HostedRepository, path: str) -> None:
    listed = client.get(f"{repository.path}/contents{path}").json()
    assert [(each["name"], each["type"]) for each in listed] == [("a.py", "file"), ("old.py", "file")]


def test_names_of_every_kind_are_kept(client: httpx.Client, repository: HostedRepository) -> None:
    names = [
        "with space.py",
        'quo"te.py',
        "back\\slash.py",
        "tab\there.py",
        "größe.py",
        "模型.py",
        "-dash.py",
        "a:b.py",
    ]
    pull = repository.open_pull_request(dict.fromkeys(names, "x = 1\n"))
    assert sorted(files_of(client, pull.path)) == sorted(names)
    assert '"b/gr\\303\\266\\303\\237e.py"' in pull.diff
    for name in names:
        path = f"{repository.path}/contents/{quote(name)}?ref={pull.head_sha}"
        assert base64.b64decode(client.get(path).json()["content"]) == b"x = 1\n"


def test_a_rename_alone_is_in_the_list_without_a_patch(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"old.py": None, "new.py": COUNTED})
    (shown,) = files_of(client, pull.path).values()
    assert (shown["status"], shown["previous_filename"], shown["changes"]) == ("renamed", "old.py", 0)
    assert "patch" not in shown
    assert "similarity index 100%" in pull.diff


def test_a_merge_of_the_base_shows_only_what_the_pull_request_changes(
    client: httpx.Client, repository: HostedRepository
) -> None:
    pull = repository.open_pull_request({"new.py": "x = 1\n"})
    pull.push({"new.py": "x = 2\n"})
    tip = repository.push({"a.py": "a = 1\n"})
    pull.merge_base_in()
    assert pull.merge_base == tip
    assert list(files_of(client, pull.path)) == ["new.py"]
    assert len(client.get(f"{pull.path}/commits").json()) == client.get(pull.path).json()["commits"] == 3


def test_git_is_content_with_every_object(repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"d/e/f.py": "1\n", "d.py": "1\n", "d-": "1\n", "link": Symlink("d.py")})
    pull.push({"d/e/f.py": None, "d": "now a file\n", "vendored": Submodule("3" * 40), "run.sh": Executable("#!\n")})
    git = repository.repository.git
    git.git("fsck", "--strict", "--no-dangling", pull.head_sha)
    names = git.git("ls-tree", "-r", pull.head_sha).decode().split("\n")
    assert [line.partition("\t")[2] for line in names[:-1]] == sorted(
        ["a.py", "old.py", "d", "d.py", "d-", "link", "run.sh", "vendored"]
    )
    assert [line[:6] for line in names if line.endswith(("link", "vendored", "run.sh"))] == [
        "120000",
        "100755",
        "160000",
    ]
