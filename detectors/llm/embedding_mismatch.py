"""Index and query are embedded by different models

Vectors of two models have nothing to do with each other: the nearest neighbours of a query are noise, and where the
lengths agree nothing fails. Embed the query with the model that embedded the documents.

❌
```python
from langchain_chroma import Chroma
from langchain_openai import OpenAIEmbeddings

small = OpenAIEmbeddings(model="text-embedding-3-small")
old = OpenAIEmbeddings(model="text-embedding-ada-002")
Chroma.from_documents(documents, small, persist_directory="store")
store = Chroma(persist_directory="store", embedding_function=old)  # ❌
```

✅
```python
from langchain_chroma import Chroma
from langchain_openai import OpenAIEmbeddings

small = OpenAIEmbeddings(model="text-embedding-3-small")
Chroma.from_documents(documents, small, persist_directory="store")
store = Chroma(persist_directory="store", embedding_function=small)
```

https://www.sbert.net/examples/sentence_transformer/applications/semantic-search/README.html
https://platform.openai.com/docs/guides/embeddings
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = (
    "Embedding|SentenceTransformer|encode|embed_|embeddings.create",
    "load_local|persist_directory|similarity_search|search|cos_sim|dot_score",
)

_MODELS = re.compile(r"(\w+\.)*(SentenceTransformer|\w*Embeddings?)$")
_STORES = re.compile(r"langchain\w*\.(\w+\.)*(FAISS|Chroma|DeepLake|LanceDB|Annoy)(\.\w+)?$")
_WRITES = ("from_documents", "from_texts", "afrom_documents", "afrom_texts")
_TWO_TOWERS = re.compile(r"question|query|ctx|context|passage|\bdoc|-doc|document|dpr|clip", re.I)
_NAMES = ("model", "model_name", "model_name_or_path", "model_id", "deployment", "azure_deployment")
_DEFAULTS = {"OpenAIEmbeddings": "text-embedding-ada-002", "HuggingFaceEmbeddings": "all-mpnet-base-v2"}
"""The models of langchain's classes where none is named."""
_PLACES = ("persist_directory", "collection_name")
_SEARCHES = frozenset(["semantic_search", "cos_sim", "pytorch_cos_sim", "dot_score", "cosine_similarity"])


def detect(code: Code) -> Iterator[Problem]:
    """One place written with one model and read with another; documents and query of one search by two models."""
    if code.is_test:
        return
    yield from _stores(code)
    yield from _searches(code)
    yield from _indexes(code)


# -- stores of langchain ------------------------------------------------------------------------------------


def _stores(code: Code) -> Iterator[Problem]:
    written: dict[str, tuple[ast.Call, str]] = {}
    calls = [each for each in code.tree.all(ast.Call) if _STORES.match(code.origin(each) or "")]
    for call in calls:
        if (code.origin(call) or "").rpartition(".")[2] in _WRITES:
            place = _saved_at(code, call) or _place(code, call)
            model = _model(code, code.argument(call, "embedding", 1))
            if place and model:
                written[place] = (call, model)
    for call in calls:
        last = (code.origin(call) or "").rpartition(".")[2]
        if last in _WRITES:
            continue
        given = code.argument(call, "embeddings", 1) if last == "load_local" else None
        given = given or code.argument(call, "embedding_function")
        path = code.argument(call, "folder_path", 0) if last == "load_local" else None
        place = _text(code, path) if path is not None else _place(code, call)
        model = _model(code, given)
        if model and given is not None and place in written and written[place][1] != model:
            write, other = written[place]
            if not _TWO_TOWERS.search(model + other):
                yield code.problem(
                    call,
                    f"`{place}` is embedded by `{other}` at line {write.lineno} and searched with `{model}`'s vectors: "
                    "the neighbours it finds are noise.",
                    related=[(write, f"embeds with `{other}`")],
                )


def _place(code: Code, call: ast.Call) -> str:
    """The literal directory (and collection) of a store."""
    given = [code.argument(call, each) for each in _PLACES]
    texts = [_text(code, each) for each in given if each is not None]
    return "/".join(texts) if given[0] is not None and all(texts) else ""


def _saved_at(code: Code, call: ast.Call) -> str:
    """The literal path a store is saved to by `store.save_local(path)`."""
    for save in code.method_calls("save_local"):
        assert isinstance(save.func, ast.Attribute)
        path = code.argument(save, "folder_path", 0)
        if path is not None and any(each.call is call for each in code.values.known(save.func.value)):
            return _text(code, path)
    return ""


