"""Inference blocks the event loop

An `async def` handler shares one thread with every other request. While a model computes in it, or a synchronous
client waits for its answer, the server answers nobody, health checks included. Use a plain `def` handler, which
runs in a thread pool, an async client, or `asyncio.to_thread`.

❌
```python
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
classify = pipeline("sentiment-analysis")


@app.post("/classify")
async def handler(text: str):
    return classify(text)  # ❌
```

✅
```python
import asyncio

from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
classify = pipeline("sentiment-analysis")


@app.post("/classify")
async def handler(text: str):
    return await asyncio.to_thread(classify, text)
```

https://fastapi.tiangolo.com/async/
https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code
"""

import ast
from collections.abc import Iterator

from detectors import SERVERS, Change, Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("async def", SERVERS)


def detect(code: Code) -> Iterator[Problem]:
    """Runs of a model on the event loop, written in the handler or in a plain function it calls."""
    if code.is_test or not any(each.is_async for each in code.endpoints.all):
        return
    for run in code.inference.runs:
        if not run.is_certain or _is_awaited(code, run.node) or _is_async(code, run.node):
            continue
        for place in _places(code, run.node):
            endpoint = code.endpoints.directly_in(place)
            if endpoint is None or not endpoint.is_async or _is_awaited(code, place):
                continue
            model = code.name(run.model)
            what = "waits for" if run.is_remote else "computes"
            inside = code.tree.function(run.node)
            where = "" if place is run.node or inside is None else f" (in `{inside.name}`, line {run.node.lineno})"
            yield code.problem(
                place,
                f"`{model}` {what} its answer on the event loop{where}: meanwhile the server answers nobody else.",
                mend=_in_thread(code, place),
                related=[(endpoint.function, "runs on the event loop")],
            )


def _places(code: Code, node: ast.Call) -> list[ast.Call]:
    """The run itself where a coroutine holds it, else the calls of the plain function it is in."""
    function = code.tree.function(node)
    if isinstance(function, ast.FunctionDef) and not isinstance(code.tree.scope(node), ast.Lambda):
        return [each for each in code.values.calls.sites(function) if not _is_handed_over(code, each)]
    return [] if _is_handed_over(code, node) else [node]


def _is_handed_over(code: Code, node: ast.AST) -> bool:
    """Whether the node is in a lambda or in arguments of something that runs it elsewhere."""
    return isinstance(code.tree.scope(node), ast.Lambda)


def _is_awaited(code: Code, node: ast.AST) -> bool:
    above = code.tree.parents.get(node)
    while isinstance(above, (ast.Attribute, ast.Call)) and not isinstance(above, ast.Await):
        above = code.tree.parents.get(above)
    return isinstance(above, (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.withitem, ast.comprehension)) and not (
        isinstance(above, ast.comprehension) and not above.is_async
    )


def _is_async(code: Code, node: ast.Call) -> bool:
    """An async client's call, kept as a coroutine for later."""
    call = code.llm_calls.by_node.get(node)
    if call is None:
        return False
    made = code.origin(call.client) or "" if call.client is not None else code.origin(node) or ""
    last = call.method.rpartition(".")[2]
    return "Async" in made or last.startswith(("a", "async")) or call.method.startswith("aio.") or "_async" in last


def _in_thread(code: Code, call: ast.Call) -> list[Change]:
    """`f(x)` as `await asyncio.to_thread(f, x)`; arguments on lines of their own stay there."""
    function = code.source.of(call.func)
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    in_thread = code.source.replace(call.func, "await asyncio.to_thread")
    if not given:
        return [code.source.replace(call, f"await asyncio.to_thread({function})")]
    first = given[0]
    indent = code.source.indent(first.lineno)
    is_apart = first.lineno > call.lineno and first.col_offset == len(indent)
    between = f",\n{indent}" if is_apart else ", "
    return [in_thread, code.source.replace(first, f"{function}{between}{code.source.of(first)}")]
