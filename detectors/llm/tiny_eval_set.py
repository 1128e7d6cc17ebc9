"""The evaluation set is too small to tell two versions apart

With twenty cases one different answer moves the score by five points, which is more than most changes bring.
50-100 cases that cover the real questions are where differences begin to mean something.

❌
```python
from openai import OpenAI

client = OpenAI(timeout=20)
EVAL_CASES = [  # ❌
    {"question": "What is the notice period?", "answer": "3 months"},
    {"question": "Who signs the order?", "answer": "the head of the department"},
    {"question": "When is the report due?", "answer": "in March"},
]


def evaluate():
    answers = [client.responses.create(model="gpt-4.1", input=case["question"]) for case in EVAL_CASES]
    return sum(case["answer"] in answer.output_text for case, answer in zip(EVAL_CASES, answers))
```

✅
```python
import json
from pathlib import Path

from openai import OpenAI

client = OpenAI(timeout=20)
EVAL_CASES = json.loads(Path("evals/questions.json").read_text())  # 80 cases


def evaluate():
    answers = [client.responses.create(model="gpt-4.1", input=case["question"]) for case in EVAL_CASES]
    return sum(case["answer"] in answer.output_text for case, answer in zip(EVAL_CASES, answers))
```

https://platform.openai.com/docs/guides/evals
https://docs.ragas.io/en/stable/getstarted/evals/
"""

import ast
import re
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, Code, Problem, Tier, last_name

TIER = Tier.ADVICE
WORDS = (
    "eval|EVAL|test_|TEST_|golden|GOLDEN|benchmark|BENCHMARK",
    f"{LLM_LIBRARIES}|ragas|deepeval",
)

_NAMED = re.compile(
    r"^(eval\w*|golden\w*|benchmark|test)_(set|cases?|data(set)?|questions?|examples?|quer(y|ies)|samples?)$", re.I
)
_ENOUGH = 50


def detect(code: Code) -> Iterator[Problem]:
    """Literal lists called an evaluation set, with 2 to 49 cases, in a file that calls a model or a RAG evaluation."""
    if code.is_test or not (code.llm_calls.all or code.packages & {"ragas", "deepeval", "trulens"}):
        return
    for assign in code.tree.all(ast.Assign):
        value = assign.value
        if not isinstance(value, ast.List) or not 2 <= len(value.elts) < _ENOUGH or len(assign.targets) != 1:
            continue
        name = last_name(assign.targets[0])
        if _NAMED.match(name) and not any(isinstance(each, ast.Starred) for each in value.elts):
            yield code.problem(
                assign,
                f"`{name}` has {len(value.elts)} cases: one answer more or less moves the score by "
                f"{100 / len(value.elts):.0f} points. {_ENOUGH}-100 cases begin to tell versions apart.",
            )
