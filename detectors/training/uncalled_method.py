"""A method is named, not called

A line that only names a method, `optimizer.zero_grad` without its parentheses, is valid Python and does nothing: the
gradients add up, the model stays in the mode it was in, the ranks do not wait for each other. No error says so.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
    scheduler.step  # ❌
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
for images, labels in loader:
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
    scheduler.step()
```

https://docs.python.org/3/reference/simple_stmts.html#expression-statements
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.BUG
WORDS = ("zero_grad|step|backward|eval|train|update|barrier|synchronize|destroy_process_group|empty_cache",)
_STEPPED = (Kind.OPTIMIZER, Kind.SCHEDULER)
_OF_KINDS: dict[str, tuple[Kind, ...]] = {
    "step": _STEPPED,
    "zero_grad": (Kind.OPTIMIZER, Kind.MODEL),
    "eval": (Kind.MODEL,),
    "train": (Kind.MODEL,),
    "update": (Kind.SCALER,),
}
_DOES = {
    "step": "nothing is stepped",
    "zero_grad": "the gradients stay",
    "eval": "the mode stays what it was",
    "train": "the mode stays what it was",
    "update": "the scale stays what it was",
    "backward": "no gradient is computed",
    "barrier": "no rank waits for another",
    "synchronize": "nothing waits for the device",
    "destroy_process_group": "the group stays open",
    "empty_cache": "nothing is freed",
}
_FUNCTIONS = ("torch.distributed.", "torch.cuda.", "torch.mps.", "torch.xpu.")


def detect(code: Code) -> Iterator[Problem]:
    """Statements that are nothing but the name of a method that has an effect when it is called."""
    if not code.is_torch:
        return
    for statement in code.tree.all(ast.Expr):
        named = statement.value
        if isinstance(named, ast.Attribute) and named.attr in _DOES and _is_method(code, named):
            yield code.problem(
                named,
                f"`{code.name(named)}` is named and not called: {_DOES[named.attr]}.",
                fix=[code.source.replace(named, f"{code.source.of(named)}()")],
            )


def _is_method(code: Code, named: ast.Attribute) -> bool:
    origin = code.origin(named)
    if origin is not None:
        return origin.startswith(_FUNCTIONS)
    if named.attr == "backward":
        return "torch" in code.packages
    return code.kind(named.value) in _OF_KINDS.get(named.attr, ())
