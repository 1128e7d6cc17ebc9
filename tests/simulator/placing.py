"""Where on a diff a comment may stand, and where it is after a push

The rule for both ends of a comment is that GitHub's own diff shows the line, and that both are in one hunk. The
sentences of refusal are those that GitHub writes (seen in public reports of refused reviews).
"""

from typing import Any

from tests.simulator.diffs import Diff, FileDiff, Hunk, Line, Side
from tests.simulator.errors import Refusal, unprocessable
from tests.simulator.model import Anchor, Json, Placement, PullRequest, Thread

NO_PATH = "Path could not be resolved"
NO_LINE = "Line could not be resolved"
NO_HUNK = "Pull request review thread start line must be part of the same hunk as the line."
WRONG_ORDER = "Pull request review thread start line must precede the end line."
NO_COMMIT = "The commitOID is not part of the pull request"


def commit_of(pull: PullRequest, body: Json) -> str:
    """The commit a review or comment is on: the head unless another of the pull request's commits is named."""
    commit = body.get("commit_id") or pull.head_sha
    git = pull.repository.git
    if commit in pull.heads or (
        isinstance(commit, str)
        and git.has_commit(commit)
        and any(commit in git.revisions(pull.base_sha, head) for head in pull.heads)
    ):
        return str(commit)
    raise unprocessable(NO_COMMIT)


def anchor_of(pull: PullRequest, commit: str, body: Json) -> Anchor:
    """The anchor that a comment's JSON asks for; raises 422 when the diff does not show it."""
    git = pull.repository.git
    base = git.merge_base(pull.base_sha, commit) or pull.base_sha
    file = _file(git.diff(base, commit), body.get("path"))
    if body.get("subject_type") == "file":
        return Anchor(file.path, commit, base, "RIGHT", None)
    if body.get("line") is None and body.get("position") is not None:
        return _by_position(file, commit, base, body["position"])
    side = _side(body.get("side", "RIGHT"))
    hunk, line = _find(file, side, body.get("line"))
    start_side, start_line = _start(hunk, line, side, body)
    return Anchor(
        path=file.path,
        commit=commit,
        merge_base=base,
        side=side,
        line=body["line"],
        start_side=start_side,
        start_line=start_line,
        position=line.position,
        diff_hunk=hunk.until(line),
    )


def placement(thread: Thread) -> Placement:
    """Where a thread is on the present diff.

    It follows its lines where pushes moved them. When one of them was changed or removed, or is not in the diff any
    more, the thread is outdated: no line, and its last known commit. The present place is always computed from
    the place it was opened at, so that a push that takes a change back brings the thread back too.
    """
    pull, anchor = thread.pull_request, thread.anchor
    present = (pull.merge_base, pull.head_sha)
    if present not in thread.placements:
        thread.placements[present] = _placement(pull, anchor)
    return thread.placements[present]


def _placement(pull: PullRequest, anchor: Anchor) -> Placement:
    outdated = Placement(None, None, None, anchor.commit)
    file = pull.repository.git.diff(pull.merge_base, pull.head_sha).by_path.get(anchor.path)
    if file is None:
        return outdated
    if anchor.line is None:
        return Placement(None, None, 1, pull.head_sha)
    line = _moved(pull, anchor, anchor.side, anchor.line)
    found = None if line is None else file.find(anchor.side, line)
    if found is None:
        return outdated
    start = None
    if anchor.start_line is not None:
        start = _moved(pull, anchor, anchor.start_side or anchor.side, anchor.start_line)
        if start is None:
            return outdated
    return Placement(line, start, found[1].position, pull.head_sha)


def _moved(pull: PullRequest, anchor: Anchor, side: Side, number: int) -> int | None:
    old, new = (anchor.commit, pull.head_sha) if side == "RIGHT" else (anchor.merge_base, pull.merge_base)
    if old == new:
        return number
    file = pull.repository.git.diff(old, new).by_old_path.get(anchor.path)
    if file is None:
        return number
    return None if file.status in ("removed", "renamed") or file.binary else file.moved(number)


def _file(diff: Diff, path: Any) -> FileDiff:
    file = diff.by_path.get(path) if isinstance(path, str) else None
    if file is None:
        raise unprocessable(NO_PATH)
    return file


def _side(value: Any) -> Side:
    if value == "LEFT":
        return "LEFT"
    if value == "RIGHT":
        return "RIGHT"
    raise Refusal(422, "Invalid request.\n\nInvalid input: side must be LEFT or RIGHT.")


def _find(file: FileDiff, side: Side, number: Any) -> tuple[Hunk, Line]:
    found = file.find(side, number) if isinstance(number, int) else None
    if found is None:
        raise unprocessable(NO_LINE)
    return found


def _by_position(file: FileDiff, commit: str, base: str, position: Any) -> Anchor:
    found = file.at_position(position) if isinstance(position, int) else None
    if found is None:
        raise unprocessable(NO_LINE)
    hunk, line = found
    side: Side = "LEFT" if line.new is None else "RIGHT"
    number = line.old if line.new is None else line.new
    return Anchor(file.path, commit, base, side, number, position=position, diff_hunk=hunk.until(line))


def _start(hunk: Hunk, line: Line, side: Side, body: Json) -> tuple[Side | None, int | None]:
    number = body.get("start_line")
    if number is None:
        return None, None
    side = _side(body.get("start_side", side))
    start = hunk.find(side, number)
    if start is None:
        raise unprocessable(NO_HUNK)
    if start.position >= line.position:
        raise unprocessable(WRONG_ORDER)
    return side, number
