"""Pages of a GraphQL connection

https://docs.github.com/graphql/guides/using-pagination-in-the-graphql-api
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLError

from tests.simulator.model import Json

#: "Values of first and last must be within 1-100"
MOST = 100


def failure(kind: str, message: str) -> GraphQLError:
    """An error with GitHub's `type`: NOT_FOUND, FORBIDDEN, …"""
    return GraphQLError(message, extensions={"type": kind})


def connection(name: str, items: Sequence[Any], show: Callable[[Any], Any], arguments: Json) -> Json:
    """One page of a list."""
    start, end = _bounds(name, len(items), arguments)
    part = items[start:end]
    edges = [{"cursor": _cursor(start + nth), "node": show(each)} for nth, each in enumerate(part)]
    page = {
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
        "hasPreviousPage": start > 0,
        "hasNextPage": end < len(items),
    }
    nodes = [edge["node"] for edge in edges]
    return {"nodes": nodes, "edges": edges, "pageInfo": page, "totalCount": len(items)}


def _bounds(name: str, count: int, arguments: Json) -> tuple[int, int]:
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise failure(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
        )
    for word, value in (("first", first), ("last", last)):
        if value is not None and not 0 <= value <= MOST:
            raise failure(
                "EXCESSIVE_PAGINATION",
                f"Requesting {value} records on the `{name}` connection exceeds the `{word}` limit of {MOST} records.",
            )
    start = 0 if arguments.get("after") is None else _index(arguments["after"]) + 1
    end = count if arguments.get("before") is None else _index(arguments["before"])
    if first is not None:
        return start, min(start + first, end)
    return max(end - (last or 0), start), end


def _cursor(index: int) -> str:
    return base64.b64encode(f"cursor:v2:{index}".encode()).decode()


def _index(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().rpartition(":")[2])
    except ValueError as error:
        raise failure("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.") from error
