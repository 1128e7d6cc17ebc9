"""The rules of check runs

https://docs.github.com/rest/checks/runs
"""

from typing import Any

from tests.simulator import events
from tests.simulator.errors import Refusal, invalid
from tests.simulator.model import CheckRun, CheckSuite, Json, Repository
from tests.simulator.world import World

MOST_ANNOTATIONS, LONGEST_TEXT, MOST_ACTIONS = 50, 65_535, 3
ACTION_LENGTHS = {"label": 20, "description": 40, "identifier": 20}
STATUSES = ("queued", "in_progress", "completed", "waiting", "requested", "pending")
CONCLUSIONS = (
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "success",
    "skipped",
    "timed_out",
    "stale",
)
LEVELS = ("notice", "warning", "failure")
_WORDS = "Invalid request.\n\n"


def suite_of(world: World, repository: Repository, sha: str) -> CheckSuite:
    """The App's suite on a commit, made by its first run or push."""
    suite = repository.check_suites.get(sha)
    if suite is None:
        now = world.clock.stamp()
        branch = next((name for name, at in repository.branches.items() if at == sha), None)
        suite = CheckSuite(world.ids.large(), repository, sha, branch, now, now)
        repository.check_suites[sha] = suite
        world.remember(suite)
    return suite


def create_run(world: World, repository: Repository, body: Json) -> CheckRun:
    """`POST …/check-runs`."""
    for name in ("name", "head_sha"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise Refusal(422, f'{_WORDS}"{name}" wasn\'t supplied.')
    if not repository.git.has_commit(body["head_sha"]):
        raise Refusal(422, f"No commit found for SHA: {body['head_sha']}")
    _check(body, output_needs=("title", "summary"))
    suite = suite_of(world, repository, body["head_sha"])
    run = CheckRun(
        world.ids.large(), suite, body["name"], "queued", None, None, None, None, body.get("external_id", "")
    )
    _apply(world, run, body)
    run.started_at = run.started_at or world.clock.stamp()
    repository.check_runs[run.id] = run
    suite.runs.append(run)
    world.remember(run)
    events.check_run(world, run, "created", world.app.bot)
    if run.status == "completed":
        events.check_run(world, run, "completed", world.app.bot)
    return run


def update_run(world: World, run: CheckRun, body: Json) -> None:
    """`PATCH …/check-runs/{id}`: what is named changes, annotations are added."""
    _check(body, output_needs=("summary",))
    was_completed = run.status == "completed"
    _apply(world, run, body)
    if run.status == "completed" and not was_completed:
        events.check_run(world, run, "completed", world.app.bot)


def _apply(world: World, run: CheckRun, body: Json) -> None:
    for name in ("name", "details_url", "external_id", "started_at", "status"):
        if body.get(name) is not None:
            setattr(run, name, body[name])
    if body.get("conclusion") is not None:
        run.status, run.conclusion = "completed", body["conclusion"]
        run.completed_at = body.get("completed_at") or world.clock.stamp()
    elif body.get("status") is not None and body["status"] != "completed":
        run.conclusion = run.completed_at = None
    output = dict(body.get("output") or {})
    run.annotations.extend(output.pop("annotations", None) or [])
    output.pop("images", None)
    run.output.update(output)
    if body.get("actions") is not None:
        run.actions = list(body["actions"])
    run.suite.updated_at = world.clock.stamp()


def _check(body: Json, *, output_needs: tuple[str, ...]) -> None:
    if body.get("status", "queued") not in STATUSES:
        raise invalid("CheckRun", "status", "invalid")
    if body.get("status") == "completed" and body.get("conclusion") is None:
        raise Refusal(422, f'{_WORDS}"conclusion" wasn\'t supplied.')
    if body.get("conclusion") is not None and body["conclusion"] not in CONCLUSIONS[:-1]:
        raise invalid("CheckRun", "conclusion", "invalid")
    if body.get("output") is not None:
        _check_output(body["output"], output_needs)
    _check_actions(_objects("actions", body.get("actions")))


def _check_output(output: Any, needs: tuple[str, ...]) -> None:
    if not isinstance(output, dict) or not all(isinstance(output.get(name), str) for name in needs):
        raise Refusal(422, f"{_WORDS}{', '.join(needs)} weren't supplied.")
    for name in ("summary", "text"):
        _check_length(name, output.get(name), LONGEST_TEXT)
    annotations = _objects("annotations", output.get("annotations"))
    if len(annotations) > MOST_ANNOTATIONS:
        count = len(annotations)
        raise Refusal(422, f"{_WORDS}No more than {MOST_ANNOTATIONS} items are allowed; {count} were supplied.")
    for annotation in annotations:
        _check_annotation(annotation)


def _check_annotation(annotation: Json) -> None:
    for name in ("path", "start_line", "end_line", "annotation_level", "message"):
        if annotation.get(name) is None:
            raise Refusal(422, f'{_WORDS}"{name}" wasn\'t supplied.')
    if annotation["annotation_level"] not in LEVELS:
        raise invalid("CheckAnnotation", "annotation_level", "invalid")
    if not all(isinstance(annotation[name], int) for name in ("start_line", "end_line")):
        raise invalid("CheckAnnotation", "start_line", "invalid")
    if not 1 <= annotation["start_line"] <= annotation["end_line"]:
        raise invalid("CheckAnnotation", "end_line", "invalid")
    if "start_column" in annotation and annotation["start_line"] != annotation["end_line"]:
        raise invalid("CheckAnnotation", "start_column", "invalid")


def _check_actions(actions: list[Json]) -> None:
    if len(actions) > MOST_ACTIONS:
        raise Refusal(422, f"{_WORDS}No more than {MOST_ACTIONS} items are allowed; {len(actions)} were supplied.")
    for action in actions:
        for name, longest in ACTION_LENGTHS.items():
            if not action.get(name):
                raise Refusal(422, f'{_WORDS}"{name}" wasn\'t supplied.')
            _check_length(name, action[name], longest)


def _objects(name: str, value: Any) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refusal(422, f"{_WORDS}For '{name}', {value!r} is not an array of objects.")
    return value


def _check_length(name: str, value: Any, longest: int) -> None:
    if value is not None and not isinstance(value, str):
        raise Refusal(422, f"{_WORDS}For '{name}', {value!r} is not a string.")
    if value is not None and len(value) > longest:
        count = len(value)
        raise Refusal(422, f"{_WORDS}Only {longest} characters are allowed in {name}; {count} were supplied.")
