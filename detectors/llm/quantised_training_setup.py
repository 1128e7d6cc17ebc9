"""A quantised model is trained without the set-up it needs

Weights of 4 or 8 bits cannot be trained: adapters are. And before adapters go on, `prepare_model_for_kbit_training`
freezes the base, keeps its norms in float32 and lets the inputs pass gradients; without it training is unstable, or
no gradient arrives.

❌
```python
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Trainer

config = BitsAndBytesConfig(load_in_4bit=True)
model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.3", quantization_config=config)
model = get_peft_model(model, LoraConfig(r=16))  # ❌
trainer = Trainer(model=model, args=args, train_dataset=train)
```

✅
```python
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Trainer

config = BitsAndBytesConfig(load_in_4bit=True)
model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.3", quantization_config=config)
model = prepare_model_for_kbit_training(model)
model = get_peft_model(model, LoraConfig(r=16))
trainer = Trainer(model=model, args=args, train_dataset=train)
```

https://huggingface.co/docs/peft/main/en/developer_guides/quantization
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("load_in_4bit|load_in_8bit", "from_pretrained", "Trainer|get_peft_model|parameters()")

_PREPARED = re.compile(
    r"prepare_model_for_(kbit|int8)_training|prepare_\w*kbit|unsloth|requires_grad|float32|add_adapter"
)
_ADAPTED = re.compile(r"\bpeft\b|peft_config|adapter|lora", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Adapters on a quantised base that was not prepared; a quantised model trained with no adapters at all."""
    if code.is_test or _PREPARED.search(code.text):
        return
    trains = bool(code.finetuning.trainers) or ".backward(" in code.text
    for call in code.finetuning.adapters if trains and "SFTTrainer" not in code.text else ():
        base_node = call.args[0] if call.args else code.argument(call, "model")
        base = code.finetuning.model(base_node)
        bits = code.finetuning.bits(base) if base is not None else 0
        if base is None or base_node is None or not bits:
            continue
        statement = code.tree.statement(call)
        name = code.source.of(base_node)
        prepare = f"{name} = prepare_model_for_kbit_training({name})"
        is_name = isinstance(base_node, (ast.Name, ast.Attribute))
        yield code.problem(
            call,
            f"`{name}` is loaded in {bits} bits and gets its adapters unprepared: "
            "`prepare_model_for_kbit_training` freezes it, keeps norms in float32 and lets inputs pass gradients.",
            mend=[code.source.insert_before(statement, prepare)] if is_name else [],
            related=[(base, f"loads it in {bits} bits")],
        )
    if not _ADAPTED.search(code.text):
        yield from _bare(code)


def _bare(code: Code) -> Iterator[Problem]:
    for trainer in code.finetuning.trainers:
        given = trainer.given("model") or (trainer.node.args[0] if trainer.node.args else None)
        base = code.finetuning.model(given)
        bits = code.finetuning.bits(base) if base is not None else 0
        if base is not None and bits and not trainer.is_open:
            yield code.problem(
                trainer.node,
                f"`{code.name(given)}` is loaded in {bits} bits, and weights of {bits} bits cannot be trained: put "
                "adapters on it.",
                related=[(base, f"loads it in {bits} bits")],
            )
