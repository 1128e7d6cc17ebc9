"""Training in float16 without a gradient scaler

Gradients below 6e-8 are zero in float16, and in most networks many are. Without a scaler they vanish: the loss
stalls, or turns to NaN. bfloat16 has the range of float32 and needs none.

❌
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.float16):  # ❌
        loss = model(batch).mean()
    loss.backward()
    optimizer.step()
```

✅
```python
import torch

optimizer = torch.optim.AdamW(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(batch).mean()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Kind, Problem, Region, Tier

TIER = Tier.BUG
WORDS = ("autocast", "backward", "step")

_SCALES = re.compile(r"scaler|loss_scale|scale_loss|grad_scale|accelerat|deepspeed|fabric", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """float16 regions whose loss is back-propagated and stepped as it is, in a file that scales nothing."""
    if code.is_test or _SCALES.search(code.text):
        return
    for update in code.updates:
        if code.kind(update.step.target) is not Kind.OPTIMIZER or not any(
            map(code.precision.is_plain, update.backwards)
        ):
            continue
        for region in update.of(Act.ENTER):
            if (Region.AUTOCAST, region.node) in region.regions and isinstance(region.node, ast.expr):
                if not code.precision.is_half(region.node):
                    continue
                if not any(update.is_before(region, each) for each in update.backwards):
                    continue
                yield code.problem(
                    region.node,
                    f"The forward pass runs in float16 and `{code.name(update.step.target)}` steps without a "
                    f"`GradScaler`: small gradients vanish. Scale the loss, or use `dtype=torch.bfloat16`.",
                    mend=[code.source.set_keyword(region.node, "dtype", "torch.bfloat16")]
                    if isinstance(region.node, ast.Call) and len(region.node.args) < 2
                    else [],
                    related=[(update.backwards[-1].node, "unscaled backward"), (update.step.node, "the step")],
                )
