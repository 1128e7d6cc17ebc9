"""A model's text is parsed as if it could not be wrong

Now and then the model wraps its JSON in a code fence, adds a sentence, leaves out a key or a separator. Parsed or cut
up without a schema and without an error path, that one answer in a hundred ends the request or the batch. Ask for
structured output, or catch the error and ask again.

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

from detectors import FUNCTIONS, LLM_LIBRARIES, Bound, Code, LlmCall, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "json.loads|literal_eval|split|int(|float(|.group",
    f"{LLM_LIBRARIES}|pipeline",
)

_STRUCTURED = (
    *("response_format", "text_format", "text", "tools", "tool_choice", "functions", "function_call", "format"),
    *("response_schema", "response_mime_type", "config", "generation_config", "guided_json", "extra_body", "prefix_fn"),
    *("sampling_params", "toolConfig", "model_kwargs", "grammar", "body"),
)


_CLEANED = frozenset(("strip", "lstrip", "rstrip", "lower", "upper", "replace", "removeprefix", "removesuffix"))
_NO_TEXT = frozenset(("usage", "tool_calls", "function_call", "id", "created", "model", "logprobs", "metadata"))
_CUTS = frozenset(("split", "rsplit", "splitlines"))


def detect(code: Code) -> Iterator[Problem]:
    """`json.loads`, pieces and numbers of a model's answer, with no schema asked for and no `try` around."""
    if code.is_test or not code.llm_calls.all:
        return
    for call in code.calls("json.loads", "ast.literal_eval"):
        answer = _answer(code, call.args[0]) if call.args else None
        if answer is not None and _is_raw(code, call, answer):
            yield _problem(code, call, f"`{code.name(call.func)}` raises", answer)
    for place, text, what in (*_pieces(code), *_numbers(code)):
        answer = _answer(code, text)
        if answer is not None and not _is_looked_at(code, place, text) and _is_raw(code, place, answer):
            yield _problem(code, place, what, answer)


def _problem(code: Code, place: ast.AST, what: str, answer: LlmCall) -> Problem:
    return code.problem(
        place,
        f"{what} when the answer of line {answer.node.lineno} is not exactly what was asked for: no schema holds the "
        "model to it, and nothing catches the error.",
        related=[(answer.node, "the model's answer")],
        tier=Tier.ADVICE if code.is_notebook else None,
    )


def _is_raw(code: Code, place: ast.AST, answer: LlmCall) -> bool:
    is_structured = answer.may_set(*_STRUCTURED) or answer.method.endswith("parse")
    return not is_structured and not _is_caught(code, place, 0)


# -- pieces and numbers -------------------------------------------------------------------------------------


def _pieces(code: Code) -> Iterator[tuple[ast.AST, ast.expr, str]]:
    """`text.split(x)[1]`, `a, b = text.split(x)`, `re.search(p, text).group()`: the text, and what may fail."""
    for item in code.tree.all(ast.Subscript):
        text = _cut(item.value)
        if text is not None and _may_be_missing(item.slice):
            yield item, text, f"`{code.name(item)}` raises"
    for assign in code.tree.all(ast.Assign):
        text, target = _cut(assign.value), assign.targets[0]
        if text is not None and isinstance(target, ast.Tuple) and not any(map(_is_starred, target.elts)):
            yield assign, text, f"The split into {len(target.elts)} raises"
    for call in code.method_calls("group", "groups"):
        match call.func:
            case ast.Attribute(value=ast.Call(args=[_, text]) as found) if (code.origin(found) or "") in _FINDS:
                yield call, text, f"`{code.name(found.func)}` finds nothing"


_FINDS = ("re.search", "re.match", "re.fullmatch")


def _is_starred(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def _cut(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Attribute(attr=attr, value=text)) if attr in _CUTS:
            return text
    return None


def _may_be_missing(index: ast.expr) -> bool:
    """The first and the last piece are always there."""
    match index:
        case ast.Constant(value=int() as number):
            return number > 0
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return number > 1
    return False


def _numbers(code: Code) -> Iterator[tuple[ast.AST, ast.expr, str]]:
    for call in code.calls("builtins.int", "builtins.float"):
        if len(call.args) == 1 and not call.keywords:
            yield call, call.args[0], f"`{code.name(call)}` raises"


def _answer(code: Code, node: ast.expr, depth: int = 0) -> LlmCall | None:
    """The call whose answer's text an expression is, as it came; None where anything else has been done to it."""
    match node:
        case ast.Call() if node in code.llm_calls.by_node:
            return code.llm_calls.by_node[node]
        case ast.Await(value=value):
            return _answer(code, value, depth)
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _CLEANED:
            return _answer(code, value, depth)
        case ast.Attribute(attr=attr, value=value) if attr not in _NO_TEXT:
            return _answer(code, value, depth)
        case ast.Subscript(value=value):
            return _answer(code, value, depth)
        case ast.Call():
            function = code.values.calls.callee(node)
            found = (
                [each.value for each in code.values.calls.returns(function)] if isinstance(function, FUNCTIONS) else []
            )
            return _answer(code, found[0], depth + 1) if depth < 4 and len(found) == 1 and found[0] else None
        case ast.Name():
            bindings = code.names.reaching(node)
            if (
                depth < 4
                and len(bindings) == 1
                and bindings[0].how is Bound.ASSIGNMENT
                and bindings[0].value is not None
            ):
                return _answer(code, bindings[0].value, depth + 1)
    return None


def _is_looked_at(code: Code, place: ast.AST, text: ast.expr) -> bool:
    """Whether a condition over the place, or before it in the same function, asks about the text."""
    function = code.tree.function(place)
    names = {each.id for each in ast.walk(text) if isinstance(each, ast.Name)}
    return any(
        names & {each.id for each in ast.walk(test.test) if isinstance(each, ast.Name)}
        for test in (*code.tree.all(ast.If, ast.IfExp), *code.tree.all(ast.While, ast.Assert))
        if code.tree.function(test) is function and test.lineno <= place.lineno  # type: ignore[attr-defined]
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
