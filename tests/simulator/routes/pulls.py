"""Routes of pull requests: what they are and what they change"""

from collections.abc import Sequence

from tests.simulator.errors import Refusal
from tests.simulator.http import Answer, Call, Router
from tests.simulator.model import PullRequest
from tests.simulator.shapes import pulls, repositories

#: Above one of these the diff is refused with 406, and only the list of files helps; that list ends at 3,000 files:
#: https://docs.github.com/rest/pulls/pulls#list-pull-requests-files
MOST_DIFF_FILES, MOST_DIFF_LINES, MOST_DIFF_BYTES, MOST_FILES = 300, 20_000, 1_000_000, 3000
_READ = ("pull_requests:read", "contents:read")

router = Router()


@router.add("GET", "/repos/{owner}/{repo}/pulls")
def pull_requests(call: Call) -> Answer:
    """List pull requests, the newest first."""
    state, base = call.query.get("state", "open"), call.query.get("base")
    found = call.repository("pull_requests:read").pull_requests.values()
    chosen = [pull for pull in found if state in ("all", pull.state) and base in (None, pull.base_ref)]
    return call.page(_newest_first(chosen), lambda pull: pulls.simple(call.world, pull))


@router.add("GET", "/repos/{owner}/{repo}/pulls/{pull_number}")
def pull_request(call: Call) -> Answer:
    """Get a pull request, or its diff."""
    pull = call.pull_request(*_READ)
    if call.accepts("diff"):
        return Answer(body=_diff(pull), media_type="application/vnd.github.diff; charset=utf-8")
    return Answer(body=pulls.pull_request(call.world, pull))


@router.add("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files")
def files(call: Call) -> Answer:
    """List pull request files."""
    pull = call.pull_request("pull_requests:read")
    changed = pulls.diff_of(pull).files
    return call.page(changed, lambda file: pulls.changed_file(call.world, pull, file), at_most=MOST_FILES)


@router.add("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits")
def commits(call: Call) -> Answer:
    """List commits on a pull request; 250 at most."""
    pull = call.pull_request("pull_requests:read")
    git, repository = pull.repository.git, pull.repository
    revisions = git.revisions(pull.base_sha, pull.head_sha)
    return call.page(
        revisions, lambda sha: repositories.commit(call.world, repository, git.commit_of(sha)), at_most=250
    )


@router.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}")
def issue(call: Call) -> Answer:
    """Get the pull request as an issue."""
    return Answer(body=pulls.issue(call.world, call.pull_request("issues:read", "pull_requests:read")))


@router.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def labels(call: Call) -> Answer:
    """List labels."""
    pull = call.pull_request("issues:read", "pull_requests:read")
    return call.page(pull.labels, lambda name: pulls.label(call.world, pull.repository, name))


def _diff(pull: PullRequest) -> bytes:
    diff = pulls.diff_of(pull)
    limits = [
        (len(diff.files) > MOST_DIFF_FILES, f"files ({MOST_DIFF_FILES})"),
        (diff.lines > MOST_DIFF_LINES, f"lines ({MOST_DIFF_LINES})"),
        (len(diff.text) > MOST_DIFF_BYTES, f"bytes ({MOST_DIFF_BYTES})"),
    ]
    for exceeded, what in limits:
        if exceeded:
            raise Refusal(
                406,
                f"Sorry, the diff exceeded the maximum number of {what}. Consider using 'List pull requests files' "
                "API or locally cloning the repository instead.",
                errors=[{"resource": "PullRequest", "field": "diff", "code": "too_large"}],
                documentation="/pulls/pulls#list-pull-requests-files",
            )
    return diff.text


def _newest_first(found: Sequence[PullRequest]) -> list[PullRequest]:
    return sorted(found, key=lambda pull: -pull.number)
