"""A large model trains in float32

Matrix multiplications of a transformer run several times faster in bfloat16 on GPUs of the last years, with half the
activation memory. A loop with neither `torch.autocast` nor low-precision weights leaves that aside.

❌
```python
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("gpt2-large").cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
for batch in loader:
    loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()  # ❌
    optimizer.step()
```

✅
```python
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("gpt2-large").cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
for batch in loader:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/amp.html
"""

import re
from collections.abc import Iterator

from detectors import Act, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("from_pretrained", "backward", "cuda")

_LOW = re.compile(
    r"autocast|float16|bfloat16|\bbf16|\bfp16|\.half\(|mixed_precision|accelerat|deepspeed|dtype=|amp\b|8bit|4bit", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """Training steps, by hand and on a GPU, of a pretrained transformer, in a file that mentions no lower precision."""
    if code.is_test or not code.uses_gpu or _LOW.search(code.text):
        return
    for training in code.training_steps:
        for event in training.events:
            if event.act is not Act.FORWARD:
                continue
            origins = {each.origin or "" for each in code.values.known(event.target)}
            if any(each.startswith("transformers.") and each.endswith("from_pretrained") for each in origins):
                yield code.problem(
                    training.backwards[-1].node,
                    f"`{code.name(event.target)}` trains in float32: neither `torch.autocast` nor low-precision "
                    "weights are in sight.",
                    related=[(training.loop, "the loop")],
                )
                return
