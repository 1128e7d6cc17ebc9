"""A fine-tuning script that says nothing of what was tried before

Fine-tuning is worth its upkeep when prompting has been tried, the task has a clear evaluation, there are a thousand
good examples and the gap is real. A script that trains a language model and whose text mentions none of this leaves
the next reader to ask; two lines in its docstring answer.

❌
```python
from transformers import AutoModelForCausalLM
from trl import SFTTrainer

model = AutoModelForCausalLM.from_pretrained("org/llm-8b")
trainer = SFTTrainer(model=model, train_dataset=tickets, eval_dataset=held_out)  # ❌
trainer.train()
```

✅
```python
\"""Fine-tunes the ticket router.

Few-shot prompting reached 81 % on the 400 held-out tickets, this reaches 93 %; 12,000 labelled tickets.
\"""

from transformers import AutoModelForCausalLM
from trl import SFTTrainer

model = AutoModelForCausalLM.from_pretrained("org/llm-8b")
trainer = SFTTrainer(model=model, train_dataset=tickets, eval_dataset=held_out)
trainer.train()
```

https://platform.openai.com/docs/guides/supervised-fine-tuning
https://huggingface.co/docs/trl/sft_trainer
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("Trainer(", "from_pretrained", ".train()")

_ANSWERS = re.compile(
    r"prompt|few.?shot|zero.?shot|baseline|in.context|retriev|\brag\b|held.?out|benchmark|accuracy|win.?rate"
    r"|instead of|compared|outperform|\bevals?\b|evaluat",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """The first Trainer of a language model in a script whose docstrings and comments answer none of the questions."""
    if code.is_test or _ANSWERS.search(_prose(code)):
        return
    for trainer in code.finetuning.trainers:
        model = code.finetuning.model(trainer.given("model"))
        if model is None or not code.finetuning.is_decoder(model) or code.tree.enclosing(trainer.node, ast.ClassDef):
            continue
        name = code.name(model.args[0]) if model.args else "a language model"
        yield code.problem(
            trainer.node,
            f"This fine-tunes {name}, and nothing in the file says what prompting reached, how the result is evaluated "
            "or how large the gap was.",
            related=[(model, "the model that is trained")],
        )
        return


def _prose(code: Code) -> str:
    """The docstrings and comments of a file."""
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [code.tree.module, *code.tree.all(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)]
    docstrings = [ast.get_docstring(each) or "" for each in nodes if isinstance(each, documented)]
    comments = [line.partition("#")[2] for line in code.source.lines if "#" in line]
    return "\n".join([*docstrings, *comments])
