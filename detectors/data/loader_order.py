"""A loader in the wrong order, or one that leaves items out

A training loader that is not shuffled shows the same batches in the same order every epoch; where the files are
sorted by class, each batch holds one class. An evaluation loader that drops its last batch measures on fewer items
than there are, and one that shuffles gives its outputs in an order that no longer matches the files.

❌
```python
import torch
from torch.utils.data import DataLoader, TensorDataset

train_loader = DataLoader(TensorDataset(images, labels), batch_size=64)  # ❌
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch, targets in train_loader:
    optimizer.zero_grad()
    criterion(model(batch), targets).backward()
    optimizer.step()
```

✅
```python
import torch
from torch.utils.data import DataLoader, TensorDataset

train_loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch, targets in train_loader:
    optimizer.zero_grad()
    criterion(model(batch), targets).backward()
    optimizer.step()
```

https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler
https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Loader, Part, Problem, Style, Tier, last_name, part_named

TIER = Tier.RISK
WORDS = ("DataLoader|DistributedSampler",)
_ORDERED = re.compile(
    r"bptt|stateful|sequential|contiguous|time_?series|forecast|temporal|stream|ordered|sorted|language_?model|corpus",
    re.I,
)
_NOISE = re.compile(r"(^|[._])(Random|Dummy|Fake|Boring|Synthetic)[A-Z]\w*|_?(random|dummy|fake)_", re.I)
_EVALUATES = re.compile(r"(^|_)(inference|infer|evaluate|eval|validate|validation|test|predict)(_|$)", re.I)
_ALL = 10_000
_LOOKS = re.compile(r"vis|plot|show|sample|demo|preview", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Training loaders without any shuffling, evaluation loaders with shuffling or without their tail."""
    if code.is_test:
        return
    for loader in code.loaders.all:
        if loader.trains or loader.part is Part.TRAIN:
            yield from _training(code, loader)
        else:
            yield from _evaluation(code, loader)
    yield from _samplers(code)


def _training(code: Code, loader: Loader) -> Iterator[Problem]:
    call = loader.call
    if loader.dataset is None or (loader.part is not None and loader.part.is_held_out):
        return
    if not loader.trains and (not _is_named_train(loader) or code.loaders.is_iterated(loader)):
        return
    given = any(code.may_have(call, name, position) for name, position in (("sampler", 3), ("batch_sampler", 4)))
    shuffle, style = code.argument(call, "shuffle", 2), code.loaders.style(loader.dataset)
    if not loader.trains and shuffle is None:
        return
    absent = shuffle is None and not code.may_have(call, "shuffle", 2)
    if not absent and not (isinstance(shuffle, ast.Constant) and shuffle.value in (False, None)):
        return
    stars = any(each.arg is None for each in call.keywords)
    if (given and not (stars and not absent)) or style is Style.ITERABLE or (absent and style is not Style.MAP):
        return
    if _is_ordered(code, loader) or _is_shuffled_by_hand(code) or _is_drawn_anew(code, loader):
        return
    name = loader.name or "the loader"
    yield code.problem(
        call,
        f"`{name}` {'trains, but ' if loader.trains else ''}gives the items of `{code.name(loader.dataset)}` "
        "in the same "
        "order every epoch.",
        mend=[code.source.set_keyword(call, "shuffle", "True")],
        tier=None if loader.trains else Tier.ADVICE,
    )


def _is_named_train(loader: Loader) -> bool:
    """Whether both the loader's and the data set's name say that it trains."""
    measures = re.search(r"metric|score|acc", loader.name, re.I) is not None
    parts = (part_named(loader.name), part_named(last_name(loader.dataset)))
    return not measures and parts == (Part.TRAIN, Part.TRAIN)


def _is_ordered(code: Code, loader: Loader) -> bool:
    """Whether the order may be meant or does not matter: sequences that go on, noise, one batch of everything."""
    size = code.argument(loader.call, "batch_size", 1)
    texts = [code.tree.definition(loader.call), loader.name, code.name(loader.dataset)]
    texts += [each.origin or "" for each in code.values.of(loader.dataset)]
    if any(_NOISE.search(each) for each in texts):
        return True
    if any(_ORDERED.search(each) for each in texts):
        return True
    count = size.value if isinstance(size, ast.Constant) else None
    return size is not None and ("len(" in ast.unparse(size) or (isinstance(count, int) and count >= _ALL))


def _is_shuffled_by_hand(code: Code) -> bool:
    """Whether something is shuffled anew inside a loop."""
    calls = code.method_calls("shuffle", "permutation", "randperm")
    return any(code.tree.loops(each) for each in calls)


def _is_drawn_anew(code: Code, loader: Loader) -> bool:
    """Whether a privacy engine gets the loader, and gives one that draws each batch by chance."""
    calls = code.method_calls("make_private", "make_private_with_epsilon")
    given = (each for call in calls for each in (*call.args, *(keyword.value for keyword in call.keywords)))
    return any(value.call is loader.call for each in given for value in code.values.of(each))


def _evaluation(code: Code, loader: Loader) -> Iterator[Problem]:
    call, function = loader.call, code.tree.function(loader.call)
    held_out = loader.part is not None and loader.part.is_held_out
    evaluates = function is not None and _EVALUATES.search(function.name) is not None
    if not held_out and not evaluates:
        return
    name = loader.name or "the loader"
    drops = _is_true(code.argument(call, "drop_last", 8)) and code.may_have(call, "batch_size", 1)  # one by default
    if held_out and drops and _is_named_twice(loader):
        yield code.problem(
            call,
            f"`{name}` evaluates and drops its last batch: up to a whole batch of "
            f"`{code.name(loader.dataset)}` is never "
            "measured.",
            mend=[code.source.set_keyword(call, "drop_last", "False")],
        )
    elif _is_true(code.argument(call, "shuffle", 2)) and not _LOOKS.search(name):
        yield code.problem(
            call,
            f"`{name}` evaluates in a new order every time: outputs no longer line up with the data, and a run "
            "cannot be "
            "compared batch by batch.",
            mend=[code.source.set_keyword(call, "shuffle", "False")],
            tier=Tier.ADVICE,
        )


def _is_named_twice(loader: Loader) -> bool:
    """Whether both the loader's and the data set's name say that they are held out."""
    parts = (part_named(loader.name), part_named(last_name(loader.dataset)))
    return all(each is not None and each.is_held_out for each in parts)


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _samplers(code: Code) -> Iterator[Problem]:
    for call in code.calls("torch.utils.data.DistributedSampler"):
        shuffle, statement = code.argument(call, "shuffle", 3), code.tree.statement(call)
        if not isinstance(shuffle, ast.Constant) or shuffle.value is not False or not isinstance(statement, ast.Assign):
            continue
        name = last_name(statement.targets[0])
        if part_named(name) is Part.TRAIN and not _ORDERED.search(code.tree.definition(call)):
            yield code.problem(
                call,
                f"`{name}` gives every rank the same items in the same order each epoch: `shuffle=False` turns "
                "off what "
                "the sampler does by default.",
                mend=[code.source.set_keyword(call, "shuffle", "True")],
            )
