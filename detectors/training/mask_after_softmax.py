"""Attention is masked after its softmax

A mask of minus infinity takes positions out of a softmax. Put in after the softmax it leaves minus infinity among the
weights: the product with the values is infinite or NaN, and the positions still had their share of the sum.

❌
```python
import torch


def attend(query, key, value, mask):
    weights = (query @ key.transpose(-2, -1)).softmax(dim=-1)
    weights = weights.masked_fill(~mask, float("-inf"))  # ❌
    return weights @ value
```

✅
```python
import torch


def attend(query, key, value, mask):
    scores = query @ key.transpose(-2, -1)
    scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1) @ value
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Activation, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("softmax|Softmax", "masked_fill", "inf|finfo|-1e|-1 *")
_LOWEST = re.compile(
    r"-\s*(torch\.|math\.|np\.|numpy\.)?inf\b|['\"]-inf(inity)?['\"]|finfo\(.*\)\.min|-1e\+?\d|-10{4,}"
)


def detect(code: Code) -> Iterator[Problem]:
    """`masked_fill` with the lowest value, of what a softmax gave."""
    if code.is_test:
        return
    for call in code.method_calls("masked_fill", "masked_fill_"):
        filled = code.argument(call, "value", 1)
        if filled is None or not _LOWEST.search(ast.unparse(code.definitions.of(filled))):
            continue
        weights = call.func.value  # type: ignore[attr-defined]
        applied = code.activations.of(weights)
        if applied.activation is not Activation.SOFTMAX or applied.node is None:
            continue
        yield code.problem(
            call,
            f"`{code.name(weights)}` went through a softmax at line {applied.node.lineno}: "
            f"`{code.source.of(filled)}` now stays among the weights. Mask the scores before it.",
            related=[(applied.node, "the softmax")],
        )
