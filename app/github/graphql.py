"""What an answer of GitHub's GraphQL means: data, a part of it, or an error

The status is 200 whatever happens; each field that could not be had is null, and an error names it by its `path`.
https://docs.github.com/graphql/guides/using-graphql-clients-to-make-calls
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.github.weather import Answer, Refused, Unwell

LIMITED = "RATE_LIMITED"
#: Errors by which GitHub says no, and would say it again; what has no type, or another one, may go well next time.
_REFUSALS = {"NOT_FOUND": 404, "FORBIDDEN": 403, "INSUFFICIENT_SCOPES": 403}


class Data(dict[str, Any]):
    """What a query gave. `refused` says of fields at its top why GitHub does not let us have them."""

    refused: Mapping[str, str]


def is_limited(answer: Answer) -> bool:
    """Whether a limit was met, which is an error among others here."""
    return LIMITED in answer.text and LIMITED in _kinds(_parts(answer)[1])


def data_of_query(answer: Answer) -> Data:
    """The data, in which only what GitHub says no to is null: to take what it failed to give for nothing would be to
    forget what we said, or how we are configured.

    Raises:
        Unwell: GitHub failed at a part of it.
        Refused: 404 or 403 where nothing is left.
    """
    found, errors = _parts(answer)
    data = Data(found)
    trouble = [each for each in errors if _kind(each) not in _REFUSALS]
    if trouble:
        raise _error(trouble)
    if errors and not _has_content(data):
        raise _error(errors)
    data.refused = {
        str(each["path"][0]): _said([each]) for each in errors if _kind(each) != "NOT_FOUND" and each.get("path")
    }
    return data


def data_of_mutation(answer: Answer) -> dict[str, Any]:
    """The data; errors of single fields leave the others done.

    Raises:
        Unwell, Refused: nothing was done.
    """
    data, errors = _parts(answer)
    if errors and not _has_content(data):
        raise _error(errors)
    return data


def _parts(answer: Answer) -> tuple[dict[str, Any], Sequence[Mapping[str, Any]]]:
    body = answer.json() or {}
    return body.get("data") or {}, body.get("errors") or []


def _kind(error: Mapping[str, Any]) -> str:
    """GitHub's `type`; for a document that is not to its liking, the code of that."""
    return str(error.get("type") or (error.get("extensions") or {}).get("code") or "")


def _kinds(errors: Iterable[Mapping[str, Any]]) -> set[str]:
    return {_kind(each) for each in errors}


def _error(errors: Sequence[Mapping[str, Any]]) -> Exception:
    kinds = _kinds(errors)
    if kinds <= {"", "INTERNAL", "SERVICE_UNAVAILABLE", "RESOURCE_LIMITS_EXCEEDED", "LOADING", "TIMEOUT"}:
        return Unwell(f"GitHub's GraphQL answered: {_said(errors)}")
    status = next((status for kind, status in _REFUSALS.items() if kind in kinds), 422)
    return Refused(status, _said(errors))


def _said(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(str(each.get("message"))[:300] for each in errors[:3])


def _has_content(data: Any) -> bool:
    """Whether anything but nulls came: `{"repository": {"pullRequest": null}}` is nothing."""
    if isinstance(data, dict):
        return any(_has_content(each) for each in data.values())
    return data is not None
