"""Generation runs without its key-value cache

With `use_cache=False` every new token runs the model over the whole text again: the work of an answer grows with the
square of its length, and nothing is gained but a little memory.

❌
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3")
model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3")
inputs = tokenizer("Tell me a story.", return_tensors="pt")
outputs = model.generate(**inputs, max_new_tokens=500, use_cache=False)  # ❌
```

✅
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3")
model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-Instruct-v0.3")
inputs = tokenizer("Tell me a story.", return_tensors="pt")
outputs = model.generate(**inputs, max_new_tokens=500)
```

https://huggingface.co/docs/transformers/main/en/kv_cache
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Kind, Problem, Tier

TIER = Tier.RISK
WORDS = ("use_cache=False", "generate")

_ON_PURPOSE = re.compile(
    r"use_cache\s*=\s*True|output_hidden_states|output_attentions|output_scores|register_forward_(pre_)?hook"
    r"|gradient_checkpointing|\.backward\(|no_cache|without_cache|uncached"
)


def detect(code: Code) -> Iterator[Problem]:
    """`generate(use_cache=False)` on a model, in a file that neither compares, trains nor looks inside."""
    if code.is_test or _ON_PURPOSE.search(code.text):
        return
    for call in code.method_calls("generate"):
        assert isinstance(call.func, ast.Attribute)
        given = code.argument(call, "use_cache")
        if not (isinstance(given, ast.Constant) and given.value is False) or _is_short(code, call):
            continue
        owner = call.func.value
        is_self = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
        is_super = isinstance(owner, ast.Call)
        if code.finetuning.model(owner) is None and (is_self or is_super or code.kind(owner) is not Kind.MODEL):
            continue
        yield code.problem(
            call,
            f"`{code.name(owner)}` runs over the whole text again for every new token: `use_cache=False`.",
            fix=[code.source.remove_argument(call, "use_cache")],
        )


def _is_short(code: Code, call: ast.Call) -> bool:
    """One or a few new tokens need no cache; how many may not be known through `**settings`, which stays risky."""
    count = code.finetuning.number(code.argument(call, "max_new_tokens"))
    return count is not None and count <= 4
