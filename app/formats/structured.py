"""JSON: every finding of every tier, in a form that stays as it is."""

import json
from collections.abc import Sequence
from typing import Any

from app.review.find import FileReport
from detectors import Finding


def render(reports: Sequence[FileReport]) -> str:
    """`{"findings": [...], "skipped": [...]}`, in order of path and line."""
    return json.dumps(document(reports), ensure_ascii=False, indent=2) + "\n"


def document(reports: Sequence[FileReport]) -> dict[str, Any]:
    """The values that `render` writes."""
    return {
        "findings": [_finding(report.path, finding) for report in reports for finding in report.findings],
        "skipped": [
            {"path": skipped.path, "reason": skipped.reason} for report in reports for skipped in report.skipped
        ],
    }


def _finding(path: str, finding: Finding) -> dict[str, Any]:
    fix = [{"line": edit.line, "end_line": edit.end_line, "text": edit.text} for edit in finding.fix]
    return {
        "rule": finding.rule,
        "tier": finding.tier.value,
        "path": path,
        "line": finding.line,
        "end_line": finding.end_line,
        "message": finding.message,
        "bad": finding.bad,
        "good": finding.good,
        "fix": fix or None,
    }
