"""Accounts, repositories and git objects as GraphQL shows them

A view is a dictionary of a type's fields; what costs something is a function, called when the field is asked for.
"""

from typing import Any

from tests.simulator.graphql.connections import connection, failure
from tests.simulator.graphql.context import Context
from tests.simulator.model import Account, CheckRun, CheckSuite, Json, Reaction, Repository, iso
from tests.simulator.objects import Object
from tests.simulator.shapes.checks import state_of
from tests.simulator.world import node_id

#: A text longer than this is cut, and `isTruncated` says so (observed at about half a megabyte).
MOST_TEXT = 512_000
CONTENT = {
    "THUMBS_UP": "+1",
    "THUMBS_DOWN": "-1",
    "LAUGH": "laugh",
    "CONFUSED": "confused",
    "HEART": "heart",
    "HOORAY": "hooray",
    "ROCKET": "rocket",
    "EYES": "eyes",
}
_NAMES = {value: name for name, value in CONTENT.items()}


def small(identifier: int) -> int | None:
    """A number as `Int` can carry it: what is past 2^31 has only its `fullDatabaseId`."""
    return identifier if identifier < 2**31 else None


def actor(context: Context, account: Account) -> Json:
    """An `Actor`. A bot's login has no `[bot]` here, unlike in REST."""
    login = account.login.removesuffix("[bot]")
    path = f"/apps/{login}" if account.type == "Bot" else f"/{login}"
    return {
        "__typename": account.type,
        "id": node_id(account),
        "databaseId": account.id,
        "login": login,
        "name": None,
        "url": context.world.url + path,
        "resourcePath": path,
        "avatarUrl": f"{context.world.url}/avatars/u/{account.id}",
    }


def git_object(context: Context, repository: Repository, found: Object | None) -> Json | None:
    """A `Blob`, `Tree` or `Commit`."""
    if found is None:
        return None
    shown: Json = {"oid": found.oid, "abbreviatedOid": found.oid[:7], "id": f"{found.type}_{found.oid}"}
    if found.type == "blob":
        return {**shown, "__typename": "Blob", **_blob(found.data)}
    if found.type == "tree":
        return {
            **shown,
            "__typename": "Tree",
            "entries": lambda info: _entries(context, repository, found.oid),
        }
    return {**shown, **_commit(context, repository, found.oid)} if found.type == "commit" else None


def commit(context: Context, repository: Repository, sha: str) -> Json | None:
    """A `Commit`."""
    return git_object(context, repository, repository.git.read(sha))


