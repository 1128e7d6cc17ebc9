"""GraphQL is answered for GitHub's own types only"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from tests.simulator import PERMISSIONS, HostedRepository, OpenedPullRequest, Simulator
from tests.simulator.graphql.executor import schema

THREADS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    number title body isDraft state author { login __typename } baseRefName baseRefOid headRefName headRefOid
    labels(first: 10) { nodes { name } }
    files(first: 10) { nodes { path additions deletions changeType } }
    reviewThreads(first: 1, after: $after) { totalCount pageInfo { hasNextPage endCursor } nodes {
      id isResolved isOutdated viewerCanResolve path line originalLine startLine diffSide
      comments(first: 10) { nodes {
        id databaseId fullDatabaseId body author { login __typename } createdAt isMinimized minimizedReason path line
        originalLine url viewerDidAuthor replyTo { id } commit { oid } originalCommit { oid }
        pullRequestReview { fullDatabaseId state }
        reactions(first: 10, content: THUMBS_DOWN) { nodes { user { login } } }
        reactionGroups { content reactors(first: 1) { totalCount } }
      } }
    } }
    reviews(first: 10) { nodes { body state author { login } } }
    comments(first: 10) { nodes { body author { login __typename } } }
  } }
  rateLimit { cost remaining }
}
"""


@pytest.fixture(scope="module")
def github() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture(scope="module")
def repository(github: Simulator) -> HostedRepository:
    return github.repository("octo-org/train", files={"a.py": "a = 1\nb = 2\n"})


@pytest.fixture
def pull(repository: HostedRepository) -> OpenedPullRequest:
    return repository.open_pull_request({"a.py": "a = 2\nb = 3\n"})


def ask(github: Simulator, query: str, **variables: Any) -> dict[str, Any]:
    with github.installation_on("octo-org").client() as client:
        answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


def threads(github: Simulator, pull: OpenedPullRequest, after: str | None = None) -> dict[str, Any]:
    answer = ask(github, THREADS, owner="octo-org", name="train", number=pull.number, after=after)
    assert "errors" not in answer
    found: dict[str, Any] = answer["data"]["repository"]["pullRequest"]
    return found


def test_many_texts_come_with_one_query(github: Simulator, repository: HostedRepository) -> None:
    files: dict[str, str | bytes] = {f"f{number}.py": f"x = {number}\n" for number in range(100)}
    pull = repository.open_pull_request({**files, "image.png": b"\0\1", "long.py": "x" * 600_000, "latin.py": b"\xe9"})
    fields = "... on Blob { text isTruncated isBinary byteSize oid }"
    names = [*files, "image.png", "long.py", "latin.py", "missing.py"]
    asked = [f'f{n}: object(expression: "{pull.head_sha}:{name}") {{ {fields} }}' for n, name in enumerate(names)]
    query = 'query { repository(owner: "octo-org", name: "train") { ' + " ".join(asked) + " } }"
    found = ask(github, query)["data"]["repository"]
    assert [found[f"f{n}"]["text"] for n in range(100)] == list(files.values())
    image, long, latin, missing = (found[f"f{n}"] for n in range(100, 104))
    assert (image["text"], image["isBinary"], image["byteSize"]) == (None, True, 2)
    assert (len(long["text"]), long["isTruncated"], long["byteSize"]) == (512_000, True, 600_000)
    assert (latin["text"], latin["isTruncated"]) == ("\ufffd", False)
    assert missing is None


def test_objects_are_found_by_id_branch_and_commit(github: Simulator, repository: HostedRepository) -> None:
    sha = repository.repository.branches["main"]
    query = """query($sha: GitObjectID!) { repository(owner: "octo-org", name: "train") {
        one: object(oid: $sha) { __typename oid ... on Commit { tree { entries { name type } } } }
        two: object(expression: "main:a.py") { __typename }
        three: object(expression: "HEAD:") { __typename } } }"""
    found = ask(github, query, sha=sha)["data"]["repository"]
    assert (found["one"]["__typename"], found["one"]["oid"]) == ("Commit", sha)
    assert {"name": "a.py", "type": "blob"} in found["one"]["tree"]["entries"]
    assert (found["two"]["__typename"], found["three"]["__typename"]) == ("Blob", "Tree")


