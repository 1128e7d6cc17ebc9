"""Tokens are added and the model's embedding is not resized

`add_tokens` and `add_special_tokens` give new ids beyond the model's embedding table. The first text that holds one
fails with an index error (on a GPU: a device-side assert far from the cause), or reads a row that was never trained
for it. Resize the embedding after the tokenizer has its last token.

❌
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2")
model = AutoModelForCausalLM.from_pretrained("openai-community/gpt2")
tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|bot|>"]})  # ❌
```

✅
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2")
model = AutoModelForCausalLM.from_pretrained("openai-community/gpt2")
tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|bot|>"]})
model.resize_token_embeddings(len(tokenizer))
```

https://huggingface.co/docs/transformers/main/en/main_classes/model#transformers.PreTrainedModel.resize_token_embeddings
https://huggingface.co/docs/transformers/main/en/internal/tokenization_utils
"""

import ast
import re
from collections.abc import Iterator

from detectors import Change, Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("add_tokens|add_special_tokens", "from_pretrained", "transformers")

_SEES_TO_IT = ("resize", "vocab_size", "set_input_embeddings", "setup_chat_format", "clone_chat_template", "unsloth")
_SPARE_ROWS = re.compile(r"qwen|t5|phi|pythia|neox|opt-|gemma|bloom|deberta|deepseek|stablelm|yi-|internlm", re.I)
_FULL_TABLES = re.compile(
    r"gpt-?2|dialogpt|(^|/|-)(distil)?(bert|roberta)|bart|albert|electra|llama|mistral|mixtral|vicuna|falcon|gpt-?j",
    re.I,
)
_COMMON = frozenset(
    ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|endoftext|>", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "<eos>", "<bos>"]
)
_HAS_BRACKETED_PAD = re.compile(r"bert|electra", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Tokens added to a tokenizer whose model is in sight, in a file where nothing sizes an embedding."""
    if code.is_test or any(word in code.text for word in _SEES_TO_IT):
        return
    for call in code.method_calls("add_tokens", "add_special_tokens"):
        assert isinstance(call.func, ast.Attribute)
        tokenizer = code.finetuning.tokenizer(call.func.value)
        if tokenizer is None:
            continue
        name = code.finetuning.checkpoint(tokenizer)
        model = _model_of(code, call, tokenizer)
        if model is None or _SPARE_ROWS.search(name) or name.startswith((".", "/")) or not _adds(code, call, name):
            continue
        target = _held_in(code, model)
        known = _FULL_TABLES.search(name) is not None
        end = "" if known else ", unless this checkpoint has spare rows"
        yield code.problem(
            call,
            f"`{code.name(call.func.value)}` gets ids that the embedding of `{code.name(target)}` has no rows for: "
            f"nothing in this file resizes it{end}.",
            fix=[_resize(code, call, model, target)] if target is not None else [],
            related=[(model, "the model is loaded with the old vocabulary")],
            tier=None if known else Tier.ADVICE,
        )


def _model_of(code: Code, call: ast.Call, tokenizer: ast.Call) -> ast.Call | None:
    """The one model of the tokenizer's checkpoint that is loaded in the same function or class."""
    function = code.tree.function(call)
    owner = code.tree.class_of(function) if function is not None else None
    found = []
    for load in code.method_calls("from_pretrained"):
        if not code.finetuning.is_model(code.origin(load)):
            continue
        where = code.tree.function(load)
        near = where is function or (owner is not None and where is not None and code.tree.class_of(where) is owner)
        if near and code.finetuning.same_checkpoint(tokenizer, load):
            found.append(load)
    model = found[0] if len(found) == 1 else None
    target = _held_in(code, model) if model is not None else None
    return None if target is None or _is_given_away(code, target, call) else model


def _held_in(code: Code, model: ast.Call) -> ast.expr | None:
    statement = code.tree.statement(model)
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return target if isinstance(target, (ast.Name, ast.Attribute)) else None


def _is_given_away(code: Code, model: ast.expr, call: ast.Call) -> bool:
    """Whether model and tokenizer go together into a function out of sight, which may see to it."""
    names = {last_name(model), last_name(call.func.value)}  # type: ignore[attr-defined]
    for each in code.tree.all(ast.Call):
        given = {last_name(value) for value in (*each.args, *(k.value for k in each.keywords))}
        if names <= given:
            origin = code.origin(each) or "?"
            if not origin.startswith(("transformers.", "trl.", "<local>.")):
                return True
    return False


def _adds(code: Code, call: ast.Call, name: str) -> bool:
    """Whether some token is evidently new; a padding token only counts where something is padded."""
    given = code.values.only(call.args[0]).node if call.args else None
    if not isinstance(given, ast.Dict):
        texts = _texts(given)
        return texts is None or not texts <= _COMMON
    for key, value in zip(given.keys, given.values, strict=True):
        is_pad = isinstance(key, ast.Constant) and key.value == "pad_token"
        texts = _texts(code.values.only(value).node)
        is_there = texts == {"[PAD]"} and _HAS_BRACKETED_PAD.search(name)
        if is_pad and (is_there or "padding" not in code.text):
            continue
        if texts is None or not texts <= _COMMON:
            return True
    return False


def _texts(node: ast.expr | None) -> set[str] | None:
    """The literal tokens, None where they are not literals."""
    elements = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    texts = {each.value for each in elements if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return texts if len(texts) == len(elements) else None


def _resize(code: Code, call: ast.Call, model: ast.Call, target: ast.expr) -> Change | None:
    """After whichever comes last, where both are in one function."""
    if code.tree.function(call) is not code.tree.function(model):
        return None
    last = max((call, model), key=lambda each: each.lineno)
    tokenizer = code.source.of(call.func.value)  # type: ignore[attr-defined]
    return code.source.insert_after(
        code.tree.statement(last), f"{code.source.of(target)}.resize_token_embeddings(len({tokenizer}))"
    )