def repository(context: Context, found: Repository, pull_request: Any) -> Json:
    """A `Repository`; `pull_request` shows a pull request."""

    def get_object(info: Any, expression: str | None = None, oid: str | None = None) -> Json | None:
        context.require(found, "contents:read")
        name = oid or expression or ""
        head, colon, path = name.partition(":")
        sha = found.branches.get(head.removeprefix("refs/heads/"), head)
        sha = found.branches[found.default_branch] if head == "HEAD" else sha
        return git_object(context, found, found.git.read(f"{sha}{colon}{path}"))

    def get_pull_request(info: Any, number: int) -> Json:
        context.require(found, "pull_requests:read")
        pull = found.pull_requests.get(number)
        if pull is None:
            raise failure("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
        shown: Json = pull_request(context, pull)
        return shown

    def get_pull_requests(info: Any, **arguments: Any) -> Json:
        wanted = {state.lower() for state in arguments.get("states") or ()}
        pulls = [pull for pull in found.pull_requests.values() if not wanted or pull.state in wanted]
        return connection("pullRequests", pulls, lambda pull: pull_request(context, pull), arguments)

    def default_branch(info: Any) -> Json:
        name = found.default_branch
        return {"id": f"REF_{name}", "name": name, "target": commit(context, found, found.branches[name])}

    return {
        "id": node_id(found),
        "databaseId": found.id,
        "name": found.name,
        "nameWithOwner": found.full_name,
        "owner": actor(context, found.owner),
        "isPrivate": found.private,
        "isFork": found.parent is not None,
        "isArchived": found.archived,
        "url": f"{context.world.url}/{found.full_name}",
        "object": get_object,
        "pullRequest": get_pull_request,
        "pullRequests": get_pull_requests,
        "defaultBranchRef": default_branch,
    }


def reactable(context: Context, reactions: list[Reaction]) -> Json:
    """The fields of `Reactable`."""

    def listed(info: Any, content: str | None = None, **arguments: Any) -> Json:
        chosen = [each for each in reactions if content is None or each.content == CONTENT[content]]
        shown = connection("reactions", chosen, lambda each: reaction(context, each), arguments)
        return {**shown, "viewerHasReacted": any(each.user is context.viewer for each in chosen)}

    def groups(info: Any) -> list[Json]:
        return [
            _group(context, [each for each in reactions if each.content == value], name)
            for name, value in CONTENT.items()
        ]

    return {"reactions": listed, "reactionGroups": groups, "viewerCanReact": True}


def reaction(context: Context, each: Reaction) -> Json:
    """A `Reaction`."""
    return {
        "__typename": "Reaction",
        "id": node_id(each),
        "databaseId": each.id,
        "content": _NAMES[each.content],
        "createdAt": each.created_at,
        "user": actor(context, each.user),
    }


def _group(context: Context, reactions: list[Reaction], name: str) -> Json:
    def people(info: Any, **arguments: Any) -> Json:
        return connection("reactors", reactions, lambda each: actor(context, each.user), arguments)

    return {
        "content": name,
        "createdAt": reactions[0].created_at if reactions else None,
        "viewerHasReacted": any(each.user is context.viewer for each in reactions),
        "reactors": people,
        "users": people,
    }


def _blob(data: bytes) -> Json:
    binary = b"\0" in data[:8000]
    text = None if binary else data[:MOST_TEXT].decode("utf-8", "replace")
    return {"byteSize": len(data), "isBinary": binary, "isTruncated": len(data) > MOST_TEXT, "text": text}


def _entries(context: Context, repository: Repository, oid: str) -> list[Json]:
    def entry(mode: str, kind: str, sha: str, name: str) -> Json:
        shown: Json = {"name": name, "path": name, "mode": int(mode, 8), "type": kind, "oid": sha}
        shown["object"] = lambda info: git_object(context, repository, repository.git.read(sha))
        return shown

    return [entry(*each) for each in repository.git.tree(oid)]


def _commit(context: Context, repository: Repository, sha: str) -> Json:
    found = repository.git.commit_of(sha)

    def parents(info: Any, **arguments: Any) -> Json:
        return connection("parents", found.parents, lambda each: commit(context, repository, each), arguments)

    def suites(info: Any, **arguments: Any) -> Json:
        context.require(repository, "checks:read")
        suite = repository.check_suites.get(sha)
        return connection("checkSuites", [suite] if suite else [], lambda each: _suite(context, each), arguments)

    def file(info: Any, path: str) -> Json | None:
        found = repository.git.read(f"{sha}:{path}")
        if found is None:
            return None
        shown: Json = {"name": path.rpartition("/")[2], "path": path, "type": found.type, "oid": found.oid}
        shown["mode"] = 0o040000 if found.type == "tree" else 0o100644
        return {**shown, "object": lambda info: git_object(context, repository, found)}

    return {
        "__typename": "Commit",
        "file": file,
        "message": found.message,
        "messageHeadline": found.message.partition("\n")[0],
        "committedDate": iso(found.seconds),
        "authoredDate": iso(found.seconds),
        "url": f"{context.world.url}/{repository.full_name}/commit/{sha}",
        "tree": lambda info: git_object(context, repository, repository.git.read(found.tree)),
        "parents": parents,
        "checkSuites": suites,
    }


def _suite(context: Context, suite: CheckSuite) -> Json:
    status, conclusion = state_of(suite)

    def runs(info: Any, **arguments: Any) -> Json:
        wanted = (arguments.pop("filterBy", None) or {}).get("checkName")
        found = [run for run in suite.runs if wanted in (None, run.name)]
        return connection("checkRuns", found, lambda run: _run(context, run), arguments)

    ended = conclusion.upper() if conclusion else None
    return {"id": node_id(suite), "status": status.upper(), "conclusion": ended, "checkRuns": runs}


def _run(context: Context, run: CheckRun) -> Json:
    url = f"{context.world.url}/{run.suite.repository.full_name}/runs/{run.id}"
    return {
        "__typename": "CheckRun",
        "id": node_id(run),
        "name": run.name,
        "status": run.status.upper(),
        "conclusion": run.conclusion.upper() if run.conclusion else None,
        "externalId": run.external_id,
        "title": run.output.get("title"),
        "summary": run.output.get("summary"),
        "startedAt": run.started_at,
        "completedAt": run.completed_at,
        "url": url,
        "permalink": url,
        "detailsUrl": run.details_url or url,
    }
