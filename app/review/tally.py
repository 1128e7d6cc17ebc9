"""How many findings there are, in words."""

from collections import Counter
from collections.abc import Iterable

from detectors import Finding, Tier

_ONE = {Tier.BUG: "bug", Tier.RISK: "risk", Tier.ADVICE: "piece of advice"}
_MANY = {Tier.BUG: "bugs", Tier.RISK: "risks", Tier.ADVICE: "pieces of advice"}


def counts(findings: Iterable[Finding]) -> str:
    """`2 bugs and 1 risk`; empty where there is nothing."""
    of_tier = Counter(finding.tier for finding in findings)
    parts = [f"{of_tier[tier]} {(_ONE if of_tier[tier] == 1 else _MANY)[tier]}" for tier in Tier if of_tier[tier]]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