def _text(code: Code, node: ast.expr | None) -> str:
    value = code.values.only(node).constant if node is not None else None
    return value if isinstance(value, str) else ""


# -- models -------------------------------------------------------------------------------------------------


def _model(code: Code, node: ast.expr | None) -> str:
    """The name of the embedding model an expression holds, "" where it is not known."""
    if node is None:
        return ""
    value = code.values.only(node)
    call, origin = value.call, value.origin or ""
    if (
        call is None
        or not _MODELS.match(origin)
        or origin.startswith("<local>")
        or any(k.arg is None for k in call.keywords)
    ):
        return ""
    named = [each.value for each in call.keywords if each.arg in _NAMES]
    if not named and origin.endswith("SentenceTransformer"):
        named = call.args[:1]
    if not named and not call.args:
        return _DEFAULTS.get(origin.rpartition(".")[2], "") if origin.startswith("langchain") else ""
    if len(named) != 1:
        return ""
    return _text(code, named[0]).removeprefix("sentence-transformers/").removeprefix("models/")


# -- searches by hand ---------------------------------------------------------------------------------------


def _searches(code: Code) -> Iterator[Problem]:
    for call in code.tree.all(ast.Call):
        if last_name(call.func) not in _SEARCHES or len(call.args) < 2:
            continue
        one, other = (_embedded_by(code, each) for each in call.args[:2])
        if one and other and one != other and not _TWO_TOWERS.search(one + other):
            yield code.problem(
                call,
                f"`{code.name(call.args[0])}` is a vector of `{one}`, `{code.name(call.args[1])}` of `{other}`: their "
                "similarity means nothing.",
            )


def _indexes(code: Code) -> Iterator[Problem]:
    """`index.add(one.encode(…))` and `index.search(other.encode(…))` of one index of faiss."""
    added: dict[object, list[ast.expr]] = {}
    for call in code.method_calls("add") if "faiss" in code.packages else ():
        owner = call.func.value  # type: ignore[attr-defined]
        subject = code.values.subject(owner)
        if subject is not None and call.args and (code.values.only(owner).origin or "").startswith("faiss."):
            added.setdefault(subject, []).append(call.args[0])
    for call in code.method_calls("search") if added else ():
        vectors = added.get(code.values.subject(call.func.value), [])  # type: ignore[attr-defined]
        if len(vectors) != 1 or not call.args:
            continue
        one, other = _embedded_by(code, vectors[0]), _embedded_by(code, call.args[0])
        if one and other and one != other and not _TWO_TOWERS.search(one + other):
            yield code.problem(
                call,
                f"`{code.name(call.func.value)}` holds vectors of `{one}` and is searched with "  # type: ignore[attr-defined]
                f"`{other}`'s: the neighbours it finds are noise.",
                related=[(vectors[0], f"embeds with `{one}`")],
            )


def _embedded_by(code: Code, node: ast.expr, depth: int = 0) -> str:
    """The model whose `encode` made the vectors."""
    match node:
        case ast.Call(func=ast.Attribute(attr="encode" | "embed_query" | "embed_documents", value=model)):
            return _model(code, model)
        case ast.Call(func=ast.Attribute(value=value, attr="reshape" | "to" | "cpu" | "numpy" | "unsqueeze")):
            return _embedded_by(code, value, depth + 1)
        case ast.List(elts=[only]):
            return _embedded_by(code, only, depth + 1)
        case ast.Name() if depth < 5:
            bindings = code.names.reaching(node)
            if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT and bindings[0].value is not None:
                return _embedded_by(code, bindings[0].value, depth + 1)
        case ast.Call(func=ast.Attribute(attr="create", value=ast.Attribute(attr="embeddings"))):
            named = next((each.value for each in node.keywords if each.arg == "model"), None)
            return _text(code, named)
        case ast.Call(func=ast.Attribute(attr="array" | "asarray" | "stack"), args=[given, *_]):
            return _embedded_by(code, given, depth + 1)
        case ast.Attribute(attr="data" | "embedding", value=value) | ast.Subscript(value=value):
            return _embedded_by(code, value, depth + 1)
        case ast.ListComp(generators=[ast.comprehension(iter=given)]) if depth < 5:
            return _embedded_by(code, given, depth + 1)
    return ""
