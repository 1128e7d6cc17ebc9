"""Git objects written without git: a commit costs no process

The format is https://git-scm.com/book/en/v2/Git-Internals-Git-Objects; `git fsck` is content with it.
"""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = b"40000"


@dataclass(frozen=True)
class Object:
    """A git object: its id, its type (blob, tree, commit, tag) and its bytes."""

    oid: str
    type: str
    data: bytes


@dataclass(frozen=True)
class Symlink:
    """A tree entry of mode 120000."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """A tree entry of mode 160000: the commit of another repository."""

    commit: str


@dataclass(frozen=True)
class Executable:
    """A file of mode 100755."""

    content: str | bytes


#: What a commit does to a path; `None` deletes it.
Content = str | bytes | Symlink | Submodule | Executable | None
Files = Mapping[str, Content]
_Entry = tuple[bytes, str]


class ObjectWriter:
    """Writes loose objects into a folder; `read` finds the ones that exist."""

    def __init__(self, folder: Path, read: Callable[[str], Object | None]) -> None:
        self._folder, self._read = folder, read

    def commit(self, files: Files, parents: tuple[str, ...], message: str, who: str) -> Object:
        """A commit that applies `files` on the tree of its first parent; `who` is name, address and time."""
        base = self._tree_of(parents[0]) if parents else None
        changes = {path: self._entry(content) for path, content in files.items()}
        tree = self._tree(base, changes) or self._write("tree", b"").oid
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
        return self._write("commit", ("\n".join(lines) + f"\n\n{message}\n").encode())

    def _write(self, kind: str, data: bytes) -> Object:
        stored = f"{kind} {len(data)}\0".encode() + data
        oid = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
        file = self._folder / oid[:2] / oid[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(stored, 1))
        return Object(oid, kind, data)

    def _entry(self, content: Content) -> _Entry | None:
        if content is None:
            return None
        if isinstance(content, Submodule):
            return b"160000", content.commit
        mode, value = b"100644", content
        if isinstance(content, Symlink):
            mode, value = b"120000", content.target
        elif isinstance(content, Executable):
            mode, value = b"100755", content.content
        assert isinstance(value, str | bytes)
        return mode, self._write("blob", value.encode() if isinstance(value, str) else value).oid

    def _tree(self, base: str | None, changes: Mapping[str, _Entry | None]) -> str | None:
        """The id of a tree with changes, `None` when nothing is left in it."""
        entries = self._entries(base)
        below: dict[bytes, dict[str, _Entry | None]] = {}
        for path, entry in changes.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name.encode(), {})[rest] = entry
            elif entry is None:
                entries.pop(name.encode(), None)
            else:
                entries[name.encode()] = entry
        for folder, inner in below.items():
            mode, oid = entries.get(folder, (b"", ""))
            tree = self._tree(oid if mode == _FOLDER else None, inner)
            if tree is not None:
                entries[folder] = (_FOLDER, tree)
            elif mode == _FOLDER:  # and not a file that has taken the folder's name
                del entries[folder]
        if not entries:
            return None
        ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1][0] == _FOLDER else b""))
        return self._write(
            "tree", b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for name, (mode, oid) in ordered)
        ).oid

    def _entries(self, tree: str | None) -> dict[bytes, _Entry]:
        found = self._read(tree) if tree else None
        data, entries = found.data if found else b"", {}
        while data:
            head, _, rest = data.partition(b"\0")
            mode, _, name = head.partition(b" ")
            entries[name], data = (mode, rest[:20].hex()), rest[20:]
        return entries

    def _tree_of(self, commit: str) -> str:
        found = self._read(commit)
        if found is None or found.type != "commit":
            raise ValueError(f"no commit {commit}")
        return found.data[5:45].decode()
