"""Fallbacks: which endpoints depend on a remote model with no time limit, and nothing that catches its failure."""

import ast
import re
from functools import cached_property

from detectors._engine.flow.unit import Unit
from detectors._engine.services.endpoints import Endpoint, Endpoints
from detectors._engine.services.llm_calls import LlmCall, LlmCalls
from detectors._engine.source.tree import Function

_HANDLERS = re.compile(
    r"exception_handler|errorhandler|add_exception_handler|ErrorMiddleware|@app\.middleware|add_middleware"
)
_RETRIES = re.compile(r"retry|backoff|tenacity|stamina|timeout|fallback|circuit|suppress", re.I)
_ROUTE = re.compile(r"\.(get|post|put|patch|delete|route|api_route|websocket|api|task)\b|^(get|post|api)\b")
_DEPTH = 3


class Fallbacks:
    """Answers for one file."""

    def __init__(self, text: str, unit: Unit, endpoints: Endpoints, llm_calls: LlmCalls) -> None:
        self._text, self._tree, self._values = text, unit.tree, unit.values
        self._endpoints, self._llm_calls = endpoints, llm_calls

    @cached_property
    def missing(self) -> list[tuple[LlmCall, Endpoint]]:
        """The first call of each endpoint that is remote, has no time limit, and may fail unseen, with its endpoint."""
        if not self._endpoints.all or _HANDLERS.search(self._text):
            return []
        found: dict[Function, tuple[LlmCall, Endpoint]] = {}
        for call in self._llm_calls.all:
            endpoint = self._endpoints.around(call.node)
            if endpoint is None or not call.is_remote or call.may_time_out or endpoint.function in found:
                continue
            if not call.may_set("fallbacks", "max_retries") and not self._is_caught(call.node, 0):
                found[endpoint.function] = call, endpoint
        return list(found.values())

    def _is_caught(self, node: ast.AST, depth: int) -> bool:
        """Whether a `try`, a retrying decorator or a time limit stands around it, here or around every caller."""
        function = self._tree.function(node)
        for above in self._tree.ancestors(node):
            if _catches(above, node):
                return True
            if above is function:
                break
        if function is None:
            return False
        if any(_RETRIES.search(ast.unparse(each)) for each in function.decorator_list):
            return True
        if function in (each.function for each in self._endpoints.all) or depth > _DEPTH:
            return any(not _ROUTE.search(ast.unparse(each)) for each in function.decorator_list)
        sites = self._values.calls.sites(function)
        return not sites or all(self._is_caught(each, depth + 1) for each in sites)


def _catches(above: ast.AST, node: ast.AST) -> bool:
    if isinstance(above, ast.Try):
        return bool(above.handlers) and not any(node is each for each in above.handlers)
    if isinstance(above, (ast.With, ast.AsyncWith)):
        return bool(_RETRIES.search(" ".join(map(ast.unparse, above.items))))
    if isinstance(above, ast.Call):
        func = ast.unparse(above.func)
        return func.endswith("wait_for") or bool(_RETRIES.search(func.replace(".", "_")))
    return False
