"""Download the corpus, run every detector over it, and write what they say beside what it was worth."""

import csv
import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STORE = ROOT / ".corpus"
PACKAGES = HERE / "packages.txt"
FINDINGS = HERE / "findings.tsv"
COLUMNS = ("package", "path", "line", "rule", "tier", "label", "reason", "message")


@dataclass(frozen=True, order=True)
class Row:
    """One inline finding with what a reader made of it."""

    package: str
    path: str
    line: int
    rule: str
    tier: str
    label: str
    reason: str
    message: str

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What a label stays with: pinned packages do not move."""
        return self.package, self.path, self.line, self.rule


def main(projects: Sequence[str] = ()) -> int:
    """Exit status 1 when an inline finding has not been labelled yet, or a detector raised.

    With names of projects only these are looked at, and what is known of the others stays.
    """
    pinned = [line.split("\t") for line in PACKAGES.read_text().splitlines() if not line.startswith("#")]
    chosen = [each for each in pinned if not projects or each[0].partition("-")[0] in projects]
    folders = [unpacked(*each) for each in chosen]
    known = list(read(FINDINGS)) if FINDINGS.exists() else []
    labels = {row.place: (row.label, row.reason) for row in known}
    rows: list[Row] = []
    advice = Counter[str]()
    crashed: list[str] = []
    for folder in folders:
        said = checked(folder)
        crashed += [f"{each['path']}: {each['reason']}" for each in said["skipped"] if " failed: " in each["reason"]]
        for finding in said["findings"]:
            if finding["tier"] == "advice":
                advice[finding["rule"]] += 1
                continue
            path = str(Path(finding["path"]).relative_to(folder))
            place = (folder.name, path, finding["line"], finding["rule"])
            message = " ".join(finding["message"].split())
            rows.append(Row(*place, finding["tier"], *labels.get(place, ("", "")), message))
    others = [row for row in known if row.package not in {folder.name for folder in folders}] if projects else []
    write(FINDINGS, sorted([*rows, *others]))
    lines = sum(count_lines(folder) for folder in folders)
    report(rows, advice, lines)
    print(f"{len(crashed)} times a detector raised", *crashed, sep="\n  ")
    return 1 if crashed or any(not row.label for row in rows) else 0


def unpacked(name: str, sha256: str) -> Path:
    """The folder of a source distribution, or of a wheel where pip cannot prepare the sources without a compiler;
    downloaded by pip and checked.

    Raises:
        SystemExit: the download failed, or is not the file that was pinned.
    """
    is_wheel = name.endswith(".whl")
    project, version = name.split("-")[:2] if is_wheel else name.removesuffix(".tar.gz").rsplit("-", 1)
    folder = STORE / f"{project}-{version}"
    if folder.is_dir():
        return folder
    archive = STORE / name
    if not archive.exists():
        kind = ["--only-binary", ":all:"] if is_wheel else ["--no-binary", project]
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *kind]
        subprocess.run([*command, "--dest", STORE, f"{project}=={version}"], check=False)
    if not archive.exists() or hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{name} could not be downloaded as pinned")
    if is_wheel:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
        return folder
    with tarfile.open(archive) as tar:
        tar.extractall(STORE, filter="data")
    return folder


def checked(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What `mlstaff check` says about a folder: its findings, and what was skipped."""
    mlstaff = str(Path(sys.executable).parent / "mlstaff")
    command = [mlstaff, "check", "--no-cache", "--format", "json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def count_lines(folder: Path) -> int:
    """Lines of Python below a folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.py") if path.is_file())


def read(path: Path) -> Iterable[Row]:
    """The rows of a findings file."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            line = int(row.pop("line"))
            yield Row(line=line, **row)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Writes the rows, one a line, tabs and newlines of messages folded."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            file.write("\t".join(str(getattr(row, column)).replace("\t", " ") for column in COLUMNS) + "\n")


def report(rows: list[Row], advice: Counter[str], lines: int) -> None:
    """Prints the figures: how many, how many right, by rule, and what waits for a reader."""
    labels = Counter(row.label or "not read" for row in rows)
    print(f"{lines:,} lines; {len(rows)} inline findings, {len(rows) / lines * 10_000:.2f} per 10,000 lines")
    print(", ".join(f"{count} {label}" for label, count in labels.most_common()))
    for rule, count in Counter(row.rule for row in rows).most_common():
        right = sum(row.label == "right" for row in rows if row.rule == rule)
        print(f"  {rule}: {count}, {right} right")
    print(f"advice, not listed: {sum(advice.values())}: " + ", ".join(f"{r} {n}" for r, n in advice.most_common()))
    for row in rows:
        if not row.label:
            print(f"not read: {row.package}/{row.path}:{row.line} {row.rule}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
