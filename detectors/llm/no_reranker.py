"""Many passages go into the prompt in the order of their embeddings

Embedding distance is a coarse ranking: with ten or more passages, most of the prompt is beside the question, and
models overlook what stands in the middle. Retrieve about 20, rerank them with a cross-encoder, keep about 5.

❌
```python
retriever = vectorstore.as_retriever(search_kwargs={"k": 20})  # ❌
context = "\\n\\n".join(document.page_content for document in retriever.invoke(question))
```

✅
```python
from langchain.retrievers import ContextualCompressionRetriever
from langchain_cohere import CohereRerank

retriever = ContextualCompressionRetriever(
    base_compressor=CohereRerank(model="rerank-v3.5", top_n=5),
    base_retriever=vectorstore.as_retriever(search_kwargs={"k": 20}),
)
context = "\\n\\n".join(document.page_content for document in retriever.invoke(question))
```

https://www.sbert.net/examples/sentence_transformer/applications/retrieve_rerank/README.html
https://arxiv.org/abs/2307.03172
"""

from collections.abc import Iterator

from detectors import EVALUATES, RERANKS, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("similarity_search|as_retriever|max_marginal|as_query_engine|as_chat_engine", "k=|k\"|k'")


def detect(code: Code) -> Iterator[Problem]:
    """Retrievals of ten passages or more, in a file that nowhere speaks of reranking or evaluation. One a file."""
    if code.is_test or RERANKS.search(code.text) or EVALUATES.search(code.text):
        return
    for fetch, count in code.retrieval.fetches:
        if count >= 10:
            yield code.problem(
                fetch,
                f"{count} passages are fetched and nothing chooses among them before the prompt: rerank them and keep "
                "about 5.",
            )
            return
