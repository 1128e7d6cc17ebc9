"""Tokenizer and model come from different checkpoints

A model only understands the token ids it was trained on. With another checkpoint's tokenizer the ids mean other
words, or lie outside the embedding; nothing fails, the results are just bad. Load both from the same name.

❌
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")  # ❌
model = AutoModelForSequenceClassification.from_pretrained("roberta-base")
```

✅
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

NAME = "roberta-base"
tokenizer = AutoTokenizer.from_pretrained(NAME)
model = AutoModelForSequenceClassification.from_pretrained(NAME)
```

https://huggingface.co/docs/transformers/main/en/main_classes/tokenizer
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("from_pretrained|pipeline(", "okenizer", "transformers")

_FAMILIES = (
    "xlm-roberta", "deberta", "roberta", "distilbert", "albert", "electra", "bert", "gpt-neox", "gpt2", "gpt-j", "opt",
    "bloom", "falcon", "mixtral", "mistral", "llama", "qwen", "gemma", "phi", "flan-t5", "mt5", "t5", "bart", "pegasus",
    "xlnet", "longformer", "camembert", "marian", "whisper", "mpnet", "minilm",
)  # fmt: skip
_SAME_VOCABULARY = (
    {"bert", "distilbert", "minilm", "mpnet", "electra"}, {"roberta", "longformer", "bart", "gpt2"}, {"t5", "flan-t5"},
    {"mistral", "mixtral", "llama"}, {"gpt2", "gpt-j"}, {"opt", "gpt2"}, {"xlm-roberta", "minilm", "mpnet"},
)  # fmt: skip


def detect(code: Code) -> Iterator[Problem]:
    """A tokenizer and a model of one scope, each the only one there, of different vocabularies by their names."""
    if code.is_test:
        return
    scopes: dict[ast.AST, tuple[list[ast.Call], list[ast.Call]]] = {}
    for call in code.method_calls("from_pretrained"):
        origin = code.origin(call) or ""
        if not origin.startswith("transformers."):
            continue
        pair = scopes.setdefault(code.tree.scope(call), ([], []))
        if "Tokenizer" in origin or "AutoProcessor" in origin:
            pair[0].append(call)
        elif re.search(r"Model|For[A-Z]", origin):
            pair[1].append(call)
    for call in code.calls("transformers.pipeline", "transformers.pipelines.pipeline"):
        yield from _in_pipeline(code, call)
    for tokenizers, models in scopes.values():
        if len(tokenizers) != 1 or len(models) != 1:
            continue
        names = [_name(code, each) for each in (tokenizers[0], models[0])]
        if all(names) and _differ(*names):
            yield code.problem(
                tokenizers[0],
                f"The tokenizer is `{names[0]}`'s and the model `{names[1]}`: the model reads token ids of another "
                "vocabulary.",
                mend=[code.source.replace(tokenizers[0].args[0], code.source.of(models[0].args[0]))],
                related=[(models[0], "the model")],
            )


def _in_pipeline(code: Code, call: ast.Call) -> Iterator[Problem]:
    """`pipeline(model="…", tokenizer="…")` with two names."""
    model, tokenizer = code.argument(call, "model", 1), code.argument(call, "tokenizer", 3)
    names = [code.values.only(each).constant for each in (tokenizer, model) if each is not None]
    if len(names) == 2 and tokenizer is not None and model is not None:
        one, other = (each if isinstance(each, str) and not each.startswith((".", "/")) else "" for each in names)
        if one and other and _differ(one, other):
            yield code.problem(
                tokenizer,
                f"The tokenizer is `{one}`'s and the model `{other}`: the model reads token ids of another vocabulary.",
                mend=[code.source.replace(tokenizer, code.source.of(model))],
            )


def _name(code: Code, call: ast.Call) -> str:
    value = code.values.only(call.args[0]).constant if call.args else None
    return value if isinstance(value, str) and not value.startswith((".", "/")) else ""


def _differ(tokenizer: str, model: str) -> bool:
    one, other = _family(tokenizer), _family(model)
    if not one or not other:
        return False
    if one != other:
        return not any({one, other} <= group for group in _SAME_VOCABULARY)
    if one == "llama":
        return {_generation(tokenizer), _generation(model)} in ({"2", "3"}, {"2", "4"}, {"3", "4"})
    return one == "bert" and _marks(tokenizer) != _marks(model) and all(map(_is_original, (tokenizer, model)))


def _family(name: str) -> str:
    last = name.lower().rpartition("/")[2]
    found = [each for each in _FAMILIES if re.search(rf"(?:^|[^a-z]){re.escape(each)}(?:[^a-z]|$|(?=\d))", last)]
    return found[0] if len(found) == 1 or (found and all(each in found[0] for each in found)) else ""


def _generation(name: str) -> str:
    """The number of a Llama, whose vocabulary was replaced with 3 and again with 4; "" for `llama-7b`."""
    found = re.search(r"llama-?(\d)(?![\d.]*b)", name, re.I)
    return found[1] if found else ""


def _marks(name: str) -> set[str]:
    return {each for each in ("uncased", "multilingual", "chinese", "german") if each in name.lower()}


def _is_original(name: str) -> bool:
    return bool(re.match(r"(google-bert/)?bert-(base|large)-(\w+-)?(un)?cased$|(google-bert/)?bert-base-\w+$", name))
