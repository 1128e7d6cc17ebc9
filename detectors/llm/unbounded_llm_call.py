"""A language model is called with no time limit, or may answer without end

Without a limit of your own the SDK's default holds: ten minutes for OpenAI and Anthropic, none at all for others.
A stuck connection then blocks the worker, the queue behind it and the user in front of it. And without a token
limit one request may cost the model's whole output window. Set a time limit on the client, and a token limit on the
call.

❌
```python
from openai import OpenAI

client = OpenAI()  # ❌


def summarise(text):
    reply = client.chat.completions.create(
        model="gpt-4.1-2025-04-14", messages=[{"role": "user", "content": text}], max_tokens=400
    )
    return reply.choices[0].message.content
```

✅
```python
from openai import OpenAI

client = OpenAI(timeout=30, max_retries=2)


def summarise(text):
    reply = client.chat.completions.create(
        model="gpt-4.1-2025-04-14", messages=[{"role": "user", "content": text}], max_tokens=400
    )
    return reply.choices[0].message.content
```

https://github.com/openai/openai-python#timeouts
https://docs.anthropic.com/en/api/client-sdks
https://docs.litellm.ai/docs/completion/reliable_completions
"""

import ast
import re
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, Bound, Code, LlmCall, Problem, Tier, client_limit, waits_long

TIER = Tier.RISK
WORDS = (LLM_LIBRARIES,)

_UNTIL_THE_END = frozenset(("openai", "mistralai", "groq", "together", "litellm", "google", "ollama"))
"""Libraries whose default is as many tokens as the model can write; Anthropic's requires a limit."""
_TOKEN_LIMITS = {"openai": "max_completion_tokens", "google": "", "ollama": ""}
_ASKS_FOR_LITTLE = (
    *("response_format", "text_format", "response_schema", "response_model", "tools", "functions", "logprobs"),
    *("stop", "text", "format", "prediction", "stream"),
)
_LIMITS_AROUND = (
    "asyncio.timeout",
    "async_timeout",
    "with_options(",
    "asyncio.wait_for",
    "fail_after(",
    "move_on_after(",
)
_FOR_ONE = frozenset(("streamlit", "chainlit"))
"""Libraries whose apps hold up nobody but the person who asks, and who can press *stop*."""
_SHOWN = re.compile(r"(^|/)(\w+[-_])?(examples?|cookbooks?|tutorials?|samples?|demos?|notebooks|eval\w*|benchmarks?)/")


def detect(code: Code) -> Iterator[Problem]:
    """Clients without a time limit whose calls have none either; calls that a request makes without a token limit.

    Of several of one make in a file one is enough to say it; the others are listed as advice.
    """
    if code.is_test:
        return
    calls = [each for each in code.llm_calls.all if each.is_remote]
    told = {call for call, _ in code.fallbacks.missing}
    """Calls of which another comment says that they have no time limit."""
    by_client: dict[ast.Call, list[LlmCall]] = {}
    for call in calls:
        if call.client is not None:
            by_client.setdefault(call.client, []).append(call)
    waiting: list[tuple[ast.Call, str, list[LlmCall]]] = []
    for client, library in code.llm_calls.clients:
        used = by_client.get(client, [])
        if told.isdisjoint(used) and _waits_too_long(code, client, library, used):
            told.update(used)
            waiting.append((client, library, used))
    bare = [each for each in calls if each.client is None]
    loose = [each for each in bare if not each.may_time_out and not _is_limited(code, each.node)]
    unsaid = [each for each in loose if each not in told and not _is_tried_out(code, each.node)]
    yield from _untimed_of(code, [*waiting, *((call.node, call.library, [call]) for call in unsaid)])
    if unsaid:
        told.update(bare)
    yield from _endless(code, [each for each in calls if each not in told])


def _waits_too_long(code: Code, client: ast.Call, library: str, used: list[LlmCall]) -> bool:
    """Whether neither the client nor one of its calls has a time limit, where one can be set."""
    if client.args[1:] or not waits_long(code.origin(client) or ""):
        return False
    probe = LlmCall(client, library, None, "")
    if probe.may_time_out or any(each.may_time_out for each in used) or _is_limited(code, client):
        return False
    is_called = bool(used) or (library in ("langchain", "llama_index") and _is_kept(code, client))
    return is_called and not _is_tried_out(code, client)


def _untimed_of(code: Code, waiting: list[tuple[ast.Call, str, list[LlmCall]]]) -> Iterator[Problem]:
    said: set[str] = set()
    for node, library, used in waiting:
        make = (code.origin(node) or code.name(node.func)).replace("Async", "")
        is_minor = make in said or _is_minor(code, node, library, used)
        if not is_minor:
            said.add(make)
        yield _untimed(code, node, library, used, is_minor=is_minor)


def _is_minor(code: Code, node: ast.Call, library: str, used: list[LlmCall]) -> bool:
    """Whether nobody is held up but the one who started it, or the server is one of the caller's own."""
    if library == "llama_index" or code.is_notebook or code.packages & _FOR_ONE or _SHOWN.search(code.path):
        return True
    if code.llm_servers.is_near(node, library) or _is_of_the_caller(code, node):
        return True
    if code.endpoints.all:
        return False
    if code.calls("builtins.input"):
        return True
    if code.tree.function(node) is None and used and all(code.tree.function(each.node) is None for each in used):
        return True
    return code.runs.is_program and not _outcome(code, node, library, used).endswith("never fails")


def _outcome(code: Code, node: ast.Call, library: str, used: list[LlmCall]) -> str:
    if used and used[0].node is node:
        return used[0].outcome
    made = (code.origin(node) or code.name(node.func)).rpartition(".")[2]
    return LlmCall(node, library, None, made).outcome


