"""Reports as text: each format is a module with a `render`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.formats import markdown, sarif, structured, text, workflow
from app.review.find import FileReport
from app.review.options import Options


class Format(StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command found; `colour` is for text on a terminal."""

    reports: Sequence[FileReport]
    options: Options
    colour: bool = False


def rendered(outcome: Outcome, format: Format) -> str:
    """The outcome in a format, ending in a newline unless it is empty."""
    match format:
        case Format.JSON:
            return structured.render(outcome.reports)
        case Format.SARIF:
            from app.version import version

            return sarif.render(outcome.reports, outcome.options, version())
        case Format.GITHUB:
            return workflow.render(outcome.reports)
        case Format.MARKDOWN:
            return markdown.render(outcome.reports, outcome.options)
        case Format.TEXT:
            return text.render(outcome.reports, colour=outcome.colour)
