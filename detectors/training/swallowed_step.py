"""A failed training step is passed over in silence

The handler drops whatever went wrong in forward, backward or step, without a log line or a count. A shape error in
every batch, or CUDA memory running out on most of them, looks like training that does not learn.

❌
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    try:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
    except Exception:  # ❌
        continue
```

✅
```python
import torch

optimizer = torch.optim.Adam(model.parameters())
skipped = 0
for batch in loader:
    try:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
    except torch.cuda.OutOfMemoryError:
        skipped += 1
        logger.warning("batch skipped, out of memory (%d so far)", skipped)
```

https://docs.python.org/3/tutorial/errors.html#handling-exceptions
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("except", "backward", "step")

_BROAD = frozenset({"Exception", "BaseException", "RuntimeError", "ValueError"})


def detect(code: Code) -> Iterator[Problem]:
    """Broad handlers around a training step whose body is `pass` or `continue` alone."""
    if code.is_test:
        return
    silent = [each for each in code.tree.all(ast.ExceptHandler) if _is_silent(each) and _is_broad(each)]
    for handler in silent:
        guarded = code.tree.parents[handler]
        if not isinstance(guarded, ast.Try):
            continue
        for update in code.updates:
            nodes = [(each.node, *each.calls) for each in (update.step, *update.backwards)]
            around = [any(code.tree.inside(part, each) for part in path for each in guarded.body) for path in nodes]
            if update.loop is not None and any(around):
                what = code.name(update.step.target)
                caught = "everything" if handler.type is None else f"every `{code.name(handler.type)}`"
                yield code.problem(
                    handler,
                    f"This drops {caught} around the training step of `{what}` without a trace: batches that fail are "
                    f"never seen. Catch what you expect, and log and count it.",
                    related=[(update.step.node, "the step"), (guarded, "the guarded block")],
                )
                break


def _is_silent(handler: ast.ExceptHandler) -> bool:
    return all(
        isinstance(each, (ast.Pass, ast.Continue))
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in handler.body
    )


def _is_broad(handler: ast.ExceptHandler) -> bool:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(each is None or (isinstance(each, ast.Name) and each.id in _BROAD) for each in types)
