"""A search over everyone's documents has no filter

The store holds documents of several tenants, and says in each one's metadata whose it is. A search by meaning
alone finds the nearest text of all of them: one customer's passages end up in another customer's answer. Filter by
that key.

❌
```python
store.add_texts(texts, metadatas=[{"tenant_id": tenant} for _ in texts])
found = store.similarity_search(question, k=5)  # ❌
```

✅
```python
store.add_texts(texts, metadatas=[{"tenant_id": tenant} for _ in texts])
found = store.similarity_search(question, k=5, filter={"tenant_id": tenant})
```

https://python.langchain.com/docs/concepts/vectorstores/#metadata-filtering
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("metadata", "similarity_search|as_retriever|as_query_engine|.query(")

_OWNER = re.compile(
    r"(tenant|user|customer|org|organi[sz]ation|account|company|workspace|project|owner|client)(_?id)?$", re.I
)
_SEARCHES = (
    "similarity_search",
    "similarity_search_with_score",
    "asimilarity_search",
    "as_retriever",
    "as_query_engine",
)
_FILTERS = ("filter", "filters", "where", "expr", "namespace", "search_kwargs", "pre_filter", "retriever_kwargs")


def detect(code: Code) -> Iterator[Problem]:
    """Searches without a filter in a file that writes documents with their owner in the metadata."""
    if code.is_test:
        return
    owner = next(_owners(code), "")
    for call in code.method_calls(*_SEARCHES) if owner else []:
        if any(code.may_have(call, name) for name in _FILTERS):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.func)}` searches the documents of every `{owner}`: this file writes that key, and the "
            "search does not filter by it.",
        )


def _owners(code: Code) -> Iterator[str]:
    """The keys of metadata that say whose a document is."""
    given = (each for each in code.tree.all(ast.keyword) if each.arg in ("metadata", "metadatas", "extra_info"))
    dicts = (each for keyword in given for each in ast.walk(keyword.value) if isinstance(each, ast.Dict))
    for key in (key for each in dicts for key in each.keys):
        if isinstance(key, ast.Constant) and _OWNER.match(str(key.value)):
            yield str(key.value)
