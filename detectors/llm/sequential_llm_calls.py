"""Answers are awaited one after another

The loop waits for each answer before it asks the next question, though none depends on the one before: a hundred
calls of two seconds take over three minutes. Ask them together, with a limit on how many run at once; embeddings and
local engines take a list, and are many times faster with one.

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

from detectors import LLM_LIBRARIES, Code, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "for ",
    f"{LLM_LIBRARIES}|sentence_transformers",
)

_ROUNDS = re.compile(
    r"retr|attempt|turn|round|step|iteration|messages|conversation|history|tries|models|fallback", re.I
)
_IN_BATCHES = re.compile(r"batch|range\(|chunked|window|loader", re.I)
_ONE = re.compile(r"(?!.*s$)\w+$|\w*ss$")
"""Names of one thing: what is called `texts` in a loop is a batch already."""
_EMBEDDERS = re.compile(r"(langchain|llama_index)\w*\.(\w+\.)*\w*Embeddings?$")
_ENCODERS = re.compile(r"sentence_transformers\.(\w+\.)*SentenceTransformer$")


def detect(code: Code) -> Iterator[Problem]:
    """Calls in a `for` loop whose iterations share nothing but what they collect: awaited, or able to take a list."""
    if code.is_test:
        return
    for call in code.llm_calls.all:
        loop = _loop_of_its_own(code, call.node) or _comprehension(code, call.node)
        if isinstance(code.tree.parents.get(call.node), ast.Await):
            if loop is not None:
                yield code.problem(
                    call.node,
                    f"`{code.name(call.node.func)}` is awaited once for each `{code.name(loop.target)}` in turn, and "
                    "no answer depends on the one before: ask together with `asyncio.gather` and a limit.",
                    related=[(loop.target, "one call after another")],
                )
        elif loop is not None and call.library == "vllm" and _is_one_by_one(loop, call.node.args[:1]):
            yield _batched(code, call.node, loop, "the engine schedules a list of prompts together")
        elif loop is not None and call.method == "invoke" and _is_one_by_one(loop, call.node.args):
            yield _batched(code, call.node, loop, "`batch` asks for a list of answers at the same time")
    for node, given, better in _embeddings(code):
        loop = _loop_of_its_own(code, node) or _comprehension(code, node)
        if loop is not None and _is_one_by_one(loop, given):
            yield _batched(code, node, loop, better)


def _batched(code: Code, node: ast.Call, loop: ast.For | ast.comprehension, better: str) -> Problem:
    return code.problem(
        node,
        f"`{code.name(node.func)}` is called once for each `{code.name(loop.target)}`: {better}.",
        related=[(loop.target, "one call after another")],
        tier=Tier.ADVICE if code.is_notebook else None,
    )


def _embeddings(code: Code) -> Iterator[tuple[ast.Call, list[ast.expr], str]]:
    """Calls that embed, what they embed, and what they could do instead."""
    for call in code.method_calls("create", "embed_query", "embed_documents", "get_text_embedding", "encode"):
        assert isinstance(call.func, ast.Attribute)
        owner, attr = call.func.value, call.func.attr
        if attr == "create":
            if not isinstance(owner, ast.Attribute) or owner.attr != "embeddings":
                continue
            if code.llm_calls.library_of(code.values.only(owner.value).origin or "") == "openai":
                yield (
                    call,
                    [each.value for each in call.keywords if each.arg == "input"],
                    "one call takes a list of texts",
                )
        elif attr == "encode" and _ENCODERS.match(code.values.only(owner).origin or ""):
            yield call, call.args[:1], "given a list it encodes them in batches"
        elif attr != "encode" and _EMBEDDERS.match(code.values.only(owner).origin or ""):
            yield call, call.args[:1], "`embed_documents` takes a list of texts"


def _is_one_by_one(loop: ast.For | ast.comprehension, given: list[ast.expr]) -> bool:
    """Whether what is given is the loop's one item, or a part of it."""
    if _IN_BATCHES.search(ast.unparse(loop.iter)) or len(given) != 1:
        return False
    if isinstance(given[0], ast.Dict):
        varying = [each for each in given[0].values if not isinstance(each, ast.Constant)]
        return bool(varying) and all(_is_one_by_one(loop, [each]) for each in varying)
    node = given[0].elts[0] if isinstance(given[0], ast.List) and len(given[0].elts) == 1 else given[0]
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    target = loop.target.elts[-1] if isinstance(loop.target, ast.Tuple) else loop.target
    is_item = isinstance(node, ast.Name) and isinstance(target, ast.Name) and node.id == target.id
    return is_item and isinstance(target, ast.Name) and bool(_ONE.match(target.id))


def _comprehension(code: Code, node: ast.Call) -> ast.comprehension | None:
    """The one `for` of a list or dict that is built around the call: its elements know nothing of one another."""
    if code.tree.loops(node):
        return None
    for above in code.tree.ancestors(node):
        if isinstance(above, (ast.ListComp, ast.SetComp, ast.DictComp)):
            loop = above.generators[0]
            is_rounds = _ROUNDS.search(ast.unparse(loop.target) + ast.unparse(loop.iter))
            is_element = not any(code.tree.inside(node, each) for each in (loop.iter, *loop.ifs))
            return loop if len(above.generators) == 1 and is_element and not is_rounds else None
        if isinstance(above, (ast.stmt, ast.Lambda, ast.GeneratorExp)):
            return None
    return None


def _loop_of_its_own(code: Code, node: ast.Call) -> ast.For | None:
    """The one loop around a call whose iterations do not need one another and are not slowed down on purpose."""
    loops = code.tree.loops(node)
    loop = loops[0] if len(loops) == 1 else None
    if not isinstance(loop, ast.For) or _ROUNDS.search(ast.unparse(loop.target) + ast.unparse(loop.iter)):
        return None
    return None if _depends_on_the_last(code, loop, node) or _waits_on_purpose(loop) else loop


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
