"""Gradients are filled with zeros

`zero_grad(set_to_none=False)` writes zeros into every gradient, and the next `backward()` reads them to add to them.
The default drops the tensors: less memory traffic, and less memory held during the forward pass.

❌
```python
for batch in loader:
    optimizer.zero_grad(set_to_none=False)  # ❌
    model(batch).mean().backward()
    optimizer.step()
```

✅
```python
for batch in loader:
    optimizer.zero_grad()
    model(batch).mean().backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("set_to_none",)


def detect(code: Code) -> Iterator[Problem]:
    """`set_to_none=False` in files that do not read gradients themselves."""
    if any(each.attr == "grad" and isinstance(each.ctx, ast.Load) for each in code.tree.all(ast.Attribute)):
        return
    for call in code.method_calls("zero_grad"):
        given = next((each.value for each in call.keywords if each.arg == "set_to_none"), None)
        if isinstance(given, ast.Constant) and given.value is False:
            owner = code.name(call.func.value)  # type: ignore[attr-defined]
            is_default = not code.versions.allows_below("torch", "2.0")
            drops = code.source.remove_argument(call, "set_to_none")
            yield code.problem(
                call,
                f"`{owner}` fills its gradients with zeros in each step; dropping them, the default from torch 2.0 on "
                f"({code.versions.assumed('torch')}), saves memory traffic.",
                fix=[drops if is_default else code.source.replace(given, "True")],
            )
