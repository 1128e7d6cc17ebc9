"""A finding's message and code as Markdown, as both comments and the command line show them."""

from app.review.bullets import shortened
from app.review.markdown import fence, prose
from detectors import Finding, all_detectors

_LONGEST_MESSAGE = 2_000
_LONGEST_EXCERPT = 4_000
_LONGEST_LINE = 400


def sentence(message: str, *, has_code: bool) -> str:
    """The message as Markdown; one sentence ahead of code ends in a colon."""
    message = shortened(message.strip(), _LONGEST_MESSAGE)
    if has_code and ". " not in message:
        message = message.rstrip(".:") + ":"
    return prose(message)


def mended(finding: Finding) -> tuple[str, str]:
    """What to say above the right code, and the code: the author's lines mended, else the rule's own example.

    Both are empty where there is nothing to show that the wrong code does not show too.
    """
    if finding.good.strip() in ("", finding.bad.strip()):
        return "", ""
    page = next((each.page for each in all_detectors() if each.name == finding.rule), None)
    is_example = page is not None and finding.good.strip() == page.good.strip()
    return ("As in this example:" if is_example else "Mended:"), finding.good


def excerpt(code: str) -> str:
    """Code as a fenced block; empty where there is none. Cut at a line, long lines shortened."""
    kept = []
    room = _LONGEST_EXCERPT
    for line in code.replace("\r", "").strip("\n").split("\n"):
        room -= min(len(line), _LONGEST_LINE) + 1
        if room < 0:
            kept.append("...")
            break
        kept.append(shortened(line, _LONGEST_LINE))
    return fence("\n".join(kept), "python") if code.strip() else ""
