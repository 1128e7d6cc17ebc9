"""Changing text stands ahead of the long static prompt

Providers cache a prompt by its prefix: everything up to the first difference is cheaper and faster the next time. A
date, an id or the user's words in front of the instructions make every prompt new from the first line on. Put what
stays the same first, what changes last.

❌
```python
from datetime import datetime
from pathlib import Path

from openai import OpenAI

client = OpenAI(timeout=20)
HANDBOOK = Path("handbook.md").read_text()


def answer(question: str) -> str:
    system = f"Now it is {datetime.now()}.\\n{HANDBOOK}"  # ❌
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return client.chat.completions.create(model="gpt-4.1", messages=messages).choices[0].message.content
```

✅
```python
from datetime import datetime
from pathlib import Path

from openai import OpenAI

client = OpenAI(timeout=20)
HANDBOOK = Path("handbook.md").read_text()


def answer(question: str) -> str:
    system = f"{HANDBOOK}\\nNow it is {datetime.now()}."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return client.chat.completions.create(model="gpt-4.1", messages=messages).choices[0].message.content
```

https://platform.openai.com/docs/guides/prompt-caching
https://docs.claude.com/en/docs/build-with-claude/prompt-caching
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("role|system|instructions", "now(|today(|time()|uuid")

_CHANGES = (
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "time.time",
    "uuid.uuid4",
    "uuid.uuid1",
)
_LONG = 1_000
"""Characters of static text that are worth caching."""


def detect(code: Code) -> Iterator[Problem]:
    """Prompts whose first changing part comes before a long text that is the same in every call."""
    if code.is_test:
        return
    for message in code.tree.all(ast.Dict):
        keys = [each.value if isinstance(each, ast.Constant) else None for each in message.keys]
        if "role" not in keys or "content" not in keys:
            continue
        content = code.definitions.of(message.values[keys.index("content")])
        if isinstance(content, ast.JoinedStr):
            changing, static = _first_change(code, content)
            if changing is not None and static is not None:
                yield code.problem(
                    content,
                    f"`{code.name(changing)}` is new in every call and stands before {static}: no part of this prompt "
                    "can be cached.",
                )


def _first_change(code: Code, content: ast.JoinedStr) -> tuple[ast.expr | None, str | None]:
    """The changing part that comes first, and the long static text behind it."""
    changing: ast.expr | None = None
    for part in content.values:
        if isinstance(part, ast.Constant) and changing is not None and len(str(part.value)) >= _LONG:
            return changing, f"{len(str(part.value)):,} characters that never change"
        if not isinstance(part, ast.FormattedValue):
            continue
        if changing is None and _changes(code, part.value):
            changing = part.value
        elif changing is not None and _is_long_and_static(code, part.value):
            return changing, f"`{code.name(part.value)}`, which never changes"
    return None, None


def _changes(code: Code, part: ast.expr) -> bool:
    nodes = code.tree.below(code.definitions.of(part))
    return any(isinstance(each, ast.Call) and code.origin(each) in _CHANGES for each in nodes)


def _is_long_and_static(code: Code, part: ast.expr) -> bool:
    """A text of the module that is long, or read from a file once."""
    if not isinstance(part, ast.Name):
        return False
    bindings = code.names.reaching(part)
    if len(bindings) != 1 or not isinstance(bindings[0].scope, ast.Module) or bindings[0].value is None:
        return False
    value = bindings[0].value
    text = value.value if isinstance(value, ast.Constant) else None
    is_read = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "read_text"
    return is_read or (isinstance(text, str) and len(text) >= _LONG)
