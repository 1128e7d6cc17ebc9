"""Chunks are far from the size that retrieves well

Around 512 tokens hold one thought with its context. Much smaller chunks lose what a sentence refers to; much
larger ones average several subjects into one embedding and crowd the prompt. Choose the size by an evaluation,
else start there.

❌
```python
from langchain_text_splitters import RecursiveCharacterTextSplitter

splitter = RecursiveCharacterTextSplitter(chunk_size=200, chunk_overlap=30)  # ❌
vectorstore.add_documents(splitter.split_documents(documents))
```

✅
```python
from langchain_text_splitters import RecursiveCharacterTextSplitter

splitter = RecursiveCharacterTextSplitter.from_tiktoken_encoder(chunk_size=512, chunk_overlap=80)
vectorstore.add_documents(splitter.split_documents(documents))
```

https://python.langchain.com/docs/how_to/split_by_token/
"""

from collections.abc import Iterator

from detectors import EVALUATES, Code, Length, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("plitter|PreProcessor",)

_TOKENS_EACH = {Length.TOKENS: 1.0, Length.CHARACTERS: 0.25, Length.WORDS: 1.33}


def detect(code: Code) -> Iterator[Problem]:
    """Splitters whose literal size is below 128 or above 1,536 tokens, with no evaluation in the file."""
    if code.is_test or EVALUATES.search(code.text):
        return
    for splitter in code.retrieval.splitters:
        if splitter.size is None or splitter.size_node is None or splitter.unit not in _TOKENS_EACH:
            continue
        tokens = splitter.size * _TOKENS_EACH[splitter.unit]
        if 128 <= tokens <= 1536:
            continue
        about = f" (about {tokens:,.0f} tokens)" if splitter.unit is not Length.TOKENS else ""
        size = "smaller" if tokens < 128 else "larger"
        yield code.problem(
            splitter.node,
            f"`{splitter.name}` makes chunks of {splitter.size:,} {splitter.unit.value}{about}, much {size} than the "
            "usual 512 tokens, and no evaluation in sight chose that.",
        )
