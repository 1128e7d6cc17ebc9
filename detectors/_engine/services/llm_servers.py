"""Servers of language models: whether the model that a client asks is served by the machine that asks."""

import ast
import re

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.services.llm_calls import LlmCall
from detectors._engine.values.values import Values

_ADDRESSES = ("base_url", "api_base", "host", "openai_api_base", "azure_endpoint")
_NEAR = re.compile(
    r"localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|ollama|local_?(url|host|llm|server)|lm_?studio|host\.docker\.internal",
    re.I,
)


class LlmServers:
    """Answers for one file."""

    def __init__(self, names: Names, values: Values) -> None:
        self._names, self._values = names, values

    def asks_near(self, call: LlmCall) -> bool:
        """Whether the call is for a model on this machine: a slow answer is its own, and it fails with it."""
        return self.is_near(call.client or call.node, call.library)

    def is_near(self, client: ast.Call, library: str) -> bool:
        """Whether a client's address is this machine's, by what it says, is called, or is by default."""
        addresses = [each.value for each in client.keywords if each.arg in _ADDRESSES]
        if library == "ollama" or (library == "langchain" and "Ollama" in last_name(client.func)):
            return not any(map(self._is_far, addresses))
        return any(_NEAR.search(f"{ast.unparse(each)} {self._bound_to(each)}") for each in addresses)

    def _is_far(self, address: ast.expr) -> bool:
        text = self._values.only(address).constant
        return isinstance(text, str) and not _NEAR.search(text)

    def _bound_to(self, address: ast.expr) -> str:
        """`os.getenv("URL", "http://localhost:1234/v1")` for the name that holds it."""
        bindings = self._names.reaching(address) if isinstance(address, ast.Name) else ()
        return " ".join(ast.unparse(each.value) for each in bindings if each.value is not None)
