"""A training loop that a library already has

Mixed precision, accumulation, distribution and checkpoints written by hand around a `transformers` model are a few
hundred lines to keep right: each of them has a known trap. `accelerate` or `Trainer` does the same in a handful.

❌
```python
import torch
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased")
model = DistributedDataParallel(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
scaler = torch.amp.GradScaler()
for step, batch in enumerate(loader):  # ❌
    with torch.autocast("cuda"):
        loss = model(**batch).loss / 4
    scaler.scale(loss).backward()
    if (step + 1) % 4 == 0:
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
torch.save(model.module.state_dict(), path)
```

✅
```python
import torch
from accelerate import Accelerator
from transformers import AutoModelForSequenceClassification

accelerator = Accelerator(mixed_precision="fp16", gradient_accumulation_steps=4)
model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased")
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for batch in loader:
    with accelerator.accumulate(model):
        accelerator.backward(model(**batch).loss)
        optimizer.step()
        optimizer.zero_grad()
accelerator.save_state(path)
```

https://huggingface.co/docs/accelerate/index
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = (
    "transformers",
    "from_pretrained",
    "backward",
    "GradScaler|autocast|DistributedDataParallel|FullyShardedDataParallel",
)

_OTHERS = frozenset(
    ["accelerate", "deepspeed", "lightning", "pytorch_lightning", "lightning_fabric", "ignite", "composer"]
)
_PRECISION = (
    "torch.amp.GradScaler",
    "torch.cuda.amp.GradScaler",
    "torch.autocast",
    "torch.amp.autocast",
    "torch.cuda.amp.autocast",
)
_DISTRIBUTION = ("torch.nn.parallel.DistributedDataParallel", "torch.distributed.fsdp.FullyShardedDataParallel")


def detect(code: Code) -> Iterator[Problem]:
    """Three or more of the four concerns in one file that trains a model of `transformers`."""
    if code.is_test or code.packages & _OTHERS or not code.training_steps:
        return
    if not any(_is_pretrained(code, call) for call in code.method_calls("from_pretrained")):
        return
    training = code.training_steps[0]
    concerns = {
        "mixed precision": bool(code.calls(*_PRECISION)),
        "accumulation": training.is_conditional,
        "distribution": bool(code.calls(*_DISTRIBUTION)),
        "checkpoints": bool(code.calls("torch.save")),
    }
    by_hand = [name for name, is_there in concerns.items() if is_there]
    if len(by_hand) >= 3:
        listed = f"{', '.join(by_hand[:-1])} and {by_hand[-1]}"
        yield code.problem(
            training.loop,
            f"This loop does {listed} by hand around a `transformers` model; `accelerate` and `Trainer` have it.",
        )


def _is_pretrained(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    return origin.startswith("transformers.") and ("Model" in origin or "For" in origin)
