"""Labels of a language model are shifted twice, or not at all

Token *t* of a causal language model predicts token *t + 1*. The models of `transformers` shift the labels themselves:
labels that come shifted make every position predict the token after the next. A loss computed by hand has to shift:
without it the model learns to copy its input, and the loss falls to nothing.

❌
```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("gpt2")

def training_loss(ids):
    output = model(input_ids=ids[:, :-1], labels=ids[:, 1:])  # ❌
    return output.loss
```

✅
```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("gpt2")

def training_loss(ids):
    output = model(input_ids=ids, labels=ids)
    return output.loss
```

https://huggingface.co/docs/transformers/model_doc/gpt2#transformers.GPT2LMHeadModel.forward.labels
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, without_methods

TIER = Tier.BUG
WORDS = ("transformers", "CausalLM|LMHeadModel", "labels|cross_entropy|CrossEntropyLoss")
_CAUSAL = re.compile(r"transformers\.(\w+\.)*(\w*ForCausalLM|\w+LMHeadModel)(\.from_pretrained|\.from_config)?$")
_FLAT = frozenset(["view", "reshape", "flatten", "contiguous", "long", "to", "float", "cuda"])


def detect(code: Code) -> Iterator[Problem]:
    """Calls of a causal model with shifted labels, and losses of its logits against the very tokens it was given."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        labels = code.argument(call, "labels")
        if labels is None or code.may_have(call, "decoder_input_ids") or not _is_causal(code, call):
            continue
        ids = code.argument(call, "input_ids", 0)
        told, given = code.definitions.of(labels), code.definitions.of(ids) if ids is not None else None
        base = _cut(told, first=True)
        if base is not None and given is not None and _cut(given, first=False) == base:
            yield code.problem(
                labels,
                f"`{code.name(call.func)}` shifts its labels itself: with `{code.name(told)}` each position learns the "
                "token after the next. Give it the tokens unshifted, as input and as labels.",
            )
    yield from _unshifted(code)


def _unshifted(code: Code) -> Iterator[Problem]:
    for loss in code.activations.losses:
        if loss.name != "cross_entropy":
            continue
        logits, target = code.definitions.of(without_methods(loss.input, _FLAT)), without_methods(loss.target, _FLAT)
        logits = without_methods(logits, _FLAT)
        if not (isinstance(logits, ast.Attribute) and logits.attr == "logits"):
            continue
        call = code.definitions.of(logits.value)
        if not isinstance(call, ast.Call) or not _is_causal(code, call) or code.may_have(call, "labels"):
            continue
        ids = code.argument(call, "input_ids", 0)
        tokens = code.values.subject(target)
        if ids is not None and tokens is not None and tokens == code.values.subject(ids):
            yield code.problem(
                loss.call,
                f"Each position is scored against its own token `{code.name(target)}`, which the model was given: it "
                "learns to copy. The logits up to the last but one belong to the tokens from the second on.",
                related=[(call, "the tokens go in here")],
            )


def _is_causal(code: Code, call: ast.Call) -> bool:
    made = {each.origin or "" for each in code.values.of(call.func)}
    return bool(made) and all(_CAUSAL.match(each) for each in made)


def _cut(node: ast.expr, *, first: bool) -> str | None:
    """What a tensor is cut from, where its last index takes off the first position, or the last."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FLAT | {"clone"}:
        return _cut(node.func.value, first=first)
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
        return None
    match node.slice.elts[-1]:
        case ast.Slice(lower=ast.Constant(value=1), upper=None) if first:
            return ast.unparse(node.value)
        case ast.Slice(lower=None, upper=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))) if not first:
            return ast.unparse(node.value)
    return None
