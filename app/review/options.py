"""What the operator and the repository decide about a review."""

from dataclasses import dataclass
from enum import StrEnum

from detectors import Tier


class FailOn(StrEnum):
    """The mildest tier that fails a check."""

    BUG = "bug"
    RISK = "risk"
    ADVICE = "advice"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Options:
    """`fail_on` None never fails the check. `said` and `dismissed` are fingerprints known from elsewhere than
    the pull request's threads: told in the body of an earlier review, ignored by a command."""

    public_url: str = ""
    budget: int = 20
    per_rule: int = 5
    inline: frozenset[Tier] = frozenset({Tier.BUG, Tier.RISK})
    fail_on: Tier | None = Tier.BUG
    said: frozenset[str] = frozenset()
    dismissed: frozenset[str] = frozenset()

    def fails(self, tier: Tier) -> bool:
        """Whether a finding of this tier fails the check."""
        return self.fail_on is not None and tier.rank <= self.fail_on.rank
