"""One head of a pull request, read in two calls and never mixed with another

First the diff, then one query for everything else. The diff does not say of which head it is, so the query's answer
has to vouch for it: by the ids of the texts and the counts of files and lines, or by being about the same head
as the query before the diff was read once more.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.diff import with_texts
from app.events import RetryLater
from app.github import changes, documents, talk, texts
from app.github.changes import Changes
from app.github.connection import GitHub
from app.github.graphql import Data
from app.github.talk import Talk
from app.github.texts import Text
from app.github.weather import Refused, Unwell
from app.manifests.pins import is_manifest
from app.neighbours import LONGEST_TEXT
from app.pull_request import ChangedFile, ConfigFile, PullRequest, PullRequestRef, Status, Thread
from app.relevance import is_worth_reading
from app.review.fingerprint import reviewed_head, told

CHECK_NAME = "mlstaff"
#: A head that moves more often than this while it is read is left alone for a while.
ATTEMPTS = 4
#: Texts of more files are not read; the rest is named.
MOST_TEXTS = 1000
SETTLING = 5.0
#: What a review can do without is waited for so long.
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run of ours on the head; `note` is what we left in its `external_id`."""

    id: int
    is_completed: bool
    note: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A pull request with what only publishing needs: our check runs and notes, what reviews' bodies told."""

    pull_request: PullRequest
    check_runs: tuple[CheckRun, ...] = ()
    notes: tuple[Mapping[str, str], ...] = ()
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """A pull request's present head and talk; `pending_reviews` of ours stand in the way of any other."""

    head_sha: str
    threads: tuple[Thread, ...]
    notes: tuple[Mapping[str, str], ...]
    pending_reviews: tuple[int, ...]
    config_files: tuple[ConfigFile, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """An answer of the one query, its texts, and whether the diff read before it was of the same head."""

    ref: PullRequestRef
    raw: Mapping[str, Any]
    texts: Mapping[str, Text]
    config_files: tuple[ConfigFile, ...]

    @property
    def head(self) -> str:
        return str(self.raw["headRefOid"])

    @property
    def commit(self) -> Mapping[str, Any]:
        nodes = self.raw["commits"]["nodes"]
        return nodes[0]["commit"] if nodes else {}

    @property
    def is_of_one_head(self) -> bool:
        return bool(self.commit.get("oid", self.head) == self.head)


class Fetcher:
    """Reads pull requests as the App `app_id`; `defaults` lie below every configuration that GitHub has."""

    def __init__(self, github: GitHub, app_id: int, defaults: tuple[ConfigFile, ...] = ()) -> None:
        self._github = github
        self._app_id = app_id
        self._defaults = defaults

    async def read(self, ref: PullRequestRef) -> Reading:
        """The newest head.

        Raises:
            RetryLater: limits, trouble, or a head that does not keep still.
            Refused: 404 and its like.
        """
        seen = ""
        for _ in range(ATTEMPTS):
            found = await changes.from_diff(self._github, ref)
            if found is None:
                return await self._read_large(ref)
            wanted = _wanted(found.files)
            page = await self._query(ref, wanted[: documents.MOST_FILES])
            ref = page.ref
            if page.is_of_one_head and (page.head == seen or _is_of(found, page)):
                return await self._whole(page, found, wanted)
            seen = page.head if page.is_of_one_head else ""
        raise RetryLater(SETTLING, "the head moves while it is read")

    async def glance(self, ref: PullRequestRef) -> Reading:
        """The newest head without its files: one call, for who only has something to say of it."""
        page = await self._query(ref, (), manifests=False)
        spoken = await talk.read(self._github, page.ref, page.raw)
        return Reading(_pull_request(page, (), spoken, 0), check_runs_of(page.commit), spoken.notes)

    async def look(self, ref: PullRequestRef) -> Look:
        """Only what may have changed since a reading: one call."""
        owner, _, name = ref.repository.partition("/")
        variables = {"owner": owner, "name": name, "number": ref.number}
        data = await self._github.query(ref.installation_id, documents.LOOK, variables)
        raw = (data.get("repository") or {}).get("pullRequest")
        if not raw:
            raise _gone(ref)
        spoken = await talk.read(self._github, ref, raw)
        files = self._config_files(ref, data)
        return Look(raw["headRefOid"], spoken.threads, spoken.notes, spoken.pending_reviews, files)

    async def around(self, pull_request: PullRequest, paths: Sequence[str]) -> dict[str, str]:
        """Those of these files that are there at the head, whole and not too long: one call."""
        async with asyncio.timeout(PATIENCE):
            found = await texts.read_once(self._github, pull_request.ref, pull_request.head_sha, paths)
        return {
            path: each.text
            for path, each in found.items()
            if each.text is not None and not each.is_cut and len(each.text) <= LONGEST_TEXT
        }

    async def _read_large(self, ref: PullRequestRef) -> Reading:
        """Where there is no diff: the list of files, between two queries that have to be about one head."""
        before = await self._query(ref, (), manifests=False)
        for _ in range(ATTEMPTS):
            found = await changes.from_list(self._github, before.ref)
            after = await self._query(before.ref, ())
            if before.head == after.head and after.is_of_one_head:
                return await self._whole(after, found, _wanted(found.files))
            before = after
        raise RetryLater(SETTLING, "the head moves while it is read")

    async def _query(self, ref: PullRequestRef, paths: Sequence[str], *, manifests: bool = True) -> _Page:
        try:
            return await self._ask(ref, paths, manifests=manifests)
        except Unwell:
            if len(paths) <= texts.FEWER_FILES:
                raise
        return await self._ask(ref, (), manifests=False)

    async def _ask(self, ref: PullRequestRef, paths: Sequence[str], *, manifests: bool) -> _Page:
        owner, _, name = ref.repository.partition("/")
        variables = {"owner": owner, "name": name, "number": ref.number}
        variables |= {"app": self._app_id, "check": CHECK_NAME, **texts.variables_of(paths)}
        document = documents.pull_request(len(paths), manifests=manifests)
        data = await self._github.query(ref.installation_id, document, variables)
        repository = data.get("repository") or {}
        raw = repository.get("pullRequest")
        if not raw:
            raise _gone(ref)
        ref = replace(ref, repository=repository["nameWithOwner"])
        if ref.repository.partition("/")[0].lower() != owner.lower():  # moved: the organisation is another one
            return await self._ask(ref, paths, manifests=manifests)
        nodes = raw["commits"]["nodes"]
        found = texts.of_answer(paths, nodes[0]["commit"]) if nodes else {}
        return _Page(ref, raw, found, self._config_files(ref, data))

    def _config_files(self, ref: PullRequestRef, data: Data) -> tuple[ConfigFile, ...]:
        """The base branch's configuration, the organisation's, the server's: the first one uppermost."""
        own = (data["repository"]["pullRequest"]["baseRef"] or {}).get("target") or {}
        files = _config_file(own, "")
        owner, _, name = ref.repository.partition("/")
        if name != documents.ORGANISATION:
            folder = f"{owner}/{documents.ORGANISATION}/"
            branch = (data.get("organisation") or {}).get("defaultBranchRef") or {}
            files += _config_file(branch.get("target") or {}, folder)
            if "organisation" in data.refused:
                problem = f"GitHub does not let mlstaff read it: {data.refused['organisation']}"
                files += (ConfigFile(folder + documents.CONFIG_PATHS[0], "", problem),)
        return files + self._defaults

    async def _whole(self, page: _Page, found: Changes, wanted: Sequence[str]) -> Reading:
        ref, github = page.ref, self._github
        rest = [path for path in wanted if path not in page.texts]
        known = {**page.texts, **(await texts.read(github, ref, page.head, rest[:MOST_TEXTS]))}
        known = await texts.complete(github, ref, page.head, known)
        spoken = await talk.read(github, ref, page.raw)
        files = tuple(_with_text(file, known) for file in found.files)
        pull_request = _pull_request(page, files, spoken, len(rest[MOST_TEXTS:]))
        bodies = frozenset().union(*(told(body) for body in spoken.reviews))
        return Reading(pull_request, check_runs_of(page.commit), spoken.notes, bodies)


def _wanted(files: Sequence[ChangedFile]) -> list[str]:
    """The files whose texts may matter; those without hunks have nothing to say."""
    return [
        file.path
        for file in files
        if file.hunks
        and not file.unread
        and file.status is not Status.REMOVED
        and (is_worth_reading(file.path) or is_manifest(file.path))
    ]


def _is_of(found: Changes, page: _Page) -> bool:
    """Whether a diff is of the head that the query was about."""
    if len(found.files) != page.raw["changedFiles"]:
        return False
    lines = found.lines
    if lines is not None and lines != (page.raw["additions"], page.raw["deletions"]):
        return False
    return all(text.blob and found.knows(text.blob) for text in page.texts.values())


def _with_text(file: ChangedFile, known: Mapping[str, Text]) -> ChangedFile:
    if file.status is Status.REMOVED:
        return with_texts(file, None)
    text = known.get(file.path)
    if text is None:
        return file
    return replace(file, unread=text.unread) if text.text is None else with_texts(file, text.text)


def _pull_request(page: _Page, files: tuple[ChangedFile, ...], spoken: Talk, unread_texts: int) -> PullRequest:
    raw = page.raw
    author = raw["author"] or {"login": "ghost", "__typename": "User"}
    return PullRequest(
        ref=page.ref,
        title=raw["title"],
        body=raw["body"],
        author=author["login"],
        author_is_bot=author["__typename"] == "Bot",
        is_draft=raw["isDraft"],
        is_open=raw["state"] == "OPEN",
        labels=tuple(each["name"] for each in (raw["labels"] or {}).get("nodes") or ()),
        base_branch=raw["baseRefName"],
        base_sha=raw["baseRefOid"],
        head_sha=page.head,
        files=files,
        config_files=page.config_files,
        threads=spoken.threads,
        reviewed_heads=tuple(head for body in spoken.reviews if (head := reviewed_head(body))),
        unread=tuple(_unread(raw["changedFiles"] - len(files), unread_texts)),
        around=texts.manifests_of(page.commit),
    )


def _config_file(commit: Mapping[str, Any], folder: str) -> tuple[ConfigFile, ...]:
    """The first configuration that a commit has, if any."""
    for nth, path in enumerate(documents.CONFIG_PATHS):
        entry = commit.get(f"config{nth}")
        if entry:
            text = texts.text_of(entry)
            problem = text.unread or ("it is too long" if text.is_cut else "")
            return (ConfigFile(folder + path, "" if problem else text.text or "", problem),)
    return ()


def _gone(ref: PullRequestRef) -> Refused:
    return Refused(404, f"there is no pull request {ref.repository}#{ref.number}")


def _unread(files: int, unread_texts: int) -> list[str]:
    notes = []
    if files > 0:
        notes.append(f"{files} changed files are not in GitHub's list, which ends at {changes.MOST_FILES:,}")
    if unread_texts:
        notes.append(f"the texts of {unread_texts} files: no more than {MOST_TEXTS:,} are read")
    return notes


def check_runs_of(commit: Mapping[str, Any]) -> tuple[CheckRun, ...]:
    """The check runs in a query's answer, oldest first."""
    suites = (commit.get("checkSuites") or {}).get("nodes") or ()
    nodes = [node for suite in suites for node in (suite.get("checkRuns") or {}).get("nodes") or ()]
    runs = [
        CheckRun(int(node["permalink"].rpartition("/")[2]), node["status"] == "COMPLETED", node["externalId"] or "")
        for node in nodes
    ]
    return tuple(sorted(runs, key=lambda run: run.id))
