"""Answers are awaited one after another

The loop waits for each answer before it asks the next question, though none depends on the one before: a hundred
calls of two seconds take over three minutes. Ask them together, with a limit on how many run at once.

❌
```python
from openai import AsyncOpenAI

client = AsyncOpenAI(timeout=20)


async def label_all(texts):
    labels = []
    for text in texts:
        reply = await client.responses.create(model="gpt-4.1", input=text)  # ❌
        labels.append(reply.output_text)
    return labels
```

✅
```python
import asyncio

from openai import AsyncOpenAI

client = AsyncOpenAI(timeout=20)
limit = asyncio.Semaphore(10)


async def label(text):
    async with limit:
        reply = await client.responses.create(model="gpt-4.1", input=text)
    return reply.output_text


async def label_all(texts):
    return await asyncio.gather(*(label(text) for text in texts))
```

https://docs.python.org/3/library/asyncio-task.html#running-tasks-concurrently
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("await ", "for ", "openai|anthropic|genai|mistral|cohere|groq|together|litellm|ollama|langchain|llama_index")

_ROUNDS = re.compile(
    r"retr|attempt|turn|round|step|iteration|messages|conversation|history|tries|models|fallback", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """Awaited calls in a `for` loop whose iterations share nothing but what they collect."""
    if code.is_test:
        return
    for call in code.llm_calls.all:
        if not isinstance(code.tree.parents.get(call.node), ast.Await):
            continue
        loops = code.tree.loops(call.node)
        loop = loops[0] if len(loops) == 1 else None
        if not isinstance(loop, ast.For) or _ROUNDS.search(ast.unparse(loop.target) + ast.unparse(loop.iter)):
            continue
        if _depends_on_the_last(code, loop, call.node) or _waits_on_purpose(loop):
            continue
        yield code.problem(
            call.node,
            f"`{code.name(call.node.func)}` is awaited once for each `{code.name(loop.target)}` in turn, and no answer "
            "depends on the one before: ask together with `asyncio.gather` and a limit.",
            related=[(loop, "one call after another")],
        )


def _depends_on_the_last(code: Code, loop: ast.For, node: ast.Call) -> bool:
    """Whether anything the call reads is changed in the loop otherwise than anew in each iteration."""
    own = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    fresh: set[str] = set(own)
    changed: set[str] = set()
    for statement in loop.body:
        for each in ast.walk(statement):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                (fresh if isinstance(statement, ast.Assign) else changed).add(each.id)
            elif isinstance(each, ast.AugAssign):
                changed |= {name.id for name in ast.walk(each.target) if isinstance(name, ast.Name)}
            elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
                changed |= {name.id for name in ast.walk(each.func.value) if isinstance(name, ast.Name)} - own
    read = {each.id for given in (*node.args, *(k.value for k in node.keywords)) for each in ast.walk(given)
            if isinstance(each, ast.Name)}  # fmt: skip
    before = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
              and each.id in fresh - own and each.lineno <= _first_store(loop, each.id)}  # fmt: skip
    return bool(read & (changed | before))


def _first_store(loop: ast.For, name: str) -> int:
    lines = [each.lineno for each in ast.walk(loop) if isinstance(each, ast.Name) and each.id == name
             and isinstance(each.ctx, ast.Store)]  # fmt: skip
    return min(lines, default=0)


def _waits_on_purpose(loop: ast.For) -> bool:
    """A pause, a way out after an answer, or a stream to the client."""
    nodes = [each for statement in loop.body for each in ast.walk(statement)]
    if any(isinstance(each, (ast.Break, ast.Return, ast.Yield, ast.YieldFrom)) for each in nodes):
        return True
    calls = [ast.unparse(each.func) for each in nodes if isinstance(each, ast.Call)]
    return any(re.search(r"sleep|acquire|throttle|rate_?limit", each) for each in calls)
