"""Time limits: how long a client of a model waits where nobody tells it, and which argument does.

Read in the sources of openai 3.54, anthropic 2.12, litellm 1.109, google-genai, mistralai 3.7, cohere 7.3, ollama 0.6,
huggingface_hub and of the langchain packages that hand their own `None` on to them, which is no limit.
"""

import re

_NEVER = "a stuck request never fails"
_TRIED_AGAIN = ", and is then tried twice more"
_TEN_MINUTES = f"a stuck request fails after 10 minutes{_TRIED_AGAIN}"
_OUTCOMES = {
    "openai": _TEN_MINUTES,
    "anthropic": _TEN_MINUTES,
    "litellm": "a stuck request fails after 10 minutes",
    "mistralai": "a stuck request fails after 5 minutes",
    "cohere": "a stuck request fails after 5 minutes",
    "groq": "a stuck request fails after a minute",
    "together": "a stuck request fails after a minute",
    "google": _NEVER,
    "ollama": _NEVER,
    "huggingface_hub": _NEVER,
    "langchain": _NEVER,
}
_SHORT = {"Ollama": "30 seconds", "OpenAILike": "60 seconds", "OpenAI": "60 seconds", "AzureOpenAI": "60 seconds"}
_SET_ON_CLIENT = {
    "mistralai": ("timeout_ms", "30_000"),
    "google": ("http_options", '{"timeout": 30_000}'),
    "llama_index": ("request_timeout", "30"),
}
_SET_ON_CALL = {
    "openai": ("timeout", "30"),
    "anthropic": ("timeout", "30"),
    "groq": ("timeout", "30"),
    "together": ("timeout", "30"),
    "litellm": ("timeout", "30"),
    "mistralai": ("timeout_ms", "30_000"),
    "cohere": ("request_options", '{"timeout_in_seconds": 30}'),
}
_BEFORE_ONE = re.compile(r"(Chat)?Completion\.a?create$")
_LONG = re.compile(
    r"google\.genai\.Client$"
    r"|langchain(_\w+)?\.(\w+\.)*(ChatOpenAI|AzureChatOpenAI|OpenAI|AzureOpenAI|ChatAnthropic|Anthropic|ChatLiteLLM"
    r"|ChatOllama|OllamaLLM|Ollama|ChatDeepSeek|ChatXAI|ChatGroq|ChatGoogleGenerativeAI)$"
    r"|llama_index\.llms\.(\w+\.)*(Ollama|OpenAILike|OpenAI|AzureOpenAI)$"
    r"|(openai|anthropic|langfuse|mistralai|cohere|ollama|huggingface_hub)\."
)


def waits_long(origin: str) -> bool:
    """Whether a client of this origin has a time limit to set and no default of a minute or two."""
    return bool(_LONG.match(origin))


def default_outcome(library: str, name: str, *, sets_retries: bool) -> str:
    """What becomes of a stuck request where nothing is said; `name` is that of the class or function."""
    if library == "llama_index" and name in _SHORT:
        return f"a stuck request fails after {_SHORT[name]}"
    if _BEFORE_ONE.search(name):
        return "a stuck request fails after 10 minutes"
    outcome = _OUTCOMES.get(library, "the library decides when a stuck request fails")
    return outcome.removesuffix(_TRIED_AGAIN) if sets_retries else outcome


def client_limit(library: str, name: str) -> tuple[str, str]:
    """The argument of a client, and a value for it."""
    if library == "langchain" and "Ollama" in name:
        return "client_kwargs", '{"timeout": 30}'
    return _SET_ON_CLIENT.get(library, ("timeout", "30"))


def call_limit(library: str, method: str) -> tuple[str, str] | None:
    """The argument of a call, and a value for it; None where only the client has one."""
    return ("request_timeout", "30") if _BEFORE_ONE.search(method) else _SET_ON_CALL.get(library)
