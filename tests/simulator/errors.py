"""The answers with which GitHub refuses

https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from typing import Any

_DOCS = "https://docs.github.com/rest"


class Refusal(Exception):
    """An error answer: its status, its message, and what is wrong with which field."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[Any] | None = None,
        documentation: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = errors
        self.documentation = _DOCS + documentation
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        answer: dict[str, Any] = {"message": self.message}
        if self.errors is not None:
            answer["errors"] = self.errors
        return {**answer, "documentation_url": self.documentation, "status": str(self.status)}


def not_found() -> Refusal:
    """404, also for what the caller may not know to exist."""
    return Refusal(404, "Not Found")


def forbidden() -> Refusal:
    """403 for a permission the installation was not granted."""
    return Refusal(403, "Resource not accessible by integration")


def invalid(resource: str, field: str, code: str, message: str | None = None) -> Refusal:
    """422 as most routes write it: one object for the field."""
    error = {"resource": resource, "field": field, "code": code}
    return Refusal(422, "Validation Failed", errors=[{**error, "message": message} if message else error])


def unprocessable(*errors: str) -> Refusal:
    """422 as the routes of reviews write it: sentences."""
    return Refusal(
        422,
        "Unprocessable Entity",
        errors=list(errors),
        documentation="/pulls/reviews#create-a-review-for-a-pull-request",
    )
