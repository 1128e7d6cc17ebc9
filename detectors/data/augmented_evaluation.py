"""Evaluation images are augmented

Random crops, flips and colours belong to training. On the validation or test part they measure the model on other
images each time, so scores differ between runs and say less than they could. Two halves of one `random_split` share
one data set: a transform set for one half is set for both.

❌
```python
from torchvision import datasets, transforms

augment = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
train_set = datasets.CIFAR10("data", train=True, transform=augment)
test_set = datasets.CIFAR10("data", train=False, transform=augment)  # ❌
```

✅
```python
from torchvision import datasets, transforms

augment = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
train_set = datasets.CIFAR10("data", train=True, transform=augment)
test_set = datasets.CIFAR10("data", train=False, transform=transforms.ToTensor())
```

https://docs.pytorch.org/vision/stable/transforms.html
https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
"""

import ast
import re
from collections.abc import Iterator

from detectors import By, Code, Part, Problem, Tier, last_name, part_named

TIER = Tier.RISK
WORDS = ("transform", "Random|Augment|Jitter|AugMix|Aug(|.transform =")
_RANDOM = re.compile(
    r"torchvision\.transforms\.(v2\.)?(Random\w+|ColorJitter|AutoAugment|RandAugment|TrivialAugmentWide|AugMix"
    r"|ElasticTransform|GaussianNoise)$|albumentations\.(Random\w+|HorizontalFlip|VerticalFlip|ColorJitter|CoarseDropout)$"
)
_NOT_RANDOM = re.compile(r"RandomOrder$|RandomApply$|RandomChoice$")


def detect(code: Code) -> Iterator[Problem]:
    """Data sets of a held-out part with a random transform, and transforms set on one half of a split."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        for keyword in call.keywords:
            if keyword.arg not in ("transform", "transforms"):
                continue
            part = _part(code, call)
            if part is None or not part.is_held_out:
                continue
            random = _random_in(code, keyword.value)
            if random is not None:
                yield code.problem(
                    call,
                    f"The {part.value} part gets `{code.name(keyword.value)}` with `{code.name(random.func)}`: "
                    "it is measured on "
                    "other images each time.",
                    related=[(random, "the random transform")],
                )
    yield from _halves(code)


def _part(code: Code, call: ast.Call) -> Part | None:
    """The part a data set is made for: by its own arguments, and else by the name it gets."""
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "train" and isinstance(value, bool):
            return Part.TRAIN if value else Part.TEST
        if keyword.arg in ("split", "mode", "subset", "image_set", "phase") and isinstance(value, str):
            return part_named(value)
    statement = code.tree.statement(call)
    if not isinstance(statement, ast.Assign) or statement.value is not call:
        return None
    name = last_name(statement.targets[0])
    return None if "tta" in name.lower() or "aug" in name.lower() else part_named(name)


def _random_in(code: Code, node: ast.expr, depth: int = 0) -> ast.Call | None:
    """A random transform among all that the expression can hold; None where something else may be meant."""
    values = code.values.of(node)
    if depth > 4 or not values:
        return None
    found = [_random_of(code, value.node, value.origin or "", depth) for value in values]
    return found[0] if all(each is not None for each in found) else None


def _random_of(code: Code, made: ast.expr | None, origin: str, depth: int) -> ast.Call | None:
    if isinstance(made, (ast.List, ast.Tuple)):
        return next((each for one in made.elts if (each := _random_in(code, one, depth + 1)) is not None), None)
    if not isinstance(made, ast.Call):
        return None
    if _RANDOM.match(origin) and not _NOT_RANDOM.search(origin):
        return None if _never(made) else made
    if origin.endswith(".Compose") and made.args:
        return _random_in(code, made.args[0], depth + 1)
    return None


def _never(call: ast.Call) -> bool:
    return any(
        each.arg == "p" and isinstance(each.value, ast.Constant) and each.value.value == 0 for each in call.keywords
    )


def _halves(code: Code) -> Iterator[Problem]:
    """`val_set.dataset.transform = …` after one `random_split`: the train half has the same data set."""
    for assign in code.tree.all(ast.Assign):
        match assign.targets[0]:
            case ast.Attribute(
                attr="transform" | "transforms", value=ast.Attribute(attr="dataset", value=ast.Name() as half)
            ):
                split = _random_split_of(code, half)
                if split is not None:
                    yield code.problem(
                        assign,
                        f"`{half.id}.dataset` is the data set of both halves of the split at line "
                        f"{split.lineno}: this transform is "
                        "set for the other half too.",
                        related=[(split, "the split")],
                    )


def _random_split_of(code: Code, half: ast.Name) -> ast.expr | None:
    bindings = code.names.reaching(half)
    splits = [code.splits.of(each.value) if each.index else None for each in bindings]
    one = splits[0] if len(splits) == 1 else None
    return one.node if one is not None and one.by is By.RANDOM else None
