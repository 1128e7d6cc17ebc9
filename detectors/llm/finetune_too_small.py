"""The fine-tuning set is small

Below about 1,000 examples fine-tuning mostly learns the examples by heart. A good prompt with some of them in it, or
retrieval, is often as good, changes in minutes and is easier to take back. Collect more, or show that prompting was
measured and is not enough.

❌
```python
from datasets import load_dataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

train = load_dataset("acme/tickets", split="train[:200]")
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
trainer = Trainer(model=model, args=TrainingArguments("out"), train_dataset=train)  # ❌
```

✅
```python
from datasets import load_dataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

train = load_dataset("acme/tickets", split="train[:5000]")
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
trainer = Trainer(model=model, args=TrainingArguments("out"), train_dataset=train)
```

https://platform.openai.com/docs/guides/supervised-fine-tuning
https://arxiv.org/abs/2305.11206
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("Trainer(", "train_dataset", "select(|split=|from_list(|from_dict(")

_ENOUGH = 1000
_A_TRIAL = re.compile(r"debug|smoke|sanity|dry_?run|toy|overfit|quick|demo|few_?shot|max_steps\s*=\s*\d{1,2}\b", re.I)
_SLICE = re.compile(r"train\[:(\d+)\]$")
_SAME_ROWS = frozenset(["map", "shuffle", "with_format", "remove_columns", "rename_column", "cast_column"])


def detect(code: Code) -> Iterator[Problem]:
    """Trainers whose training set has a number of examples in sight that is below 1,000."""
    if code.is_test or _A_TRIAL.search(code.text):
        return
    for trainer in code.finetuning.trainers:
        given = trainer.given("train_dataset")
        count, place = _examples(code, given) if given is not None else (None, None)
        if given is not None and place is not None and count is not None and 0 < count < _ENOUGH:
            yield code.problem(
                trainer.node,
                f"`{code.name(given)}` has {count} examples; below about {_ENOUGH:,} a prompt with examples in it is "
                "often as good, and easier to change.",
                related=[(place, f"{count} examples")],
            )


def _examples(code: Code, node: ast.expr, depth: int = 0) -> tuple[int | None, ast.expr | None]:
    """How many examples a data set has, and where that is written."""
    node = code.definitions.of(node)
    if depth > 5 or not isinstance(node, ast.Call):
        return None, None
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr == "select" and node.args:
        match node.args[0]:
            case ast.Call(func=ast.Name(id="range"), args=[only]):
                count = code.finetuning.number(only)
                return (int(count), node) if count is not None else (None, None)
        return None, None
    if isinstance(func, ast.Attribute) and func.attr in _SAME_ROWS and code.origin(func) is None:
        return _examples(code, func.value, depth + 1)
    if code.origin(node) == "datasets.load_dataset":
        split = code.argument(node, "split")
        text = code.values.only(split).constant if split is not None else None
        found = _SLICE.match(text) if isinstance(text, str) else None
        return (int(found[1]), node) if found else (None, None)
    if code.origin(node) == "datasets.Dataset.from_list" and node.args:
        rows = code.values.only(node.args[0]).node
        is_list = isinstance(rows, ast.List) and not any(isinstance(each, ast.Starred) for each in rows.elts)
        return (len(rows.elts), node) if is_list and isinstance(rows, ast.List) and rows.elts else (None, None)
    return None, None
