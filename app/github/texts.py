"""The texts of files at one commit: many in one GraphQL query, what that cuts short one by one"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.github import documents
from app.github.connection import RAW, GitHub
from app.github.weather import Refused, Unwell
from app.manifests.pins import USUAL
from app.pull_request import PullRequestRef

#: A larger file is no source that anybody wrote.
MOST_BYTES = 4_000_000
#: How many files a query names when one with a hundred was too much for GitHub.
FEWER_FILES = 20


@dataclass(frozen=True, slots=True)
class Text:
    """One file at one commit: its text, or why there is none. `blob` is git's id of it, "" when it is not there."""

    text: str | None
    unread: str
    blob: str
    is_cut: bool = False


def of_answer(paths: Sequence[str], commit: Mapping[str, Any]) -> dict[str, Text]:
    """The texts in an answer whose aliases are `file0`, `file1`, … in the order of the paths."""
    return {path: _text(commit.get(f"file{index}")) for index, path in enumerate(paths)}


def text_of(entry: Mapping[str, Any] | None) -> Text:
    """The text of one entry of an answer."""
    return _text(entry)


def manifests_of(commit: Mapping[str, Any]) -> dict[str, str]:
    """The manifests of the top folder that the answer has whole."""
    found = {path: _text(commit.get(f"manifest{nth}")) for nth, path in enumerate(USUAL)}
    return {path: each.text for path, each in found.items() if each.text is not None and not each.is_cut}


async def read(github: GitHub, ref: PullRequestRef, head: str, paths: Sequence[str]) -> dict[str, Text]:
    """The texts at `head`, a hundred a call; fewer a call when GitHub takes too long for so many."""
    found: dict[str, Text] = {}
    for some in _chunks(paths, documents.MOST_FILES):
        try:
            found |= await read_once(github, ref, head, some)
        except Unwell:
            if len(some) <= FEWER_FILES:
                raise
            for few in _chunks(some, FEWER_FILES):
                found |= await read_once(github, ref, head, few)
    return found


async def complete(github: GitHub, ref: PullRequestRef, head: str, texts: Mapping[str, Text]) -> dict[str, Text]:
    """The same texts, those that GraphQL cut short read whole: https://docs.github.com/rest/repos/contents"""
    whole = dict(texts)
    for path, text in texts.items():
        if text.is_cut:
            whole[path] = await _read_raw(github, ref, head, path, text.blob)
    return whole


async def read_once(github: GitHub, ref: PullRequestRef, head: str, paths: Sequence[str]) -> dict[str, Text]:
    """The texts at `head` in one call, for no more than a hundred paths."""
    owner, _, name = ref.repository.partition("/")
    variables = {"owner": owner, "name": name, "head": head, **variables_of(paths)}
    data = await github.query(ref.installation_id, documents.files_at(len(paths)), variables)
    return of_answer(paths, (data.get("repository") or {}).get("object") or {})


def variables_of(paths: Iterable[str]) -> dict[str, str]:
    """The variables by which a query names its files."""
    return {f"path{index}": path for index, path in enumerate(paths)}


async def _read_raw(github: GitHub, ref: PullRequestRef, head: str, path: str, blob: str) -> Text:
    where = f"/repos/{ref.repository}/contents/{quote(path)}"
    try:
        answer = await github.read(ref.installation_id, where, accept=RAW, query={"ref": head})
    except Refused as refused:
        return Text(None, f"GitHub would not give its text ({refused.status})", blob)
    return Text(answer.text, "", blob)


def _chunks(paths: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (paths[start : start + size] for start in range(0, len(paths), size))


def _text(entry: Mapping[str, Any] | None) -> Text:
    if not entry:
        return Text(None, "it is not there at the head", "")
    found = entry.get("object") or {}
    blob = found.get("oid", "")
    if not blob:
        return Text(None, "a submodule" if entry.get("type") == "commit" else "no file", "")
    if found.get("isBinary"):
        return Text(None, "a binary file", blob)
    if found["isTruncated"] and found["byteSize"] > MOST_BYTES:
        return Text(None, f"larger than {MOST_BYTES // 1_000_000} MB", blob)
    if found["text"] is None and not found["isTruncated"]:
        return Text(None, "GitHub gives no text of it", blob)
    return Text(found["text"], "", blob, is_cut=found["isTruncated"])
