"""The analysis of one file: every detector over one parse, a crash of one costs only its own findings."""

import logging
from collections.abc import Collection

from detectors._engine.catalogue import all_detectors
from detectors._engine.code import Code
from detectors._engine.names.neighbours import Repository
from detectors._engine.names.versions import NOT_PINNED, Versions
from detectors._engine.source.finding import Analysis, Finding, Skipped
from detectors._engine.source.words import Words

log = logging.getLogger("mlstaff.detectors")


def analyse(
    text: str,
    path: str,
    *,
    repository: Repository | None = None,
    versions: Versions = NOT_PINNED,
    rules: Collection[str] | None = None,
) -> Analysis:
    """The findings in one Python file, in order of line; never raises for what is in the text.

    `repository` is where the files that it imports can be read, `versions` what is pinned where it is; `rules`
    limits the detectors by name.
    """
    chosen = [each for each in all_detectors() if rules is None or each.name in rules]
    words = Words(text)
    willing = [each for each in chosen if each.may_fire(words)]
    if not willing:
        return Analysis()
    try:
        code = Code(text, path, repository, versions)
    except SyntaxError as error:
        return Analysis(skipped=(Skipped(path, f"line {error.lineno or 1}: {error.msg}"),))
    except (ValueError, RecursionError, MemoryError) as error:
        return Analysis(skipped=(Skipped(path, f"cannot be parsed: {error or type(error).__name__}"),))
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for detector in willing:
        try:
            findings += detector.detect(code)
        except Exception as error:  # a detector's crash must not lose the others' findings
            log.exception("detector crashed", extra={"detector": detector.name, "path": path})
            skipped.append(Skipped(path, f"{detector.name} failed: {type(error).__name__}"))
    code.close()
    findings.sort(key=lambda each: (each.line, each.tier.rank, each.rule))
    return Analysis(tuple(findings), tuple(skipped))
