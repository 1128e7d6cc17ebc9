"""The index is built again for every request

Embedding the documents is the slow and paid part of retrieval. In a handler, each question pays for all of it before
it is answered. Build the index once, keep it on disk, and load it when the process starts.

❌
```python
from fastapi import FastAPI
from langchain_community.document_loaders import DirectoryLoader
from langchain_community.vectorstores import FAISS
from langchain_openai import OpenAIEmbeddings

app = FastAPI()


@app.get("/ask")
def ask(question: str):
    documents = DirectoryLoader("docs").load()
    store = FAISS.from_documents(documents, OpenAIEmbeddings())  # ❌
    return store.similarity_search(question, k=5)
```

✅
```python
from fastapi import FastAPI
from langchain_community.document_loaders import DirectoryLoader
from langchain_community.vectorstores import FAISS
from langchain_openai import OpenAIEmbeddings

app = FastAPI()
store = FAISS.from_documents(DirectoryLoader("docs").load(), OpenAIEmbeddings())


@app.get("/ask")
def ask(question: str):
    return store.similarity_search(question, k=5)
```

https://python.langchain.com/docs/concepts/vectorstores/
https://docs.llamaindex.ai/en/stable/understanding/storing/storing/
"""

import ast
import re
from collections.abc import Iterator

from detectors import FUNCTIONS, SERVERS, Bound, Code, Endpoint, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("from_documents|from_texts|SentenceTransformer", SERVERS)

_BUILDS = re.compile(
    r"(langchain\w*\.(\w+\.)*[A-Z]\w*\.from_(documents|texts)|llama_index\.(\w+\.)*\w+Index\.from_documents)$"
)
_IS_INDEXING = re.compile(
    r"upload|ingest|index|build|refresh|reload|rebuild|update|sync|train|process|create|add|load|init|startup|lifespan"
    r"|embed|store|import|scrape|crawl|setup|prepare|parse|file|pdf|doc|url|session|tmp|temp",
    re.I,
)
_GROWS = frozenset(["append", "extend", "add", "insert", "update"])


def detect(code: Code) -> Iterator[Problem]:
    """Indexes built in a request that asks, from documents that no request brought."""
    if code.is_test or not code.endpoints.all:
        return
    for call in code.tree.all(ast.Call):
        if not isinstance(call.func, ast.Attribute) or not _builds(code, call):
            continue
        endpoint = code.endpoints.around(call)
        documents = call.args[0] if call.args else code.argument(call, "documents")
        if endpoint is None or documents is None or code.endpoints.is_guarded(call):
            continue
        if _IS_INDEXING.search(endpoint.function.name) or not _is_fixed(code, documents, endpoint):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.func)}` embeds `{code.name(documents)}` again for every request that "
            f"`{endpoint.function.name}` answers, though no request changes them.",
            related=[(endpoint.function, "runs for each request")],
        )


def _builds(code: Code, call: ast.Call) -> bool:
    """Whether it embeds documents: an index is made of them, or a sentence model encodes a list of the module's."""
    if _BUILDS.match(code.origin(call) or ""):
        return True
    if last_name(call.func) != "encode" or not call.args or not isinstance(call.args[0], ast.Name):
        return False
    is_model = code.values.only(call.func.value).origin == "sentence_transformers.SentenceTransformer"  # type: ignore[attr-defined]
    return is_model and isinstance(code.values.only(call.args[0]).node, ast.List)


def _is_fixed(code: Code, node: ast.expr, endpoint: Endpoint, depth: int = 0) -> bool:
    """Whether an expression is made of nothing but literals, the module's names and functions of libraries."""
    if depth > 6:
        return False
    inner = {name.id for each in ast.walk(node) if isinstance(each, ast.comprehension) for name in ast.walk(each.target)
             if isinstance(name, ast.Name)}  # fmt: skip
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and last_name(each.value) in ("self", "cls", "request", "session_state"):
            return False
        is_read = isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id not in inner
        if is_read and isinstance(each, ast.Name) and not _is_fixed_name(code, each, endpoint, depth):
            return False
    return True


def _is_fixed_name(code: Code, name: ast.Name, endpoint: Endpoint, depth: int) -> bool:
    bindings = code.names.reaching(name)
    for binding in bindings:
        if binding.how in (Bound.IMPORT, Bound.CLASS, Bound.FUNCTION):
            continue
        if isinstance(binding.scope, ast.Module):
            continue
        if binding.how is Bound.PARAMETER:
            function = binding.scope if isinstance(binding.scope, FUNCTIONS) else None
            given = list(code.values.calls.given_for(function, name.id)) if function is not None else []
            is_own = binding.scope is endpoint.function
            if is_own or not given or not all(g is not None and _is_fixed(code, g, endpoint, depth + 1) for g in given):
                return False
        elif (
            binding.value is None
            or _grows(code, binding.scope, name.id)
            or not _is_fixed(code, binding.value, endpoint, depth + 1)
        ):
            return False
    return bool(bindings) or code.origin(name) is not None


def _grows(code: Code, scope: ast.AST, name: str) -> bool:
    """Whether something is put into the object later, from wherever."""
    return any(
        isinstance(each.func, ast.Attribute) and last_name(each.func.value) == name and code.tree.scope(each) is scope
        for each in code.method_calls(*_GROWS)
    )