def _untimed(code: Code, node: ast.Call, library: str, used: list[LlmCall], *, is_minor: bool) -> Problem:
    name = code.name(node.func)
    is_bare = bool(used) and used[0].node is node
    made = (code.origin(node) or name).rpartition(".")[2]
    outcome = _outcome(code, node, library, used)
    limit = used[0].time_limit if is_bare else client_limit(library, made)
    end = ", too short for a slow local model and too long for a user" if library == "llama_index" else ""
    also = " Nor is there a limit on the tokens it may answer." if any(_is_endless(code, each) for each in used) else ""
    return code.problem(
        node,
        f"`{name}` has no time limit of yours{'' if is_bare else ', and its calls set none'}: {outcome}{end}.{also}",
        mend=[code.source.set_keyword(node, *limit)] if limit else [],
        related=[(each.node, "a call of the model") for each in used[:1] if not is_bare],
        tier=Tier.ADVICE if is_minor else None,
    )


def _is_of_the_caller(code: Code, client: ast.Call) -> bool:
    """Whether the caller names the server, or brings a client and this is only what stands in for it."""
    server = code.argument(client, "base_url") or code.argument(client, "api_base")
    if server is not None and _is_given(code, server):
        return True
    statement = code.tree.statement(client)
    above = code.tree.parents.get(statement)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    key = target.slice if isinstance(target, ast.Subscript) else None
    absent = ast.unparse(above.test) if isinstance(above, ast.If) and statement in above.body else ""
    return isinstance(key, ast.Constant) and absent.startswith("not ") and repr(key.value) in absent


def _is_given(code: Code, node: ast.expr) -> bool:
    """Whether the expression is a parameter, or an attribute that was set from one."""
    if isinstance(node, ast.Name):
        return any(each.how is Bound.PARAMETER for each in code.names.reaching(node))
    owner = code.values.class_held_by(node.value) if isinstance(node, ast.Attribute) else None
    if owner is None or not isinstance(node, ast.Attribute):
        return False
    bindings = code.values.classes.attribute_bindings(owner, node.attr)
    return any(isinstance(each.value, ast.Name) and _is_given(code, each.value) for each in bindings)


def _endless(code: Code, calls: list[LlmCall]) -> Iterator[Problem]:
    """Calls whose answer may have any length: each that a request makes, else the first of a file, as advice."""
    loose = [each for each in calls if _is_endless(code, each) and not _is_tried_out(code, each.node)]
    asked = [(each, code.endpoints.around(each.node)) for each in loose]
    is_said = code.is_notebook or bool(code.packages & _FOR_ONE)
    for call, endpoint in asked:
        if endpoint is None or code.is_notebook or not _is_asked_something(call):
            continue
        is_minor, is_said = is_said, True
        name = _token_limit(call)
        yield code.problem(
            call.node,
            f"Nothing limits the tokens that `{code.name(call.node.func)}` answers: one request of "
            f"`{endpoint.function.name}` may wait and pay for the model's whole output window.",
            mend=[code.source.set_keyword(call.node, name, "1024")] if name else [],
            related=[(endpoint.function, "the endpoint")],
            tier=Tier.ADVICE if is_minor else None,
        )
    if loose and all(endpoint is None for _, endpoint in asked):
        yield code.problem(
            loose[0].node,
            f"Nothing limits the tokens that `{code.name(loose[0].node.func)}` answers: a model that repeats itself "
            "writes until its output window is full.",
            mend=[code.source.set_keyword(loose[0].node, _token_limit(loose[0]), "1024")]
            if _token_limit(loose[0])
            else [],
            tier=Tier.ADVICE,
        )


def _is_endless(code: Code, call: LlmCall) -> bool:
    if call.library not in _UNTIL_THE_END or call.may_limit_tokens or call.may_set(*_ASKS_FOR_LITTLE):
        return False
    return not call.method.endswith(("parse", "ChatCompletion.create", "text_completion"))


def _token_limit(call: LlmCall) -> str:
    """What the argument is called that limits the answer; "" where it is part of another."""
    return "max_output_tokens" if call.method.startswith("responses") else _TOKEN_LIMITS.get(call.library, "max_tokens")


def _is_limited(code: Code, node: ast.Call) -> bool:
    """Whether a time limit stands around it, or is set for the whole library in this file."""
    around = [ast.unparse(each.func) for each in code.tree.ancestors(node) if isinstance(each, ast.Call)]
    if any(each.endswith(("wait_for", "timeout", "with_options")) for each in around):
        return True
    if any(word in code.text for word in _LIMITS_AROUND):
        return True
    return any(
        isinstance(target, ast.Attribute) and "timeout" in target.attr
        for assign in code.tree.all(ast.Assign)
        for target in assign.targets
    )


def _is_asked_something(call: LlmCall) -> bool:
    """Whether what it is asked is not the same each time: a health check gets the same short answer."""
    given = [*call.node.args, *(each.value for each in call.node.keywords if each.arg not in ("model", "temperature"))]
    return any(isinstance(node, (ast.Name, ast.Attribute)) for each in given for node in ast.walk(each))


def _is_tried_out(code: Code, node: ast.Call) -> bool:
    """Whether it stands in a function beside the real code that tries it out: `test()`, `demo()`."""
    function = code.tree.function(node)
    return function is not None and bool(re.match(r"_*(test|demo|example)(_|$)", function.name))


def _is_kept(code: Code, client: ast.Call) -> bool:
    """A model object that is kept or returned: its calls are elsewhere, and set no time limit of their own."""
    statement, kept = code.tree.statement(client), client
    while isinstance(above := code.tree.parents.get(kept), ast.BinOp) and isinstance(above.op, ast.BitOr):
        kept = above  # type: ignore[assignment]
    return isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and statement.value is kept
