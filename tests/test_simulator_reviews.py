"""Reviews and review threads follow GitHub's rules"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from github import Auth, Github, GithubException

from tests.simulator import HostedRepository, OpenedPullRequest, Simulator

LINES = [f"line {number}\n" for number in range(1, 61)]
BASE = "".join(LINES)


def changed(*numbers: int, text: str = "new") -> str:
    """The file with some of its lines (counted from 1) replaced."""
    return "".join(f"{text} {n}\n" if n in numbers else line for n, line in enumerate(LINES, 1))


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture(scope="module")
def repository(github: Simulator) -> HostedRepository:
    return github.repository("octo-org/train", files={"a.py": BASE, "other.py": BASE})


@pytest.fixture
def pull(repository: HostedRepository) -> OpenedPullRequest:
    """Lines 10 and 40 of a.py are new: the hunks show lines 7-13 and 37-43."""
    return repository.open_pull_request({"a.py": changed(10, 40)})


@pytest.fixture
def client(github: Simulator, repository: HostedRepository) -> Iterator[httpx.Client]:
    with github.installation_on("octo-org").client() as made:
        yield made


def post(client: httpx.Client, pull: OpenedPullRequest, *comments: dict[str, Any], **review: Any) -> httpx.Response:
    given = {"body": "a review", "event": "COMMENT", "comments": list(comments), **review}
    return client.post(f"{pull.path}/reviews", json={name: value for name, value in given.items() if value is not None})


def on(line: int | None, **more: Any) -> dict[str, Any]:
    return {"path": "a.py", "body": "said", **({"line": line} if line else {}), **more}


@pytest.mark.parametrize("line", [7, 10, 13, 37, 40, 43])
def test_lines_the_diff_shows_can_be_commented(client: httpx.Client, pull: OpenedPullRequest, line: int) -> None:
    answer = post(client, pull, on(line))
    assert (answer.status_code, answer.json()["state"]) == (200, "COMMENTED")
    shown = client.get(f"{pull.path}/comments").json()
    assert [(each["path"], each["line"], each["side"], each["body"]) for each in shown] == [
        ("a.py", line, "RIGHT", "said")
    ]


@pytest.mark.parametrize(
    ("comment", "sentence"),
    [
        (on(6), "Line could not be resolved"),
        (on(14), "Line could not be resolved"),
        (on(999), "Line could not be resolved"),
        (on(None), "Line could not be resolved"),
        (on(1, path="other.py"), "Path could not be resolved"),
        (on(1, path="nowhere.py"), "Path could not be resolved"),
        (on(40, start_line=10), "Pull request review thread start line must be part of the same hunk as the line."),
        (on(10, start_line=6), "Pull request review thread start line must be part of the same hunk as the line."),
        (on(10, start_line=10), "Pull request review thread start line must precede the end line."),
        (on(9, start_line=11), "Pull request review thread start line must precede the end line."),
    ],
)
def test_one_comment_off_the_diff_refuses_the_whole_review(
    client: httpx.Client, pull: OpenedPullRequest, comment: dict[str, Any], sentence: str
) -> None:
    answer = post(client, pull, on(10), comment, on(40))
    assert (answer.status_code, answer.json()["message"]) == (422, "Unprocessable Entity")
    assert answer.json()["errors"] == [sentence]
    assert client.get(f"{pull.path}/reviews").json() == client.get(f"{pull.path}/comments").json() == []


def test_removed_lines_are_commented_on_the_left(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"a.py": "".join(LINES[:19] + LINES[20:])})
    assert post(client, pull, on(20, side="LEFT")).status_code == 200
    assert post(client, pull, on(23, side="LEFT", start_line=20, start_side="LEFT")).status_code == 200
    assert post(client, pull, on(24, side="LEFT")).status_code == 422
    assert post(client, pull, on(22, start_line=20, start_side="LEFT")).status_code == 200
    sides = [(each["side"], each["start_side"]) for each in client.get(f"{pull.path}/comments").json()]
    assert sides == [("LEFT", None), ("LEFT", "LEFT"), ("RIGHT", "LEFT")]


def test_a_position_counts_lines_below_the_first_hunk(client: httpx.Client, pull: OpenedPullRequest) -> None:
    first, second = on(None, position=5), on(None, position=9 + 4)
    assert post(client, pull, first, second).status_code == 200
    shown = client.get(f"{pull.path}/comments").json()
    assert [(each["line"], each["side"], each["position"]) for each in shown] == [(10, "RIGHT", 5), (40, "LEFT", 13)]


def test_the_hunk_is_shown_down_to_the_line(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(10))
    hunk = client.get(f"{pull.path}/comments").json()[0]["diff_hunk"].splitlines()
    assert (hunk[0][:13], hunk[-2], hunk[-1]) == ("@@ -7,7 +7,7 ", "-line 10", "+new 10")


def test_renamed_files_are_commented_under_their_new_name(client: httpx.Client, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"other.py": None, "moved.py": changed(5)})
    assert post(client, pull, on(5, path="moved.py")).status_code == 200
    assert post(client, pull, on(5, path="other.py")).status_code == 422


@pytest.mark.parametrize("length", [65_536, 65_537])
def test_bodies_end_at_65536_characters(client: httpx.Client, pull: OpenedPullRequest, length: int) -> None:
    fits = 200 if length <= 65_536 else 422
    assert post(client, pull, body="x" * length).status_code == fits
    assert post(client, pull, on(10, body="x" * length)).status_code == fits


def test_an_empty_comment_review_is_refused(client: httpx.Client, pull: OpenedPullRequest) -> None:
    assert post(client, pull, body="").status_code == 422
    assert post(client, pull, on(10), body="").status_code == 200


def test_a_commit_of_elsewhere_is_refused(client: httpx.Client, pull: OpenedPullRequest) -> None:
    for commit in ("0" * 40, "short", pull.base_sha):
        answer = post(client, pull, commit_id=commit)
        assert answer.json()["errors"] == ["The commitOID is not part of the pull request"]
    assert post(client, pull, commit_id=pull.head_sha).status_code == 200


def test_a_review_may_be_of_an_older_head(client: httpx.Client, pull: OpenedPullRequest) -> None:
    old = pull.head_sha
    pull.push({"a.py": changed(10)})
    assert post(client, pull, on(40), commit_id=pull.head_sha).status_code == 422
    answer = post(client, pull, on(40), commit_id=old)
    assert answer.json()["commit_id"] == old
    shown = client.get(f"{pull.path}/comments").json()[0]
    assert (shown["line"], shown["original_line"], shown["commit_id"]) == (None, 40, old)


def test_without_event_a_review_is_pending_and_alone(
    github: Simulator, client: httpx.Client, pull: OpenedPullRequest
) -> None:
    pending = post(client, pull, on(10), event=None).json()
    assert pending["state"] == "PENDING"
    for second in (post(client, pull, event=None), post(client, pull)):
        assert second.json()["errors"] == ["User can only have one pending review per pull request"]
    with github.client(login="maintainer") as other:
        assert other.get(f"{pull.path}/reviews").json() == []
        assert other.get(f"{pull.path}/comments").json() == []
        assert post(other, pull, event=None).status_code == 200
    assert [each["id"] for each in client.get(f"{pull.path}/reviews").json()] == [pending["id"]]
    submitted = client.post(f"{pull.path}/reviews/{pending['id']}/events", json={"event": "COMMENT"})
    assert submitted.json()["state"] == "COMMENTED"
    assert len(client.get(f"{pull.path}/comments").json()) == 1


def test_a_pending_review_can_be_deleted_and_a_submitted_one_not(client: httpx.Client, pull: OpenedPullRequest) -> None:
    pending = post(client, pull, on(10), event=None).json()["id"]
    assert client.delete(f"{pull.path}/reviews/{pending}").status_code == 200
    submitted = post(client, pull, on(10)).json()["id"]
    assert client.delete(f"{pull.path}/reviews/{submitted}").status_code == 422


def test_nobody_approves_their_own(github: Simulator, pull: OpenedPullRequest) -> None:
    with github.client(login="contributor") as author, github.client(login="maintainer") as other:
        answer = post(author, pull, event="APPROVE")
        assert answer.json()["errors"] == ["Can not approve your own pull request"]
        assert post(other, pull, event="APPROVE").json()["state"] == "APPROVED"


def test_comments_follow_their_lines(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(10), on(42, start_line=40))
    pull.push({"a.py": "one more\ntwo more\n" + changed(10, 40)})
    moved = client.get(f"{pull.path}/comments").json()
    assert [(each["line"], each["start_line"], each["original_line"]) for each in moved] == [
        (12, None, 10),
        (44, 42, 42),
    ]
    assert {each["commit_id"] for each in moved} == {pull.head_sha}


def test_a_changed_line_makes_its_comment_outdated_until_it_is_taken_back(
    client: httpx.Client, pull: OpenedPullRequest
) -> None:
    post(client, pull, on(10), on(40))
    first = pull.head_sha
    pull.push({"a.py": changed(10, 40).replace("new 10\n", "newer 10\n")})
    shown = client.get(f"{pull.path}/comments").json()
    assert [(each["line"], each["original_line"]) for each in shown] == [(None, 10), (40, 40)]
    assert (shown[0]["position"], shown[0]["commit_id"]) == (None, first)
    pull.push({"a.py": changed(10, 40)})
    assert [each["line"] for each in client.get(f"{pull.path}/comments").json()] == [10, 40]


def test_a_line_that_leaves_the_diff_makes_its_comment_outdated(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(12))
    pull.push({"a.py": changed(40)})
    assert [each["line"] for each in client.get(f"{pull.path}/comments").json()] == [None]


def test_comments_survive_a_force_push_onto_a_newer_base(
    client: httpx.Client, repository: HostedRepository, pull: OpenedPullRequest
) -> None:
    post(client, pull, on(10))
    newer = repository.push({"c.py": "1\n"})
    pull.force_push({"a.py": "first\n" + changed(10, 40)}, onto=newer)
    assert [each["line"] for each in client.get(f"{pull.path}/comments").json()] == [11]
    assert pull.merge_base == newer


def test_a_comment_on_the_left_follows_the_merge_base(client: httpx.Client, repository: HostedRepository) -> None:
    repository.push({"l.py": BASE})
    pull = repository.open_pull_request({"l.py": "".join(LINES[:19] + LINES[20:])})
    post(client, pull, on(20, side="LEFT", path="l.py"))
    repository.push({"l.py": "top\n" + BASE})
    pull.force_push({"l.py": "top\n" + "".join(LINES[:19] + LINES[20:])}, onto=repository.repository.branches["main"])
    assert [each["line"] for each in client.get(f"{pull.path}/comments").json()] == [21]


def test_replies_stay_in_the_thread(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(10))
    first = client.get(f"{pull.path}/comments").json()[0]
    reply = client.post(f"{pull.path}/comments/{first['id']}/replies", json={"body": "answer"})
    assert (reply.status_code, reply.json()["in_reply_to_id"], reply.json()["line"]) == (201, first["id"], 10)
    nested = client.post(f"{pull.path}/comments/{reply.json()['id']}/replies", json={"body": "no"})
    assert nested.status_code == 422
    assert client.post(f"{pull.path}/comments/1/replies", json={"body": "no"}).status_code == 404
    assert len(pull.threads()) == 1


def test_no_reply_while_a_review_is_pending(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(10))
    first = client.get(f"{pull.path}/comments").json()[0]["id"]
    post(client, pull, event=None)
    answer = client.post(f"{pull.path}/comments/{first}/replies", json={"body": "answer"})
    assert answer.json()["errors"][0]["message"] == "user_id can only have one pending review per pull request"


def test_single_comments_name_the_field_that_is_wrong(client: httpx.Client, pull: OpenedPullRequest) -> None:
    def comment(**given: Any) -> httpx.Response:
        return client.post(f"{pull.path}/comments", json={"commit_id": pull.head_sha, **given})

    assert comment(**on(10)).status_code == 201
    error = comment(**on(1)).json()["errors"][0]
    assert (error["field"], error["code"]) == ("pull_request_review_thread.line", "custom")
    whole_file = comment(path="a.py", body="the file", subject_type="file").json()
    assert (whole_file["line"], whole_file["subject_type"]) == (None, "file")


def test_comments_are_edited_and_deleted_through_pygithub(
    github: Simulator, repository: HostedRepository, pull: OpenedPullRequest
) -> None:
    token = Auth.Token(github.installation_on("octo-org").token())
    with Github(auth=token, base_url=github.url, seconds_between_writes=0, seconds_between_requests=0) as api:
        found = api.get_repo(repository.full_name).get_pull(pull.number)
        review = found.create_review(
            body="hello", event="COMMENT", comments=[{"path": "a.py", "line": 10, "body": "one"}]
        )
        assert review.user.login == "mlstaff[bot]"
        comment = found.get_review_comment(next(iter(found.get_review_comments())).id)
        comment.edit("two")
        assert found.get_review_comment(comment.id).body == "two"
        assert [each.id for each in found.get_single_review_comments(review.id)] == [comment.id]
        comment.delete()
        with pytest.raises(GithubException, match="404"):
            found.get_review_comment(comment.id)
    assert pull.threads() == []


def test_identifiers_are_past_32_bits(client: httpx.Client, pull: OpenedPullRequest) -> None:
    review = post(client, pull, on(10)).json()
    assert review["id"] > 2**31
    assert client.get(f"{pull.path}/comments").json()[0]["id"] > 2**31


def test_the_state_shows_what_people_see(client: httpx.Client, pull: OpenedPullRequest) -> None:
    post(client, pull, on(42, start_line=40))
    comment = pull.threads()[0].comments[0]
    pull.comment_in_thread(comment, "thanks", author="contributor")
    pull.react(comment, "-1", "maintainer")
    pull.resolve_thread(comment, user="maintainer")
    state = pull.state()
    assert [each["state"] for each in state["reviews"]] == ["COMMENTED", "COMMENTED"]
    first, second = state["comments"]
    assert (first["path"], first["line"], first["start_line"], first["side"], first["body"]) == (
        "a.py",
        42,
        40,
        "RIGHT",
        "said",
    )
    assert (first["resolved_by"], second["user"], second["in_reply_to_id"]) == ("maintainer", "contributor", comment.id)
    assert state["reactions"] == [
        {"subject": "review_comment", "subject_id": comment.id, "content": "-1", "user": "maintainer"}
    ]


@pytest.mark.parametrize("wrong", [{"event": {}}, {"event": "SHOUT"}, {"comments": "x"}, {"body": 5}, {"commit_id": 5}])
def test_values_of_a_wrong_kind_are_refused(
    client: httpx.Client, pull: OpenedPullRequest, wrong: dict[str, Any]
) -> None:
    given = {"body": "a review", "event": "COMMENT", **wrong}
    assert client.post(f"{pull.path}/reviews", json=given).status_code == 422
    assert pull.state()["reviews"] == []
