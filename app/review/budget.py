"""Which findings are said where: inline, in the review's body, or not again.

A review of sixty comments is read by nobody: the most severe come first, few of one rule, the rest is listed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.pull_request import ChangedFile
from app.review.fingerprint import fingerprints
from app.review.options import Options
from app.review.place import Place, Placer
from detectors import Edit, Finding

MOST_INLINE = 30
EACH_BY_ITSELF = frozenset({"hard-coded-secret"})
"""Rules whose findings do not stand for one another: every key has to be revoked by itself."""
MOST_BY_THEMSELVES = 60


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding of a file, with its name over all pushes and where the diff can hold it."""

    path: str
    finding: Finding
    fingerprint: str
    place: Place | None
    suggestion: Edit | None

    @property
    def severity(self) -> tuple[int, str, int, str]:
        """The most severe sorts first; then in reading order."""
        return self.finding.tier.rank, self.path, self.finding.line, self.finding.rule


@dataclass(frozen=True, slots=True)
class Shares:
    """Each remark of the head once: `more` are those that would be too many of their rule, `said` stand on
    the pull request already, `dismissed` were waved away there."""

    inline: tuple[Remark, ...] = ()
    listed: tuple[Remark, ...] = ()
    more: tuple[Remark, ...] = ()
    advice: tuple[Remark, ...] = ()
    said: tuple[Remark, ...] = ()
    dismissed: tuple[Remark, ...] = ()

    @property
    def new(self) -> tuple[Remark, ...]:
        """What is worth a review of its own and has not been said before; advice alone is not."""
        return self.inline + self.listed + self.more

    @property
    def counted(self) -> tuple[Remark, ...]:
        """What the check run is about: everything but what was dismissed."""
        return tuple(sorted(self.new + self.advice + self.said, key=lambda remark: remark.severity))


def remarks(file: ChangedFile, findings: Sequence[Finding]) -> tuple[Remark, ...]:
    """The findings of a file, placed on its diff and named."""
    placer = Placer(file)
    names = fingerprints(file.previous_path or file.path, findings)
    return tuple(
        Remark(file.path, finding, name, placer.place(finding), placer.suggestion(finding))
        for finding, name in zip(findings, names, strict=True)
    )


def share_out(every: Iterable[Remark], options: Options) -> Shares:
    """Each remark to its share, the most severe first."""
    shares: dict[str, list[Remark]] = {name: [] for name in Shares.__slots__}
    of_rule = Counter[str]()
    inline = Counter[bool]()
    most = {False: min(options.budget, MOST_INLINE), True: MOST_BY_THEMSELVES if options.budget else 0}
    for remark in sorted(every, key=lambda remark: remark.severity):
        share = _share(remark, options, of_rule)
        by_itself = remark.finding.rule in EACH_BY_ITSELF
        if share == "inline" and inline[by_itself] >= most[by_itself]:
            share = "listed"
        inline[by_itself] += share == "inline"
        of_rule[remark.finding.rule] += share in ("inline", "listed", "more") and not by_itself
        shares[share].append(remark)
    return Shares(**{name: tuple(share) for name, share in shares.items()})


def _share(remark: Remark, options: Options, of_rule: Counter[str]) -> str:
    if remark.fingerprint in options.dismissed:
        return "dismissed"
    if remark.fingerprint in options.said:
        return "said"
    if remark.finding.tier not in options.inline:
        return "advice"
    if of_rule[remark.finding.rule] >= options.per_rule:
        return "more"
    return "inline" if remark.place else "listed"
