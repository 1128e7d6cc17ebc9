"""Whole files, outside of any change: many at once, over all cores, remembered on disk."""

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.local.cache import Cache, Entry, key
from app.local.manifests import Manifests
from app.local.neighbours import Neighbourhood, WorkTree
from app.local.sources import UnreadableSource, source_files, source_text
from app.local.time_limit import OutOfTime, at_most
from app.review.find import FileReport, found_in
from detectors import NOT_PINNED, Skipped, Versions

SECONDS = 20
"""Of processor time, for one file."""
_CHUNK = 16
_GARBAGE = 2_000
"""New objects after which the collector looks for garbage: less is slower, more keeps what nobody needs for long."""
_WORTH_A_POOL = 32
"""Starting processes costs more than so many files."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read; `path` as it is shown, `versions` what is pinned where it is, `top` the folder of its
    repository ("" is the present folder)."""

    path: str
    text: str
    versions: Versions = NOT_PINNED
    top: str = ""


def check(paths: Sequence[Path], *, jobs: int, cache: Cache | None) -> tuple[FileReport, ...]:
    """The reports of every Python file under the paths, in order; `jobs` processes where it pays."""
    reports: dict[str, FileReport] = {}
    sources: dict[str, Source] = {}
    for file in source_files(paths):
        path = file.as_posix()
        try:
            sources[path] = Source(path, source_text(file))
        except UnreadableSource as reason:
            reports[path] = FileReport(path, skipped=(Skipped(path, str(reason)),))
    manifests = Manifests(paths, sources)
    sources = {
        path: replace(each, versions=manifests.versions(path), top=manifests.top(path))
        for path, each in sources.items()
    }
    reports |= {each.path: FileReport(each.path, skipped=(each,)) for each in manifests.broken}
    keys = {each.path: key(each.path, each.text, each.versions) for each in sources.values()} if cache else {}
    tree = WorkTree({path: each.text for path, each in sources.items()})
    known = cache.read(keys.values(), tree) if cache else {}
    missing = [source for source in sources.values() if keys.get(source.path) not in known]
    entries = {entry.report.path: entry for entry in analysed(missing, jobs=jobs)}
    if cache:
        cache.write((keys[path], entry) for path, entry in entries.items() if not entry.report.skipped)
    reports |= {path: known[name] for path, name in keys.items() if name in known}
    reports |= {path: entry.report for path, entry in entries.items()}
    return tuple(reports[path] for path in sorted(reports))


def analysed(sources: Sequence[Source], *, jobs: int) -> Iterator[Entry]:
    """A report for each source, with what was read around it. A source that ends its process (out of memory, a stack
    overflow) is named and costs no other its report."""
    if jobs < 2 or len(sources) < _WORTH_A_POOL:
        yield from _analyse_all(sources)
        return
    chunks = [sources[start : start + _CHUNK] for start in range(0, len(sources), _CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        pending = [(chunk, pool.submit(_analyse_all, chunk)) for chunk in chunks]
        lost = [chunk for chunk, future in pending if isinstance(future.exception(), BrokenProcessPool)]
        for _, future in pending:
            yield from _done(future)
    for chunk in lost:
        for source in chunk:
            yield _analyse_alone(source)


def _done(future: Future[list[Entry]]) -> list[Entry]:
    return [] if isinstance(future.exception(), BrokenProcessPool) else future.result()


def _analyse_all(sources: Sequence[Source]) -> list[Entry]:
    tree = WorkTree()
    with _little_garbage():
        return [_analyse(source, tree) for source in sources]


@contextmanager
def _little_garbage() -> Iterator[None]:
    """An analysis makes many objects and leaves little behind: looking for garbage as often as usual is a quarter of
    the work."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _analyse(source: Source, tree: WorkTree) -> Entry:
    around = Neighbourhood(tree, source.top)
    try:
        with at_most(SECONDS):
            return Entry(found_in(source.text, source.path, around, source.versions), around.evidence)
    except OutOfTime:
        reason = f"its analysis took longer than {SECONDS} seconds"
        return Entry(FileReport(source.path, skipped=(Skipped(source.path, reason),)))


def _analyse_alone(source: Source) -> Entry:
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(_analyse, source, WorkTree()).result()
        except BrokenProcessPool:
            reason = "its analysis ended the process, perhaps for want of memory"
            return Entry(FileReport(source.path, skipped=(Skipped(source.path, reason),)))
