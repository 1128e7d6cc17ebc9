"""The model behind this name can change without notice

An alias such as `gpt-4o` or `…-latest` is moved to a newer snapshot by the provider. Prompts that were tuned and
evaluated on one model then run on another, and the scores of two weeks cannot be compared. Name the dated
snapshot.

❌
```python
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
client = OpenAI(timeout=20)


@app.post("/summary")
def summary(text: str):
    return client.responses.create(model="gpt-4o", input=text).output_text  # ❌
```

✅
```python
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
client = OpenAI(timeout=20)


@app.post("/summary")
def summary(text: str):
    return client.responses.create(model="gpt-4o-2024-11-20", input=text).output_text
```

https://platform.openai.com/docs/models
https://docs.anthropic.com/en/docs/about-claude/models/overview
"""

import re
from collections.abc import Iterator

from detectors import EVALUATES, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("gpt-|o1|o3|o4|-latest|gemini-",)

_ALIAS = re.compile(
    r"(\w+/)?(gpt-(3\.5-turbo|4|4-turbo|4o|4o-mini|4\.1|4\.1-mini|4\.1-nano|5|5-mini|5-nano)|o[134](-mini|-pro)?|chatgpt-4o-latest"
    r"|claude-[\w.-]+-latest|mistral-\w+-latest|gemini-[\w.-]+-latest|gemini-(pro|flash))$"
)


def detect(code: Code) -> Iterator[Problem]:
    """The first call with an alias for its model, in code that serves requests or evaluates. One a file."""
    if code.is_test:
        return
    is_evaluation = bool(EVALUATES.search(code.path)) or "evaluate(" in code.text
    if not is_evaluation and not code.endpoints.all:
        return
    for call in code.llm_calls.all:
        model = call.setting("model", "model_name", "model_id")
        name = code.values.only(model).constant if model is not None else None
        if isinstance(name, str) and _ALIAS.match(name) and (is_evaluation or code.endpoints.around(call.node)):
            used = "an evaluation's scores" if is_evaluation else "what this endpoint answers"
            yield code.problem(
                call.node,
                f"`{name}` is an alias the provider moves to newer snapshots, and {used} with it: name the dated "
                "snapshot.",
            )
            return
