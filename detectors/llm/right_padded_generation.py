"""A batch is padded on the right before it is continued

A decoder-only model goes on from the last position. Padded on the right, the shorter prompts of a batch end in padding
tokens, and the model continues those instead of the prompt: the answers get worse with the batch, silently. Pad on the
left, and hand the attention mask over.

❌
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2")
tokenizer.pad_token = tokenizer.eos_token
model = AutoModelForCausalLM.from_pretrained("openai-community/gpt2")

inputs = tokenizer(["Hello", "The capital of France is"], padding=True, return_tensors="pt")  # ❌
outputs = model.generate(**inputs, max_new_tokens=20)
```

✅
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2", padding_side="left")
tokenizer.pad_token = tokenizer.eos_token
model = AutoModelForCausalLM.from_pretrained("openai-community/gpt2")

inputs = tokenizer(["Hello", "The capital of France is"], padding=True, return_tensors="pt")
outputs = model.generate(**inputs, max_new_tokens=20)
```

https://huggingface.co/docs/transformers/main/en/llm_tutorial
"""

import ast
import re
from collections.abc import Iterator

from detectors import Change, Code, Encoding, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = (".generate(", "padding|mask")

_RIGHT_BY_DEFAULT = re.compile(
    r"gpt-?2|dialogpt|gpt-?neo|gpt-j|pythia|(^|/)opt-|qwen(1\.5|2|2\.5|3)?-|phi-[12]|smollm|codegen|starcoder", re.I
)
_KEYS = ("input_ids", "inputs")


def detect(code: Code) -> Iterator[Problem]:
    """Encodings padded on the right that a decoder-only model continues; ids continued without their mask."""
    if code.is_test:
        return
    for call in code.method_calls("generate"):
        assert isinstance(call.func, ast.Attribute)
        given = _given(call)
        left_out = code.masks.left_out(call)
        if left_out is not None:
            yield _forgotten(code, call, *left_out)
            continue
        encoding = code.finetuning.encoding_of(given)
        model = code.finetuning.model(call.func.value) if encoding is not None else None
        if encoding is None or model is None or not code.finetuning.is_decoder(model) or not _is_padded(code, encoding):
            continue
        side = _side(code, encoding)
        if side is not None:
            yield _padded(code, call, encoding, side)
        elif _drops_mask(code, call, given):
            yield _unmasked(code, call, encoding, given)


def _forgotten(code: Code, call: ast.Call, ids: ast.expr, place: ast.AST, mask: str) -> Problem:
    return code.problem(
        call,
        f"`{code.name(call.func)}` continues `{code.name(ids)}` without `{mask}`, which is at hand: where a row is "
        "padded, the model reads the padding as text.",
        fix=[code.source.set_keyword(call, "attention_mask", mask)],
        related=[(place, "the mask of these ids")],
    )


def _given(call: ast.Call) -> ast.expr | None:
    """The encoding or the ids that the model continues."""
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in _KEYS:
            return keyword.value
    return call.args[0] if call.args else None


def _is_padded(code: Code, encoding: Encoding) -> bool:
    return encoding.always_pads or (encoding.pads_batches and code.finetuning.is_batch(encoding.text))


def _side(code: Code, encoding: Encoding) -> ast.AST | None:
    """What makes the tokenizer pad on the right: the setting, else its loading; None where it may pad on the left."""
    settings = [
        (target, assign.value)
        for assign in code.tree.all(ast.Assign)
        for target in assign.targets
        if isinstance(target, ast.Attribute) and target.attr == "padding_side"
    ]
    given = [(each, each.value) for each in code.tree.all(ast.keyword) if each.arg == "padding_side"]
    for _, value in (*settings, *given):
        if not (isinstance(value, ast.Constant) and value.value == "right"):
            return None
    own = encoding.made
    for target, value in settings:
        if code.finetuning.tokenizer(target.value) is own:
            return value
    for keyword, value in given:
        if code.tree.parents.get(keyword) in (own, encoding.node):
            return value
    name = code.finetuning.checkpoint(own) if not code.may_have(own, "padding_side") else ""
    return own if _RIGHT_BY_DEFAULT.search(name) and not name.startswith((".", "/")) else None


def _padded(code: Code, call: ast.Call, encoding: Encoding, side: ast.AST) -> Problem:
    tokenizer = code.source.of(encoding.tokenizer)
    is_default = side is encoding.made
    why = "pads on the right by default" if is_default else "is set to pad on the right"
    return code.problem(
        encoding.node,
        f"`{tokenizer}` {why}, so `{code.name(call.func)}` continues the padding after the shorter prompts, not the "
        "prompts.",
        fix=[_left(code, encoding, side)],
        related=[(call, "continues from the last position"), (side, why)],
    )


def _left(code: Code, encoding: Encoding, side: ast.AST) -> Change:
    """At its loading or setting; where the file trains too, only for this encoding."""
    if code.finetuning.trainers or "backward" in code.text:
        before = f'{code.source.of(encoding.tokenizer)}.padding_side = "left"'
        return code.source.insert_before(code.tree.statement(encoding.node), before)
    if isinstance(side, ast.Constant):
        return code.source.replace(side, '"left"')
    return code.source.set_keyword(encoding.made, "padding_side", '"left"')


def _drops_mask(code: Code, call: ast.Call, given: ast.expr | None) -> bool:
    """Whether only the ids are handed over, and padding cannot be told from an end of text."""
    has_mask = any(each.arg in (None, "attention_mask", "generation_config") for each in call.keywords)
    is_ids = isinstance(given, (ast.Attribute, ast.Subscript)) or (isinstance(given, ast.Name) and "ids" in given.id)
    return is_ids and not has_mask and re.search(r"pad_token(_id)?\s*=\s*[\w.]*eos_token", code.text) is not None


def _unmasked(code: Code, call: ast.Call, encoding: Encoding, given: ast.expr | None) -> Problem:
    base = given.value if isinstance(given, (ast.Attribute, ast.Subscript)) else None
    mask = f'{code.source.of(base)}["attention_mask"]' if base is not None and last_name(base) else ""
    return code.problem(
        call,
        f"`{code.name(call.func)}` gets the ids without their mask, and the padding is the end-of-text token: the "
        "model reads it as text.",
        fix=[code.source.set_keyword(call, "attention_mask", mask)] if mask else [],
        related=[(encoding.node, "pads the batch")],
    )
