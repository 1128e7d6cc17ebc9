"""Code from a model repository is run at whatever version it has today

`trust_remote_code=True` downloads Python files from the model's repository and runs them with the rights of this
process. Without a pinned `revision`, whoever can push to that repository decides what runs here tomorrow.

❌
```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("acme/chat-7b", trust_remote_code=True)  # ❌
```

✅
```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(
    "acme/chat-7b",
    trust_remote_code=True,
    revision="4a3c1e8f2b7d9065c1e3a8b4d2f60719c8e5ab31",
)
```

https://huggingface.co/docs/transformers/main/en/models#custom-models
https://huggingface.co/docs/hub/security
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("trust_remote_code",)

_COMMIT = re.compile(r"[0-9a-f]{7,40}$")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+$")
_PINS = ("revision", "code_revision", "config_kwargs", "model_kwargs", "hub_kwargs")


def detect(code: Code) -> Iterator[Problem]:
    """Calls that trust the code of a named repository and name no commit of it; the first of each says it."""
    if code.is_test:
        return
    said: set[str] = set()
    for keyword in code.tree.all(ast.keyword):
        if keyword.arg != "trust_remote_code" or not _is_true(keyword.value):
            continue
        call = code.tree.parents[keyword]
        repository = _repository(code, call) if isinstance(call, ast.Call) else ""
        if not repository or not isinstance(call, ast.Call) or _is_ignored(code, call):
            continue
        pins = [(name, code.argument(call, name)) for name in _PINS if code.may_have(call, name)]
        branch = next((each.value for _, each in pins if isinstance(each, ast.Constant)), None)
        if pins and (not isinstance(branch, str) or _COMMIT.match(branch) or len(pins) > 1):
            continue
        at = f"the branch `{branch}`" if isinstance(branch, str) else "its newest commit"
        yield code.problem(
            keyword.value,
            f"Python files that `{repository}` holds are downloaded and run at {at}: a push to that repository runs "
            "here unread. Pin `revision` to a commit you have read.",
            mend=[code.source.set_keyword(call, "revision", '"<commit you have read>"')],
            tier=Tier.ADVICE if code.is_notebook or repository in said else None,
        )
        said.add(repository)


def _is_ignored(code: Code, call: ast.Call) -> bool:
    """Whether it loads a data set, of which the library runs no scripts since its version 4."""
    return (code.origin(call) or "").startswith("datasets.") and not code.versions.allows_below("datasets", "4")


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _repository(code: Code, call: ast.Call) -> str:
    """The repository the call names, where it is in sight and no folder."""
    given = [call.args[0]] if call.args else []
    names = ("pretrained_model_name_or_path", "model", "model_name_or_path", "path", "repo_id", "tokenizer_name")
    given += [each.value for each in call.keywords if each.arg in names]
    for node in given:
        value = code.values.only(node).constant
        if (
            isinstance(value, str)
            and _REPOSITORY.match(value)
            and not value.startswith((".", "/", "models/", "checkpoints/"))
        ):
            return value
    return ""