def test_threads_are_shown_with_who_said_what(github: Simulator, pull: OpenedPullRequest) -> None:
    with github.installation_on("octo-org").client() as client:
        said = [{"path": "a.py", "line": line, "body": f"on {line}"} for line in (1, 2)]
        client.post(f"{pull.path}/reviews", json={"event": "COMMENT", "body": "review", "comments": said})
    first = pull.threads()[0].comments[0]
    pull.comment_in_thread(first, "answer", author="maintainer")
    pull.react(first, "-1", "maintainer")
    pull.comment("hello", author="contributor")
    pull.label("bug")
    pull.push({"a.py": "a = 4\nb = 3\n"})
    shown = threads(github, pull)
    assert (shown["state"], shown["isDraft"], shown["headRefOid"]) == ("OPEN", False, pull.head_sha)
    assert shown["labels"]["nodes"] == [{"name": "bug"}]
    assert shown["files"]["nodes"] == [{"path": "a.py", "additions": 2, "deletions": 2, "changeType": "MODIFIED"}]
    assert shown["comments"]["nodes"] == [{"body": "hello", "author": {"login": "contributor", "__typename": "User"}}]
    (thread,) = shown["reviewThreads"]["nodes"]
    assert (thread["isOutdated"], thread["line"], thread["originalLine"], thread["diffSide"]) == (
        True,
        None,
        1,
        "RIGHT",
    )
    ours, answer = thread["comments"]["nodes"]
    assert ours["author"] == {"login": "mlstaff", "__typename": "Bot"}
    assert (ours["viewerDidAuthor"], answer["viewerDidAuthor"]) == (True, False)
    assert (ours["databaseId"], ours["fullDatabaseId"]) == (None, str(first.id))
    assert answer["replyTo"] == {"id": ours["id"]}
    assert ours["reactions"]["nodes"] == [{"user": {"login": "maintainer"}}]
    assert ours["commit"] == ours["originalCommit"]
    more = threads(github, pull, shown["reviewThreads"]["pageInfo"]["endCursor"])["reviewThreads"]
    assert [each["line"] for each in more["nodes"]] == [2]
    assert (more["totalCount"], more["pageInfo"]["hasNextPage"]) == (2, False)


def mutate(github: Simulator, name: str, given: str, fields: str) -> dict[str, Any]:
    return ask(github, f"mutation {{ {name}(input: {{ {given} }}) {{ {fields} }} }}")


def test_comments_are_minimised_edited_and_answered(github: Simulator, pull: OpenedPullRequest) -> None:
    comment = pull.comment_on_diff("a.py", 1, "said")
    thread = threads(github, pull)["reviewThreads"]["nodes"][0]
    node = thread["comments"]["nodes"][0]["id"]
    minimised = mutate(
        github,
        "minimizeComment",
        f'subjectId: "{node}", classifier: OUTDATED',
        "minimizedComment { isMinimized minimizedReason }",
    )
    assert minimised["data"]["minimizeComment"]["minimizedComment"] == {
        "isMinimized": True,
        "minimizedReason": "outdated",
    }
    assert pull.state()["comments"][0]["minimized"] == "outdated"
    mutate(github, "unminimizeComment", f'subjectId: "{node}"', "clientMutationId")
    assert pull.state()["comments"][0]["minimized"] is None
    given = f'pullRequestReviewCommentId: "{node}", body: "edited"'
    mutate(github, "updatePullRequestReviewComment", given, "pullRequestReviewComment { body }")
    given = f'pullRequestReviewThreadId: "{thread["id"]}", body: "reply"'
    mutate(github, "addPullRequestReviewThreadReply", given, "comment { body replyTo { id } }")
    assert [each["body"] for each in pull.state()["comments"]] == ["edited", "reply"]
    assert comment.body == "edited"


