"""The RAG evaluation measures one half

An answer can be wrong because retrieval missed the passage or because the model ignored it. A score of the answers
alone cannot say which, and a score of retrieval alone does not see inventions. Measure both: context recall and
precision, and correctness or faithfulness.

❌
```python
from ragas import evaluate
from ragas.metrics import answer_relevancy, faithfulness

scores = evaluate(dataset, metrics=[answer_relevancy, faithfulness])  # ❌
```

✅
```python
from ragas import evaluate
from ragas.metrics import answer_correctness, answer_relevancy, context_recall, faithfulness

scores = evaluate(dataset, metrics=[answer_relevancy, faithfulness, context_recall, answer_correctness])
```

https://docs.ragas.io/en/stable/concepts/metrics/available_metrics/
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.ADVICE
WORDS = ("ragas|deepeval", "metrics")

_RETRIEVAL = re.compile(r"context|recall|retriev|hit_?rate|mrr|ndcg|contextual", re.I)
_ANSWER = re.compile(
    r"faithful|correct|relevancy|relevance|groundedness|similarity|hallucination|geval|factual|rubric", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """`evaluate(metrics=[…])` of ragas or deepeval whose literal list lacks one of the two halves."""
    if code.is_test:
        return
    for call in code.calls("ragas.evaluate", "ragas.evaluation.evaluate", "deepeval.evaluate"):
        given = code.argument(call, "metrics", 1)
        values = code.values.only(given).node if given is not None else None
        if not isinstance(values, ast.List) or not values.elts:
            continue
        names = [last_name(each.func if isinstance(each, ast.Call) else each) for each in values.elts]
        if not all(names) or any(isinstance(each, ast.Name) and code.origin(each) is None for each in values.elts):
            continue
        context = [each for each in names if _RETRIEVAL.search(each)]
        answers = [each for each in names if each not in context and _ANSWER.search(each)]
        if context and answers:
            continue
        if not context and not answers:
            continue
        missing = "whether retrieval found the passages" if answers else "whether the answers are right and faithful"
        yield code.problem(
            call,
            f"{', '.join(f'`{each}`' for each in names)} cannot say {missing}: a bad score has no cause.",
        )
