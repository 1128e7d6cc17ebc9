"""Which files a pull request changes: from its diff, or from the list of its files when that is too large

https://docs.github.com/rest/pulls/pulls#get-a-pull-request and
https://docs.github.com/rest/pulls/pulls#list-pull-requests-files
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.diff import BrokenDiff, parse, parse_patch
from app.github.connection import DIFF, GitHub
from app.github.weather import Refused
from app.pull_request import ChangedFile, PullRequestRef, Status

#: "Responses include a maximum of 3000 files."
MOST_FILES, PER_PAGE = 3000, 100
_BLOB = re.compile(r"^index [0-9a-f]+\.\.([0-9a-f]+)", re.MULTILINE)
_STATUS = {"added": Status.ADDED, "removed": Status.REMOVED, "renamed": Status.RENAMED, "copied": Status.ADDED}


@dataclass(frozen=True, slots=True)
class Changes:
    """The changed files, without texts. `blobs` are the beginnings of the ids of their texts at the head."""

    files: tuple[ChangedFile, ...]
    blobs: frozenset[str]

    def knows(self, blob: str) -> bool:
        """Whether a text of the head is one that this diff leads to."""
        return any(blob.startswith(each) for each in self.blobs)

    @property
    def lines(self) -> tuple[int, int] | None:
        """Added and deleted lines; None where a file's hunks are not known."""
        if any(file.unread for file in self.files):
            return None
        lines = [line for file in self.files for hunk in file.hunks for line in hunk.lines]
        return sum(line.old is None for line in lines), sum(line.new is None for line in lines)


async def from_diff(github: GitHub, ref: PullRequestRef) -> Changes | None:
    """The changes of the present head; None where GitHub finds the diff too large (406)."""
    path = f"/repos/{ref.repository}/pulls/{ref.number}"
    try:
        answer = await github.read(ref.installation_id, path, accept=DIFF)
    except Refused as refused:
        if refused.status == 406:
            return None
        raise
    return Changes(parse(answer.text), frozenset(_BLOB.findall(answer.text)))


async def from_list(github: GitHub, ref: PullRequestRef) -> Changes:
    """The changes of the present head, page by page; files without a patch say so in `unread`."""
    path = f"/repos/{ref.repository}/pulls/{ref.number}/files"
    entries: list[Mapping[str, Any]] = []
    for page in range(1, MOST_FILES // PER_PAGE + 1):
        query = {"per_page": PER_PAGE, "page": page}
        part = (await github.read(ref.installation_id, path, query=query)).json() or []
        entries += part
        if len(part) < PER_PAGE:
            break
    return Changes(tuple(_file(each) for each in entries), _blobs(entries))


def _blobs(entries: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(each["sha"] for each in entries if each.get("sha"))


def _file(entry: Mapping[str, Any]) -> ChangedFile:
    status = _STATUS.get(entry["status"], Status.MODIFIED)
    previous = entry.get("previous_filename") if status is Status.RENAMED else None
    patch, unread = entry.get("patch"), ""
    if not patch and entry.get("changes", 0) == 0 and status is not Status.RENAMED:
        unread = "GitHub shows no diff of it: empty, binary or only its mode changed"
    elif not patch and entry.get("changes", 0):
        unread = "GitHub shows no diff of it, because it is too large"
    try:
        hunks = parse_patch(patch) if patch else ()
    except BrokenDiff as error:
        hunks, unread = (), f"its diff is broken: {error}"
    return ChangedFile(entry["filename"], previous, status, hunks, unread=unread)
