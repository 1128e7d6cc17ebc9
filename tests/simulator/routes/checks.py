"""Routes of check runs and check suites"""

from tests.simulator import checking, events
from tests.simulator.errors import Refusal, not_found
from tests.simulator.http import Answer, Call, Router
from tests.simulator.model import CheckRun, CheckSuite
from tests.simulator.routes.repositories import commit_named
from tests.simulator.shapes import checks

_READ, _WRITE = "checks:read", "checks:write"
_RUN = "/repos/{owner}/{repo}/check-runs/{check_run_id}"
_SUITE = "/repos/{owner}/{repo}/check-suites/{check_suite_id}"

router = Router()


@router.add("POST", "/repos/{owner}/{repo}/check-runs")
def create(call: Call) -> Answer:
    """Create a check run; only an App may."""
    repository = call.repository(_WRITE)
    call.installation()
    run = checking.create_run(call.world, repository, call.json())
    return Answer(201, checks.check_run(call.world, run))


@router.add("GET", _RUN)
def check_run(call: Call) -> Answer:
    """Get a check run."""
    return Answer(body=checks.check_run(call.world, _run(call, _READ)))


@router.add("PATCH", _RUN)
def update(call: Call) -> Answer:
    """Update a check run."""
    run = _run(call, _WRITE)
    call.installation()
    checking.update_run(call.world, run, call.json())
    return Answer(body=checks.check_run(call.world, run))


@router.add("GET", f"{_RUN}/annotations")
def annotations(call: Call) -> Answer:
    """List annotations."""
    run = _run(call, _READ)
    return call.page(run.annotations, lambda each: checks.annotation(call.world, run, each))


@router.add("POST", f"{_RUN}/rerequest")
def rerequest_run(call: Call) -> Answer:
    """Ask for a check run again; what it says is the App's to change."""
    run = _run(call, _WRITE)
    events.check_run(call.world, run, "rerequested", call.user)
    return Answer(201, {})


@router.add("GET", _SUITE)
def check_suite(call: Call) -> Answer:
    """Get a check suite."""
    return Answer(body=checks.check_suite(call.world, _suite(call, _READ)))


@router.add("POST", f"{_SUITE}/rerequest")
def rerequest_suite(call: Call) -> Answer:
    """Ask for all check runs of a suite again."""
    events.check_suite(call.world, _suite(call, _WRITE), "rerequested", call.user)
    return Answer(201, {})


@router.add("POST", "/repos/{owner}/{repo}/check-suites")
def create_suite(call: Call) -> Answer:
    """Create a check suite: 200 when the commit has one."""
    repository, sha = call.repository(_WRITE), str(call.json().get("head_sha"))
    if not repository.git.has_commit(sha):
        raise Refusal(422, f"No commit found for SHA: {sha}")
    status = 200 if sha in repository.check_suites else 201
    return Answer(status, checks.check_suite(call.world, checking.suite_of(call.world, repository, sha)))


@router.add("GET", f"{_SUITE}/check-runs")
def runs_of_suite(call: Call) -> Answer:
    """List the check runs of a suite, the newest first."""
    return _listed(call, _suite(call, _READ).runs)


@router.add("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs")
def runs_ofcommit_named(call: Call) -> Answer:
    """List the check runs of a commit, the newest first."""
    repository = call.repository(_READ)
    sha = commit_named(repository, call.parameters["ref"], missing=422)
    return _listed(call, repository.check_suites[sha].runs if sha in repository.check_suites else [])


@router.add("GET", "/repos/{owner}/{repo}/commits/{ref}/check-suites")
def suites_ofcommit_named(call: Call) -> Answer:
    """List the check suites of a commit."""
    repository = call.repository(_READ)
    sha = commit_named(repository, call.parameters["ref"], missing=422)
    found = [repository.check_suites[sha]] if sha in repository.check_suites else []
    answer = call.page(found, lambda suite: checks.check_suite(call.world, suite))
    answer.body = {"total_count": len(found), "check_suites": answer.body}
    return answer


def _listed(call: Call, runs: list[CheckRun]) -> Answer:
    name, status = call.query.get("check_name"), call.query.get("status")
    found = [run for run in runs if name in (None, run.name) and status in (None, run.status)]
    if call.query.get("filter", "latest") == "latest":
        found = list({run.name: run for run in found}.values())
    answer = call.page(found[::-1], lambda run: checks.check_run(call.world, run))
    answer.body = {"total_count": len(found), "check_runs": answer.body}
    return answer


def _run(call: Call, permission: str) -> CheckRun:
    run = call.repository(permission).check_runs.get(call.number("check_run_id"))
    if run is None:
        raise not_found()
    return run


def _suite(call: Call, permission: str) -> CheckSuite:
    identifier = call.number("check_suite_id")
    for suite in call.repository(permission).check_suites.values():
        if suite.id == identifier:
            return suite
    raise not_found()
