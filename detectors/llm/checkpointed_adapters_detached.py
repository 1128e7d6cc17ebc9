"""No gradient reaches the adapters of a checkpointed base

Before version 5, transformers checkpoints activations with the reentrant kind, which only passes gradients on where
an *input* of the block requires them. With a frozen base none does: the loss has no gradient to follow, or the
adapters stay as they were. Let the inputs require gradients, or checkpoint with `use_reentrant=False`.

❌
```python
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.1")
model = get_peft_model(model, LoraConfig(r=8))  # ❌
args = TrainingArguments("out", evaluation_strategy="steps", gradient_checkpointing=True)
trainer = Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid)
```

✅
```python
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.1")
model = get_peft_model(model, LoraConfig(r=8))
model.enable_input_require_grads()
args = TrainingArguments("out", evaluation_strategy="steps", gradient_checkpointing=True)
trainer = Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid)
```

https://huggingface.co/docs/peft/main/en/developer_guides/troubleshooting
https://docs.pytorch.org/docs/stable/checkpoint.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("get_peft_model", "gradient_checkpointing", "from_pretrained")

_SEES_TO_IT = re.compile(
    r"enable_input_require_grads|prepare_model_for_(kbit|int8)_training|use_reentrant|require_grads?_hook"
    r"|make_inputs_require_grad|register_forward_hook|get_input_embeddings|modules_to_save|unsloth|SFTTrainer"
    r"|activation_checkpointing_enable"
)
_FROZEN_INPUTS = ("LoraConfig", "AdaLoraConfig", "LoHaConfig", "LoKrConfig", "OFTConfig", "VeraConfig")


def detect(code: Code) -> Iterator[Problem]:
    """Adapters on a base that is checkpointed after they are put on it (or is quantised), on transformers before 5.

    Where checkpointing is on before `get_peft_model`, PEFT lets the inputs of an unquantised model require gradients.
    """
    if code.is_test or _SEES_TO_IT.search(code.text) or not code.finetuning.is_before_5:
        return
    for call in code.finetuning.adapters:
        given = call.args[0] if call.args else code.argument(call, "model")
        base = code.finetuning.model(given)
        config = code.values.only(code.argument(call, "peft_config", 1))
        if base is None or (config.origin or "").rpartition(".")[2] not in _FROZEN_INPUTS:
            continue
        switch = _switch(code, call, is_quantised=code.finetuning.bits(base) > 0)
        statement = code.tree.statement(call)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is call else None
        if switch is None or not isinstance(target, (ast.Name, ast.Attribute)):
            continue
        name = code.source.of(target)
        yield code.problem(
            call,
            f"`{name}`'s base is frozen and recomputes its activations, and none of its inputs requires gradients: "
            f"before transformers 5 ({code.versions.assumed('transformers')}), no gradient reaches the adapters.",
            fix=[code.source.insert_after(statement, f"{name}.enable_input_require_grads()")],
            related=[(switch, "switches checkpointing on")],
        )


def _switch(code: Code, adapters: ast.Call, *, is_quantised: bool) -> ast.AST | None:
    """What switches checkpointing on where PEFT does not see to the inputs: afterwards, or on a quantised base."""
    for enable in code.method_calls("gradient_checkpointing_enable"):
        is_later = enable.lineno > adapters.lineno
        if code.tree.function(enable) is code.tree.function(adapters) and _runs_always(code, enable):
            return enable if is_later or is_quantised else None
    statement = code.tree.statement(adapters)
    target = last_name(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    for trainer in code.finetuning.trainers:
        given = trainer.given("model") or (trainer.node.args[0] if trainer.node.args else None)
        if trainer.arguments is None or last_name(given) != target:
            continue
        setting = code.argument(trainer.arguments, "gradient_checkpointing")
        if isinstance(setting, ast.Constant) and setting.value is True:
            return trainer.arguments
    return None


def _runs_always(code: Code, call: ast.Call) -> bool:
    return not any(isinstance(each, (ast.If, ast.Try)) for each in code.tree.ancestors(call))
