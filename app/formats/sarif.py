"""SARIF 2.1.0, for code scanning and editors: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

Fingerprints go into `partialFingerprints`, so that a finding keeps its alert when its lines move:
https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from app.review.find import FileReport
from app.review.fingerprint import fingerprints
from app.review.options import Options
from detectors import Detector, Edit, Finding, Skipped, Tier, all_detectors

_LEVELS = {Tier.BUG: "error", Tier.RISK: "warning", Tier.ADVICE: "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(reports: Sequence[FileReport], options: Options, version: str) -> str:
    """One run with every rule, finding and skipped file."""
    return json.dumps(document(reports, options, version), ensure_ascii=False, indent=2) + "\n"


def document(reports: Sequence[FileReport], options: Options, version: str) -> dict[str, Any]:
    """The values that `render` writes."""
    detectors = all_detectors()
    index = {detector.name: number for number, detector in enumerate(detectors)}
    driver = {
        "name": "mlstaff",
        "version": version,
        "rules": [_rule(detector, options) for detector in detectors],
    }
    notifications = [_notification(skipped) for report in reports for skipped in report.skipped]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
                "results": [result for report in reports for result in _results(report, index)],
            }
        ],
    }


def _rule(detector: Detector, options: Options) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": detector.name,
        "shortDescription": {"text": detector.page.title},
        "fullDescription": {"text": detector.page.why or detector.page.title},
        "help": {"text": detector.page.text, "markdown": detector.page.text},
        "defaultConfiguration": {"level": _LEVELS[detector.tier]},
        "properties": {"tags": [detector.family, detector.tier.value]},
    }
    address = f"{options.public_url.rstrip('/')}/rules/{detector.name}" if options.public_url else ""
    return rule | {"helpUri": address} if address else rule


def _results(report: FileReport, index: dict[str, int]) -> list[dict[str, Any]]:
    names = fingerprints(report.path, report.findings)
    return [_result(report.path, finding, name, index) for finding, name in zip(report.findings, names, strict=True)]


def _result(path: str, finding: Finding, name: str, index: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.tier],
        "message": {"text": finding.message},
        "locations": [_location(path, finding.line, finding.end_line)],
        "partialFingerprints": {"mlstaff/v1": name},
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    if finding.related:
        result["relatedLocations"] = [
            _location(path, each.line, each.line) | {"message": {"text": each.message}} for each in finding.related
        ]
    if finding.fix:
        result["fixes"] = [_fix(path, finding)]
    return result


def _location(path: str, line: int, end_line: int) -> dict[str, Any]:
    region = {"startLine": line, "endLine": max(line, end_line)}
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": region}}


def _artifact(path: str) -> dict[str, str]:
    address = quote(path.encode("utf-8", "surrogateescape"))
    return {"uri": f"file://{address}"} if path.startswith("/") else {"uri": address, "uriBaseId": "%SRCROOT%"}


def _fix(path: str, finding: Finding) -> dict[str, Any]:
    replacements = [_replacement(edit) for edit in finding.fix]
    return {
        "description": {"text": f"mend {finding.rule}"},
        "artifactChanges": [{"artifactLocation": _artifact(path), "replacements": replacements}],
    }


def _replacement(edit: Edit) -> dict[str, Any]:
    """Whole lines with the newline of the last: the region ends at column 1 of the line after it."""
    region = {"startLine": edit.line, "startColumn": 1, "endLine": edit.end_line + 1, "endColumn": 1}
    text = "" if edit.text is None else f"{edit.text}\n"
    return {"deletedRegion": region, "insertedContent": {"text": text}}


def _notification(skipped: Skipped) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": _artifact(skipped.path)}}
    return {"level": "note", "message": {"text": skipped.reason}, "locations": [location]}
