"""A language model is called with no time limit, or may answer without end

Without a limit of your own the SDK's default holds: ten minutes for OpenAI and Anthropic, none at all for others.
A stuck connection then blocks the worker, the queue behind it and the user in front of it. And without a token
limit one request may cost the model's whole output window. Set a time limit on the client, and a token limit on the
call.

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

from detectors import LLM_LIBRARIES, Code, LlmCall, Problem, Tier

TIER = Tier.RISK
WORDS = (LLM_LIBRARIES,)

_LONG_WAITS = {
    "langchain": frozenset(
        (
            *("ChatOpenAI", "AzureChatOpenAI", "OpenAI", "AzureOpenAI", "ChatAnthropic", "Anthropic", "ChatLiteLLM"),
            *("ChatOllama", "OllamaLLM", "Ollama", "ChatTogether", "ChatFireworks", "ChatDeepSeek", "ChatXAI"),
            *("ChatPerplexity", "ChatGroq", "ChatGoogleGenerativeAI", "ChatVertexAI", "VertexAI"),
        )
    ),
    "llama_index": frozenset(("Ollama", "OpenAILike", "OpenAI", "AzureOpenAI")),
}
"""Model objects that have a time limit of their own to set, and no or a useless one by default."""
_KEPT = frozenset(("ChatOpenAI", "AzureChatOpenAI", "ChatAnthropic", "ChatOllama", "OllamaLLM", "ChatLiteLLM",
                   "ChatTogether", "ChatDeepSeek", "ChatXAI", "ChatPerplexity", "ChatGroq"))  # fmt: skip
_DEFAULT = {"openai": "10 minutes", "anthropic": "10 minutes", "groq": "1 minute", "litellm": "100 minutes"}
_SHORT = {"Ollama": "30 seconds", "OpenAILike": "60 seconds", "OpenAI": "60 seconds", "AzureOpenAI": "60 seconds"}
_UNTIL_THE_END = frozenset(("openai", "mistralai", "groq", "together", "litellm", "google", "ollama"))
"""Libraries whose default is as many tokens as the model can write; Anthropic's requires a limit."""
_TOKEN_LIMITS = {"openai": "max_completion_tokens", "google": "", "ollama": ""}
_ASKS_FOR_LITTLE = (
    *("response_format", "text_format", "response_schema", "response_model", "tools", "functions", "logprobs"),
    *("stop", "text", "format", "prediction", "stream"),
)


def detect(code: Code) -> Iterator[Problem]:
    """Clients without a time limit whose calls have none either; calls that a request makes without a token limit."""
    if code.is_test:
        return
    calls = [each for each in code.llm_calls.all if each.is_remote]
    by_client: dict[ast.Call, list[LlmCall]] = {}
    for call in calls:
        if call.client is not None:
            by_client.setdefault(call.client, []).append(call)
    told: set[LlmCall] = set()
    for client, library in code.llm_calls.clients:
        used = by_client.get(client, [])
        if _waits_too_long(code, client, library, used):
            told.update(used)
            yield _untimed(code, client, library, used)
    bare = [each for each in calls if each.client is None]
    for call in bare:
        if not call.may_time_out and not _is_limited(code, call.node):
            told.update(bare)
            yield _untimed(code, call.node, call.library, [call])
            break
    yield from _endless(code, [each for each in calls if each not in told])


def _waits_too_long(code: Code, client: ast.Call, library: str, used: list[LlmCall]) -> bool:
    """Whether neither the client nor one of its calls has a time limit, where one can be set."""
    if library in ("vllm", "pipeline", "google", "bedrock", "sagemaker") or client.args[1:]:
        return False
    last = (code.origin(client) or "").rpartition(".")[2]
    if library in _LONG_WAITS and last not in _LONG_WAITS[library]:
        return False
    probe = LlmCall(client, library, None, "")
    if probe.may_time_out or any(each.may_time_out for each in used) or _is_limited(code, client):
        return False
    may_be_called = last in (_KEPT if library == "langchain" else _LONG_WAITS.get(library, ()))
    return bool(used) or (may_be_called and _is_kept(code, client))


def _untimed(code: Code, node: ast.Call, library: str, used: list[LlmCall]) -> Problem:
    last = code.name(node.func).rpartition(".")[2]
    default = _SHORT.get(last) if library == "llama_index" else _DEFAULT.get(library)
    lasts = f"the library waits {default}" if default else "the library's default decides how long it waits"
    end = ", too short for a slow local model and too long for a user" if library == "llama_index" else ""
    also = " Nor is there a limit on the tokens it may answer." if any(_is_endless(code, each) for each in used) else ""
    return code.problem(
        node,
        f"`{code.name(node.func)}` has no time limit of yours, and its calls set none: {lasts} before a stuck "
        f"request fails{end}.{also}",
        mend=[code.source.set_keyword(node, "request_timeout" if library == "llama_index" else "timeout", "30")],
        related=[(used[0].node, "a call of the model")] if used and used[0].node is not node else [],
        tier=Tier.ADVICE if library == "llama_index" or code.is_notebook else None,
    )


def _endless(code: Code, calls: list[LlmCall]) -> Iterator[Problem]:
    """Calls whose answer may have any length: each that a request makes, else the first of a file, as advice."""
    loose = [each for each in calls if _is_endless(code, each)]
    asked = [(each, code.endpoints.around(each.node)) for each in loose]
    for call, endpoint in asked:
        if endpoint is None or code.is_notebook:
            continue
        name = _token_limit(call)
        yield code.problem(
            call.node,
            f"Nothing limits the tokens that `{code.name(call.node.func)}` answers: one request of "
            f"`{endpoint.function.name}` may wait and pay for the model's whole output window.",
            mend=[code.source.set_keyword(call.node, name, "1024")] if name else [],
            related=[(endpoint.function, "the endpoint")],
        )
    if loose and all(endpoint is None for _, endpoint in asked):
        yield code.problem(
            loose[0].node,
            f"Nothing limits the tokens that `{code.name(loose[0].node.func)}` answers: a model that repeats itself "
            "writes until its output window is full.",
            mend=[code.source.set_keyword(loose[0].node, _token_limit(loose[0]), "1024")]
            if _token_limit(loose[0])
            else [],
            tier=Tier.ADVICE,
        )


def _is_endless(code: Code, call: LlmCall) -> bool:
    if call.library not in _UNTIL_THE_END or call.may_limit_tokens or call.may_set(*_ASKS_FOR_LITTLE):
        return False
    return not call.method.endswith(("parse", "ChatCompletion.create", "text_completion"))


def _token_limit(call: LlmCall) -> str:
    """What the argument is called that limits the answer; "" where it is part of another."""
    return "max_output_tokens" if call.method.startswith("responses") else _TOKEN_LIMITS.get(call.library, "max_tokens")


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


def _is_kept(code: Code, client: ast.Call) -> bool:
    """A model object that is kept or returned: its calls are elsewhere, and set no time limit of their own."""
    statement = code.tree.statement(client)
    return isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and statement.value is client
