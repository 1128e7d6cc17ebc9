"""Routes of repositories: their files, commits and collaborators"""

import base64

from tests.simulator.errors import Refusal, not_found
from tests.simulator.git import GitError
from tests.simulator.http import Answer, Call, Router
from tests.simulator.model import Json, PullRequest, Repository
from tests.simulator.shapes import accounts, repositories
from tests.simulator.shapes.pulls import changed_file

#: https://docs.github.com/rest/repos/contents#get-repository-content
MOST_RAW = 100_000_000
#: The older field knows four permissions; `role_name` has the role itself.
_PERMISSION = {
    "none": "none",
    "read": "read",
    "triage": "read",
    "write": "write",
    "maintain": "write",
    "admin": "admin",
}

router = Router()


@router.add("GET", "/repos/{owner}/{repo}")
def repository(call: Call) -> Answer:
    """Get a repository."""
    return Answer(body=repositories.full(call.world, call.repository()))


@router.add("GET", "/repos/{owner}/{repo}/contents")
@router.add("GET", "/repos/{owner}/{repo}/contents/")
@router.add("GET", "/repos/{owner}/{repo}/contents/{path...}")
def contents(call: Call) -> Answer:
    """Get a file or list a folder."""
    found = call.repository("contents:read")
    ref = call.query.get("ref") or found.default_branch
    commit, path = commit_named(found, ref), call.parameters.get("path", "")
    thing = found.git.read(f"{commit}:{path}")
    if thing is None:
        raise not_found()
    if thing.type == "tree":
        return Answer(body=[_entry(call, found, ref, path, *each) for each in found.git.tree(f"{commit}:{path}")])
    if len(thing.data) > MOST_RAW:
        error = {"resource": "Blob", "field": "data", "code": "too_large"}
        raise Refusal(403, "This API returns blobs up to 100 MB in size.", errors=[error])
    if call.accepts("raw"):
        return Answer(body=thing.data, media_type="application/vnd.github.raw; charset=utf-8")
    return Answer(body=repositories.file_content(call.world, found, ref, path, thing.oid, thing.data))


@router.add("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}")
def blob(call: Call) -> Answer:
    """Get a blob."""
    found = call.repository("contents:read")
    sha = call.parameters["file_sha"]
    thing = found.git.read(sha)
    if thing is None or thing.type != "blob":
        raise not_found()
    if call.accepts("raw"):
        return Answer(body=thing.data, media_type="application/vnd.github.raw; charset=utf-8")
    url = f"{repositories.api(call.world, found)}/git/blobs/{sha}"
    content = base64.encodebytes(thing.data).decode()
    size = len(thing.data)
    shown = {"sha": thing.oid, "node_id": f"B_kwDO{thing.oid[:20]}", "size": size, "url": url}
    return Answer(body={**shown, "content": content, "encoding": "base64"})


@router.add("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}")
def tree(call: Call) -> Answer:
    """Get a tree."""
    found = call.repository("contents:read")
    name, recursive = call.parameters["tree_sha"], bool(call.query.get("recursive"))
    commit = commit_named(found, name) if found.git.read(name) is None else name
    here = repositories.api(call.world, found)
    entries = [
        {"path": path, "mode": mode, "type": kind, "sha": oid, "url": f"{here}/git/{kind}s/{oid}"}
        for mode, kind, oid, path in found.git.tree(commit, recursive=recursive)
    ]
    url = f"{here}/git/trees/{name}"
    return Answer(body={"sha": name, "url": url, "tree": entries, "truncated": False})


@router.add("GET", "/repos/{owner}/{repo}/commits/{ref}")
def commit(call: Call) -> Answer:
    """Get a commit."""
    found = call.repository("contents:read")
    each = found.git.commit_of(commit_named(found, call.parameters["ref"], missing=422))
    return Answer(body=repositories.commit(call.world, found, each))


@router.add("GET", "/repos/{owner}/{repo}/git/ref/{ref...}")
def reference(call: Call) -> Answer:
    """Get a reference."""
    found = call.repository("contents:read")
    ref = call.parameters["ref"]
    sha = found.branches.get(ref.removeprefix("heads/"))
    if sha is None:
        raise not_found()
    here = repositories.api(call.world, found)
    target = {"type": "commit", "sha": sha, "url": f"{here}/git/commits/{sha}"}
    return Answer(body={"ref": f"refs/{ref}", "node_id": "REF_kwDO", "url": f"{here}/git/refs/{ref}", "object": target})


@router.add("GET", "/repos/{owner}/{repo}/compare/{basehead...}")
def compare(call: Call) -> Answer:
    """Compare two commits, as three dots do."""
    found = call.repository("contents:read")
    base_name, dots, head_name = call.parameters["basehead"].partition("...")
    if not dots:
        raise not_found()
    base, head = (commit_named(found, name.rpartition(":")[2]) for name in (base_name, head_name))
    merge_base = found.git.merge_base(base, head)
    if merge_base is None:
        raise Refusal(404, f"No common ancestor between {base_name} and {head_name}.")
    if call.accepts("diff"):
        return Answer(
            body=found.git.diff(merge_base, head).text, media_type="application/vnd.github.diff; charset=utf-8"
        )
    return Answer(body=_comparison(call, found, base, head, merge_base))


@router.add("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission")
def permission(call: Call) -> Answer:
    """Get repository permissions for a user."""
    found, name = call.repository(), call.parameters["username"]
    account = call.world.accounts.get(name.lower())
    if account is None:
        raise Refusal(404, f"{name} is not a user")
    role = call.world.role(found, name)
    user = {**accounts.user(call.world, account), "role_name": role, "permissions": _flags(role)}
    return Answer(body={"permission": _PERMISSION[role], "role_name": role, "user": user})


def _flags(role: str) -> dict[str, bool]:
    order = ["pull", "triage", "push", "maintain", "admin"]
    rank = {"none": 0, "read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}[role]
    return {name: nth < rank for nth, name in enumerate(order)}


def commit_named(found: Repository, name: str, *, missing: int = 404) -> str:
    """The commit a sha, a branch or a revision names; refused with `missing` for none."""
    if found.git.has_commit(name):
        return name
    if name in found.branches:
        return found.branches[name]
    try:
        return found.git.resolve(name)
    except GitError as error:
        raise Refusal(missing, f"No commit found for the ref {name}") from error


def _entry(call: Call, found: Repository, ref: str, folder: str, mode: str, kind: str, oid: str, name: str) -> Json:
    path = f"{folder}/{name}".lstrip("/")
    shown = repositories.file_content(call.world, found, ref, path, oid, b"")
    del shown["content"], shown["encoding"]
    return {**shown, "type": {"tree": "dir", "blob": "file", "commit": "submodule"}[kind]}


def _comparison(call: Call, found: Repository, base: str, head: str, merge_base: str) -> Json:
    git, world = found.git, call.world
    ahead, behind = git.revisions(base, head), git.revisions(head, base)
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    html = f"{world.url}/{found.full_name}/compare/{base}...{head}"
    stand_in = PullRequest(0, 0, found, found, "", "", base, [head], found.owner, "", "", "", "")
    return {
        "url": f"{repositories.api(world, found)}/compare/{base}...{head}",
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": repositories.commit(world, found, git.commit_of(base)),
        "merge_base_commit": repositories.commit(world, found, git.commit_of(merge_base)),
        "status": status.get((bool(ahead), bool(behind)), "diverged"),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [repositories.commit(world, found, git.commit_of(sha)) for sha in ahead[:250]],
        "files": [changed_file(world, stand_in, file) for file in git.diff(merge_base, head).files[:300]],
    }
