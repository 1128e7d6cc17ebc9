"""LLM calls: clients and calls of the providers' libraries, with what was set for the client and for the call.

openai, anthropic, google-genai, mistralai, cohere, groq, together, litellm, ollama, bedrock, langchain, llama_index,
transformers pipelines and `generate`, vLLM. A setting given through `**kwargs` or by a client of unknown make is
unknown, never absent.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.services.time_limits import call_limit, default_outcome
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values

LLM_LIBRARIES = (
    "openai|anthropic|genai|generativeai|generative_models|mistralai|from cohere|import cohere|from groq|import groq"
    "|from together|import together|litellm|ollama|InferenceClient|bedrock|langchain|llama_index|vllm"
)
"""Words without one of which a file calls no language model through a client."""
_CLIENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (library, re.compile(f"(?:{pattern})$"))
    for library, pattern in (
        ("openai",
            r"openai\.(Async)?(Azure)?OpenAI|openai\.Client|openai\.AsyncClient"
            r"|langfuse\.openai\.(Async)?(Azure)?OpenAI"),
        ("anthropic", r"anthropic\.(Async)?(Anthropic|Client|AnthropicBedrock|AnthropicVertex)"),
        ("google",
            r"google\.genai\.Client|google\.generativeai\.GenerativeModel"
            r"|vertexai\.(preview\.)?generative_models\.GenerativeModel"),
        ("mistralai", r"mistralai\.(Mistral|client\.MistralClient)|mistralai\.client\.Mistral"),
        ("cohere", r"cohere\.(Async)?Client(V2)?"),
        ("groq", r"groq\.(Async)?Groq"),
        ("together", r"together\.(Async)?Together"),
        ("ollama", r"ollama\.(Async)?Client"),
        ("huggingface_hub", r"huggingface_hub\.(Async)?InferenceClient"),
        ("bedrock", r"boto3\.client"),
        ("vllm", r"vllm\.(LLM|AsyncLLMEngine(\.from_engine_args)?|LLMEngine(\.from_engine_args)?)"),
        ("langchain",
            r"langchain(_\w+)?\.(\w+\.)*(Chat(?!Prompt|Message|Generation|Result|Session)[A-Z]\w*|init_chat_model|[A-Z]\w*LLM|Ollama|OpenAI"
            r"|AzureOpenAI|Anthropic|HuggingFacePipeline|HuggingFaceEndpoint|Bedrock|VertexAI|LlamaCpp"
            r"|Replicate|Together)"),
        ("llama_index", r"llama_index\.llms\.(?!types|base)(\w+\.)*(?!Chat|Message|Completion|LLM)[A-Z]\w*"),
        ("pipeline", r"transformers\.pipeline|transformers\.pipelines\.pipeline"),
    )
)  # fmt: skip
_OPENAI_CHAT = r"chat\.completions\.(with_raw_response\.)?(create|parse|stream)"
_METHODS = {
    "openai": rf"(beta\.)?{_OPENAI_CHAT}|completions\.create|responses\.(create|parse|stream)",
    "anthropic": r"(beta\.)?messages\.(create|stream)|completions\.create",
    "google": r"(aio\.)?models\.generate_content(_stream)?|generate_content(_async)?",
    "mistralai": r"chat(\.complete|\.complete_async|\.stream|\.parse)?",
    "cohere": r"(v2\.)?chat(_stream)?|generate",
    "groq": _OPENAI_CHAT,
    "together": rf"{_OPENAI_CHAT}|completions\.create",
    "ollama": r"chat|generate",
    "huggingface_hub": rf"chat_completion|text_generation|{_OPENAI_CHAT}",
    "bedrock": r"invoke_model(_with_response_stream)?|converse(_stream)?",
    "sagemaker": r"invoke_endpoint(_with_response_stream)?",
    "vllm": r"generate|chat",
    "langchain": r"a?invoke|a?run|a?predict|a?stream|a?generate|a?batch|",
    "llama_index": r"a?complete|a?chat|stream_complete|stream_chat|a?predict",
    "pipeline": r"",
}
_FUNCTIONS = re.compile(
    r"(litellm\.(a?completion|a?text_completion|a?responses)|openai\.(ChatCompletion|Completion)\.a?create"
    r"|openai\.chat\.completions\.create|openai\.completions\.create|openai\.responses\.create"
    r"|ollama\.(chat|generate))$"
)
_WRAPPERS = re.compile(r"instructor\.(from_(openai|anthropic|groq|mistral)|a?patch)$|langsmith\.wrappers\.wrap_\w+$")
_CHAINS = re.compile(
    r"langchain(_\w+)?\.(\w+\.)*(LLMChain|ConversationChain|RetrievalQA\.from_(chain_type|llm)"
    r"|Conversational\w*Chain\.from_llm)$"
)
"""Objects of langchain that hold a model object and hand on what it answers."""
_PACKAGES = frozenset(
    (
        *("openai", "anthropic", "google", "vertexai", "mistralai", "cohere", "groq", "together", "ollama"),
        *("huggingface_hub", "boto3", "vllm", "litellm", "langfuse", "transformers", "llama_index", "langchain"),
        *("langchain_openai", "langchain_anthropic", "langchain_community", "langchain_core"),
        *("langchain_google_genai", "langchain_google_vertexai", "langchain_mistralai", "langchain_cohere"),
        *("langchain_groq", "langchain_ollama", "langchain_aws", "langchain_huggingface", "langchain_together"),
        *("langchain_fireworks", "langchain_deepseek", "langchain_nvidia_ai_endpoints"),
    )
)
_LOCAL = frozenset(["vllm", "pipeline", "generate"])
_OPENAI_LIKE = ("timeout", "request_timeout", "http_client")
_TIMEOUTS = {
    "openai": _OPENAI_LIKE,
    "anthropic": _OPENAI_LIKE,
    "groq": _OPENAI_LIKE,
    "together": _OPENAI_LIKE,
    "google": ("http_options", "request_options", "timeout"),
    "mistralai": ("timeout_ms", "timeout", "client", "async_client"),
    "cohere": ("timeout", "httpx_client", "request_options"),
    "bedrock": ("config",),
    "sagemaker": ("config",),
    "litellm": ("timeout", "request_timeout", "force_timeout"),
    "langchain": (
        *("timeout", "request_timeout", "default_request_timeout", "config", "client_kwargs", "model_kwargs"),
        *("client", "async_client", "http_client", "http_async_client"),
    ),
    "llama_index": ("timeout", "request_timeout", "http_client", "client"),
}
_LIMITS = (
    *(
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_new_tokens",
        "max_length",
        "max_tokens_to_sample",
    ),
    *("sampling_params", "generation_config", "config", "inferenceConfig", "options", "num_predict", "n_predict"),
    *("body", "extra_body", "model_kwargs", "pipeline_kwargs", "additional_kwargs"),
)


@dataclass(frozen=True, slots=True, eq=False)
class LlmCall:
    """One call of a model: the library, the client that is in sight, and the method's dotted name."""

    node: ast.Call
    library: str
    client: ast.Call | None
    method: str

    @property
    def is_remote(self) -> bool:
        """Whether it goes over the network to a service."""
        return self.library not in _LOCAL

    def setting(self, *names: str) -> ast.expr | None:
        """What the call, else the client, is given for the first of these arguments that is set."""
        for call in (self.node, self.client):
            for keyword in call.keywords if call is not None else ():
                if keyword.arg in names:
                    return keyword.value
        return None

    def may_set(self, *names: str) -> bool:
        """Whether one of them is set for the call or the client, or may be."""
        unknown = any(
            keyword.arg is None for call in (self.node, self.client) if call is not None for keyword in call.keywords
        )
        return unknown or self.setting(*names) is not None

    @property
    def may_time_out(self) -> bool:
        """Whether a time limit is set for the call or the client, or may be."""
        if self.library == "google" and _may_hold(self.setting("config"), "http_options"):
            return True
        return self.may_set(*_TIMEOUTS.get(self.library, ("timeout", "request_timeout")))

    @property
    def outcome(self) -> str:
        """What becomes of a stuck request where nothing is set, as a sentence without its stop."""
        return default_outcome(self.library, self.method, sets_retries=self.may_set("max_retries"))

    @property
    def time_limit(self) -> tuple[str, str] | None:
        """The argument of the call that limits its time, with a value; None where only the client has one."""
        return call_limit(self.library, self.method)

    @property
    def may_limit_tokens(self) -> bool:
        """Whether the length of the answer is limited, or may be."""
        return self.may_set(*_LIMITS)


