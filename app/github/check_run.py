"""The one check run of a pull request's head: opened at once, closed with the outcome, never a second one beside it

A check run remembers in its `external_id` whose it is and which annotations it has: GitHub adds the annotations of
every update to those it has already. https://docs.github.com/rest/checks/runs#update-a-check-run
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.events import IGNORE_THESE, RERUN, MergeGroupRequested
from app.github import documents
from app.github.connection import GitHub
from app.github.fetch import CHECK_NAME, Reading, check_runs_of
from app.pull_request import PullRequestRef
from app.review.comment import Annotation, Conclusion, Review

#: "The Checks API limits the number of annotations to a maximum of 50 per API request."
MOST_ANNOTATIONS = 50
LONGEST_SUMMARY, LONGEST_TITLE = 65_535, 255
#: At most three; label ≤ 20, description ≤ 40 and identifier ≤ 20 characters.
_RERUN = {"label": "Re-run", "description": "Review the newest commit again", "identifier": RERUN}
_IGNORE = {
    "label": "Ignore these",
    "description": "Stay quiet about these findings here",
    "identifier": IGNORE_THESE,
}


@dataclass(frozen=True, slots=True)
class Memo:
    """What `external_id` says: the pull request (heads can be shared), annotations sent, and a digest of all."""

    number: int
    sent: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.number}/{self.sent}/{self.digest}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A check run that waits for its outcome; None for `id` when there is none yet to be changed."""

    ref: PullRequestRef
    head: str
    id: int | None
    memo: Memo


