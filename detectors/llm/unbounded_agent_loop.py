"""An agent's loop ends only when the model says so

The loop asks, runs the tools the model wants, and asks again, until an answer wants none. A model that repeats itself,
or a tool that keeps failing, makes it go on for as long as the account pays. Limit the steps, and the tokens or the
time where they matter.

❌
```python
from anthropic import Anthropic

client = Anthropic(timeout=60)


def run(messages, tools):
    while True:  # ❌
        reply = client.messages.create(model="claude-sonnet-4-5", max_tokens=1024, messages=messages, tools=tools)
        if reply.stop_reason != "tool_use":
            return reply.content
        messages.append({"role": "assistant", "content": reply.content})
        messages.append({"role": "user", "content": call_tools(reply)})
```

✅
```python
from anthropic import Anthropic

MAX_STEPS = 20
client = Anthropic(timeout=60)


def run(messages, tools):
    for _ in range(MAX_STEPS):
        reply = client.messages.create(model="claude-sonnet-4-5", max_tokens=1024, messages=messages, tools=tools)
        if reply.stop_reason != "tool_use":
            return reply.content
        messages.append({"role": "assistant", "content": reply.content})
        messages.append({"role": "user", "content": call_tools(reply)})
    raise RuntimeError(f"no answer after {MAX_STEPS} steps")
```

https://www.anthropic.com/engineering/building-effective-agents
https://genai.owasp.org/llmrisk/llm102025-unbounded-consumption/
"""

import ast
import re
from collections.abc import Iterator

from detectors import FUNCTIONS, LLM_LIBRARIES, Code, LlmCall, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "while ",
    "tool|function_call|requires_action|Action",
    LLM_LIBRARIES,
)

_TOOLS = re.compile(r"tool_?(calls|use|outputs|results?)|function_?call|requires_action|ToolMessage|Observation", re.I)
_PACED = re.compile(
    r"\b(input|prompt|prompt_async|listen|readline|recv|receive\w*|consume\w*|poll|get_message|sleep)\("
    r"|Prompt\.ask|queue|(?<!\w)(message|task|event)s?\.get\(|websocket|stdin|session_state"
)
_LIMITED = re.compile(
    r"max_?(?!(output_|completion_|new_)?tokens|retries)[a-z]+|budget|deadline|usage_limit|recursion_limit|wait_for",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """Endless loops around a model's calls that run tools, wait for nobody, and count nothing."""
    if code.is_test:
        return
    for loop in code.tree.all(ast.While):
        call = _call_in(code, loop)
        if call is None or not _is_endless(code, loop):
            continue
        text = "\n".join(ast.unparse(each) for each in (loop.test, *loop.body))
        if not _TOOLS.search(text) or _PACED.search(text) or _LIMITED.search(text) or _counts(loop):
            continue
        yield code.problem(
            loop,
            f"`{code.name(call.node.func)}` is asked again until the model itself wants no more tools: nothing limits "
            "the steps or what they cost.",
            related=[(call.node, "one more paid step")],
            tier=Tier.ADVICE if code.is_notebook else None,
        )


def _call_in(code: Code, loop: ast.While) -> LlmCall | None:
    """The model call for which this is the nearest loop, in it or in a function of this file that it calls."""
    for each in ast.walk(loop):
        if not isinstance(each, ast.Call) or next(iter(code.tree.loops(each)), None) is not loop:
            continue
        if each in code.llm_calls.by_node:
            return code.llm_calls.by_node[each]
        function = code.values.calls.callee(each)
        if isinstance(function, FUNCTIONS):
            for call in code.llm_calls.all:
                if code.tree.function(call.node) is function and not code.tree.loops(call.node):
                    return call
    return None


def _is_endless(code: Code, loop: ast.While) -> bool:
    """`while True`, while the model's answer says so, or until a flag is set in the loop."""
    if isinstance(loop.test, ast.Constant):
        return bool(loop.test.value)
    flag = loop.test.operand if isinstance(loop.test, ast.UnaryOp) and isinstance(loop.test.op, ast.Not) else loop.test
    if isinstance(flag, ast.Name):
        bound = [each.value for each in code.names.reaching(flag)]
        if len(bound) > 1 and all(isinstance(each, ast.Constant) and isinstance(each.value, bool) for each in bound):
            return True
    return code.llm_calls.output_in(loop.test) is not None


def _counts(loop: ast.While) -> bool:
    """Whether something that changes with the loop is compared with a limit."""
    for each in ast.walk(loop):
        if isinstance(each, ast.Compare) and any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in each.ops):
            sides = (each.left, *each.comparators)
            if not any(isinstance(side, ast.Constant) and side.value == 0 for side in sides):
                return True
    tested = {
        name.id
        for each in ast.walk(loop)
        if isinstance(each, (ast.If, ast.While, ast.IfExp))
        for name in ast.walk(each.test)
        if isinstance(name, ast.Name)
    }
    return any(
        isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name) and each.target.id in tested
        for each in ast.walk(loop)
    )
