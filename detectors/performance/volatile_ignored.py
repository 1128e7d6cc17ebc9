"""`volatile=True` has done nothing since PyTorch 0.4

`Variable(x, volatile=True)` once kept the graph from being built. Since 0.4 it gives the tensor back with a warning:
the evaluation that relies on it runs with gradients on, and holds the activations of every layer.

❌
```python
from torch.autograd import Variable


def evaluate(model, loader):
    model.eval()
    correct = 0
    for images, labels in loader:
        images = Variable(images.cuda(), volatile=True)  # ❌
        correct += (model(images).argmax(1).cpu() == labels).sum()
    return correct
```

✅
```python
import torch


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    correct = 0
    for images, labels in loader:
        images = images.cuda()
        correct += (model(images).argmax(1).cpu() == labels).sum()
    return correct
```

https://pytorch.org/blog/pytorch-0_4_0-migration-guide/
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("volatile", "Variable")

_KNOWS_BOTH = re.compile(r"no_grad|inference_mode|set_grad_enabled|torch\.__version__|LooseVersion")


def detect(code: Code) -> Iterator[Problem]:
    """The first variable of each function that is made volatile, in a file that turns gradients off in no other way."""
    if code.is_test or _KNOWS_BOTH.search(code.text) or code.versions.is_below("torch", "0.4"):
        return
    told = set[ast.AST | None]()
    for call in code.calls("torch.autograd.Variable"):
        given = code.argument(call, "volatile")
        function = code.tree.function(call)
        if not isinstance(given, ast.Constant) or given.value is not True or function in told:
            continue
        told.add(function)
        name = last_name(call.args[0]) if call.args else ""
        what = f"`{name}`" if name else "it"
        yield code.problem(
            call,
            f"`volatile=True` is ignored since PyTorch 0.4: what is computed from {what} keeps its graph. Run it under "
            "`torch.no_grad()`.",
        )
