"""The simulator lets in whom GitHub lets in"""

from collections.abc import Iterator

import jwt
import pytest
from github import Auth, GithubException, GithubIntegration

from tests.simulator import HostedRepository, Simulator
from tests.simulator.auth import new_keys


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture(scope="module")
def repository(github: Simulator) -> HostedRepository:
    return github.repository("octo-org/auth", files={"a.py": "a = 1\n"})


def test_pygithub_goes_from_private_key_to_repository(github: Simulator, repository: HostedRepository) -> None:
    integration = GithubIntegration(auth=Auth.AppAuth(github.app.id, github.app.private_key), base_url=github.url)
    assert integration.get_app().slug == "mlstaff"
    installation = integration.get_repo_installation("octo-org", "auth")
    found = integration.get_github_for_installation(installation.id).get_repo(repository.full_name)
    assert (found.full_name, found.default_branch) == ("octo-org/auth", "main")


def test_the_enterprise_server_shape_of_addresses_works_too(github: Simulator, repository: HostedRepository) -> None:
    with github.installation_on("octo-org").client() as client:
        assert client.get(f"/api/v3{repository.path}").json()["full_name"] == "octo-org/auth"
        answer = client.post("/api/graphql", json={"query": "{ viewer { login } }"})
    assert answer.json() == {"data": {"viewer": {"login": "mlstaff[bot]"}}}


@pytest.mark.parametrize(
    ("issued", "lifetime", "message"),
    [
        (120, 300, "'Issued at' claim ('iat')"),
        (-60, -1, "'Expiration time' claim ('exp') must be"),
        (-60, 700, "'Expiration time' claim ('exp') is too far in the future"),
    ],
)
def test_a_jwt_with_wrong_times_is_refused(github: Simulator, issued: int, lifetime: int, message: str) -> None:
    with github.client(github.app_token(issued=issued, lifetime=lifetime)) as client:
        answer = client.get("/app")
    assert answer.status_code == 401
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize("issued", [-60, 0, 50])
def test_a_jwt_within_the_drift_is_taken(github: Simulator, issued: int) -> None:
    with github.client(github.app_token(issued=issued, lifetime=540)) as client:
        assert client.get("/app").status_code == 200


def test_a_jwt_of_another_key_or_algorithm_is_refused(github: Simulator) -> None:
    claims = jwt.decode(github.app_token(), options={"verify_signature": False})
    for token in (
        jwt.encode(claims, new_keys()[0], algorithm="RS256"),
        jwt.encode(claims, "s" * 40, algorithm="HS256"),
    ):
        with github.client(token) as client:
            answer = client.get("/app")
        assert (answer.status_code, answer.json()["message"]) == (401, "A JSON web token could not be decoded")


def test_a_jwt_of_another_app_is_refused(github: Simulator) -> None:
    with github.client(github.app_token(iss="424242")) as client:
        assert client.get("/app").status_code == 401


def test_nobody_and_wrong_tokens_get_401(github: Simulator, repository: HostedRepository) -> None:
    for client in (github.client("ghs_wrong"), github.client()):
        with client:
            assert client.get(repository.path).status_code == 401


def test_the_jwt_is_for_the_app_and_the_token_for_repositories(github: Simulator, repository: HostedRepository) -> None:
    with github.client(github.app_token()) as app, github.installation_on("octo-org").client() as installation:
        assert app.get(repository.path).status_code == 401
        assert installation.get("/app").status_code == 401


def test_tokens_are_long_and_expire_after_an_hour() -> None:
    with Simulator() as github:
        github.repository("octo-org/train")
        installation = github.installation_on("octo-org")
        with github.client(github.app_token()) as app:
            given = app.post(f"/app/installations/{installation.id}/access_tokens")
        token = given.json()["token"]
        assert given.status_code == 201
        assert token.startswith(f"ghs_{github.app.id}_")
        assert len(token) > 100
        with github.client(token) as client:
            assert client.get("/repos/octo-org/train").status_code == 200
            github.clock.advance(3601)
            answer = client.get("/repos/octo-org/train")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_revoked_token_is_worthless(github: Simulator, repository: HostedRepository) -> None:
    with github.installation_on("octo-org").client() as client:
        assert client.get(repository.path).status_code == 200
        assert client.delete("/installation/token").status_code == 204
        assert client.get(repository.path).status_code == 401


def test_a_suspended_installation_gets_no_token_and_no_events() -> None:
    with Simulator() as github:
        repository = github.repository("octo-org/train")
        installation = github.installation_on("octo-org")
        installation.suspend()
        repository.open_pull_request({"a.py": "1\n"})
        with github.client(github.app_token()) as app:
            answer = app.post(f"/app/installations/{installation.id}/access_tokens")
            assert (answer.status_code, answer.json()["message"]) == (403, "This installation has been suspended")
            assert app.get("/app/installations").json()[0]["suspended_at"] is not None
            installation.unsuspend()
            assert app.post(f"/app/installations/{installation.id}/access_tokens").status_code == 201
        github.webhooks.settle()
        told = [(each.event, each.action) for each in github.deliveries]
    assert told == [("installation", action) for action in ("created", "suspend", "unsuspend")]


def test_an_installation_sees_its_own_account_only() -> None:
    with Simulator() as github:
        github.repository("octo-org/one")
        github.repository("other-org/two")
        with github.installation_on("octo-org").client() as client:
            assert client.get("/repos/octo-org/one").status_code == 200
            assert client.get("/repos/other-org/two").status_code == 404
            listed = client.get("/installation/repositories").json()
    assert [each["full_name"] for each in listed["repositories"]] == ["octo-org/one"]


