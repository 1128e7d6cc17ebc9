"""A model is fine-tuned and never evaluated

The training loss goes down whether the model learns the task, memorises the examples or forgets everything else. Hold
some examples back and evaluate on them while it trains; only then can the best checkpoint be told from the last.

❌
```python
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
args = TrainingArguments("out", num_train_epochs=3)
trainer = Trainer(model=model, args=args, train_dataset=train)  # ❌
trainer.train()
```

✅
```python
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
args = TrainingArguments("out", num_train_epochs=3, eval_strategy="steps", eval_steps=200)
parts = train.train_test_split(test_size=0.05, seed=0)
trainer = Trainer(model=model, args=args, train_dataset=parts["train"], eval_dataset=parts["test"])
trainer.train()
```

https://huggingface.co/docs/transformers/main/en/trainer
https://huggingface.co/docs/trl/main/en/sft_trainer
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("Trainer(", "train_dataset", ".train(", "transformers|trl")

_EVALUATES = re.compile(
    r"\beval(uate|uation|_model|_loop|_step|uator)?\w*\(|\.predict\(|compute_metrics|lm_eval|accuracy|rouge|bleu|perplexity"
    r"|\bevaluate\.load|import evaluate|(np|numpy|torch)(\.random)?\.rand(n|int|om)?\("
    r"|\bdef \w*(eval|valid|test|score|metric)\w*\(|callbacks=",
    re.I,
)
_FEW_STEPS = 100
_REWARDED = re.compile(r"^trl\.(\w+\.)*(GRPO|RLOO|PPO|OnlineDPO)Trainer$")
_STRATEGIES = ("eval_strategy", "evaluation_strategy", "do_eval", "eval_steps", "load_best_model_at_end")


def detect(code: Code) -> Iterator[Problem]:
    """Trainers that train with no evaluation set, or with one that nothing runs on, where nothing else evaluates."""
    if code.is_test or _EVALUATES.search(code.text.replace(".eval()", "").replace("ast.literal_eval(", "")):
        return
    for trainer in code.finetuning.trainers:
        own = (code.origin(trainer.node) or "").startswith("<local>.")
        if trainer.is_open or own or len(trainer.node.args) > 2 or trainer.given("train_dataset") is None:
            continue
        if not _is_trained(code, trainer.node):
            continue
        given, arguments = trainer.given("eval_dataset"), trainer.arguments
        if given is None or (isinstance(given, ast.Constant) and given.value is None):
            if arguments is not None or trainer.given("args") is None:
                yield code.problem(
                    trainer.node,
                    f"`{code.name(trainer.node.func)}` trains on `{code.name(trainer.given('train_dataset'))}` with no "
                    "evaluation set, and nothing in this file evaluates the result.",
                    tier=Tier.ADVICE if code.is_notebook or _is_first_steps(code, arguments) else None,
                )
                return
        elif arguments is not None and not any(code.may_have(arguments, each) for each in _STRATEGIES):
            yield code.problem(
                trainer.node,
                f'Nothing is evaluated on `{code.name(given)}`: no `eval_strategy` is set, whose default is "no", and '
                "nothing calls `evaluate`.",
                mend=[code.source.set_keyword(arguments, "eval_strategy", '"epoch"')],
                related=[(arguments, "sets no `eval_strategy`")],
            )
            return


def _is_first_steps(code: Code, arguments: ast.Call | None) -> bool:
    """Whether it tries out a few steps, or only prepares the model for a trainer that learns from rewards."""
    steps = code.argument(arguments, "max_steps") if arguments is not None else None
    count = code.values.only(steps).constant if steps is not None else None
    if isinstance(count, int) and 0 < count <= _FEW_STEPS:
        return True
    return any(_REWARDED.search(code.origin(each) or "") for each in code.tree.all(ast.Call))


def _is_trained(code: Code, trainer: ast.Call) -> bool:
    """Whether `.train()` is called on it in this file."""
    return any(
        any(value.call is trainer for value in code.values.known(each.func.value))  # type: ignore[attr-defined]
        for each in code.method_calls("train")
    )
