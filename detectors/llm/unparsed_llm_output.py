"""A model's text is parsed as if it could not be wrong

Now and then the model wraps its JSON in a code fence, adds a sentence or leaves out a key. Parsed without a schema
and without an error path, that one answer in a hundred ends the request or the batch. Ask for structured output,
or catch the error and ask again.

❌
```python
import json

from openai import OpenAI

client = OpenAI(timeout=20)


def extract(text):
    reply = client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": text}])
    return json.loads(reply.choices[0].message.content)["name"]  # ❌
```

✅
```python
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(timeout=20)


class Person(BaseModel):
    name: str


def extract(text):
    reply = client.chat.completions.parse(
        model="gpt-4.1", messages=[{"role": "user", "content": text}], response_format=Person
    )
    return reply.choices[0].message.parsed.name
```

https://platform.openai.com/docs/guides/structured-outputs
https://docs.anthropic.com/en/docs/build-with-claude/tool-use
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "json.loads|literal_eval",
    "openai|anthropic|genai|mistral|cohere|groq|together|litellm|ollama|langchain|llama_index|pipeline|boto3|vllm",
)

_STRUCTURED = (
    *("response_format", "text_format", "text", "tools", "tool_choice", "functions", "function_call", "format"),
    *("response_schema", "response_mime_type", "config", "generation_config", "guided_json", "extra_body", "prefix_fn"),
    *("sampling_params", "toolConfig", "model_kwargs", "grammar", "body"),
)


def detect(code: Code) -> Iterator[Problem]:
    """`json.loads` and `literal_eval` of a model's answer, with no schema asked for and no `try` around."""
    if code.is_test or not code.llm_calls.all:
        return
    for call in code.calls("json.loads", "ast.literal_eval"):
        answer = code.llm_calls.output_in(call.args[0]) if call.args else None
        if (
            answer is None
            or answer.may_set(*_STRUCTURED)
            or answer.method.endswith("parse")
            or "group" in ast.unparse(code.tree.statement(call))  # a pattern has looked at the text
            or _is_caught(code, call, 0)
        ):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.func)}` raises when the answer of line {answer.node.lineno} is not exactly what was "
            "asked for: no schema holds the model to it, and nothing catches the error.",
            related=[(answer.node, "the model's answer")],
            tier=Tier.ADVICE if code.is_notebook else None,
        )


def _is_caught(code: Code, node: ast.AST, depth: int) -> bool:
    function = code.tree.function(node)
    for above in code.tree.ancestors(node):
        if isinstance(above, ast.Try) and above.handlers:
            return True
        if isinstance(above, (ast.With, ast.AsyncWith)) and "suppress" in " ".join(map(ast.unparse, above.items)):
            return True
        if above is function:
            break
    if function is None or depth > 3:
        return False
    if any("retry" in ast.unparse(each) or "backoff" in ast.unparse(each) for each in function.decorator_list):
        return True
    sites = code.values.calls.sites(function)
    return bool(sites) and all(_is_caught(code, each, depth + 1) for each in sites)
