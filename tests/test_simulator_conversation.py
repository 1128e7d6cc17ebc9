"""Comments in the conversation, and reactions"""

from collections.abc import Iterator

import httpx
import pytest
from github import Auth, Github

from tests.simulator import HostedRepository, OpenedPullRequest, Simulator


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture(scope="module")
def repository(github: Simulator) -> HostedRepository:
    return github.repository("octo-org/train", files={"a.py": "a = 1\n"})


@pytest.fixture
def pull(repository: HostedRepository) -> OpenedPullRequest:
    return repository.open_pull_request({"a.py": "a = 2\n"})


@pytest.fixture
def client(github: Simulator, repository: HostedRepository) -> Iterator[httpx.Client]:
    with github.installation_on("octo-org").client() as made:
        yield made


def test_the_conversation_goes_both_ways(
    github: Simulator, repository: HostedRepository, pull: OpenedPullRequest
) -> None:
    said = pull.comment("/mlstaff review", author="maintainer")
    token = Auth.Token(github.installation_on("octo-org").token())
    with Github(auth=token, base_url=github.url, seconds_between_writes=0, seconds_between_requests=0) as api:
        issue = api.get_repo(repository.full_name).get_issue(pull.number)
        answer = issue.create_comment("first")
        answer.edit("second")
        shown = [(each.user.login, each.body) for each in issue.get_comments()]
        assert shown == [("maintainer", "/mlstaff review"), ("mlstaff[bot]", "second")]
        issue.get_comment(said.id).create_reaction("eyes")
        answer.delete()
        assert len(list(issue.get_comments())) == 1
    assert [each["content"] for each in pull.state()["reactions"]] == ["eyes"]


@pytest.mark.parametrize("subject", ["issue comment", "review comment", "pull request"])
def test_a_reaction_is_made_once(client: httpx.Client, pull: OpenedPullRequest, subject: str) -> None:
    base = pull.path.rpartition("/pulls/")[0]
    paths = {
        "issue comment": f"{base}/issues/comments/{pull.comment('hello').id}/reactions",
        "review comment": f"{base}/pulls/comments/{pull.comment_on_diff('a.py', 1, 'hello').id}/reactions",
        "pull request": f"{base}/issues/{pull.number}/reactions",
    }
    path = paths[subject]
    first, again = (client.post(path, json={"content": "eyes"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert client.post(path, json={"content": "rocket"}).status_code == 201
    assert client.post(path, json={"content": "shrug"}).status_code == 422
    assert [each["content"] for each in client.get(path).json()] == ["eyes", "rocket"]
    assert [each["content"] for each in client.get(f"{path}?content=rocket").json()] == ["rocket"]
    assert client.delete(f"{path}/{first.json()['id']}").status_code == 204
    assert client.delete(f"{path}/{first.json()['id']}").status_code == 404
    assert len(pull.state()["reactions"]) == 1


def test_the_same_reaction_of_two_people_is_two(client: httpx.Client, pull: OpenedPullRequest) -> None:
    said = pull.comment("hello")
    path = f"{pull.path.rpartition('/pulls/')[0]}/issues/comments/{said.id}"
    client.post(f"{path}/reactions", json={"content": "-1"})
    pull.react(said, "-1", "maintainer")
    assert (client.get(path).json()["reactions"]["-1"], client.get(path).json()["reactions"]["total_count"]) == (2, 2)


@pytest.mark.parametrize(("body", "status"), [("x" * 65_536, 201), ("x" * 65_537, 422), ("", 422)])
def test_the_length_of_a_comment(client: httpx.Client, pull: OpenedPullRequest, body: str, status: int) -> None:
    path = f"{pull.path.replace('/pulls/', '/issues/')}/comments"
    assert client.post(path, json={"body": body}).status_code == status


def test_broken_json_and_unknown_routes(client: httpx.Client, pull: OpenedPullRequest) -> None:
    path = f"{pull.path.replace('/pulls/', '/issues/')}/comments"
    assert client.post(path, content=b"{").status_code == 400
    assert client.post(path, content=b"[]").status_code == 400
    assert client.get(f"{pull.path}/nothing").status_code == 404
    assert client.get(pull.path.rpartition("/")[0] + "/99999").status_code == 404
    assert client.get(pull.path.rpartition("/")[0] + "/x").status_code == 404
