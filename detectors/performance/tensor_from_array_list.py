"""A tensor is made from a list of arrays

`torch.tensor([array, …])` reads each number of each array as a Python object. Joining the arrays first is hundreds of
times faster; PyTorch itself warns that this way is extremely slow.

❌
```python
import numpy as np
import torch

frames = torch.tensor([np.asarray(frame) for frame in video])  # ❌
```

✅
```python
import numpy as np
import torch

frames = torch.tensor(np.array([np.asarray(frame) for frame in video]))
```

https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("numpy", "torch", "ensor(")

_ARRAYS = frozenset(
    "array asarray zeros ones full arange linspace concatenate stack vstack hstack load random.rand random.randn "
    "random.normal random.uniform ones_like zeros_like exp log clip transpose reshape expand_dims pad tile".split()
)

_DRAWS = frozenset(["random.normal", "random.uniform"])
"""One number where no size is given."""
_SHAPED = frozenset(["random.rand", "random.randn"])
"""One number where nothing is given."""
_AS_GIVEN = frozenset(["exp", "log", "clip"])
"""A number of a number, an array of an array."""


def detect(code: Code) -> Iterator[Problem]:
    """`torch.tensor` and its kind over lists whose elements are arrays by origin."""
    numpy = next((each.name for each in _modules(code)), "")
    for call in code.calls("torch.tensor", "torch.Tensor", "torch.FloatTensor", "torch.LongTensor", "torch.as_tensor"):
        given = call.args[0] if call.args else None
        if given is None or not _is_list_of_arrays(code, given):
            continue
        inner = code.source.of(given)
        yield code.problem(
            call,
            f"`{code.name(given)}` is a list of arrays: `{code.name(call.func)}` converts it number by number.",
            fix=[code.source.replace(given, f"{numpy}.array({inner})")] if numpy and "\n" not in inner else [],
        )


def _modules(code: Code) -> Iterator[ast.alias]:
    for statement in code.tree.all(ast.Import):
        for alias in statement.names:
            if alias.name == "numpy":
                yield ast.alias(alias.asname or "numpy")


def _is_array(code: Code, node: ast.expr) -> bool:
    """Whether the expression surely makes an array of at least one dimension."""
    if isinstance(node, ast.Name):
        values = code.values.of(node)
        return bool(values) and all(each.call is not None and _is_array(code, each.call) for each in values)
    if not isinstance(node, ast.Call):
        return False
    origin = code.origin(node) or ""
    name = origin.removeprefix("numpy.")
    if name in _AS_GIVEN:
        return bool(node.args) and _is_array(code, node.args[0])
    is_number = (name in _DRAWS and not code.may_have(node, "size", 2)) or (name in _SHAPED and not node.args)
    return origin.startswith("numpy.") and name in _ARRAYS and not is_number


def _is_list_of_arrays(code: Code, node: ast.expr) -> bool:
    if isinstance(node, ast.ListComp):
        return _is_array(code, node.elt)
    if isinstance(node, ast.List):
        return bool(node.elts) and all(_is_array(code, each) for each in node.elts)
    if not isinstance(node, ast.Name):
        return False
    bindings = code.names.reaching(node)
    if len(bindings) != 1 or bindings[0].value is None or bindings[0].index:
        return False
    made = bindings[0].value
    if isinstance(made, ast.ListComp):
        return _is_array(code, made.elt)
    if not isinstance(made, ast.List) or made.elts:
        return False
    appended = [
        each.args[0]
        for each in code.method_calls("append")
        if each.args and code.values.subject(each.func.value) == code.values.subject(node)  # type: ignore[attr-defined]
    ]
    return bool(appended) and all(_is_array(code, each) for each in appended)
