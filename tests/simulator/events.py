"""What the App's webhook is told when something happens on a pull request"""

from tests.simulator.model import (
    Account,
    CheckRun,
    CheckSuite,
    IssueComment,
    Json,
    PullRequest,
    Review,
    ReviewComment,
    Thread,
)
from tests.simulator.shapes import checks, comments, pulls
from tests.simulator.world import World, node_id


def pull_request(world: World, pull: PullRequest, action: str, sender: Account, **parts: object) -> None:
    """`pull_request`: opened, synchronize, reopened, closed, edited, labeled, …"""
    payload = {"number": pull.number, "pull_request": pulls.pull_request(world, pull), **parts}
    world.emit("pull_request", action, repository=pull.repository, sender=sender, parts=payload)


def issue_comment(world: World, comment: IssueComment, action: str, sender: Account, **parts: object) -> None:
    """`issue_comment`, with `issue.pull_request`."""
    pull = comment.pull_request
    payload = {"issue": pulls.issue(world, pull), "comment": comments.issue_comment(world, comment), **parts}
    world.emit("issue_comment", action, repository=pull.repository, sender=sender, parts=payload)


def review(world: World, each: Review, action: str, sender: Account) -> None:
    """`pull_request_review`; here the state is written in lower case and an empty body is null."""
    shown = comments.review(world, each)
    shown = {**shown, "state": each.state.lower(), "body": each.body or None}
    payload = {"review": shown, "pull_request": pulls.simple(world, each.pull_request)}
    world.emit("pull_request_review", action, repository=each.pull_request.repository, sender=sender, parts=payload)


def review_comment(world: World, comment: ReviewComment, action: str, sender: Account, **parts: object) -> None:
    """`pull_request_review_comment`."""
    pull = comment.thread.pull_request
    payload = {
        "comment": comments.review_comment(world, comment),
        "pull_request": pulls.simple(world, pull),
        **parts,
    }
    world.emit("pull_request_review_comment", action, repository=pull.repository, sender=sender, parts=payload)


def thread(world: World, each: Thread, action: str, sender: Account) -> None:
    """`pull_request_review_thread`: resolved, unresolved."""
    shown = [comments.review_comment(world, comment) for comment in each.comments]
    payload = {
        "thread": {"node_id": node_id(each), "comments": shown},
        "pull_request": pulls.simple(world, each.pull_request),
    }
    world.emit(
        "pull_request_review_thread",
        action,
        repository=each.pull_request.repository,
        sender=sender,
        parts=payload,
    )


def check_run(world: World, run: CheckRun, action: str, sender: Account, **parts: object) -> None:
    """`check_run`: created, completed, rerequested, requested_action."""
    shown = checks.check_run(world, run)
    shown["check_suite"] = checks.check_suite(world, run.suite)
    payload: Json = {"check_run": shown, **parts}
    world.emit("check_run", action, repository=run.suite.repository, sender=sender, parts=payload)


def check_suite(world: World, suite: CheckSuite, action: str, sender: Account) -> None:
    """`check_suite`: requested, rerequested."""
    payload: Json = {"check_suite": checks.check_suite(world, suite)}
    world.emit("check_suite", action, repository=suite.repository, sender=sender, parts=payload)
