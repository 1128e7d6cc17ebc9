"""A training run records neither its settings nor its results

When the terminal is closed, the run never happened: nobody can compare it, repeat it or say what produced the
weights. Log the config and the metrics to a tracker, or at least to a file beside the checkpoint.

❌
```python
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def main():  # ❌
    for images, labels in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        print(loss.item())


if __name__ == "__main__":
    main()
```

✅
```python
import mlflow
import torch

model = torch.nn.Linear(10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def main():
    mlflow.log_params({"lr": 0.1})
    for step, (images, labels) in enumerate(loader):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        mlflow.log_metric("loss", loss.item(), step=step)


if __name__ == "__main__":
    main()
```

https://mlflow.org/docs/latest/tracking.html
https://docs.wandb.ai/quickstart
"""

import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("__main__", "backward", "step")

_RECORDS = re.compile(
    r"wandb|mlflow|tensorboard|SummaryWriter|neptune|comet|clearml|\baim\b|dvclive|trackio|swanlab|visdom|sacred|ray\.|optuna"
    r"|json\.dump|yaml\.\w*dump|csv|to_json|to_parquet|\blog(ger|ging)?\.|writer|tracker|recorder|history|FileHandler"
    r"|open\([^)]*[\"'][wa]b?[\"']|accelerat|fabric|lightning|Trainer\(|hydra|savetxt|np\.save|pickle\.dump|savefig",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """A script with a training loop that writes nothing but prints and weights. One a file."""
    if code.is_test or _RECORDS.search(code.text) or not code.training_steps:
        return
    training = code.training_steps[0]
    root = training.flow.root or code.tree.function(training.loop)
    yield code.problem(
        root if root is not None else training.loop,
        f"Nothing of this run is kept but its weights: the loop at line {training.loop.lineno} records neither the "
        "settings nor the metrics.",
        related=[(training.loop, "the training loop")],
    )
