"""Check runs, check suites and annotations as JSON"""

from tests.simulator.git import GitError
from tests.simulator.model import CheckRun, CheckSuite, Json
from tests.simulator.shapes.accounts import app
from tests.simulator.shapes.pulls import minimal as pull_request
from tests.simulator.shapes.repositories import api, minimal, simple_commit
from tests.simulator.world import World, node_id


def state_of(suite: CheckSuite) -> tuple[str, str | None]:
    """Status and conclusion of a suite: complete when all its runs are, as good as the worst of them."""
    runs = suite.runs
    if not runs or any(run.status != "completed" for run in runs):
        return ("in_progress" if runs else "queued"), None
    order = ("failure", "timed_out", "action_required", "cancelled", "success", "neutral", "skipped")
    return "completed", min((run.conclusion or "neutral" for run in runs), key=order.index)


def check_run(world: World, run: CheckRun) -> Json:
    """`check-run`. `pull_requests` is empty for pull requests from forks."""
    repository = run.suite.repository
    here = f"{api(world, repository)}/check-runs/{run.id}"
    html = f"{world.url}/{repository.full_name}/runs/{run.id}"
    return {
        "id": run.id,
        "node_id": node_id(run),
        "head_sha": run.suite.head_sha,
        "external_id": run.external_id,
        "url": here,
        "html_url": html,
        "details_url": run.details_url or html,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "output": {
            "title": run.output.get("title"),
            "summary": run.output.get("summary"),
            "text": run.output.get("text"),
            "annotations_count": len(run.annotations),
            "annotations_url": f"{here}/annotations",
        },
        "name": run.name,
        "check_suite": {"id": run.suite.id},
        "app": app(world, world.app),
        "pull_requests": _pull_requests(world, run.suite),
    }


def check_suite(world: World, suite: CheckSuite) -> Json:
    """`check-suite`."""
    repository = suite.repository
    here = f"{api(world, repository)}/check-suites/{suite.id}"
    status, conclusion = state_of(suite)
    try:
        commit = simple_commit(repository.git.commit_of(suite.head_sha))
    except GitError:
        commit = {}
    return {
        "id": suite.id,
        "node_id": node_id(suite),
        "head_branch": suite.head_branch,
        "head_sha": suite.head_sha,
        "status": status,
        "conclusion": conclusion,
        "url": here,
        "before": None,
        "after": suite.head_sha,
        "pull_requests": _pull_requests(world, suite),
        "app": app(world, world.app),
        "created_at": suite.created_at,
        "updated_at": suite.updated_at,
        "head_commit": commit,
        "repository": minimal(world, repository),
        "latest_check_runs_count": len(suite.runs),
        "check_runs_url": f"{here}/check-runs",
    }


def annotation(world: World, run: CheckRun, each: Json) -> Json:
    """`check-annotation`."""
    repository = run.suite.repository
    blob = f"{world.url}/{repository.full_name}/blob/{run.suite.head_sha}/{each['path']}"
    optional = ("start_column", "end_column", "annotation_level", "title", "message", "raw_details")
    return {
        "path": each["path"],
        "blob_href": blob,
        "start_line": each["start_line"],
        "end_line": each["end_line"],
        **{name: each.get(name) for name in optional},
    }


def _pull_requests(world: World, suite: CheckSuite) -> list[Json]:
    return [pull_request(world, pull) for pull in world.pull_requests_at(suite.repository, suite.head_sha)]
