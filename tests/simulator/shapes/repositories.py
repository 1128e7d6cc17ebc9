"""Repositories, commits and files as JSON"""

import base64

from tests.simulator.git import Commit
from tests.simulator.model import Json, Repository, iso
from tests.simulator.shapes.accounts import user
from tests.simulator.world import World, node_id

_URLS = {
    "forks_url": "/forks",
    "keys_url": "/keys{/key_id}",
    "collaborators_url": "/collaborators{/collaborator}",
    "teams_url": "/teams",
    "hooks_url": "/hooks",
    "issue_events_url": "/issues/events{/number}",
    "events_url": "/events",
    "assignees_url": "/assignees{/user}",
    "branches_url": "/branches{/branch}",
    "tags_url": "/tags",
    "blobs_url": "/git/blobs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "trees_url": "/git/trees{/sha}",
    "statuses_url": "/statuses/{sha}",
    "languages_url": "/languages",
    "stargazers_url": "/stargazers",
    "contributors_url": "/contributors",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "commits_url": "/commits{/sha}",
    "git_commits_url": "/git/commits{/sha}",
    "comments_url": "/comments{/number}",
    "issue_comment_url": "/issues/comments{/number}",
    "contents_url": "/contents/{+path}",
    "compare_url": "/compare/{base}...{head}",
    "merges_url": "/merges",
    "archive_url": "/{archive_format}{/ref}",
    "downloads_url": "/downloads",
    "issues_url": "/issues{/number}",
    "pulls_url": "/pulls{/number}",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "labels_url": "/labels{/name}",
    "releases_url": "/releases{/id}",
    "deployments_url": "/deployments",
}


def api(world: World, repository: Repository) -> str:
    """The repository's address in the API."""
    return f"{world.url}/repos/{repository.full_name}"


def minimal(world: World, repository: Repository) -> Json:
    """`minimal-repository`: names and addresses."""
    here = api(world, repository)
    return {
        "id": repository.id,
        "node_id": node_id(repository),
        "name": repository.name,
        "full_name": repository.full_name,
        "private": repository.private,
        "owner": user(world, repository.owner),
        "html_url": f"{world.url}/{repository.full_name}",
        "description": None,
        "fork": repository.parent is not None,
        "url": here,
        **{name: here + path for name, path in _URLS.items()},
    }


def repository(world: World, each: Repository) -> Json:
    """`repository`, as pull requests and webhooks show it."""
    still_open = sum(pull.state == "open" for pull in each.pull_requests.values())
    html = f"{world.url}/{each.full_name}"
    zeros = ("forks", "forks_count", "size", "stargazers_count", "watchers", "watchers_count")
    return {
        **minimal(world, each),
        **dict.fromkeys(zeros, 0),
        **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "disabled", "is_template"), False),
        "allow_forking": True,
        "archived": each.archived,
        "clone_url": f"{html}.git",
        "git_url": f"git://{html.partition('//')[2]}.git",
        "ssh_url": f"git@localhost:{each.full_name}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": "Python",
        "license": None,
        "topics": [],
        "visibility": "private" if each.private else "public",
        "default_branch": each.default_branch,
        "open_issues": still_open,
        "open_issues_count": still_open,
        "created_at": each.created_at,
        "updated_at": each.created_at,
        "pushed_at": each.created_at,
        "web_commit_signoff_required": False,
    }


def full(world: World, each: Repository) -> Json:
    """`full-repository`: what `GET /repos/{owner}/{repo}` answers."""
    return {**repository(world, each), "network_count": 0, "subscribers_count": 0}


def commit(world: World, each: Repository, found: Commit) -> Json:
    """`commit`."""
    here = api(world, each)
    person = {"name": found.author, "email": found.email, "date": iso(found.seconds)}
    shown = user(world, world.account(found.author)) if " " not in found.author else {}
    html = f"{world.url}/{each.full_name}/commit"
    return {
        "sha": found.sha,
        "node_id": f"C_kwDO{found.sha[:20]}",
        "commit": {
            "author": person,
            "committer": person,
            "message": found.message,
            "tree": {"sha": found.tree, "url": f"{here}/git/trees/{found.tree}"},
            "url": f"{here}/git/commits/{found.sha}",
            "comment_count": 0,
        },
        "url": f"{here}/commits/{found.sha}",
        "html_url": f"{html}/{found.sha}",
        "comments_url": f"{here}/commits/{found.sha}/comments",
        "author": shown,
        "committer": shown,
        "parents": [{"sha": sha, "url": f"{here}/commits/{sha}", "html_url": f"{html}/{sha}"} for sha in found.parents],
    }


def simple_commit(found: Commit) -> Json:
    """`simple-commit`, as check suites and merge groups show it."""
    person = {"name": found.author, "email": found.email}
    return {
        "id": found.sha,
        "tree_id": found.tree,
        "message": found.message,
        "timestamp": iso(found.seconds),
        "author": person,
        "committer": person,
    }


def file_content(world: World, each: Repository, ref: str, path: str, oid: str, data: bytes) -> Json:
    """`content-file`. Above 1 MB GitHub leaves the content out and says so with `encoding: none`."""
    here = f"{api(world, each)}/contents/{path}?ref={ref}"
    git_url = f"{api(world, each)}/git/blobs/{oid}"
    html = f"{world.url}/{each.full_name}/blob/{ref}/{path}"
    large = len(data) > 1_000_000
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": oid,
        "size": len(data),
        "url": here,
        "html_url": html,
        "git_url": git_url,
        "download_url": f"{world.url}/{each.full_name}/raw/{ref}/{path}",
        "type": "file",
        "content": "" if large else base64.encodebytes(data).decode(),
        "encoding": "none" if large else "base64",
        "_links": {"self": here, "git": git_url, "html": html},
    }