def test_a_review_itself_can_be_reacted_to(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.review_with_body("/mlstaff review", author="maintainer")
    query = """query { repository(owner: "octo-org", name: "train") {
        pullRequest(number: %d) { reviews(first: 1) { nodes { id } } } } }"""
    node = ask(github, query % pull.number)["data"]["repository"]["pullRequest"]["reviews"]["nodes"][0]["id"]
    for _ in range(2):
        answer = mutate(
            github, "addReaction", f'subjectId: "{node}", content: EYES', "reaction { content user { login } }"
        )
        assert answer["data"]["addReaction"]["reaction"]["content"] == "EYES"
    assert [(each["subject"], each["content"]) for each in pull.state()["reactions"]] == [("review", "eyes")]


def test_resolving_needs_to_write_contents(github: Simulator, pull: OpenedPullRequest) -> None:
    pull.comment_on_diff("a.py", 1, "said")
    thread = threads(github, pull)["reviewThreads"]["nodes"][0]
    assert thread["viewerCanResolve"] is False
    given, fields = f'threadId: "{thread["id"]}"', "thread { isResolved }"
    refused = mutate(github, "resolveReviewThread", given, fields)
    assert refused["data"] == {"resolveReviewThread": None}
    assert [(each["type"], each["path"]) for each in refused["errors"]] == [("FORBIDDEN", ["resolveReviewThread"])]
    installation = github.installation_on("octo-org").installation
    installation.permissions = {**PERMISSIONS, "contents": "write"}
    try:
        assert threads(github, pull)["reviewThreads"]["nodes"][0]["viewerCanResolve"] is True
        resolved = mutate(github, "resolveReviewThread", given, fields)
        assert resolved["data"]["resolveReviewThread"]["thread"] == {"isResolved": True}
        opened = mutate(github, "unresolveReviewThread", given, fields)
        assert opened["data"]["unresolveReviewThread"]["thread"] == {"isResolved": False}
    finally:
        installation.permissions = dict(PERMISSIONS)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("query { repository(owner: 1, name: 2) { id } }", "String cannot represent"),
        ("query { repositori { id } }", "Cannot query field 'repositori'"),
        ("query {", "Syntax Error"),
        ("", "A query attribute must be specified"),
        ('{ repository(owner: "x", name: "y") { id } }', "Could not resolve to a Repository with the name 'x/y'."),
        (
            '{ repository(owner: "octo-org", name: "train") { pullRequest(number: 99999) { id } } }',
            "Could not resolve to a PullRequest with the number of 99999.",
        ),
        (
            '{ repository(owner: "octo-org", name: "train") { pullRequests { totalCount } } }',
            "You must provide a `first` or `last` value to properly paginate the `pullRequests` connection.",
        ),
        (
            '{ repository(owner: "octo-org", name: "train") { pullRequests(first: 101) { totalCount } } }',
            "exceeds the `first` limit of 100 records.",
        ),
        ('{ node(id: "nothing") { id } }', "Could not resolve to a node with the global id of 'nothing'"),
    ],
)
def test_errors_come_with_status_200(github: Simulator, repository: HostedRepository, query: str, words: str) -> None:
    assert words in ask(github, query)["errors"][0]["message"]


def test_nobody_and_the_app_itself_may_not_ask(github: Simulator) -> None:
    for client in (github.client(), github.client(github.app_token())):
        with client:
            assert client.post("/graphql", json={"query": "{ viewer { login } }"}).status_code == 401


def test_the_schema_is_a_part_of_githubs() -> None:
    file = Path(__file__).parents[2] / "shared" / "github" / "graphql-schema.graphql.gz"
    if not file.exists():
        pytest.skip("GitHub's whole schema is not here to compare with")
    whole = build_schema(gzip.decompress(file.read_bytes()).decode(), assume_valid=True)
    compared = [_compare(schema(), whole, name) for name in schema().type_map if not name.startswith("__")]
    assert sum(compared) > 300


def _compare(part: GraphQLSchema, whole: GraphQLSchema, name: str) -> int:
    """The number of a type's fields, each of which is the same in GitHub's schema."""
    own, theirs = part.type_map[name], whole.type_map[name]
    assert type(own) is type(theirs)
    if not isinstance(own, GraphQLObjectType) or not isinstance(theirs, GraphQLObjectType):
        return 0
    for field, shape in own.fields.items():
        known = theirs.fields[field]
        assert str(shape.type) == str(known.type), f"{name}.{field}"
        for argument, given in shape.args.items():
            assert str(given.type) == str(known.args[argument].type), f"{name}.{field}({argument})"
    return len(own.fields)