def test_a_removed_installation_is_gone() -> None:
    with Simulator() as github:
        github.repository("octo-org/one")
        installation = github.installation_on("octo-org")
        with installation.client() as client, github.client(github.app_token()) as app:
            installation.remove()
            assert client.get("/repos/octo-org/one").status_code == 401
            assert app.post(f"/app/installations/{installation.id}/access_tokens").status_code == 404
            assert app.get("/app/installations").json() == []


def test_what_an_installation_was_not_granted_is_forbidden() -> None:
    with Simulator() as github:
        installation = github.installation("octo-org", permissions={"metadata": "read", "pull_requests": "read"})
        pull = github.repository("octo-org/one").open_pull_request({"a.py": "1\n"})
        with installation.client() as client:
            assert client.get(pull.path).status_code == 200
            answers = [
                client.post(f"{pull.path}/reviews", json={"body": "no", "event": "COMMENT"}),
                client.get("/repos/octo-org/one/contents/README.md"),
                client.post("/repos/octo-org/one/check-runs", json={"name": "x", "head_sha": pull.head_sha}),
            ]
        assert pull.state()["reviews"] == []
    assert {(each.status_code, each.json()["message"]) for each in answers} == {
        (403, "Resource not accessible by integration")
    }


def test_a_token_can_be_narrowed_to_a_repository_and_a_permission() -> None:
    with Simulator() as github:
        github.repository("octo-org/one")
        github.repository("octo-org/two")
        installation = github.installation_on("octo-org")
        with github.client(github.app_token()) as app:
            given = app.post(
                f"/app/installations/{installation.id}/access_tokens",
                json={"repositories": ["one"], "permissions": {"metadata": "read"}},
            )
        with github.client(given.json()["token"]) as client:
            codes = [client.get(f"/repos/octo-org/{name}").status_code for name in ("one", "two")]
            codes.append(client.get("/repos/octo-org/one/contents/README.md").status_code)
    assert codes == [200, 404, 403]


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        ("admin", "admin"),
        ("maintain", "write"),
        ("write", "write"),
        ("triage", "read"),
        ("read", "read"),
        ("none", "none"),
    ],
)
def test_permission_has_four_words_for_six_roles(
    github: Simulator, repository: HostedRepository, role: str, permission: str
) -> None:
    repository.role("somebody", role)
    with github.installation_on("octo-org").client() as client:
        shown = client.get(f"{repository.path}/collaborators/somebody/permission").json()
    assert (shown["permission"], shown["role_name"]) == (permission, role)


def test_an_author_has_no_more_than_read_permission(github: Simulator, repository: HostedRepository) -> None:
    pull = repository.open_pull_request({"b.py": "1\n"}, author="passer-by")
    integration = GithubIntegration(auth=Auth.AppAuth(github.app.id, github.app.private_key), base_url=github.url)
    client = integration.get_github_for_installation(github.installation_on("octo-org").id)
    found = client.get_repo(repository.full_name)
    assert found.get_pull(pull.number).raw_data["author_association"] == "CONTRIBUTOR"
    assert found.get_collaborator_permission("passer-by") == "read"
    with pytest.raises(GithubException, match="404"):
        found.get_collaborator_permission("nobody-at-all")


def test_a_renamed_repository_moves_and_a_deleted_one_is_gone() -> None:
    with Simulator() as github:
        repository = github.repository("octo-org/old")
        pull = repository.open_pull_request({"a.py": "1\n"})
        repository.move("octo-org/new")
        with github.installation_on("octo-org").client() as client:
            moved = client.get("/repos/octo-org/old")
            assert moved.status_code == 301
            assert client.get(moved.headers["location"]).json()["full_name"] == "octo-org/new"
            page = client.get("/repos/octo-org/old/pulls/1/files?per_page=5")
            assert client.get(page.headers["location"]).json()[0]["filename"] == "a.py"
            written = client.post(
                "/repos/octo-org/old/issues/1/comments", json={"body": "hello"}, follow_redirects=True
            )
            assert ([each.status_code for each in written.history], written.status_code) == ([307], 201)
            assert [each["body"] for each in pull.state()["conversation"]] == ["hello"]
            repository.delete()
            assert client.get("/repos/octo-org/new").status_code == 404


def test_a_transferred_repository_is_out_of_reach_until_installed_there() -> None:
    with Simulator() as github:
        repository = github.repository("octo-org/train")
        with github.installation_on("octo-org").client() as client:
            repository.move("other-org/train")
            moved = client.get("/repos/octo-org/train")
            assert (moved.status_code, client.get(moved.headers["location"]).status_code) == (301, 404)
        with github.installation("other-org").client() as client:
            assert client.get(repository.path).json()["full_name"] == "other-org/train"


def test_an_archived_repository_is_read_only() -> None:
    with Simulator() as github:
        repository = github.repository("octo-org/train")
        pull = repository.open_pull_request({"a.py": "1\n"})
        repository.archive()
        with github.installation_on("octo-org").client() as client:
            refused = client.post(f"{pull.path}/reviews", json={"body": "x", "event": "COMMENT"})
            assert (refused.status_code, refused.json()["message"]) == (403, "Repository was archived so is read-only.")
            assert client.get(pull.path).status_code == 200