_HANDING_ON = frozenset([Bound.ASSIGNMENT, Bound.PART, Bound.ITEM, Bound.CONTEXT])


class LlmCalls:
    """The LLM calls of one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values

    @cached_property
    def all(self) -> list[LlmCall]:
        """Every call of a model whose client is in sight, in source order."""
        if not _PACKAGES & {each.partition(".")[0] for each in self._imported()}:
            return []
        found = [self._of(call) for call in self._tree.all(ast.Call)]
        return [each for each in found if each is not None]

    def _imported(self) -> Iterator[str]:
        for each in self._tree.all(ast.Import):
            yield from (alias.name for alias in each.names)
        for imported in self._tree.all(ast.ImportFrom):
            yield imported.module or ""

    @cached_property
    def clients(self) -> list[tuple[ast.Call, str]]:
        """Every client that is made, with its library."""
        found = []
        for call in self._tree.all(ast.Call):
            library = self.library_of(self._names.origin(call.func) or "", call)
            if library:
                found.append((call, library))
        return found

    @cached_property
    def by_node(self) -> dict[ast.Call, LlmCall]:
        """The calls by their node."""
        return {each.node: each for each in self.all}

    def library_of(self, origin: str, call: ast.Call | None = None) -> str:
        """The library whose client a constructor of this origin makes, "" where it makes none."""
        for library, pattern in _CLIENTS:
            if pattern.match(origin):
                return _boto(call) if library == "bedrock" else library
        return ""

    def _of(self, call: ast.Call) -> LlmCall | None:
        origin = self._names.origin(call.func)
        if origin is not None:
            if _FUNCTIONS.match(origin):
                library = origin.partition(".")[0]
                return LlmCall(call, library, None, origin.partition(".")[2])
            if not origin.startswith("<"):
                return None
        for base, method in _chain(call.func):
            for value in (*self._values.of(base), *self._piped(base)):
                library, client = self._client(value)
                if library and re.fullmatch(_METHODS[library], method):
                    return LlmCall(call, library, client, method)
        return None

    def _piped(self, base: ast.expr) -> list[Value]:
        """The links of `prompt | model | StrOutputParser()`; none where what comes out is no longer text."""
        made: ast.expr | None = base
        if isinstance(base, ast.Name):
            bindings = self._names.reaching(base)
            made = bindings[0].value if len(bindings) == 1 else None
        elif isinstance(base, ast.Attribute):
            owner = self._values.class_held_by(base.value)
            held = self._values.classes.attribute_bindings(owner, base.attr) if owner is not None else ()
            made = held[0].value if len(held) == 1 else None
        links: list[ast.expr] = []
        while isinstance(made, ast.BinOp) and isinstance(made.op, ast.BitOr):
            links.append(made.right)
            made = made.left
        found = [value for each in links for value in self._values.of(each)]
        is_text = all(each.origin and ("Parser" not in each.origin or "StrOutput" in each.origin) for each in found)
        return [each for each in found if (each.origin or "").startswith("langchain")] if is_text else []

    def _client(self, value: Value) -> tuple[str, ast.Call | None]:
        """The library of a client, and what makes it: of one that is wrapped, what makes the one inside."""
        if value.origin is None or value.index:
            return "", None
        if value.call is not None and value.call.args and _WRAPPERS.match(value.origin):
            value = self._values.only(value.call.args[0])
        if value.call is not None and _CHAINS.match(value.origin or ""):
            given = [each.value for each in value.call.keywords if each.arg == "llm"] or value.call.args[:1]
            value = self._values.only(given[0]) if given else value
        return self.library_of(value.origin or "", value.call), value.call

    # -- outputs ----------------------------------------------------------------------------------------------

    def output_in(self, node: ast.AST, depth: int = 0) -> LlmCall | None:
        """The LLM call whose answer the expression is or is made of, through names and this file's functions."""
        if depth > 6:
            return None
        for each in ast.walk(node):
            if isinstance(each, ast.Call) and each in self.by_node:
                return self.by_node[each]
            answers = (self.output_in(source, depth + 1) for source in self._sources(each))
            found = next((answer for answer in answers if answer is not None), None)
            if found is not None:
                return found
        return None

    def _sources(self, node: ast.AST) -> Iterator[ast.expr]:
        """What a function of this file returns to the call, or what the name was bound to."""
        if isinstance(node, ast.Call):
            target = self._values.calls.callee(node)
            returns = self._values.calls.returns(target) if isinstance(target, FUNCTIONS) else ()
            yield from (each.value for each in returns if each.value is not None)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for binding in self._names.reaching(node):
                if binding.value is not None and binding.how in _HANDING_ON:
                    yield binding.value


def _may_hold(given: ast.expr | None, name: str) -> bool:
    """Whether a setting that is a dict or an object may have this part."""
    match given:
        case None:
            return False
        case ast.Dict(keys=keys):
            return any(not isinstance(each, ast.Constant) or each.value == name for each in keys)
        case ast.Call(keywords=keywords):
            return any(each.arg in (None, name) for each in keywords)
    return True


def _boto(call: ast.Call | None) -> str:
    """The service of AWS that the client is for, where it serves models."""
    text = ast.unparse(call) if call is not None else ""
    return "bedrock" if "bedrock-runtime" in text else "sagemaker" if "sagemaker-runtime" in text else ""


def _chain(func: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """Every way to read `a.b.c` as an object and the dotted method called on it, the shortest object last."""
    parts: list[str] = []
    yield func, ""
    while isinstance(func, ast.Attribute):
        parts.append(func.attr)
        func = func.value
        yield func, ".".join(reversed(parts))
