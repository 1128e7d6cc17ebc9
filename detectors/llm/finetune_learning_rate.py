"""The learning rate is far from what this kind of fine-tuning takes

All weights of a pre-trained model want about 1e-5 to 5e-5 with Adam: at 1e-3 and above it forgets what it knew within
a few hundred steps. Adapters start from nothing and want about 1e-4 to 2e-4: at 1e-6 and below they hardly move.

❌
```python
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
args = TrainingArguments("out", learning_rate=2e-3, num_train_epochs=3)  # ❌
trainer = Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid)
```

✅
```python
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
args = TrainingArguments("out", learning_rate=2e-5, num_train_epochs=3)
trainer = Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid)
```

https://huggingface.co/docs/transformers/main/en/training
https://huggingface.co/docs/trl/main/en/sft_trainer
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("from_pretrained", "learning_rate|lr=", "transformers|trl")

_TOO_HIGH, _TOO_LOW = 1e-3, 1e-6
_FAR_TOO_HIGH = 1e-2
"""For adapters, of which some are trained with a few thousandths."""
_ADAPTED = re.compile(r"\bpeft\b|peft_config|LoraConfig|add_adapter|adapters?\b|unsloth|lora", re.I)
_PARTIAL = re.compile(r"requires_grad|freeze|from_config|adafactor|PromptTuning|PrefixTuning|PromptEncoder", re.I)
_SMALL_STEPS = re.compile(r"t5|byt5|ul2", re.I)
_ADAM = re.compile(r"(torch\.optim|transformers|bitsandbytes\.optim)\.(\w+\.)*(Paged)?Adam\w*$")


def detect(code: Code) -> Iterator[Problem]:
    """Learning rates in sight: too high for every weight of a loaded model, too low for adapters."""
    if code.is_test:
        return
    is_adapted, is_partial = bool(_ADAPTED.search(code.text)), bool(_PARTIAL.search(code.text))
    for trainer in code.finetuning.trainers:
        given = trainer.given("model") or (trainer.node.args[0] if trainer.node.args else None)
        arguments, base = trainer.arguments, code.finetuning.model(given)
        if arguments is None or trainer.given("optimizers", "optimizer_cls_and_kwargs") is not None:
            continue
        rate = code.argument(arguments, "learning_rate")
        value = code.finetuning.number(rate)
        if rate is None or value is None or value == 0:
            continue
        is_far_off = value <= _TOO_LOW or (value >= _FAR_TOO_HIGH and not is_partial)
        if is_adapted and is_far_off and _gets_adapters(code, given, trainer.given("peft_config")):
            yield _problem(code, rate, value, "adapters", "2e-4")
        elif not is_adapted and not is_partial and value >= _TOO_HIGH and _is_pretrained(code, base):
            yield _problem(code, rate, value, f"all weights of `{code.name(given)}`", "2e-5")
    if not is_adapted and not is_partial:
        yield from _own_loops(code)


def _own_loops(code: Code) -> Iterator[Problem]:
    """`AdamW(model.parameters(), lr=…)` on all of a loaded model."""
    for call in code.tree.all(ast.Call):
        if not _ADAM.match(code.origin(call) or ""):
            continue
        match call.args[:1]:
            case [ast.Call(func=ast.Attribute(attr="parameters", value=model), args=[])]:
                rate = code.argument(call, "lr", 1)
                value = code.finetuning.number(rate)
                base = code.finetuning.model(model)
                if rate is not None and value is not None and value >= _TOO_HIGH and _is_pretrained(code, base):
                    yield _problem(code, rate, value, f"all weights of `{code.name(model)}`", "2e-5")


def _is_pretrained(code: Code, base: ast.Call | None) -> bool:
    return base is not None and not _SMALL_STEPS.search(code.finetuning.checkpoint(base))


def _gets_adapters(code: Code, model: ast.expr | None, config: ast.expr | None) -> bool:
    if config is not None:
        return (code.values.only(config).origin or "").endswith("LoraConfig")
    wrappers = [each for value in code.values.known(model) for each in value.wrappers]
    return "peft.get_peft_model" in wrappers


def _problem(code: Code, rate: ast.expr, value: float, what: str, usual: str) -> Problem:
    how = f"{value / float(usual):,.0f} times the usual" if value > float(usual) else "far below the usual"
    return code.problem(
        rate,
        f"{what[0].upper()}{what[1:]} train with a learning rate of {value:g}, {how} {usual}.",
        mend=[code.source.replace(rate, usual)] if isinstance(rate, ast.Constant) else [],
    )
