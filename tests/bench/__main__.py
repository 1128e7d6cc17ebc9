"""`python -m tests.bench` (or `make bench`): lines a second of mlstaff, of `ast.parse` alone and of two neighbours.

Everything runs in one process each, on the same files of the corpus, in turn; only the ratios mean anything on a shared
machine. The neighbours are installed from PyPI into a virtual environment of their own.
"""

import ast
import resource
import subprocess
import sys
import time
import venv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detectors import Code, Words, all_detectors, analyse
from tests.corpus.__main__ import PACKAGES, STORE, count_lines, unpacked

NEIGHBOURS = STORE / "neighbours"
CHOSEN = ("litgpt", "timm", "flair", "torch-optimizer", "e3nn")
"""Training and model code, enough for a stable ratio and little enough for the slowest neighbour."""
SMALL = ("torch-optimizer", "litgpt")
"""Training code that the neighbours run on too; on `e3nn` one of them needs eight minutes."""
ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """The median of some rounds of one command: CPU seconds and the peak of its resident memory in MB."""

    seconds: float
    megabytes: float


def main() -> None:
    """Prints the table."""
    folders = [unpacked(*line.split("\t")) for line in PACKAGES.read_text().splitlines() if line.startswith(CHOSEN)]
    lines = sum(count_lines(folder) for folder in folders)
    print(f"{lines:,} lines of {', '.join(folder.name for folder in folders)}")
    parse = timed([sys.executable, "-c", PARSE, *map(str, folders)])
    show("ast.parse alone", parse, parse, lines)
    mlstaff = Path(sys.executable).parent / "mlstaff"
    with TemporaryDirectory() as cache:
        check: list[str | Path] = [mlstaff, "check", "--jobs", "1", "--format", "json", *folders]
        cold = timed([*check, "--no-cache"])
        show("mlstaff check, cold", cold, parse, lines)
        filling = [*check, "--cache-dir", cache]
        subprocess.run(filling, capture_output=True, check=False)
        warm = timed([*check, "--cache-dir", cache])
        show("mlstaff check, cached", warm, parse, lines)
    start_up = timed([mlstaff, "--version"])
    print(f"start-up alone: {start_up.seconds:.2f} s")
    print(f"a second run with the cache: {cold.seconds / warm.seconds:.1f} × the first")
    slowest(folders)
    by_families(folders)
    beside_neighbours([folder for folder in folders if folder.name.startswith(SMALL)], mlstaff)


def beside_neighbours(folders: list[Path], mlstaff: Path) -> None:
    """The neighbours and mlstaff on the same few packages: one of them needs minutes for more."""
    lines = sum(count_lines(folder) for folder in folders)
    print(f"{lines:,} lines of {', '.join(folder.name for folder in folders)}")
    parse = timed([sys.executable, "-c", PARSE, *map(str, folders)])
    own = timed([mlstaff, "check", "--jobs", "1", "--format", "json", "--no-cache", *folders])
    show("mlstaff check, cold", own, parse, lines)
    for name, command in neighbours().items():
        timing = timed([*command, *folders], rounds=1)
        show(name, timing, parse, lines)
        print(f"mlstaff against {name}: {timing.seconds / own.seconds:.1f} × as fast")


PARSE = """
import ast, pathlib, sys
for folder in sys.argv[1:]:
    for path in pathlib.Path(folder).rglob("*.py"):
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            pass
"""


def timed(command: Sequence[str | Path], *, rounds: int = ROUNDS) -> Timing:
    """Runs a command; CPU time of the child processes, which a busy machine disturbs least."""
    seconds = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(part) for part in command], capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return Timing(sorted(seconds)[len(seconds) // 2], peak(command))


def peak(command: Sequence[str | Path]) -> float:
    """The peak resident memory of one run, in MB, asked of a fresh parent so that no other child counts."""
    asking = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    run = [sys.executable, "-c", asking, *map(str, command)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    return float(done.stdout)


def show(name: str, timing: Timing, parse: Timing, lines: int) -> None:
    """One row of the table."""
    print(
        f"{name:24} {timing.seconds:8.2f} s  {lines / timing.seconds:10,.0f} lines/s"
        f"  {timing.seconds / parse.seconds:6.2f} × ast.parse  {timing.megabytes:6.0f} MB"
    )


def neighbours() -> dict[str, list[str | Path]]:
    """The neighbours' commands, installed where they are not yet."""
    binaries = NEIGHBOURS / "bin"
    if not (binaries / "torchfix").exists():
        venv.create(NEIGHBOURS, with_pip=True)
        subprocess.run([binaries / "pip", "install", "-q", "torch-preflight", "torchfix"], check=True)
    return {
        "torch-preflight": [binaries / "torch-preflight", "check", "--format", "json"],
        "torchfix": [binaries / "torchfix", "--select", "ALL"],
    }


def slowest(folders: list[Path]) -> None:
    """The ten detectors that take longest, with what each asks of the engine for the first time."""
    spent: dict[str, float] = defaultdict(float)
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        try:
            text = path.read_text(encoding="utf-8")
            ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        code, words = Code(text, str(path)), Words(text)
        for detector in all_detectors():
            if detector.may_fire(words):
                started = time.process_time()
                detector.detect(code)
                spent[detector.name] += time.process_time() - started
    total = sum(spent.values())
    for name, seconds in sorted(spent.items(), key=lambda each: -each[1])[:10]:
        print(f"  {name:32} {seconds:6.2f} s  {seconds / total:4.0%} of all detectors")


def by_families(folders: list[Path]) -> None:
    """What the detectors of services and language models add to the time of the others, file by file in turn."""
    others = {each.name for each in all_detectors() if each.family not in ("production", "llm")}
    spent = [0.0, 0.0]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for index, rules in enumerate((others, None)):
            started = time.process_time()
            analyse(text, str(path), rules=rules)
            spent[index] += time.process_time() - started
    print(f"with production and llm detectors {spent[1] / spent[0]:.2f} × the time without them")


if __name__ == "__main__":
    main()
