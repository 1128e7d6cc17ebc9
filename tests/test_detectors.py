"""Every detector finds what its page and its cases say, and nothing else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.manifests.pins import pins_of
from app.review.find import Snapshot
from detectors import Analysis, Detector, Versions, all_detectors, analyse, apply_edits, introduced

CASES = Path(__file__).parent / "detectors"
BLOCK = re.compile(r"^## (?P<title>[^\n]+)\n[^#`]*```(?P<kind>python|diff)\n(?P<code>.+?)^```", re.M | re.S)


@dataclass(frozen=True)
class Case:
    """A change, with ❌ on each line that must be found. First lines may name the file (`# path: tests/test_x.py`) and
    what the repository pins (`# pins: torch==2.1, transformers>=4.40`), or the tier of all that is found (`# tier:
    advice`). After a line `# file: models/net.py` stands
    another file of the repository."""

    detector: Detector
    title: str
    before: str
    after: str
    repository: Snapshot = field(default_factory=lambda: Snapshot({}))

    def __str__(self) -> str:
        return f"{self.detector.name}: {self.title}"

    @property
    def path(self) -> str:
        return self._said("path") or "train.py"

    @property
    def versions(self) -> Versions:
        pins = self._said("pins").replace(", ", "\n")
        return pins_of({"requirements.txt": pins}).at("train.py")

    @property
    def tier(self) -> str:
        return self._said("tier")

    def _said(self, what: str) -> str:
        match = re.match(rf"(?:# \w+: .*\n)*?# {what}: (.+)\n", self.after)
        return match[1].strip() if match else ""

    def analysed(self, text: str) -> Analysis:
        return analyse(text, self.path, repository=self.repository, versions=self.versions, rules={self.detector.name})

    def expected_lines(self) -> list[int]:
        lines = enumerate(self.after.split("\n"), start=1)
        return [number for number, text in lines if "# ❌" in text]


def case_file(detector: Detector) -> Path:
    return CASES / detector.family / f"{detector.name.replace('-', '_')}.md"


def cases() -> Iterator[Case]:
    for detector in all_detectors():
        yield Case(detector, "❌ of its page", "", detector.page.bad)
        yield Case(detector, "✅ of its page", "", detector.page.good)
        if not case_file(detector).exists():
            continue
        for block in BLOCK.finditer(case_file(detector).read_text()):
            code, *others = re.split(r"^# file: (\S+)\n", block["code"], flags=re.M)
            repository = Snapshot(dict(zip(others[::2], others[1::2], strict=True)))
            yield Case(detector, block["title"], *sides(block["kind"], code), repository)


def sides(kind: str, code: str) -> tuple[str, str]:
    """The file before and after: a diff block has both, a python block is a new file."""
    if kind == "python":
        return "", code
    lines = [line or " \n" for line in code.splitlines(keepends=True)]
    before = [line[1:] or "\n" for line in lines if line[0] in " -\n"]
    after = [line[1:] or "\n" for line in lines if line[0] in " +\n"]
    return "".join(before), "".join(after)


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_finds_exactly_the_marked_lines(case: Case) -> None:
    head = case.analysed(case.after)
    base = case.analysed(case.before)

    assert not head.skipped
    assert [each.line for each in introduced(head.findings, base.findings)] == case.expected_lines()
    assert not case.tier or {each.tier.value for each in head.findings} == {case.tier}


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_a_fix_gives_code_that_parses_keeps_comments_and_is_silent(case: Case) -> None:
    for finding in case.analysed(case.after).findings:
        if not finding.fix:
            continue
        fixed = apply_edits(case.after, finding.fix)
        again = case.analysed(fixed)

        assert not again.skipped
        assert fixed.count("#") == case.after.count("#")
        left = [each for each in again.findings if (each.text, each.definition) == (finding.text, finding.definition)]
        before = [
            each
            for each in case.analysed(case.after).findings
            if (each.text, each.definition) == (finding.text, finding.definition)
        ]
        assert len(left) < len(before)


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.name)
def test_page_shows_the_bug(detector: Detector) -> None:
    assert "# ❌" in detector.page.bad
    assert "# ❌" not in detector.page.good
    assert detector.page.why
    assert not detector.page.title.endswith(".")


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.name)
def test_every_detector_has_cases_that_fire_and_that_stay_silent(detector: Detector) -> None:
    blocks = list(BLOCK.finditer(case_file(detector).read_text()))

    assert sum("# ❌" in block["code"] for block in blocks) >= 2
    assert any("# ❌" not in block["code"] for block in blocks)


@pytest.mark.parametrize("path", sorted(CASES.rglob("*.md")), ids=lambda path: path.stem)
def test_every_heading_is_a_case_of_a_detector(path: Path) -> None:
    text = path.read_text()

    assert path in {case_file(detector) for detector in all_detectors()}
    assert text.count("\n## ") == len(BLOCK.findall(text)) > 0
