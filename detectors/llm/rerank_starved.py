"""The reranker keeps as many passages as were retrieved

A reranker earns its time by choosing: it reads many candidates and keeps the best few. Given as many as it keeps,
it only reorders, and a passage that retrieval ranked sixth never gets its chance. Retrieve about 20, keep about 5.

❌
```python
from llama_index.core.postprocessor import SentenceTransformerRerank

rerank = SentenceTransformerRerank(model="cross-encoder/ms-marco-MiniLM-L-6-v2", top_n=5)
engine = index.as_query_engine(similarity_top_k=5, node_postprocessors=[rerank])  # ❌
```

✅
```python
from llama_index.core.postprocessor import SentenceTransformerRerank

rerank = SentenceTransformerRerank(model="cross-encoder/ms-marco-MiniLM-L-6-v2", top_n=5)
engine = index.as_query_engine(similarity_top_k=20, node_postprocessors=[rerank])
```

https://docs.llamaindex.ai/en/stable/module_guides/querying/node_postprocessors/
https://www.sbert.net/examples/sentence_transformer/applications/retrieve_rerank/README.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("erank|Ranker", "top_n|top_k", "k=|k\":|k':")


def detect(code: Code) -> Iterator[Problem]:
    """The one retrieval of a file fetches no more than its one reranker keeps; both are literals."""
    rerankers = code.retrieval.rerankers
    fetches = [(call, count) for call, count in code.retrieval.fetches if _is_reranked(code, call)]
    if code.is_test or len(rerankers) != 1 or len({count for _, count in fetches}) != 1:
        return
    (fetch, fetched), (reranker, kept) = fetches[0], rerankers[0]
    if kept is not None and fetched <= kept:
        yield code.problem(
            fetch,
            f"{fetched} passages are fetched and `{code.name(reranker.func)}` keeps {kept}: it only reorders and "
            f"chooses nothing. Fetch about {max(20, 4 * kept)}.",
            related=[(reranker, f"keeps {kept}")],
        )


def _is_reranked(code: Code, fetch: ast.Call) -> bool:
    """An engine of LlamaIndex reranks only if it is told to; what a plain retriever fetches may be reranked later."""
    if not isinstance(fetch.func, ast.Attribute) or fetch.func.attr not in ("as_query_engine", "as_chat_engine"):
        return True
    given = code.argument(fetch, "node_postprocessors")
    if not isinstance(given, (ast.List, ast.Tuple)):
        return code.may_have(fetch, "node_postprocessors")
    made = [value.call for each in given.elts for value in code.values.of(each)]
    return any(call is reranker for call, _ in code.retrieval.rerankers for reranker in made)
