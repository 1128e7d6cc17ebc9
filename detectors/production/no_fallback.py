"""An endpoint depends on a remote model with no time limit and no way out

The provider will be slow or down one day. Without a time limit, requests pile up behind the SDK's default of ten
minutes; without an error path every failure is a 500 for the user. Set a time limit, and answer with a default, a
cached answer or a clear error.

❌
```python
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
client = OpenAI()


@app.post("/summary")
def summary(text: str):
    reply = client.responses.create(model="gpt-4.1", input=text)  # ❌
    return {"summary": reply.output_text}
```

✅
```python
from fastapi import FastAPI, HTTPException
from openai import OpenAI, OpenAIError

app = FastAPI()
client = OpenAI(timeout=20)


@app.post("/summary")
def summary(text: str):
    try:
        reply = client.responses.create(model="gpt-4.1", input=text)
    except OpenAIError as error:
        raise HTTPException(503, "the summary service is not available") from error
    return {"summary": reply.output_text}
```

https://github.com/openai/openai-python#timeouts
https://platform.openai.com/docs/guides/error-codes
"""

import ast
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, SERVERS, Code, Problem, Tier

TIER = Tier.RISK
WORDS = (
    LLM_LIBRARIES,
    SERVERS,
)


def detect(code: Code) -> Iterator[Problem]:
    """Remote calls of a model in an endpoint, with neither a time limit nor an error path anywhere on their way.

    The first endpoint of each client says it; the others are listed as advice.
    """
    if code.is_test:
        return
    said: set[ast.Call] = set()
    for call, endpoint in code.fallbacks.missing:
        is_minor = code.is_notebook or code.llm_servers.asks_near(call) or call.client in said
        said |= {call.client} if call.client is not None and not is_minor else set()
        yield code.problem(
            call.node,
            f"`{endpoint.function.name}` waits for `{code.name(call.node.func)}` with no time limit of its own: "
            f"{call.outcome}. And nothing catches its failure: when the provider is down, so is this endpoint.",
            mend=[code.source.set_keyword(call.node, *call.time_limit)] if call.time_limit else [],
            related=[(endpoint.function, "the endpoint")],
            tier=Tier.ADVICE if is_minor else None,
        )
