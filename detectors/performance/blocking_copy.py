"""Copies from pinned memory block the CPU

A loader with `pin_memory=True` makes batches that can be copied to the GPU while it computes. `.to(device)` without
`non_blocking=True` waits for the copy all the same, and the pinning buys little.

❌
```python
from torch.utils.data import DataLoader

loader = DataLoader(dataset, batch_size=32, num_workers=4, pin_memory=True)
for images, labels in loader:
    images = images.to(device)  # ❌
    labels = labels.to(device)  # ❌
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
```

✅
```python
from torch.utils.data import DataLoader

loader = DataLoader(dataset, batch_size=32, num_workers=4, pin_memory=True)
for images, labels in loader:
    images = images.to(device, non_blocking=True)
    labels = labels.to(device, non_blocking=True)
    optimizer.zero_grad()
    criterion(model(images), labels).backward()
    optimizer.step()
```

https://docs.pytorch.org/tutorials/intermediate/pinmem_nonblock.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier, last_name

TIER = Tier.ADVICE
WORDS = ("DataLoader", "pin_memory", ".to(|.cuda(")


def detect(code: Code) -> Iterator[Problem]:
    """Moves of a pinned loader's batches that wait for the copy."""
    for move in code.method_calls("to", "cuda"):
        batch = move.func.value  # type: ignore[attr-defined]
        while isinstance(batch, (ast.Subscript, ast.Attribute)):
            batch = batch.value
        if not isinstance(batch, ast.Name) or not _is_to_gpu(move) or code.may_have(move, "non_blocking", 2):
            continue
        loader = _loader(code, batch)
        if loader is not None:
            name = code.name(move.func.value)  # type: ignore[attr-defined]
            yield code.problem(
                move,
                f"`{name}` comes from pinned memory, but this copy to the GPU makes the CPU wait for it.",
                fix=[code.source.set_keyword(move, "non_blocking", "True")],
                related=[(loader, "the pinned loader")],
            )


def _is_to_gpu(move: ast.Call) -> bool:
    if last_name(move.func) == "cuda":
        return len(move.args) < 2
    target = move.args[0] if len(move.args) == 1 else None
    if isinstance(target, ast.Constant):
        return str(target.value).startswith("cuda")
    return "device" in last_name(target).lower()


def _loader(code: Code, batch: ast.Name) -> ast.Call | None:
    """The pinned loader, made in this file, that the batch comes from."""
    for binding in code.names.reaching(batch):
        iterable = binding.value if isinstance(binding.node, (ast.For, ast.AsyncFor)) else None
        while isinstance(iterable, ast.Call) and last_name(iterable.func) in ("enumerate", "tqdm") and iterable.args:
            iterable = iterable.args[0]
        value = code.values.only(iterable)
        if value.kind is not Kind.LOADER or value.call is None:
            continue
        if code.values.only(code.argument(value.call, "pin_memory", 7)).constant is True:
            return value.call
    return None
