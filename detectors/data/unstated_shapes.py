"""Reshapes without a word on the shapes

A reader of `view` and `permute` has to run the code to know which axis is which, and a wrong axis often runs as well.
State the shape where it changes: a comment such as `# (B, T, C)`, unpacked sizes, an assert, an einops pattern or an
annotation.

❌
```python
from torch import nn


class Attention(nn.Module):
    def forward(self, x):  # ❌
        q = self.query(x).view(x.size(0), -1, self.heads, self.width).transpose(1, 2)
        k = self.key(x).view(x.size(0), -1, self.heads, self.width).permute(0, 2, 3, 1)
        return (q @ k).softmax(-1)
```

✅
```python
from torch import nn


class Attention(nn.Module):
    def forward(self, x):
        q = self.query(x).view(x.size(0), -1, self.heads, self.width).transpose(1, 2)  # (B, heads, T, width)
        k = self.key(x).view(x.size(0), -1, self.heads, self.width).permute(0, 2, 3, 1)  # (B, heads, width, T)
        return (q @ k).softmax(-1)  # (B, heads, T, T)
```

https://einops.rocks
https://docs.kidger.site/jaxtyping
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Function, Kind, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("forward|loss", "view(|reshape(|permute(|transpose(", "torch")
_RESHAPES = frozenset(["view", "reshape", "permute", "transpose"])
_STATED = re.compile(
    r"#.*[(\[<]\s*[\w*+/-]+\s*[,x×*]\s*[\w*+/.-]+|#.*\b[A-Za-z]+\s*[x×]\s*[A-Za-z\d]+\b|#.*\bshape\b"
    r"|#.*\b(bs|bsz|batch)\b\s*,",
    re.I,
)
_IN_DOCSTRING = re.compile(r"shape|[(\[`]\s*\w+\s*,\s*\w+\s*(,\s*[\w*.]+\s*)*[)\]`]", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """A model's `forward` that changes shapes several times and says nothing of them."""
    if code.is_test or code.packages & {"einops", "jaxtyping", "torchtyping", "einx"}:
        return
    calls: dict[Function, list[ast.Call]] = {}
    for call in code.method_calls(*_RESHAPES):
        function = code.tree.function(call)
        if function is not None and (function.name == "forward" or "loss" in function.name) and len(call.args) >= 2:
            calls.setdefault(function, []).append(call)
    for method, reshapes in calls.items():
        owner = code.tree.class_of(method)
        if len(reshapes) < 2 or owner is None or code.values.classes.kind(owner) is not Kind.MODEL:
            continue
        if _is_stated(code, method):
            continue
        lines = ", ".join(str(each) for each in sorted({each.lineno for each in reshapes})[:4])
        yield code.problem(
            method,
            f"`{owner.name}.{method.name}` changes shapes {len(reshapes)} times (lines {lines}) and states none.",
        )


def _is_stated(code: Code, function: Function) -> bool:
    first, last = function.lineno, function.end_lineno
    if any(_STATED.search(line) for line in code.source.lines[first - 2 : last]):
        return True
    docstring = ast.get_docstring(function)
    if docstring and _IN_DOCSTRING.search(docstring):
        return True
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and "shape" in ast.unparse(node):
            return True
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            text = ast.unparse(node.value)
            if ".shape" in text or ".size(" in text:
                return True
    return False
