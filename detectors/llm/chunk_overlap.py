"""Chunks share too little text, or too much

A sentence that is cut at a chunk's end is whole in no chunk when chunks do not overlap, and retrieval misses it. An
overlap of 10-20 % of the chunk keeps it whole; much more stores and retrieves the same text several times.

❌
```python
from langchain_text_splitters import RecursiveCharacterTextSplitter

splitter = RecursiveCharacterTextSplitter(chunk_size=2000, chunk_overlap=0)  # ❌
vectorstore.add_documents(splitter.split_documents(documents))
```

✅
```python
from langchain_text_splitters import RecursiveCharacterTextSplitter

splitter = RecursiveCharacterTextSplitter(chunk_size=2000, chunk_overlap=300)
vectorstore.add_documents(splitter.split_documents(documents))
```

https://python.langchain.com/docs/concepts/text_splitters/
https://docs.llamaindex.ai/en/stable/optimizing/basic_strategies/basic_strategies/
"""

import ast
import re
from collections.abc import Iterator

from detectors import STORES, Code, Length, Problem, Splitter, Tier

TIER = Tier.RISK
WORDS = ("plitter|PreProcessor", "overlap")
_SENTENCE_ENDS = frozenset((".", "。", "\uff0e", "!", "?"))


def detect(code: Code) -> Iterator[Problem]:
    """Splitters whose overlap is a literal outside 10-20 % of a chunk size that is known."""
    if code.is_test or (re.search("summar", code.text, re.I) and not STORES.search(code.text)):
        return
    for splitter in code.retrieval.splitters:
        if splitter.overlap_node is None or splitter.overlap is None or splitter.unit is Length.UNKNOWN:
            continue
        if splitter.size is None:
            if splitter.overlap == 0:
                tier = Tier.ADVICE if _keeps_sentences(code, splitter) else Tier.RISK
                yield _problem(code, splitter, "Chunks do not overlap", None, tier)
            continue
        share = splitter.overlap / splitter.size if splitter.size else 0.0
        if 0.1 <= share <= 0.2:
            continue
        better = (
            max(1, round(splitter.size * 0.15 / 10) * 10)
            if splitter.size >= 60
            else max(1, round(splitter.size * 0.15))
        )
        percent = f"{share:.0%}".replace("%", " %")
        said = "Chunks do not overlap" if splitter.overlap == 0 else f"Chunks of {splitter.size} overlap by {percent}"
        tier = Tier.RISK if splitter.overlap == 0 or share > 0.4 else Tier.ADVICE
        yield _problem(code, splitter, said, better, tier)


def _problem(code: Code, splitter: Splitter, said: str, better: int | None, tier: Tier) -> Problem:
    lost = "a sentence cut at a border is whole in none of them"
    if _keeps_sentences(code, splitter):
        lost = "what a sentence refers to in the one before it may stand in another chunk"
    why = "the same text is stored and retrieved several times" if said.endswith("%") and tier is Tier.RISK else lost
    fix = [code.source.replace(splitter.overlap_node, str(better))] if better and splitter.overlap_node else []
    return code.problem(
        splitter.node,
        f"{said} in `{splitter.name}`: {why}. 10-20 % of the chunk is the usual range"
        + (f" ({better} of {splitter.size} {splitter.unit.value})." if better else "."),
        fix=fix,
        tier=tier,
    )


def _keeps_sentences(code: Code, splitter: Splitter) -> bool:
    """Whether it cuts between sentences or paragraphs, or where the author's own marks say that one ends."""
    separators = code.argument(splitter.node, "separators")
    marks = code.values.only(separators).node if separators is not None else None
    if isinstance(marks, (ast.List, ast.Tuple)):
        return any(isinstance(each, ast.Constant) and str(each.value).strip() in _SENTENCE_ENDS for each in marks.elts)
    is_by_paragraph = splitter.name == "CharacterTextSplitter"
    return is_by_paragraph or ("Sentence" in splitter.name and "Transformers" not in splitter.name)
