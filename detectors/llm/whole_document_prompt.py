"""A whole document goes into the prompt

However long the file is, all of it is sent: short ones work in the demo, a long one is cut off, refused or paid
for in full at every question. Split it and retrieve what the question needs, or limit what is sent.

❌
```python
from pathlib import Path

from openai import OpenAI

client = OpenAI(timeout=20)


def ask(path, question):
    manual = Path(path).read_text()
    return client.responses.create(model="gpt-4.1", input=f"{manual}\\n\\n{question}")  # ❌
```

✅
```python
from openai import OpenAI

client = OpenAI(timeout=20)


def ask(retriever, question):
    passages = "\\n\\n".join(each.page_content for each in retriever.invoke(question))
    return client.responses.create(model="gpt-4.1", input=f"{passages}\\n\\n{question}")
```

https://python.langchain.com/docs/concepts/rag/
"""

import ast
import re
from collections.abc import Iterator

from detectors import LLM_LIBRARIES, Bound, Code, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "read_text|.read()|page_content|load_data|PdfReader",
    LLM_LIBRARIES,
)

_MEANT = re.compile(
    r"prompt|template|instruct|system|quer|question|schema|example|few_?shot|config|persona|rules|guideline|\.j2|\.jinja|readme"
    r"|sys\.stdin|image|audio|args\.|[\"']rb[\"']|skill|soul|policy|diff|log|error|source|code|\.py\b|\.sql\b|input",
    re.I,
)
_LOADERS = re.compile(r"(langchain|llama_index)\w*\.(\w+\.)*\w*(Loader|Reader)$")
_LIMITS = re.compile(
    r"truncat|max_(chars|len|input|context)|split|chunk|shorten|limit|\[:|num_tokens|count_tokens|tiktoken|cache_control",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """Files read whole, and documents of a loader joined whole, that reach a call's prompt uncut."""
    if code.is_test or not code.llm_calls.all:
        return
    is_limited = _LIMITS.search(code.text) is not None
    for call in code.llm_calls.all:
        if is_limited and (code.tree.function(call.node) is None or _cuts_here(code, call.node)):
            continue
        given = [*call.node.args, *(each.value for each in call.node.keywords)]
        found = next((each for node in given for each in _documents(code, node, 0)), None)
        if found is not None and (not is_limited or _is_of_loader(found)):
            yield code.problem(
                call.node,
                f"All of `{code.name(found)}` (line {found.lineno}) is sent with every call: a long document is "
                "refused, cut off or paid for in full.",
                related=[(found, "the whole document")],
            )


def _cuts_here(code: Code, node: ast.AST) -> bool:
    """Whether the function that asks speaks of a limit, a cut or chunks itself."""
    function = code.tree.function(node)
    return function is not None and _LIMITS.search(code.source.of(function)) is not None


def _is_of_loader(found: ast.expr) -> bool:
    """Whether it joins what a loader read: then what cuts elsewhere in the file is of no help."""
    return isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute) and found.func.attr == "join"


def _documents(code: Code, node: ast.AST, depth: int) -> Iterator[ast.expr]:
    """The expressions in it that are a whole file's text, through names of the same function."""
    if depth > 5:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and (_reads_whole(code, each) or _joins_all(code, each)):
            yield each
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            for binding in code.names.reaching(each):
                is_value = binding.how is Bound.ASSIGNMENT and binding.value is not None
                if is_value and binding.scope is code.tree.scope(each) and binding.value is not None:
                    yield from _documents(code, binding.value, depth + 1)


def _joins_all(code: Code, call: ast.Call) -> bool:
    """`"\\n".join(page.page_content for page in PyPDFLoader(path).load())`: nothing has chosen among the pages."""
    match call:
        case ast.Call(
            func=ast.Attribute(attr="join", value=ast.Constant()),
            args=[ast.GeneratorExp(generators=[every]) | ast.ListComp(generators=[every])],
        ) if not every.ifs:
            loaded = code.definitions.of(every.iter)
            if isinstance(loaded, ast.Attribute) and loaded.attr == "pages":
                return (code.values.only(loaded.value).origin or "").endswith(".PdfReader")
            match loaded:
                case ast.Call(func=ast.Attribute(attr="load" | "lazy_load" | "load_data", value=loader)):
                    return bool(_LOADERS.match(code.values.only(loader).origin or ""))
    return False


def _reads_whole(code: Code, call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("read_text", "read") or call.args:
        return False
    if call.func.attr == "read_text":
        return not _MEANT.search(ast.unparse(call.func.value)) and not _MEANT.search(_target(code, call))
    values = [each for each in code.values.of(call.func.value) if each.origin == "builtins.open"]
    texts = [ast.unparse(each.node) for each in values if each.node is not None]
    return bool(texts) and not any(map(_MEANT.search, texts)) and not _MEANT.search(_target(code, call))


def _target(code: Code, call: ast.Call) -> str:
    statement = code.tree.statement(call)
    return ast.unparse(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
