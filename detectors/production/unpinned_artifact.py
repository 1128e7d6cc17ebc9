"""A model or data set is downloaded at whatever version it has today

The repository on the hub can change its weights, tokenizer or rows at any time. The same code then trains or serves
something else, and no log tells when it happened. Pin `revision` to a commit.

❌
```python
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
classify = pipeline("text-classification", model="acme/intent-classifier")  # ❌


@app.post("/classify")
def handler(text: str):
    return classify(text)
```

✅
```python
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
classify = pipeline(
    "text-classification",
    model="acme/intent-classifier",
    revision="4a3c1e8f2b7d9065c1e3a8b4d2f60719c8e5ab31",
)


@app.post("/classify")
def handler(text: str):
    return classify(text)
```

https://huggingface.co/docs/huggingface_hub/guides/download#from-specific-version
"""

import ast
import re
from collections.abc import Iterator

from detectors import SERVERS, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = (
    "from_pretrained|load_dataset|pipeline|SentenceTransformer|CrossEncoder|hf_hub_download|snapshot_download",
    "transformers|diffusers|datasets|huggingface_hub",
    f"step|Trainer(|{SERVERS}",
)

_HUB = re.compile(
    r"(transformers\.(\w+\.)*(\w+\.from_pretrained|pipeline)|diffusers\.(\w+\.)*\w+\.from_pretrained|datasets\.load_dataset"
    r"|huggingface_hub\.(hf_hub|snapshot)_download|sentence_transformers\.(SentenceTransformer|CrossEncoder))$"
)
_REPOSITORY = re.compile(r"(?![./~])(?!(models?|checkpoints?|outputs?|results|data|runs|saved)/)[\w.-]+/[\w.-]+$")
_NAMES = ("pretrained_model_name_or_path", "model", "model_name_or_path", "path", "repo_id")
_TRAINERS = re.compile(r"\b(Seq2Seq|SFT|DPO|GRPO|Reward)?Trainer\(")


def detect(code: Code) -> Iterator[Problem]:
    """The first download of a named repository without a revision, in code that serves or trains. One a file."""
    if code.is_test:
        return
    unpinned = [
        (call, name)
        for call in code.tree.all(ast.Call)
        if _HUB.match(code.origin(call) or "") and not code.may_have(call, "revision")
        for name in [_repository(code, call)]
        if name
    ]
    if not unpinned or not (code.endpoints.all or code.training_steps or _TRAINERS.search(code.text)):
        return
    call, name = unpinned[0]
    others = f", as are {len(unpinned) - 1} more in this file" if len(unpinned) > 1 else ""
    yield code.problem(
        call,
        f"`{name}` is taken at its newest commit{others}: a change on the hub changes what this code does. "
        "Pin `revision`.",
        mend=[code.source.set_keyword(call, "revision", '"<commit>"')],
    )


def _repository(code: Code, call: ast.Call) -> str:
    """The repository the call names, where it is in sight and no folder."""
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in _NAMES)]
    for value in (code.values.only(each).constant for each in given):
        if isinstance(value, str) and _REPOSITORY.match(value):
            return value
    return ""
