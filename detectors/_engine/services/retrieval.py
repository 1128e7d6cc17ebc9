"""Retrieval: text splitters with their length unit, how many passages are fetched and kept, which stores hold them.

langchain, llama_index and haystack. A number given by a variable is unknown.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree
from detectors._engine.values.values import Values


class Length(Enum):
    """What a splitter counts."""

    CHARACTERS = "characters"
    TOKENS = "tokens"
    WORDS = "words"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Splitter:
    """One splitter: chunk size and overlap where they are literals or defaults, and the nodes that give them."""

    node: ast.Call
    name: str
    unit: Length
    size: int | None
    overlap: int | None
    size_node: ast.expr | None
    overlap_node: ast.expr | None


@dataclass(frozen=True, slots=True)
class _Made:
    pattern: re.Pattern[str]
    unit: Length
    size: tuple[str, int | None]
    overlap: tuple[str, int | None]


_LANGCHAIN = r"langchain(_\w+)?\.(\w+\.)*"
_SPLITTERS = tuple(
    _Made(re.compile(f"(?:{pattern})$"), unit, size, overlap)
    for pattern, unit, size, overlap in (
        (
            rf"{_LANGCHAIN}\w*TextSplitter\.from_(tiktoken_encoder|huggingface_tokenizer)",
            Length.TOKENS,
            ("chunk_size", 4000),
            ("chunk_overlap", 200),
        ),
        (rf"{_LANGCHAIN}TokenTextSplitter", Length.TOKENS, ("chunk_size", 4000), ("chunk_overlap", 200)),
        (
            rf"{_LANGCHAIN}SentenceTransformersTokenTextSplitter",
            Length.TOKENS,
            ("tokens_per_chunk", None),
            ("chunk_overlap", 50),
        ),
        (
            rf"{_LANGCHAIN}(RecursiveCharacter|Character|NLTK|Spacy)TextSplitter",
            Length.CHARACTERS,
            ("chunk_size", 4000),
            ("chunk_overlap", 200),
        ),
        (
            r"llama_index\.(\w+\.)*(SentenceSplitter|TokenTextSplitter)(\.from_defaults)?",
            Length.TOKENS,
            ("chunk_size", 1024),
            ("chunk_overlap", 200),
        ),
        (
            r"haystack\.(\w+\.)*(DocumentSplitter|RecursiveDocumentSplitter|PreProcessor)",
            Length.WORDS,
            ("split_length", 200),
            ("split_overlap", 0),
        ),
    )
)
_FETCHES = frozenset(
    ["similarity_search", "similarity_search_with_score", "max_marginal_relevance_search", "as_retriever",
     "asimilarity_search", "as_query_engine", "similarity_search_with_relevance_scores", "as_chat_engine"]
)  # fmt: skip
RERANKS = re.compile(r"rerank|cross_?encoder|compressor|postprocessor|colbert|ranker", re.I)
STORES = re.compile(
    r"vector_?store|embed|retriev|faiss|chroma|qdrant|pinecone|weaviate|milvus|pgvector|lancedb|elasticsearch|opensearch|\bindex",
    re.I,
)
EVALUATES = re.compile(r"\beval|ragas|trulens|deepeval|benchmark|recall|ground_?truth|hit_rate|\bmrr\b|ndcg", re.I)


class Retrieval:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values

    @cached_property
    def splitters(self) -> list[Splitter]:
        """Every text splitter of a known library, in source order."""
        return [each for call in self._tree.all(ast.Call) for each in self._splitter(call)]

    def _splitter(self, call: ast.Call) -> Iterator[Splitter]:
        origin = self._names.origin(call.func) or ""
        if "plitter" not in origin and "PreProcessor" not in origin:
            return
        for made in _SPLITTERS:
            if not made.pattern.match(origin):
                continue
            has_unknown = any(each.arg is None for each in call.keywords) or bool(call.args)
            size, size_node = self._number(call, made.size, has_unknown)
            overlap, overlap_node = self._number(call, made.overlap, has_unknown)
            yield Splitter(
                call, origin.rpartition(".")[2], self._unit(call, made), size, overlap, size_node, overlap_node
            )
            return

    def _unit(self, call: ast.Call, made: _Made) -> Length:
        given = {each.arg: each.value for each in call.keywords}
        length, split_by = given.get("length_function"), given.get("split_by")
        if length is not None and not (isinstance(length, ast.Name) and length.id == "len"):
            return Length.UNKNOWN
        if split_by is not None and not (isinstance(split_by, ast.Constant) and split_by.value == "word"):
            return Length.UNKNOWN
        return made.unit

    def _number(
        self, call: ast.Call, setting: tuple[str, int | None], has_unknown: bool
    ) -> tuple[int | None, ast.expr | None]:
        name, default = setting
        given = next((each.value for each in call.keywords if each.arg == name), None)
        if given is None:
            return (None if has_unknown else default), None
        value = self._values.only(given).constant
        return (value if isinstance(value, int) and not isinstance(value, bool) else None), given

    @cached_property
    def fetches(self) -> list[tuple[ast.Call, int]]:
        """The calls that fetch a literal number of passages for a query."""
        found = []
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in _FETCHES:
                count = self._count(call)
                if count is not None:
                    found.append((call, count))
        return found

    def _count(self, call: ast.Call) -> int | None:
        given = {each.arg: each.value for each in call.keywords}
        node = given.get("k", given.get("similarity_top_k"))
        search = given.get("search_kwargs")
        if node is None and isinstance(search, ast.Dict):
            keys = [each.value if isinstance(each, ast.Constant) else None for each in search.keys]
            node = search.values[keys.index("k")] if "k" in keys else None
        if node is None and isinstance(call.func, ast.Attribute) and "search" in call.func.attr and len(call.args) > 1:
            node = call.args[1]
        value = self._values.only(node).constant if node is not None else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @cached_property
    def rerankers(self) -> list[tuple[ast.Call, int | None]]:
        """Rerankers that are made, with how many passages they keep where that is a literal."""
        found: list[tuple[ast.Call, int | None]] = []
        for call in self._tree.all(ast.Call):
            name = last_name(call.func)
            if not re.search(r"Rerank(er)?$|Ranker$", name) or (self._names.origin(call.func) or "<").startswith("<"):
                continue
            keeps = next((each.value for each in call.keywords if each.arg in ("top_n", "top_k")), None)
            value = self._values.only(keeps).constant if keeps is not None else None
            found.append((call, value if isinstance(value, int) else None))
        return found
