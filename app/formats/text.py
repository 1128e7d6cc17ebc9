"""Text for a terminal: where, which rule, what it does, the author's lines and the same lines mended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.review.excerpt import mended
from app.review.find import FileReport
from app.review.tally import counts
from detectors import Finding, Tier

_COLOURS = {Tier.BUG: "31", Tier.RISK: "33", Tier.ADVICE: "36"}
_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours by ANSI escapes, or none."""

    is_on: bool

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_on else text


def render(reports: Sequence[FileReport], *, colour: bool) -> str:
    """Every finding, then what was skipped, then one line that sums up."""
    ink = Ink(colour)
    blocks = [_finding(report.path, finding, ink) for report in reports for finding in report.findings]
    skipped = [
        f"{ink('1', _visible(each.path))}  {ink('2', f'skipped: {_visible(each.reason)}')}"
        for report in reports
        for each in report.skipped
    ]
    if skipped:
        blocks.append("\n".join(skipped))
    return "\n\n".join([*blocks, _headline(reports, ink)]) + "\n"


def _headline(reports: Sequence[FileReport], ink: Ink) -> str:
    files = f"{len(reports)} file{'' if len(reports) == 1 else 's'}"
    found = counts(finding for report in reports for finding in report.findings)
    return ink("1", f"{found} in {files}") if found else ink("32", f"No ML problems in {files}")


def _finding(path: str, finding: Finding, ink: Ink) -> str:
    colour = _COLOURS[finding.tier]
    where = ink("1", _visible(f"{path}:{finding.line}"))
    lines = [f"{where}  {ink(colour, finding.rule)}  {ink('2', finding.tier.value)}"]
    lines.append(f"  {_visible(finding.message)}")
    if finding.bad.strip():
        lines += ["", *_excerpt("❌", finding.bad, ink, "31")]
    remedy, good = mended(finding)
    if good:
        note = ["", f"  {ink('2', remedy)}"] if remedy.startswith("As") else []
        lines += [*note, "", *_excerpt("✅", good, ink, "32")]
    return "\n".join(lines)


def _excerpt(mark: str, code: str, ink: Ink, colour: str) -> Iterator[str]:
    lines = code.strip("\n").split("\n")
    for number, line in enumerate(lines[:_MOST_LINES]):
        yield f"  {mark if number == 0 else '  '} {ink(colour, _visible(line))}".rstrip()
    if len(lines) > _MOST_LINES:
        yield f"     {ink('2', f'… {len(lines) - _MOST_LINES} more lines')}"


def _visible(text: str) -> str:
    """Without control characters: a source file must not move the cursor or change colours."""
    return "".join(character if character.isprintable() else " " for character in text.replace("\t", "    "))
