"""What was found in a text, kept on disk: by the text, its path, what is pinned, the detectors and the Python that
parsed it; together with what was read around it.
"""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import detectors
from app.local.neighbours import Evidence, WorkTree
from app.review.find import FileReport
from detectors import Edit, Finding, Related, Skipped, Tier, Versions

_ENTRIES = 200_000
"""More than that and the oldest go."""


@cache
def rule_set_version() -> str:
    """A hash over the source of all detectors and their engine, and the version of Python."""
    digest = hashlib.sha256(sys.version.encode())
    (folder,) = detectors.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        digest.update(path.as_posix().encode("utf-8", "replace"))
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key(path: str, text: str, versions: Versions) -> str:
    """What an entry is found by; detectors may judge by the path and by what is pinned, so both are part of it."""
    pinned = repr(sorted(versions.pins.items()))
    content = "\0".join((rule_set_version(), path, pinned, text))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A report, and what was read around its file: it is good for as long as that is as it was."""

    report: FileReport
    evidence: Evidence = field(default_factory=Evidence)


class Cache:
    """Reports in one SQLite file, shared by processes; one that cannot be opened or is broken holds nothing."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "reports.sqlite"
        self._folder = folder

    def read(self, keys: Iterable[str], tree: WorkTree) -> dict[str, FileReport]:
        """The reports there are for these keys, of files around which the work tree is as it was."""
        found: dict[str, FileReport] = {}
        try:
            with closing(self._open()) as database:
                for each in keys:
                    row = database.execute("SELECT entry FROM entries WHERE key = ?", (each,)).fetchone()
                    entry = json.loads(row[0]) if row is not None else None
                    if entry is not None and Evidence(**entry["evidence"]).holds(tree):
                        found[each] = _report(entry["report"])
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError):
            return {}
        return found

    def write(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Keep these; a cache that cannot be written to is left alone."""
        rows = [(each, json.dumps(asdict(entry))) for each, entry in entries]
        try:
            with closing(self._open()) as database, database:
                database.executemany("INSERT OR REPLACE INTO entries (key, entry) VALUES (?, ?)", rows)
                database.execute("DELETE FROM entries WHERE rowid <= (SELECT max(rowid) FROM entries) - ?", (_ENTRIES,))
        except (sqlite3.Error, OSError):
            return

    def _open(self) -> sqlite3.Connection:
        self._folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._file, timeout=5)
        database.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, entry TEXT NOT NULL)")
        return database


def _report(entry: dict[str, Any]) -> FileReport:
    return FileReport(
        entry["path"],
        tuple(_finding(each) for each in entry["findings"]),
        tuple(Skipped(**each) for each in entry["skipped"]),
    )


def _finding(values: dict[str, Any]) -> Finding:
    fix = tuple(Edit(**each) for each in values.pop("fix"))
    related = tuple(Related(**each) for each in values.pop("related"))
    return Finding(**values | {"tier": Tier(values["tier"]), "fix": fix, "related": related})
