"""Which pull requests are left alone, and why"""

from dataclasses import replace

import pytest

from app.conversation.skip import reason_to_skip
from app.pull_request import ChangedFile, PullRequest, PullRequestRef, Status


def pull_request(*paths: str, title: str = "A change") -> PullRequest:
    """An open one that changes these files."""
    files = tuple(ChangedFile(path, None, Status.MODIFIED, ()) for path in paths)
    return PullRequest(
        ref=PullRequestRef(1, 2, "octo-org/vision", 3),
        title=title,
        body="",
        author="contributor",
        author_is_bot=False,
        is_draft=False,
        is_open=True,
        labels=(),
        base_branch="main",
        base_sha="b",
        head_sha="h",
        files=files,
    )


def test_an_ordinary_pull_request_is_not_skipped() -> None:
    assert reason_to_skip(pull_request("train.py", "requirements.txt", title="Update training")) == ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"is_open": False}, "closed"),
        ({"labels": ("bug", "skip-mlstaff")}, "skip-mlstaff"),
        ({"author_is_bot": True}, "bot"),
        ({"is_draft": True}, "draft"),
    ],
)
def test_what_is_skipped_has_a_reason(change: dict[str, object], word: str) -> None:
    assert word in reason_to_skip(replace(pull_request("train.py"), **change))  # type: ignore[arg-type]


def test_drafts_are_reviewed_where_that_is_configured() -> None:
    assert reason_to_skip(replace(pull_request("train.py"), is_draft=True), reviews_drafts=True) == ""


@pytest.mark.parametrize(
    ("paths", "title", "is_bump"),
    [
        (["requirements.txt"], "Bump torch from 2.8 to 2.9", True),
        (["requirements/dev.txt", "poetry.lock"], "Whatever", False),
        (["uv.lock"], "Refresh", True),
        (["requirements-gpu.txt", "pyproject.toml"], "Update dependencies", True),
        (["pyproject.toml"], "Configure ruff", False),
        (["train.py", "requirements.txt"], "Bump torch from 2.8 to 2.9", False),
        ([], "Bump torch from 2.8 to 2.9", False),
    ],
)
def test_only_changes_of_nothing_but_versions_are_dependency_bumps(paths: list[str], title: str, is_bump: bool) -> None:
    assert ("dependencies" in reason_to_skip(pull_request(*paths, title=title))) is is_bump
