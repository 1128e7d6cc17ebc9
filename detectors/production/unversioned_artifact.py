"""Each training run overwrites the checkpoint of the one before

The file has one fixed name. The next run replaces the weights somebody deployed or reported, and no one can say
which code and data they came from. Put the run, the step or the date into the name, or log the file to a registry.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pt")  # ❌
```

✅
```python
import time

import torch

run = time.strftime("%Y%m%d-%H%M%S")
model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for images, labels in loader:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
torch.save(model.state_dict(), f"model-{run}.pt")
```

https://docs.wandb.ai/guides/artifacts
https://mlflow.org/docs/latest/model-registry.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("save|dump", "backward|.fit(")

_TRACKERS = re.compile(
    r"\b(wandb|mlflow|neptune|comet_ml|clearml|aim|dvclive|dvc|hydra|sacred|trackio|swanlab|bentoml|ray|huggingface_hub"
    r"|sagemaker|azureml|aiplatform|kubeflow|metaflow|zenml|prefect|airflow)\b|push_to_hub|chdir|upload|sys\.argv"
)
_WRITERS = ("torch.save", "joblib.dump", "safetensors.torch.save_file", "pickle.dump", "cloudpickle.dump", "dill.dump")


def detect(code: Code) -> Iterator[Problem]:
    """The last write of a model to a name that is constant in every part, in a file that trains it."""
    if code.is_test or _TRACKERS.search(code.text) or not (code.training_steps or _fits(code)):
        return
    read = {_constant(code, each.args[0]) for each in code.calls("torch.load") if each.args}
    found = [(call, path) for call in code.calls(*_WRITERS) for path in [_fixed_name(code, call)] if path]
    found = [(call, path) for call, path in found if path not in read]  # the best state so far, read back at the end
    if not found:
        return
    call, path = found[-1]
    yield code.problem(
        call,
        f"Every run writes `{path}` again: the next training replaces these weights, and nothing "
        "says which run made them.",
        tier=Tier.ADVICE if code.is_notebook else None,
    )


def _fits(code: Code) -> bool:
    """Whether an estimator is fitted here by a script, whose weights are then written."""
    has_main = "__main__" in code.text
    return has_main and bool(code.packages & {"sklearn", "xgboost", "lightgbm"}) and bool(code.method_calls("fit"))


def _fixed_name(code: Code, call: ast.Call) -> str:
    saved, path = (code.argument(call, name, at) for at, name in enumerate(("obj", "f")))
    path = path if path is not None else code.argument(call, "filename", 1)
    if (
        saved is None
        or path is None
        or not re.search(r"model|net|state|checkpoint|ckpt|clf|estimator|weights", ast.unparse(saved), re.I)
    ):
        return ""
    return _constant(code, path)


def _constant(code: Code, node: ast.expr) -> str:
    """The path where every part of it is a literal; "" where any part may change."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name():
            value = code.values.only(node).node
            return (
                _constant(code, value)
                if value is not None and value is not node and not isinstance(value, ast.Name)
                else ""
            )
        case ast.Call(args=[path, ast.Constant(value=str() as mode)]) if code.origin(node) == "builtins.open":
            return _constant(code, path) if "w" in mode else ""
        case ast.Call() if code.origin(node) in ("os.path.join", "pathlib.Path"):
            parts = [_constant(code, each) for each in node.args]
            return "/".join(parts) if all(parts) else ""
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            parts = [_constant(code, left), _constant(code, right)]
            return "/".join(parts) if all(parts) else ""
    return ""
