"""A model of billions of parameters is loaded in float32

Four bytes a parameter: a model of 7 billion needs 28 GB before it has done anything, twice what its own bfloat16
checkpoint holds. `diffusers` loads in float32 unless told otherwise; `transformers` does when it is asked to, and did
by default before version 5.

❌
```python
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.3", dtype=torch.float32)  # ❌
```

✅
```python
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("mistralai/Mistral-7B-v0.3", dtype=torch.bfloat16)
```

https://huggingface.co/docs/transformers/main/en/main_classes/model
https://huggingface.co/docs/diffusers/main/en/optimization/memory
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("from_pretrained", "transformers|diffusers")

_BILLIONS = re.compile(r"(?<![\dv.])(\d+(?:\.\d+)?)[-_]?b(?![a-z])", re.I)
_LARGE_PIPELINES = re.compile(r"sdxl|stable-diffusion-xl|stable-diffusion-3|flux|-xl-|hunyuan|cogvideox", re.I)
_QUANTISED = re.compile(r"(?<!\d)[48]-?bit|bnb|awq|gptq|int[48]|fp[48]|nf4|gguf|mxfp4|[-_]w\d+a\d+", re.I)
_MODELS = re.compile(r"transformers\.(\w+\.)*(?!TF|Flax)\w*(Model|For[A-Z]\w*)\.from_pretrained$")
_TRAINS = re.compile(
    r"Trainer\b|\.backward\(|[Aa]ccelerat|\boptim\b|\.half\(|bfloat16|float16|set_default_dtype|autocast"
)
_TYPES = ("dtype", "torch_dtype")
_SMALLER = ("quantization_config", "load_in_8bit", "load_in_4bit", "variant")


def detect(code: Code) -> Iterator[Problem]:
    """`from_pretrained` of a model that is large by its name, in float32 by argument or by the library's default."""
    if code.is_test:
        return
    for call in code.method_calls("from_pretrained"):
        origin = code.origin(call) or ""
        name = code.values.only(call.args[0]).constant if call.args else None
        if (
            not isinstance(name, str)
            or _QUANTISED.search(name)
            or any(code.argument(call, each) is not None for each in _SMALLER)
        ):
            continue
        given = next((value for each in _TYPES if (value := code.argument(call, each)) is not None), None)
        is_asked = given is not None and (code.origin(given) == "torch.float32" or _is_text(given, "float32"))
        size = _billions(name)
        if origin.startswith("transformers.") and is_asked and size >= 3:
            yield _problem(code, call, name, f"{size:g} billion parameters take {4 * size:g} GB")
        is_default = given is None and not any(each.arg is None for each in call.keywords)
        if _is_model(origin) and is_default and size >= 3 and _keeps_default(code, call):
            cost = f"the default before version 5, and {code.versions.assumed('transformers')}"
            yield _problem(code, call, name, f"{cost}; {size:g} billion parameters take {4 * size:g} GB")
        is_large = size >= 2 or _LARGE_PIPELINES.search(name) is not None
        if _is_pipeline(origin) and is_large and (is_asked or is_default):
            yield _problem(code, call, name, "its weights take four bytes a parameter")


def _problem(code: Code, call: ast.Call, name: str, cost: str) -> Problem:
    usual = "dtype" if code.versions.is_from("transformers", "4.56") else "torch_dtype"
    key = next((each for each in _TYPES if code.argument(call, each) is not None), usual)
    return code.problem(
        call,
        f"`{name}` is loaded in float32: {cost}, twice what half precision needs.",
        mend=[code.source.set_keyword(call, key, "torch.bfloat16")],
    )


def _keeps_default(code: Code, call: ast.Call) -> bool:
    """Whether transformers is certainly old, and nothing here trains (master weights are float32) or converts."""
    is_old = code.versions.is_below("transformers", "5")
    return is_old and not isinstance(code.tree.parents.get(call), ast.Attribute) and not _TRAINS.search(code.text)


def _is_model(origin: str) -> bool:
    return _MODELS.match(origin) is not None


def _is_pipeline(origin: str) -> bool:
    return origin.startswith("diffusers.") and ("Pipeline" in origin or "Transformer" in origin or "UNet" in origin)


def _billions(name: str) -> float:
    sizes = [float(each) for each in _BILLIONS.findall(name.rpartition("/")[2])]
    return max(sizes, default=0.0)


def _is_text(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text
