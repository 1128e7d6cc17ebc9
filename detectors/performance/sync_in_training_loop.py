"""The CPU waits for the GPU several times in every step

`.item()`, `.cpu()`, `.tolist()`, `float(tensor)` and `if tensor > 0` wait until the GPU has done all it was given.
One scalar a step is the price of a loss curve; more of them, or one for every micro-batch, leave the GPU without
work.

❌
```python
import torch

model.to("cuda")
for inputs, targets in loader:
    total = 0.0
    optimizer.zero_grad()
    for part, target in zip(inputs.chunk(4), targets.chunk(4)):
        loss = criterion(model(part.to("cuda")), target.to("cuda")) / 4
        loss.backward()
        total += loss.item()  # ❌
    optimizer.step()
```

✅
```python
import torch

model.to("cuda")
for inputs, targets in loader:
    total = 0.0
    optimizer.zero_grad()
    for part, target in zip(inputs.chunk(4), targets.chunk(4)):
        loss = criterion(model(part.to("cuda")), target.to("cuda")) / 4
        loss.backward()
        total += loss.detach()
    optimizer.step()
```

https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#avoid-unnecessary-cpu-gpu-synchronization
"""

import ast
from collections.abc import Iterator

from detectors import Code, Loop, Problem, Tier, TrainingStep, last_name

TIER = Tier.RISK
WORDS = ("backward", "cuda|.to(", ".item(|.cpu(|.tolist(|.numpy(|float(|if ")

_WAITS = frozenset({"item", "cpu", "tolist", "numpy"})
_SEVERAL = 4


def detect(code: Code) -> Iterator[Problem]:
    """Waits in each micro-batch, and several different waits in each step."""
    if code.is_test or not _computes_on_gpu(code):
        return
    seen: set[ast.AST] = set()
    steps: dict[Loop, tuple[TrainingStep, dict[str, ast.expr]]] = {}
    for wait in _waits(code):
        micro = _micro_batches(code, wait)
        if micro is not None and wait not in seen:
            seen.add(wait)
            yield _in_micro_batch(code, wait, micro)
            continue
        training = code.step_around(wait)
        if training is not None and "epoch" not in ast.unparse(getattr(training.loop, "target", training.loop)):
            _, waits = steps.setdefault(training.loop, (training, {}))
            waits.setdefault(ast.unparse(wait), wait)
    for training, waits in steps.values():
        if len(waits) >= 2:
            yield _several(code, training, waits)


def _several(code: Code, training: TrainingStep, waits: dict[str, ast.expr]) -> Problem:
    nodes = sorted(waits.values(), key=lambda each: each.lineno)
    named = ", ".join(f"`{code.name(each)}`" for each in nodes[:3])
    return code.problem(
        nodes[1],
        f"Each step waits for the GPU at {len(nodes)} places ({named}{', …' if len(nodes) > 3 else ''}); keep them as "
        "detached tensors and read them every so many steps.",
        related=[(training.loop, "the loop"), (nodes[0], "the first wait")],
        tier=Tier.RISK if len(nodes) >= _SEVERAL and not _decides(code, training.loop) else Tier.ADVICE,
    )


def _decides(code: Code, loop: Loop) -> bool:
    """Whether each step waits anyway, to decide by a tensor's value how to go on: `if loss < 1e-3: break`."""
    tests = (each.test for each in code.tree.all(ast.If) if code.tree.inside(each, loop))
    compared = (each for each in tests if isinstance(each, ast.Compare))
    return any(_is_computed(code, side) for each in compared for side in (each.left, *each.comparators))


def _in_micro_batch(code: Code, wait: ast.expr, loop: Loop) -> Problem:
    fix = []
    if isinstance(wait, ast.Call) and isinstance(wait.func, ast.Attribute) and wait.func.attr == "item":
        fix = [code.source.replace(wait, f"{code.source.of(wait.func.value)}.detach()")]
    return code.problem(
        wait,
        f"`{code.name(wait)}` waits for the GPU in every micro-batch; add up the detached "
        "tensor and read it once a step.",
        mend=fix,
        related=[(loop, "the micro-batches")],
    )


def _computes_on_gpu(code: Code) -> bool:
    moves = code.method_calls("to")
    return code.uses_gpu or any(each.args and "device" in last_name(each.args[0]) for each in moves)


def _waits(code: Code) -> Iterator[ast.expr]:
    """Expressions that wait for a tensor of the loss's making; of `x.cpu().numpy()` the whole."""
    for call in code.tree.all(ast.Call):
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in _WAITS and not call.args:
            above = code.tree.parents.get(call)
            is_part = isinstance(above, ast.Attribute) and above.attr in (*_WAITS, "detach", "data")
            if not is_part and _is_computed(code, func.value):
                yield call
        elif code.origin(func) == "builtins.float" and call.args and code.tensors.is_attached(call.args[0]):
            yield call


def _is_computed(code: Code, node: ast.expr, depth: int = 6) -> bool:
    """Whether the value comes out of the model: attached, or computed from something attached."""
    if code.tensors.is_attached(node):
        return True
    if depth == 0:
        return False
    match node:
        case ast.Name():
            values = [each.value for each in code.names.reaching(node) if each.value is not None]
            return bool(values) and all(_is_computed(code, each, depth - 1) for each in values)
        case ast.Call(func=ast.Attribute(attr=attr, value=value), args=arguments):
            if attr in ("item", "tolist", "numpy", "size", "cpu"):
                return False
            if code.origin(node) is None:
                return _is_computed(code, value, depth - 1)
            is_torch = (code.origin(node) or "").startswith("torch.")
            return is_torch and any(_is_computed(code, each, depth - 1) for each in arguments)
        case ast.Compare(left=left, comparators=others):
            return any(_is_computed(code, each, depth - 1) for each in (left, *others))
        case ast.BinOp(left=left, right=right):
            return _is_computed(code, left, depth - 1) or _is_computed(code, right, depth - 1)
        case ast.Subscript(value=value) | ast.Attribute(value=value):
            return _is_computed(code, value, depth - 1)
    return False


def _micro_batches(code: Code, node: ast.AST) -> Loop | None:
    """The inner loop of an accumulating step around the node: it back-propagates, the step comes after it."""
    loops = code.tree.loops(node)
    for training in code.training_steps:
        if len(loops) < 2 or loops[1] is not training.loop or training.step.loops[-1] is not training.loop:
            continue
        if any(loops[0] in each.loops for each in training.backwards) and not _is_guarded(code, node, loops[0]):
            return None if _steps(code, loops[0]) else loops[0]
    return None


def _steps(code: Code, loop: Loop) -> bool:
    """Whether an optimizer that is not known steps in the loop: `optimizers[name].step()`."""
    return any(code.tree.inside(each, loop) for each in code.method_calls("step"))


def _is_guarded(code: Code, node: ast.AST, loop: Loop) -> bool:
    return any(code.tree.inside(test, loop) for test, _ in code.ranks.guards(node))
