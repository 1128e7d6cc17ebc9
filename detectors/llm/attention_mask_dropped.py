"""An encoder reads the padding as text

The shorter texts of a batch are filled up with padding tokens, and the attention mask says which those are. A model
that gets the ids alone takes every position for text: a result depends on how long its neighbours are, and with
`padding="max_length"` most of what the model reads is padding.

❌
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("google-bert/bert-base-uncased")
model = AutoModelForSequenceClassification.from_pretrained("google-bert/bert-base-uncased").eval()

encoded = tokenizer(["Fine.", "It broke on the second day."], padding=True, return_tensors="pt")
logits = model(encoded["input_ids"]).logits  # ❌
```

✅
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("google-bert/bert-base-uncased")
model = AutoModelForSequenceClassification.from_pretrained("google-bert/bert-base-uncased").eval()

encoded = tokenizer(["Fine.", "It broke on the second day."], padding=True, return_tensors="pt")
logits = model(encoded["input_ids"], attention_mask=encoded["attention_mask"]).logits
```

https://huggingface.co/docs/transformers/main/en/glossary#attention-mask
"""

import ast
import re
from collections.abc import Iterator

from detectors import Binding, Bound, Change, Code, Encoding, Problem, Tier

TIER = Tier.BUG
WORDS = ("input_ids", "padding", "okenizer", "transformers")

_MOVES = frozenset(["to", "cuda", "cpu", "long", "contiguous", "clone", "detach"])
_CAUSAL = re.compile(r"GPT|CausalLM|LMHead|Llama|Mistral|XLNet|DoubleHeads|Qwen|Gemma|Opt|OPT|Bloom")
_DECODERS = re.compile(r"gpt|llama|opt-|bloom|mistral|qwen|gemma|phi-|pythia|xlnet", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Calls of a loaded encoder with the padded ids alone."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        ids = _ids(call)
        if ids is None or "mask" in ast.unparse(call):
            continue
        model = code.finetuning.model(call.func) if not code.origin(call) else None
        encoding = _encoding_of(code, ids) if model is not None else None
        if model is None or encoding is None or not _is_padded(code, encoding) or _is_causal(code, model):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.func)}` gets `{code.name(_unmoved(ids))}` without the attention mask, and line "
            f"{encoding.node.lineno} pads them: the model reads the padding as text.",
            fix=_with_mask(code, call, ids),
            related=[(encoding.node, "pads the batch")],
        )


def _ids(call: ast.Call) -> ast.expr | None:
    """What stands for the ids, where nothing beside it can be the mask."""
    if any(each.arg is None for each in call.keywords) or len(call.args) > 1:
        return None
    return call.args[0] if call.args else next((each.value for each in call.keywords if each.arg == "input_ids"), None)


def _unmoved(ids: ast.expr) -> ast.expr:
    while isinstance(ids, ast.Call) and isinstance(ids.func, ast.Attribute) and ids.func.attr in _MOVES:
        ids = ids.func.value
    return ids


def _encoding_of(code: Code, node: ast.expr, is_ids: bool = False, depth: int = 0) -> Encoding | None:
    """The tokenizer's call that these ids come from, through slices, moves and the file's own calls."""
    if depth > 8:
        return None
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value="input_ids")):
            return _encoding_of(code, value, True, depth + 1)
        case ast.Attribute(attr="input_ids", value=value):
            return _encoding_of(code, value, True, depth + 1)
        case ast.Subscript(value=value, slice=ast.Slice()):
            return _encoding_of(code, value, is_ids, depth + 1)
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _MOVES:
            return _encoding_of(code, value, is_ids, depth + 1)
        case ast.Call() if is_ids:
            return code.finetuning.encodings.get(node)
        case ast.Name():
            found = {_bound_to(code, node, each, is_ids, depth) for each in code.names.reaching(node)}
            return found.pop() if len(found) == 1 else None
    return None


def _bound_to(code: Code, name: ast.Name, binding: Binding, is_ids: bool, depth: int) -> Encoding | None:
    """The encoding that a binding gives the name: an assignment, or the argument of every call in the file."""
    if binding.how is Bound.ASSIGNMENT and binding.value is not None and not binding.index:
        return _encoding_of(code, binding.value, is_ids, depth + 1)
    function = code.tree.function(name)
    if not isinstance(binding.node, ast.arg) or function is None or binding.scope is not function:
        return None
    sites = code.values.calls.sites(function)
    given = [code.values.calls.argument_for(function, each, binding.name) for each in sites]
    found = {_encoding_of(code, each, is_ids, depth + 1) if each is not None else None for each in given}
    return found.pop() if len(found) == 1 else None


def _is_padded(code: Code, encoding: Encoding) -> bool:
    if encoding.may_set("return_attention_mask"):
        return False
    return encoding.always_pads or (encoding.pads_batches and code.finetuning.is_batch(encoding.text))


def _is_causal(code: Code, made: ast.Call) -> bool:
    """Whether the model may read from left to right only: padding on the right is not seen by what comes before."""
    origin = code.origin(made) or ""
    return bool(_CAUSAL.search(origin) or _DECODERS.search(code.finetuning.checkpoint(made)))


def _with_mask(code: Code, call: ast.Call, ids: ast.expr) -> list[Change | None]:
    """The mask of the same mapping, moved as its ids are moved."""
    text = code.source.of(ids)
    mask = text.replace('["input_ids"]', '["attention_mask"]').replace(".input_ids", ".attention_mask")
    return [code.source.set_keyword(call, "attention_mask", mask)] if mask != text else []