class CheckRuns:
    """Opens and closes check runs; `details_url` is where GitHub's "Details" leads."""

    def __init__(self, github: GitHub, details_url: str = "") -> None:
        self._github = github
        self._details = {"details_url": details_url} if details_url else {}

    def found(self, reading: Reading) -> Opened:
        """The latest check run of the head that is this pull request's, as it was read."""
        ref, head = reading.pull_request.ref, reading.pull_request.head_sha
        ours = [(run, memo) for run in reading.check_runs if (memo := _memo(run.note)) and memo.number == ref.number]
        if not ours:
            return Opened(ref, head, None, Memo(ref.number))
        return Opened(ref, head, ours[-1][0].id, ours[-1][1])

    async def open(self, reading: Reading, title: str) -> Opened:
        """Say that the review has begun, on the check run that is there or a new one."""
        opened = self.found(reading)
        if opened.id is not None and (opened.memo.sent or not is_completed(reading, opened)):
            return opened
        return await self.tell(opened, title, "")

    async def tell(self, opened: Opened, title: str, summary: str, conclusion: Conclusion | None = None) -> Opened:
        """Another text beside the annotations that are there; without a conclusion the check run stays open."""
        ended: dict[str, Any] = (
            {"status": "completed", "conclusion": conclusion.value, "actions": [_RERUN]} if conclusion else {}
        )
        body = {"status": "in_progress", "output": {"title": title, "summary": summary[:LONGEST_SUMMARY]}, **ended}
        if opened.id is not None:
            await self._update(opened, opened.memo, body)
            return opened
        made = await self._create(opened, opened.memo, body)
        return Opened(opened.ref, opened.head, made, opened.memo)

    async def close(self, opened: Opened, review: Review) -> None:
        """The outcome; in more than one call when there are more than fifty annotations."""
        digest = _digest(review.annotations)
        if opened.memo.sent and opened.memo.digest != digest:  # other findings than an earlier run told
            opened = Opened(opened.ref, opened.head, None, Memo(opened.ref.number))
        rest = review.annotations[opened.memo.sent :]
        sent = opened.memo.sent
        for start in range(0, max(len(rest), 1), MOST_ANNOTATIONS):
            part = rest[start : start + MOST_ANNOTATIONS]
            sent += len(part)
            is_last = start + MOST_ANNOTATIONS >= len(rest)
            body = {**_state(review, is_last=is_last), "output": _output(review, part)}
            memo = Memo(opened.ref.number, sent, digest if sent else "")
            if opened.id is None:
                opened = Opened(opened.ref, opened.head, await self._create(opened, memo, body), memo)
            else:
                await self._update(opened, memo, body)

    async def supersede(self, ref: PullRequestRef, old: str, new: str) -> None:
        """Close what an interrupted review of this pull request left open on an older head."""
        owner, _, name = ref.repository.partition("/")
        variables = {"owner": owner, "name": name, "head": old, "check": CHECK_NAME}
        data = await self._github.query(ref.installation_id, documents.CHECKS, variables)
        for run in check_runs_of((data.get("repository") or {}).get("object") or {}):
            memo = _memo(run.note)
            if memo is not None and memo.number == ref.number and not run.is_completed:
                await self.close_superseded(Opened(ref, old, run.id, memo), new)

    async def close_superseded(self, opened: Opened, new: str) -> None:
        """The outcome where there is a newer head."""
        summary = f"Superseded by {new}: the review is on that commit."
        await self.tell(opened, "Superseded by a newer commit", summary, Conclusion.NEUTRAL)

    async def pass_head(self, group: MergeGroupRequested) -> None:
        """Success on a merge group's head, unless that is there already."""
        owner, _, name = group.repository.partition("/")
        variables = {"owner": owner, "name": name, "head": group.head_sha, "check": CHECK_NAME}
        data = await self._github.query(group.installation_id, documents.CHECKS, variables)
        commit = (data.get("repository") or {}).get("object") or {}
        if any(run.is_completed for run in check_runs_of(commit)):
            return
        output = {"title": "Reviewed on its pull request", "summary": "A merge group brings nothing new."}
        run = {"name": CHECK_NAME, "head_sha": group.head_sha, "conclusion": "success", "status": "completed"}
        path = f"/repos/{group.repository}/check-runs"
        await self._github.write(group.installation_id, "POST", path, {**run, "output": output, **self._details})

    async def _create(self, opened: Opened, memo: Memo, body: dict[str, Any]) -> int:
        named = {"name": CHECK_NAME, "head_sha": opened.head, "external_id": str(memo), **self._details}
        path = f"/repos/{opened.ref.repository}/check-runs"
        answer = await self._github.write(opened.ref.installation_id, "POST", path, {**named, **body})
        return int(answer.json()["id"])

    async def _update(self, opened: Opened, memo: Memo, body: dict[str, Any]) -> None:
        path = f"/repos/{opened.ref.repository}/check-runs/{opened.id}"
        changes = {"external_id": str(memo), **body}
        await self._github.write(opened.ref.installation_id, "PATCH", path, changes)


def is_completed(reading: Reading, opened: Opened) -> bool:
    """Whether the check run had its outcome when it was read."""
    return any(run.id == opened.id and run.is_completed for run in reading.check_runs)


def _memo(note: str) -> Memo | None:
    number, _, rest = note.partition("/")
    sent, _, digest = rest.partition("/")
    return Memo(int(number), int(sent), digest) if number.isdigit() and sent.isdigit() else None


def _state(review: Review, *, is_last: bool) -> dict[str, Any]:
    if not is_last:
        return {"status": "in_progress"}
    return {
        "conclusion": review.conclusion.value,
        "status": "completed",
        "actions": [_RERUN, _IGNORE] if review.annotations else [_RERUN],
    }


def _output(review: Review, annotations: Sequence[Annotation]) -> dict[str, Any]:
    output: dict[str, Any] = {
        "title": review.title[:LONGEST_TITLE],
        "summary": review.summary[:LONGEST_SUMMARY],
    }
    if annotations:
        output["annotations"] = [_annotation(each) for each in annotations]
    return output


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "path": annotation.path,
        "start_line": annotation.start_line,
        "end_line": annotation.end_line,
        "annotation_level": annotation.level,
        "title": annotation.title[:LONGEST_TITLE],
        "message": annotation.message,
    }


def _digest(annotations: Sequence[Annotation]) -> str:
    plain = json.dumps([_annotation(each) for each in annotations])
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12]
