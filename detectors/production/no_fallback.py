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
import re
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, SERVERS, Code, Function, Problem, Tier

TIER = Tier.RISK
WORDS = (
    LLM_LIBRARIES,
    SERVERS,
)

_HANDLERS = re.compile(
    r"exception_handler|errorhandler|add_exception_handler|ErrorMiddleware|@app\.middleware|add_middleware"
)
_RETRIES = re.compile(r"retry|backoff|tenacity|stamina|timeout|fallback|circuit", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Remote calls of a model in an endpoint, with neither a time limit nor an error path anywhere on their way."""
    if code.is_test or not code.endpoints.all or _HANDLERS.search(code.text):
        return
    seen: set[Function] = set()
    for call in code.llm_calls.all:
        endpoint = code.endpoints.around(call.node)
        if endpoint is None or not call.is_remote or call.may_time_out or endpoint.function in seen:
            continue
        if _is_caught(code, call.node, 0) or call.may_set("fallbacks", "max_retries"):
            continue
        seen.add(endpoint.function)
        yield code.problem(
            call.node,
            f"`{endpoint.function.name}` waits for `{code.name(call.node.func)}` with no time limit, and nothing "
            "catches its failure: when the provider is slow or down, so is this endpoint.",
            mend=[code.source.set_keyword(call.node, "timeout", "20")]
            if call.library not in ("bedrock", "sagemaker")
            else [],
            related=[(endpoint.function, "the endpoint")],
            tier=Tier.ADVICE if code.is_notebook else None,
        )


def _is_caught(code: Code, node: ast.AST, depth: int) -> bool:
    """Whether a `try`, a retrying decorator or a time limit stands around the node, here or around every caller."""
    function = code.tree.function(node)
    for above in code.tree.ancestors(node):
        if isinstance(above, ast.Try) and above.handlers and not any(node is each for each in above.handlers):
            return True
        if isinstance(above, (ast.With, ast.AsyncWith)) and _RETRIES.search(" ".join(map(ast.unparse, above.items))):
            return True
        if isinstance(above, ast.Call) and _RETRIES.search(ast.unparse(above.func).replace(".", "_")):
            return True
        if isinstance(above, ast.Call) and ast.unparse(above.func).endswith("wait_for"):
            return True
        if above is function:
            break
    if function is None:
        return False
    if any(_RETRIES.search(ast.unparse(each)) for each in function.decorator_list):
        return True
    if function in (each.function for each in code.endpoints.all) or depth > 3:
        return any(not _is_route(each) for each in function.decorator_list)
    sites = code.values.calls.sites(function)
    return not sites or all(_is_caught(code, each, depth + 1) for each in sites)


def _is_route(decorator: ast.expr) -> bool:
    """Whether a decorator of an endpoint is a known one: others may catch what the endpoint raises."""
    text = ast.unparse(decorator)
    return bool(
        re.search(r"\.(get|post|put|patch|delete|route|api_route|websocket|api|task)\b|^(get|post|api)\b", text)
    )
