"""Pull requests, their files and their labels as JSON"""

from urllib.parse import quote

from tests.simulator.diffs import Diff, FileDiff
from tests.simulator.git import NULL
from tests.simulator.model import Json, PullRequest, Repository
from tests.simulator.shapes.accounts import user
from tests.simulator.shapes.repositories import api, repository
from tests.simulator.world import World, association, node_id

#: "No single file's diff may exceed 20,000 lines or 500 KB":
#: https://docs.github.com/repositories/creating-and-managing-repositories/repository-limits
MOST_PATCH_LINES, MOST_PATCH_BYTES = 20_000, 500_000


def diff_of(pull: PullRequest) -> Diff:
    """What the pull request changes: its head against the merge base."""
    return pull.repository.git.diff(pull.merge_base, pull.head_sha)


def label(world: World, each: Repository, name: str) -> Json:
    """`label`."""
    identifier = each.labels.setdefault(name, len(each.labels) + 1)
    return {
        "id": identifier,
        "node_id": f"LA_kwDO{identifier:04}",
        "url": f"{api(world, each)}/labels/{quote(name)}",
        "name": name,
        "description": "",
        "color": "ededed",
        "default": False,
    }


def simple(world: World, pull: PullRequest) -> Json:
    """`pull-request-simple`, as lists show it."""
    links = _links(world, pull)
    here, html = links["self"], links["html"]
    return {
        "url": here,
        "id": pull.id,
        "node_id": node_id(pull),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": links["issue"],
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(world, pull.author),
        "body": pull.body or None,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [label(world, pull.repository, name) for name in pull.labels],
        "milestone": None,
        "draft": pull.draft,
        **{f"{name}_url": links[name] for name in _LINKED},
        "head": _end(world, pull.head_repository, pull.head_ref, pull.head_sha),
        "base": _end(world, pull.repository, pull.base_ref, pull.base_sha),
        "_links": {name: {"href": target} for name, target in links.items()},
        "author_association": association(world, pull.repository, pull.author),
        "auto_merge": None,
        "active_lock_reason": None,
    }


_LINKED = ("commits", "review_comments", "review_comment", "comments", "statuses")


def pull_request(world: World, pull: PullRequest) -> Json:
    """`pull-request`: what `GET /repos/{owner}/{repo}/pulls/{number}` answers."""
    diff = diff_of(pull)
    return {
        **simple(world, pull),
        "merged": pull.merged_at is not None,
        "mergeable": True,
        "rebaseable": True,
        "mergeable_state": "draft" if pull.draft else "clean",
        "merged_by": None,
        "comments": len(pull.comments),
        "review_comments": sum(len(thread.comments) for thread in pull.threads),
        "maintainer_can_modify": False,
        "commits": len(pull.repository.git.revisions(pull.base_sha, pull.head_sha)),
        "additions": sum(file.additions for file in diff.files),
        "deletions": sum(file.deletions for file in diff.files),
        "changed_files": len(diff.files),
    }


def minimal(world: World, pull: PullRequest) -> Json:
    """`pull-request-minimal`, as check runs show it."""
    return {
        "url": f"{api(world, pull.repository)}/pulls/{pull.number}",
        "id": pull.id,
        "number": pull.number,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": _named(world, pull.head_repository)},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": _named(world, pull.repository)},
    }


def issue(world: World, pull: PullRequest) -> Json:
    """`issue`: the pull request as the conversation's webhooks show it, with `pull_request`."""
    shown = simple(world, pull)
    here = shown["issue_url"]
    linked = {name: shown[name] for name in ("url", "html_url", "diff_url", "patch_url", "merged_at")}
    kept = ("node_id", "html_url", "number", "title", "user", "labels", "state", "locked", "body", "draft")
    times = ("created_at", "updated_at", "closed_at", "author_association", "active_lock_reason", "milestone")
    return {
        **{name: shown[name] for name in (*kept, *times)},
        "id": pull.id,
        "url": here,
        "repository_url": api(world, pull.repository),
        "labels_url": f"{here}/labels{{/name}}",
        "comments_url": f"{here}/comments",
        "events_url": f"{here}/events",
        "timeline_url": f"{here}/timeline",
        "assignee": None,
        "assignees": [],
        "comments": len(pull.comments),
        "state_reason": None,
        "performed_via_github_app": None,
        "pull_request": linked,
    }


def changed_file(world: World, pull: PullRequest, file: FileDiff) -> Json:
    """`diff-entry`; without `patch` when the file is binary, unchanged in content, or too big to show."""
    where = quote(file.path)
    html = f"{world.url}/{pull.repository.full_name}"
    shown: Json = {
        "sha": file.old_sha if file.new_sha == NULL else file.new_sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{html}/blob/{pull.head_sha}/{where}",
        "raw_url": f"{html}/raw/{pull.head_sha}/{where}",
        "contents_url": f"{api(world, pull.repository)}/contents/{where}?ref={pull.head_sha}",
    }
    if file.previous_path is not None:
        shown["previous_filename"] = file.previous_path
    if file.body and len(file.body) <= MOST_PATCH_BYTES and file.body.count(b"\n") <= MOST_PATCH_LINES:
        shown["patch"] = file.patch
    return shown


def _links(world: World, pull: PullRequest) -> dict[str, str]:
    base = api(world, pull.repository)
    here, issue = f"{base}/pulls/{pull.number}", f"{base}/issues/{pull.number}"
    return {
        "self": here,
        "html": f"{world.url}/{pull.repository.full_name}/pull/{pull.number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{here}/comments",
        "review_comment": f"{base}/pulls/comments{{/number}}",
        "commits": f"{here}/commits",
        "statuses": f"{base}/statuses/{pull.head_sha}",
    }


def _end(world: World, each: Repository, ref: str, sha: str) -> Json:
    return {
        "label": f"{each.owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(world, each.owner),
        "repo": repository(world, each),
    }


def _named(world: World, each: Repository) -> Json:
    return {"id": each.id, "url": api(world, each), "name": each.name}
