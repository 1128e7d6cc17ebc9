"""The GPU waits for a loader without workers

With `num_workers=0` the training process itself reads, decodes and collates each batch, and the GPU idles meanwhile.
Workers prepare the next batches in parallel; pinned memory makes their copies to the GPU faster.

❌
```python
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Photos(Dataset):
    def __getitem__(self, index):
        return transform(Image.open(self.paths[index]))


loader = DataLoader(Photos(), batch_size=32, shuffle=True)  # ❌
for images in loader:
    loss = model(images.cuda()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

✅
```python
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Photos(Dataset):
    def __getitem__(self, index):
        return transform(Image.open(self.paths[index]))


loader = DataLoader(Photos(), batch_size=32, shuffle=True, num_workers=4, pin_memory=True)
for images in loader:
    loss = model(images.cuda()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/data.html#single-and-multi-process-data-loading
https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#enable-asynchronous-data-loading-and-augmentation
"""

import ast
import re
from collections.abc import Iterator

from detectors import Act, Code, Problem, Tier, last_name

TIER = Tier.ADVICE
WORDS = ("DataLoader", "backward", "cuda")

_READS = re.compile(
    r"(Image\.open|imread|imdecode|read_image|default_loader|torchaudio\.load|librosa\.load|sf\.read|soundfile\.read"
    r"|nib\.load|pydicom\.\w*read|h5py\.File|np\.load|torch\.load|VideoCapture|decode_jpeg|rasterio\.open|(?<![\w.])open)\("
)
_FOLDERS = frozenset(
    {"torchvision.datasets.ImageFolder", "torchvision.datasets.DatasetFolder", "torchvision.datasets.ImageNet"}
)


def detect(code: Code) -> Iterator[Problem]:
    """Loaders of a GPU training loop with no workers, or with workers and unpinned memory."""
    if code.is_test or not code.uses_gpu:
        return
    for loader in _trained_over(code):
        if code.may_have(loader, "num_workers", 5) and not _is_zero(code, loader):
            continue
        dataset = code.argument(loader, "dataset", 0)
        if dataset is None or _is_in_memory(code, dataset):
            continue
        reader = _reader(code, dataset)
        what = f"`{reader}` for each sample" if reader else "every sample"
        pin = None if code.may_have(loader, "pin_memory", 7) else ", pin_memory=True"
        yield code.problem(
            loader,
            f"The training process itself runs {what} of `{code.name(dataset)}` between two steps: "
            "this loader has no workers.",
            fix=[code.source.set_keyword(loader, "num_workers", f"4{pin or ''}")],
            tier=Tier.RISK if reader else Tier.ADVICE,
        )


def _is_zero(code: Code, loader: ast.Call) -> bool:
    return code.values.only(code.argument(loader, "num_workers", 5)).constant == 0


def _trained_over(code: Code) -> Iterator[ast.Call]:
    """The loaders, made in this file, whose loops back-propagate."""
    found: set[ast.AST] = set()
    for flow in code.flows:
        for loop in {loop: None for event in flow.of(Act.BACKWARD) for loop in event.loops}:
            iterable = getattr(loop, "iter", None)
            while (
                isinstance(iterable, ast.Call) and last_name(iterable.func) in ("enumerate", "tqdm") and iterable.args
            ):
                iterable = iterable.args[0]
            value = code.values.only(iterable)
            if value.origin == "torch.utils.data.DataLoader" and value.call is not None and value.call not in found:
                found.add(value.call)
                if value.call in code.tree.parents:
                    yield value.call


def _dataset_class(code: Code, dataset: ast.expr) -> ast.ClassDef | None:
    return code.values.class_held_by(dataset)


def _is_in_memory(code: Code, dataset: ast.expr) -> bool:
    values = code.values.of(dataset)
    if any((each.origin or "").endswith(("TensorDataset", "IterableDataset", "StackDataset")) for each in values):
        return True
    owner = _dataset_class(code, dataset)
    if owner is None:
        return any((each.origin or "").startswith("builtins.") for each in values)
    if any(each.endswith("IterableDataset") for each in code.values.classes.bases(owner)):
        return True
    getter = code.values.classes.method(owner, "__getitem__")
    return getter is not None and sum(1 for each in ast.walk(getter) if isinstance(each, ast.Call)) == 0


def _reader(code: Code, dataset: ast.expr) -> str:
    """The call by which the data set opens or decodes a file for each sample, "" where none is in sight."""
    if any(each.origin in _FOLDERS for each in code.values.of(dataset)):
        return "reading and decoding"
    owner = _dataset_class(code, dataset)
    getter = code.values.classes.method(owner, "__getitem__") if owner is not None else None
    found = _READS.search(ast.unparse(getter)) if getter is not None else None
    return found[1] if found is not None else ""
