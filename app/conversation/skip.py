"""Which pull requests are left alone, and why: asked before anything is analysed, never of one who asks for a review"""

import re
from pathlib import PurePosixPath

from app.pull_request import PullRequest

LABEL = "skip-mlstaff"
_BUMP = re.compile(r"\b(?:bump|update|upgrade)s?\b.*\b(?:from\b.+\bto\b|dependenc(?:y|ies)|lock ?files?)", re.I)
_LISTS = re.compile(r"(?:requirements|constraints)[\w.-]*\.(?:txt|in)|[\w.-]*\.lock|[\w.-]*lock\.(?:json|yaml)")
_MANIFESTS = frozenset(
    {"pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "package.json", "environment.yml", "environment.yaml"}
)


def reason_to_skip(pull_request: PullRequest, *, reviews_drafts: bool = False) -> str:
    """One sentence for the check run; empty when the pull request is to be reviewed."""
    if not pull_request.is_open:
        return "The pull request is closed."
    if LABEL in pull_request.labels:
        return f"The label {LABEL} is set."
    if pull_request.author_is_bot:
        return f"The author, {pull_request.author}, is a bot."
    if _is_dependency_bump(pull_request):
        return "It only moves dependencies to other versions."
    if pull_request.is_draft and not reviews_drafts:
        return "It is a draft; it is reviewed once it is ready, or when somebody writes /mlstaff review."
    return ""


def _is_dependency_bump(pull_request: PullRequest) -> bool:
    names = [PurePosixPath(file.path).name for file in pull_request.files]
    if not names or not all(name in _MANIFESTS or _LISTS.fullmatch(name) for name in names):
        return False
    return _BUMP.search(pull_request.title) is not None or not _MANIFESTS.intersection(names)
