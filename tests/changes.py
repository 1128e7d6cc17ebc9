"""Values for tests: changed files from two texts, findings, pull requests."""

import difflib

from app.diff import parse, split_lines, with_texts
from app.pull_request import ChangedFile, ConfigFile, PullRequest, PullRequestRef, Thread
from detectors import Edit, Finding, Related, Tier

TRAINING = """\
import torch


def train(model, loader, optimizer, criterion):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
"""
BUGGY = TRAINING.replace("        optimizer.zero_grad()\n", "")
LOOP = 5
"""The line of BUGGY where the missing call is found."""
LENGTH = 8
"""The lines of BUGGY."""


def unified(base: str, head: str, path: str = "train.py", context: int = 3) -> str:
    """The diff between two texts whose last lines end in newlines."""
    before, after = split_lines(base), split_lines(head)
    names = (f"a/{path}" if base else "/dev/null", f"b/{path}" if head else "/dev/null")
    lines = difflib.unified_diff(before, after, *names, n=context, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def changed(base: str, head: str, path: str = "train.py", context: int = 3) -> ChangedFile:
    """A file that is changed from one text to another."""
    (file,) = parse(unified(base, head, path, context))
    return with_texts(file, head or None)


def finding(
    line: int = 1,
    end_line: int | None = None,
    *,
    rule: str = "missing-zero-grad",
    tier: Tier = Tier.BUG,
    message: str = "The gradients of every batch add up.",
    bad: str = "loss.backward()",
    good: str = "optimizer.zero_grad()\nloss.backward()",
    definition: str = "train",
    text: str = "loss.backward()",
    fix: tuple[Edit, ...] = (),
    related: tuple[Related, ...] = (),
) -> Finding:
    """A finding, of which a test says only what matters to it."""
    last = line if end_line is None else end_line
    return Finding(rule, tier, line, last, message, bad, good, definition, text, fix, related)


def pull_request(
    *files: ChangedFile,
    threads: tuple[Thread, ...] = (),
    unread: tuple[str, ...] = (),
    config_text: str | None = None,
) -> PullRequest:
    """A pull request with these files."""
    return PullRequest(
        ref=PullRequestRef(1, 2, "octo/models", 3),
        title="Train",
        body="",
        author="octocat",
        author_is_bot=False,
        is_draft=False,
        is_open=True,
        labels=(),
        base_branch="main",
        base_sha="a" * 40,
        head_sha="b" * 40,
        files=files,
        config_files=() if config_text is None else (ConfigFile(".mlstaff.yml", config_text),),
        threads=threads,
        unread=unread,
    )


def thread(body: str, *, is_resolved: bool = False) -> Thread:
    """One of our comments as GitHub gives it back."""
    return Thread("T1", 1, "N1", body, "train.py", 1, is_resolved, is_minimized=False, replied=False)
