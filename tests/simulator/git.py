"""Commits and diffs of a bare repository on disk, as git itself sees them

Every answer that depends only on object ids is kept: a commit never changes.
"""

import functools
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.simulator.diffs import Diff, parse_patch, parse_raw
from tests.simulator.objects import Files, Object, ObjectWriter

NULL = "0" * 40
#: Histories up to so many commits are walked here; to ask git costs a process.
_SHORT = 20
_EPOCH = 1_767_225_600  # 2026-01-01: commits are dated from here, one second apart, so object ids repeat
_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class Commit:
    """The parts of a commit that GitHub shows."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    seconds: int
    message: str


class GitError(Exception):
    """git said no; the text is its own."""


class GitRepository:
    """A bare repository. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._commits_made = 0
        self._reader: subprocess.Popen[bytes] | None = None
        self._objects: dict[str, Object] = {}
        self._writer = ObjectWriter(path / "objects", self.read)
        self.diff = functools.lru_cache(maxsize=4096)(self._diff)
        self.merge_base = functools.lru_cache(maxsize=16384)(self._merge_base)
        self.revisions = functools.lru_cache(maxsize=4096)(self._revisions)

    @classmethod
    def create(cls, path: Path, *, objects_of: Path | None = None) -> "GitRepository":
        """A new bare repository at `path`, able to read the objects of an existing one without a copy."""
        _run(["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path)])
        if objects_of is not None:
            common = _run(["git", "-C", str(objects_of), "rev-parse", "--git-common-dir"]).decode().strip()
            objects = (objects_of / common / "objects").resolve()
            (path / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        return cls(path)

    def close(self) -> None:
        """Stop the reader process."""
        with self._lock:
            if self._reader is not None and self._reader.stdin is not None:
                self._reader.stdin.close()
                self._reader.wait(timeout=10)
                if self._reader.stdout is not None:
                    self._reader.stdout.close()
                self._reader = None

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """The output of one git command; raises `GitError` with git's own words."""
        return _run(["git", "--git-dir", str(self.path), *arguments], stdin=stdin)

    def commit(
        self, files: Files, *, parents: Sequence[str] = (), message: str = "change", author: str = "octo-dev"
    ) -> str:
        """The id of a new commit that applies `files` on its first parent."""
        with self._lock:
            self._commits_made += 1
            when = _EPOCH + self._commits_made
            who = f"{author} <{author}@example.com> {when} +0000"
            made = self._writer.commit(files, tuple(parents), message, who)
            self._objects[made.oid] = made
        return made.oid

    def resolve(self, name: str) -> str:
        """The commit a revision of this repository names; raises `GitError` for an unknown one."""
        return revision(self.path, name)

    def read(self, expression: str) -> Object | None:
        """An object by id or by `<commit>:<path>`; `None` when there is none, and for a submodule."""
        cached = len(expression) >= 40 and all(c in "0123456789abcdef" for c in expression[:40])
        if cached and expression in self._objects:
            return self._objects[expression]
        found = None if "\n" in expression else self._ask_reader(expression)
        if cached and found is not None:
            self._objects[expression] = found
        return found

    def commit_of(self, sha: str) -> Commit:
        """A commit's parts; raises `GitError` when `sha` is no commit."""
        found = self.read(sha)
        if found is None or found.type != "commit":
            raise GitError(f"no commit {sha}")
        return _parse_commit(sha, found.data)

    def has_commit(self, sha: str) -> bool:
        """Whether `sha` is the full id of a commit here."""
        found = self.read(sha) if len(sha) == 40 else None
        return found is not None and found.type == "commit"

    def tree(self, tree: str, *, recursive: bool = False) -> list[tuple[str, str, str, str]]:
        """(mode, type, id, path) of a tree's entries."""
        out = self.git("ls-tree", "-z", *(["-r", "-t"] if recursive else []), tree)
        entries = []
        for line in out.split(b"\0")[:-1]:
            head, _, path = line.partition(b"\t")
            mode, kind, oid = head.decode().split()
            entries.append((mode, kind, oid, path.decode("utf-8", "replace")))
        return entries

    def _diff(self, old: str, new: str) -> Diff:
        options = ("-r", "-M", "--raw", "--patch", "--no-abbrev", "--no-ext-diff", "--no-textconv")
        raw, _, patch = self.git("diff-tree", *options, old, new).partition(b"\n\n")
        return parse_patch(parse_raw(raw), patch)

    def _chain(self, ancestor: str, descendant: str) -> list[str] | None:
        """The commits after `ancestor` up to `descendant`, the newest first; `None` if that is no short single line."""
        chain: list[str] = []
        while descendant != ancestor:
            found = self.read(descendant)
            parents = _parse_commit(descendant, found.data).parents if found and found.type == "commit" else ()
            if len(parents) != 1 or len(chain) >= _SHORT:
                return None
            chain.append(descendant)
            descendant = parents[0]
        return chain

    def _merge_base(self, one: str, other: str) -> str | None:
        if self._chain(one, other) is not None:
            return one
        try:
            return self.git("merge-base", one, other).decode().strip() or None
        except GitError:
            return None

    def _revisions(self, excluded: str, included: str) -> tuple[str, ...]:
        """Commits reachable from `included` and not from `excluded`, oldest first."""
        chain = self._chain(excluded, included)
        if chain is not None:
            return tuple(reversed(chain))
        out = self.git("rev-list", "--reverse", "--topo-order", included, f"^{excluded}")
        return tuple(out.decode().split())

    def _ask_reader(self, expression: str) -> Object | None:
        with self._lock:
            if self._reader is None:
                self._reader = subprocess.Popen(
                    ["git", "--git-dir", str(self.path), "cat-file", "--batch"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                )
            stdin, stdout = self._reader.stdin, self._reader.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(expression.encode() + b"\n")
            stdin.flush()
            header = stdout.readline().split()
            if len(header) != 3 or not header[2].isdigit():
                return None
            data = stdout.read(int(header[2]))
            stdout.read(1)
            return Object(header[0].decode(), header[1].decode(), data)


def revision(repository: Path, name: str) -> str:
    """The commit a revision names in a local repository; raises `GitError` for an unknown one."""
    try:
        out = _run(["git", "-C", str(repository), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"])
    except GitError as error:
        raise GitError(f"no revision {name} in {repository}") from error
    return out.decode().strip()


def _run(command: list[str], *, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, env=_ENVIRONMENT, check=False)
    if done.returncode:
        raise GitError(f"{' '.join(command[:6])}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _parse_commit(sha: str, data: bytes) -> Commit:
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    fields = [line.partition(" ") for line in head.split("\n")]
    author = next(value for name, _, value in fields if name == "author")
    name, _, rest = author.rpartition(" <")
    email, _, dates = rest.partition("> ")
    return Commit(
        sha=sha,
        tree=next(value for name, _, value in fields if name == "tree"),
        parents=tuple(value for name, _, value in fields if name == "parent"),
        author=name,
        email=email,
        seconds=int(dates.split()[0]),
        message=message,
    )
