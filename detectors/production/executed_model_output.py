"""What a model wrote is executed

A language model's answer follows whoever wrote its input: a document, a web page, a user. Handed to `eval`,
`exec`, a shell or a database, it runs their commands with the rights of this process. Parse the answer into values
you allow, or run it in a sandbox without network, secrets or the file system.

❌
```python
from openai import OpenAI

client = OpenAI()


def compute(question):
    answer = client.responses.create(model="gpt-4.1", input=f"Write a Python expression for: {question}")
    return eval(answer.output_text)  # ❌
```

✅
```python
import ast

from openai import OpenAI

client = OpenAI()


def compute(question):
    answer = client.responses.create(model="gpt-4.1", input=f"Write a Python literal for: {question}")
    return ast.literal_eval(answer.output_text)
```

https://genai.owasp.org/llmrisk/llm052025-improper-output-handling/
https://docs.python.org/3/library/ast.html#ast.literal_eval
"""

import ast
import re
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = (
    "eval(|exec(|subprocess|os.system|os.popen|execute|read_sql|.run(",
    f"{LLM_LIBRARIES}|pipeline|sagemaker",
)

_RUNS_CODE = re.compile(
    r"(builtins\.(eval|exec)|os\.(system|popen)|subprocess\.(run|Popen|call|check_call|check_output|getoutput|getstatusoutput)"
    r"|pandas\.(eval|read_sql|read_sql_query)|asyncio\.create_subprocess_(shell|exec))$"
)
_QUERIES = frozenset({"execute", "executescript", "executemany", "raw", "read_sql"})
_CONFIRMED = re.compile(r"input|confirm|approve|allow|valid|safe|sandbox|check", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Sinks that run text, given the answer of an LLM call."""
    if code.is_test or not code.llm_calls.all:
        return
    for call in code.tree.all(ast.Call):
        sink = _sink(code, call)
        given = _text(call.args[0]) if call.args and sink else None
        if given is None or _is_confirmed(code, call) or not _is_command(given):
            continue
        answer = code.llm_calls.output_in(given)
        if answer is not None:
            yield code.problem(
                call,
                f"`{sink}` runs what the model answers at line {answer.node.lineno}: whoever shapes its input runs "
                "commands here.",
                related=[(answer.node, "the model's answer")],
            )


def _sink(code: Code, call: ast.Call) -> str:
    origin = code.origin(call)
    if origin is not None:
        return code.name(call.func) if _RUNS_CODE.match(origin) else ""
    if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec") and not code.names.reaching(call.func):
        return call.func.id  # a `from util import *` brings no other
    if isinstance(call.func, ast.Attribute) and call.func.attr in _QUERIES:
        made = code.values.only(call.func.value).origin or ""
        owner = "connection" if made.endswith(".connect") else last_name(call.func.value).lower()
        return code.name(call.func) if re.search(r"cur|conn|db|session|engine|sql|con$", owner) else ""
    return ""


def _text(given: ast.expr) -> ast.expr:
    """The query itself, for SQLAlchemy's `text(query)`."""
    is_wrapped = isinstance(given, ast.Call) and last_name(given.func) == "text" and len(given.args) == 1
    return given.args[0] if is_wrapped and isinstance(given, ast.Call) else given


def _is_command(given: ast.expr) -> bool:
    """Whether the text itself is run; in a list, the program is: its first element, or what a shell's `-c` gets."""
    if not isinstance(given, (ast.List, ast.Tuple)):
        return True
    texts = [each.value for each in given.elts if isinstance(each, ast.Constant)]
    return not texts or (bool({"-c", "-e", "/c"} & set(map(str, texts))) and "docker" not in texts)


def _is_confirmed(code: Code, call: ast.Call) -> bool:
    """Whether a test of the answer or of a person's word stands over the call, or before it."""
    for above in code.tree.ancestors(call):
        if isinstance(above, ast.If) and _CONFIRMED.search(ast.unparse(above.test)):
            return True
        if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef)):
            before = [each for each in above.body if each.lineno < call.lineno]
            return any(isinstance(each, ast.If) and _CONFIRMED.search(ast.unparse(each.test)) for each in before)
    return False
