"""A language model is called with no time limit

Without a limit of your own the SDK's default holds: ten minutes for OpenAI and Anthropic, none at all for others.
A stuck connection then blocks the worker, the queue behind it and the user in front of it. Set a time limit on the
client, and a token limit on the call.

❌
```python
from openai import OpenAI

client = OpenAI()  # ❌


def summarise(text):
    reply = client.chat.completions.create(
        model="gpt-4.1-2025-04-14", messages=[{"role": "user", "content": text}], max_tokens=400
    )
    return reply.choices[0].message.content
```

✅
```python
from openai import OpenAI

client = OpenAI(timeout=30, max_retries=2)


def summarise(text):
    reply = client.chat.completions.create(
        model="gpt-4.1-2025-04-14", messages=[{"role": "user", "content": text}], max_tokens=400
    )
    return reply.choices[0].message.content
```

https://github.com/openai/openai-python#timeouts
https://docs.anthropic.com/en/api/client-sdks
https://docs.litellm.ai/docs/completion/reliable_completions
"""

import ast
from collections.abc import Iterator

from detectors import Code, LlmCall, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "openai|anthropic|genai|mistralai|cohere|groq|together|litellm|ollama|InferenceClient|bedrock|langchain|llama_index",
)

_UNLIMITED = (
    *("ChatOpenAI", "AzureChatOpenAI", "ChatAnthropic", "ChatOllama", "OllamaLLM", "ChatLiteLLM", "ChatTogether"),
    *("ChatDeepSeek", "ChatXAI", "ChatPerplexity", "ChatGroq"),
)
_SHORT = {"Ollama": "30 seconds", "OpenAILike": "60 seconds", "OpenAI": "60 seconds", "AzureOpenAI": "60 seconds"}
_IN_PROCESS = ("LlamaCpp", "HuggingFacePipeline", "HuggingFaceLLM", "LlamaCPP", "MockLLM", "FakeListLLM", "CustomLLM")
_DEFAULT = {"openai": "10 minutes", "anthropic": "10 minutes", "groq": "1 minute", "litellm": "100 minutes"}


def detect(code: Code) -> Iterator[Problem]:
    """Clients without a time limit whose calls have none either; model objects without one; the first bare call."""
    if code.is_test:
        return
    calls = [each for each in code.llm_calls.all if each.is_remote]
    by_client: dict[ast.Call, list[LlmCall]] = {}
    for call in calls:
        if call.client is not None:
            by_client.setdefault(call.client, []).append(call)
    for client, library in code.llm_calls.clients:
        if library in ("vllm", "pipeline", "google", "bedrock") or _is_in_process(code, client):
            continue
        used = by_client.get(client, [])
        probe = LlmCall(client, library, None, "")
        if (
            probe.may_time_out
            or client.args[1:]
            or any(each.may_time_out for each in used)
            or _is_limited(code, client)
        ):
            continue
        if used or (_waits_long(code, client, library) and _is_kept(code, client)):
            yield _problem(code, client, library, used)
    for call in calls:
        if call.client is None and not call.may_time_out and not _is_limited(code, call.node):
            yield _problem(code, call.node, call.library, [call])
            return


def _problem(code: Code, node: ast.Call, library: str, used: list[LlmCall]) -> Problem:
    last = code.name(node.func).rpartition(".")[2]
    default = _SHORT.get(last) if library == "llama_index" else _DEFAULT.get(library)
    lasts = f"the library waits {default}" if default else "the library's default decides how long it waits"
    end = ", too short for a slow local model and too long for a user" if library == "llama_index" else ""
    return code.problem(
        node,
        f"`{code.name(node.func)}` has no time limit of yours, and its calls set none: {lasts} before a stuck "
        f"request fails{end}.",
        mend=[code.source.set_keyword(node, "request_timeout" if library == "llama_index" else "timeout", "30")],
        related=[(used[0].node, "a call of the model")] if used and used[0].node is not node else [],
        tier=Tier.ADVICE if library == "llama_index" or code.is_notebook else None,
    )


def _is_in_process(code: Code, client: ast.Call) -> bool:
    return (code.origin(client) or "").rpartition(".")[2] in _IN_PROCESS


def _is_limited(code: Code, node: ast.Call) -> bool:
    """Whether a time limit stands around it, or is set for the whole library in this file."""
    around = [ast.unparse(each.func) for each in code.tree.ancestors(node) if isinstance(each, ast.Call)]
    if any(each.endswith(("wait_for", "timeout", "with_options")) for each in around):
        return True
    return any(
        isinstance(target, ast.Attribute) and "timeout" in target.attr
        for assign in code.tree.all(ast.Assign)
        for target in assign.targets
    ) or any(word in code.text for word in ("asyncio.timeout", "async_timeout", "with_options(", "asyncio.wait_for"))


def _waits_long(code: Code, client: ast.Call, library: str) -> bool:
    """Whether a model object's own default is no limit, or one that cuts local models off."""
    last = (code.origin(client) or "").rpartition(".")[2]
    return last in (_UNLIMITED if library == "langchain" else _SHORT if library == "llama_index" else ())


def _is_kept(code: Code, client: ast.Call) -> bool:
    """A model object that is kept or returned: its calls are elsewhere, and set no time limit of their own."""
    statement = code.tree.statement(client)
    return isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and statement.value is client
