"""The same rows train and test

What the model has seen it can repeat, so a score on rows of the train part is no measure at all. The parts overlap
when both are made from one object, one file or one split of a data set, when slices run into each other, when both
are drawn at random from all rows, and when windows that share steps are shuffled before the split.

❌
```python
from torch.utils.data import DataLoader
from torchvision import datasets

train_set = datasets.MNIST("data", train=True)
test_set = datasets.MNIST("data", train=True)  # ❌
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=64)
```

✅
```python
from torch.utils.data import DataLoader
from torchvision import datasets

train_set = datasets.MNIST("data", train=True)
test_set = datasets.MNIST("data", train=False)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=64)
```

https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
https://developers.google.com/machine-learning/crash-course/overfitting/dividing-datasets
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from detectors import By, Code, Part, Problem, Tier, last_name, part_named, without_methods

TIER = Tier.BUG
WORDS = ("train|resample|replace", "test|val|dev|eval|split|cross")
_READS = re.compile(
    r"pandas\.read_\w+$|datasets\.load_dataset$|torchvision\.datasets\.[A-Z]\w*$|numpy\.(load|loadtxt|genfromtxt)$"
    r"|torchtext\.datasets\.\w+$|torchaudio\.datasets\.\w+$"
)
_APART = re.compile(
    r"Subset|SubsetRandomSampler|sampler|random_split|train_test_split|indices|_idx|KFold|fold|overfit|sanity|debug",
    re.I,
)
_NOT_ROWS = frozenset(["transform", "transforms", "target_transform", "download", "augment", "name"])


def detect(code: Code) -> Iterator[Problem]:
    """Train and held-out parts that are made from the same rows."""
    if code.is_test:
        return
    yield from _read_twice(code)
    yield from _one_data_set(code)
    yield from _slices(code)
    yield from _drawn_twice(code)
    yield from _windows(code)
    yield from _misnamed(code)
    yield from _repeated(code)


# -- one file or one split, read under two names -------------------------------------------------------------------


def _read_twice(code: Code) -> Iterator[Problem]:
    made: dict[tuple[object, str], list[tuple[Part, str, ast.Call]]] = defaultdict(list)
    for assign in code.tree.all(ast.Assign):
        call, name = assign.value, last_name(assign.targets[0])
        part = part_named(name)
        if part is None or not isinstance(call, ast.Call) or not _READS.match(code.origin(call) or ""):
            continue
        if not call.args and not call.keywords:
            continue
        made[code.tree.function(call), _what(call)].append((part, name, call))
    for sides in made.values():
        train = next((each for each in sides if each[0] is Part.TRAIN), None)
        held_out = next((each for each in sides if each[0].is_held_out), None)
        if train is None or held_out is None or _is_taken_apart(code, train[1], held_out[1]):
            continue
        yield code.problem(
            held_out[2],
            f"`{held_out[1]}` reads what `{train[1]}` reads (line {train[2].lineno}): the model is measured on "
            "the rows that "
            "train it.",
            show=[train[2]],
            related=[(train[2], "the train part")],
        )


def _what(call: ast.Call) -> str:
    """The call's text without what does not choose rows."""
    keywords = sorted(f"{each.arg}={ast.unparse(each.value)}" for each in call.keywords if each.arg not in _NOT_ROWS)
    return f"{ast.unparse(call.func)}({', '.join([*map(ast.unparse, call.args), *keywords])})"


def _is_taken_apart(code: Code, *names: str) -> bool:
    """Whether something later takes only some rows of either: a subset, a sampler, a filter under the same name."""
    if any(_APART.search(ast.unparse(each.func)) for each in code.tree.all(ast.Call) if _touches(each, names)):
        return True
    for assign in code.tree.all(ast.Assign):
        targets = {last_name(each) for each in assign.targets}
        if any(isinstance(each, ast.Attribute) and _is_named(each.value, names) for each in assign.targets):
            return True  # `data._rows = [...]`
        if targets & set(names) and any(_is_named(each, names) for each in ast.walk(assign.value)):
            return True
    rows = (ast.Slice, ast.Compare, ast.BinOp, ast.UnaryOp, ast.Call)
    taken = (each for each in code.tree.all(ast.Subscript) if isinstance(each.slice, rows))
    return any(_is_named(each.value, names) for each in taken)


def _touches(call: ast.Call, names: tuple[str, ...]) -> bool:
    return any(_is_named(each, names) for each in (*call.args, *(k.value for k in call.keywords))) or any(
        _APART.search(each.arg or "") for each in call.keywords
    )


def _is_named(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


# -- one data set for two loaders ----------------------------------------------------------------------------------


def _one_data_set(code: Code) -> Iterator[Problem]:
    read: dict[object, list[tuple[Part, ast.Call, ast.expr]]] = defaultdict(list)
    for loader in code.loaders.all:
        part = part_named(loader.name)
        if part is None or loader.dataset is None or code.origin(loader.call) != "torch.utils.data.DataLoader":
            continue
        own = isinstance(loader.dataset, ast.Attribute) and code.name(loader.dataset.value) == "self"
        if not own and not isinstance(loader.dataset, ast.Name):
            continue
        if any(code.may_have(loader.call, name, place) for name, place in (("sampler", 3), ("batch_sampler", 4))):
            continue
        bindings = code.provenance.bindings(loader.dataset) if isinstance(loader.dataset, ast.Name) else frozenset()
        whose: object = bindings or code.values.subject(loader.dataset)
        if whose and not _APART.search(loader.name):
            read[whose, code.tree.function(loader.call)].append((part, loader.call, loader.dataset))
    for sides in read.values():
        train = next((each for each in sides if each[0] is Part.TRAIN), None)
        held_out = next((each for each in sides if each[0].is_held_out), None)
        if (
            train is None
            or held_out is None
            or (part_named(last_name(train[2])) is Part.TRAIN and _names_train_pass(code))
            or code.tree.are_alternatives(train[1], held_out[1])
        ):
            continue
        name = code.name(train[2])
        yield code.problem(
            held_out[1],
            f"This loader measures on `{name}`, which the loader at line {train[1].lineno} trains on: both "
            "read the same rows.",
            show=[train[1]],
            related=[(train[1], "the train loader")],
        )


def _names_train_pass(code: Code) -> bool:
    """Whether the file speaks of measuring on the train part on purpose."""
    return re.search(r"train_?(eval|acc|metrics)|eval_?train|on the train", code.text, re.I) is not None


# -- slices and draws ----------------------------------------------------------------------------------------------


def _slices(code: Code) -> Iterator[Problem]:
    taken: dict[object, list[tuple[Part, str, ast.Subscript]]] = defaultdict(list)
    for assign in code.tree.all(ast.Assign):
        value, name = assign.value, last_name(assign.targets[0])
        part = part_named(name)
        if part is None or not isinstance(value, ast.Subscript) or not isinstance(value.slice, ast.Slice):
            continue
        base = value.value
        bindings = code.provenance.bindings(base) if isinstance(base, ast.Name) else frozenset()
        if bindings and value.slice.step is None:
            taken[bindings, ast.dump(base)].append((part, name, value))
    for sides in taken.values():
        for _, name, held_out in (each for each in sides if each[0].is_held_out):
            train = next((each for each in sides if each[0] is Part.TRAIN and _overlap(each[2], held_out)), None)
            if train is None or _is_reordered(code, train[2], held_out):
                continue
            yield code.problem(
                held_out,
                f"`{code.name(held_out)}` and `{code.name(train[2])}` (line {train[2].lineno}) share rows: "
                f"`{name}` is measured "
                f"on what `{train[1]}` trains.",
                show=[train[2]],
                related=[(train[2], "the train part")],
            )


def _overlap(one: ast.Subscript, other: ast.Subscript) -> bool:
    """Whether two slices certainly share rows: both from the start, or by their numbers."""
    first, second = one.slice, other.slice
    if not isinstance(first, ast.Slice) or not isinstance(second, ast.Slice):
        return False
    if first.lower is None and second.lower is None and first.upper is not None and second.upper is not None:
        return not _is_negative(first.upper) and not _is_negative(second.upper)
    a, b = _number(first.lower, 0), _number(first.upper, 10**12)
    c, d = _number(second.lower, 0), _number(second.upper, 10**12)
    if a is None or b is None or c is None or d is None:
        return False
    return max(a, c) < min(b, d)


def _number(node: ast.expr | None, default: int) -> int | None:
    if node is None:
        return default
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp)


def _is_reordered(code: Code, one: ast.AST, other: ast.AST) -> bool:
    """Whether something between the two could change the object: a shuffle."""
    low, high = sorted((one.lineno, other.lineno))  # type: ignore[attr-defined]
    return any(low <= each.lineno <= high for each in code.method_calls("shuffle", "reverse", "sort", "pop"))


def _drawn_twice(code: Code) -> Iterator[Problem]:
    """`train = df.sample(…)` and `test = df.sample(…)`: each draws from all rows."""
    drawn: dict[object, list[tuple[Part, str, ast.Call]]] = defaultdict(list)
    for assign in code.tree.all(ast.Assign):
        call, name = without_methods(assign.value, {"reset_index"}), last_name(assign.targets[0])
        part = part_named(name)
        if part is None or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr == "sample" and isinstance(call.func.value, ast.Name) and _is_frame_sample(call):
            drawn[code.provenance.bindings(call.func.value)].append((part, name, call))
    for sides in drawn.values():
        train = next((each for each in sides if each[0] is Part.TRAIN), None)
        held_out = next((each for each in sides if each[0].is_held_out), None)
        if train is not None and held_out is not None:
            whole = held_out[2].func.value  # type: ignore[attr-defined]
            yield code.problem(
                held_out[2],
                f"`{held_out[1]}` is drawn from all of `{code.name(whole)}`, and so is `{train[1]}` at line "
                f"{train[2].lineno}: they share rows.",
                good=f"{held_out[1]} = {code.name(whole)}.drop({train[1]}.index)",
                show=[train[2]],
                related=[(train[2], "the train part")],
            )


def _is_frame_sample(call: ast.Call) -> bool:
    return any(each.arg in ("frac", "n", "random_state") for each in call.keywords)


# -- windows -------------------------------------------------------------------------------------------------------


def _windows(code: Code) -> Iterator[Problem]:
    """Windows that start at every step of a series, shuffled by the split."""
    for split in code.splits.all:
        call = split.call
        if split.by is not By.FUNCTION or call is None or not split.data:
            continue
        shuffle = code.argument(call, "shuffle")
        if code.may_have(call, "shuffle") and not (isinstance(shuffle, ast.Constant) and shuffle.value is True):
            continue
        window = next((each for each in _windows_in(code, split.data[0])), None)
        if window is not None:
            yield code.problem(
                call,
                f"The windows `{code.name(window)}` (line {window.lineno}) start at every step and share most "
                "of their rows; "
                "shuffled here, the held-out ones are almost all in the train part.",
                good=f"{code.source.of(code.tree.statement(call)).rstrip(')')}, shuffle=False)"
                if len(call.keywords) == 1
                else "",
                show=[window],
                related=[(window, "the windows")],
            )


def _windows_in(code: Code, data: ast.expr) -> Iterator[ast.Subscript]:
    for step in code.provenance.trace(data, stop=code.splits.is_part):
        node = step.node
        if not isinstance(node, ast.Subscript):
            continue
        rows = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
        if isinstance(rows, ast.Slice) and isinstance(rows.lower, ast.Name) and isinstance(rows.upper, ast.BinOp):
            starts = isinstance(rows.upper.op, ast.Add) and ast.dump(rows.lower) in map(
                ast.dump, (rows.upper.left, rows.upper.right)
            )
            if starts and _counts_by_one(code, rows.lower):
                yield node


def _counts_by_one(code: Code, index: ast.Name) -> bool:
    """Whether the name runs over a range in steps of one."""
    for binding in code.names.reaching(index):
        value = binding.value
        if not isinstance(binding.node, (ast.For, ast.comprehension)) or not isinstance(value, ast.Call):
            return False
        if ast.unparse(value.func) not in ("range", "trange") or len(value.args) > 2:
            return False
    return bool(code.names.reaching(index))


# -- a part under another part's name, and rows that are there twice -----------------------------------------------


def _misnamed(code: Code) -> Iterator[Problem]:
    """`X_val = X.iloc[train_index]`, `test_x = train.drop(columns="y")`: all rows of the train part, to measure on."""
    for assign in code.tree.all(ast.Assign):
        name = last_name(assign.targets[0])
        part, whole = part_named(name), _same_rows(code, assign.value)
        if part is None or not part.is_held_out or whole is None or code.splits.part(whole) is not Part.TRAIN:
            continue
        if part_named(last_name(whole)) is Part.TRAIN or isinstance(whole, ast.Subscript):
            yield code.problem(
                assign,
                f"`{name}` holds the rows of the train part `{code.name(whole)}`: what is measured on it has been "
                "trained on.",
            )


def _same_rows(code: Code, node: ast.expr) -> ast.expr | None:
    """The part behind an expression that takes columns of it or converts it, and no rows of its own."""
    changed = False
    while True:
        match node:
            case ast.Attribute(attr="values", value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(attr="drop", value=inner)) if _takes_columns(node):
                node = inner
            case ast.Call(func=ast.Attribute(attr="copy" | "to_numpy" | "astype" | "reset_index", value=inner)):
                node = inner
            case ast.Subscript(value=inner, slice=ast.Constant(value=str()) | ast.List()):
                node = inner
            case ast.Subscript(slice=ast.Name()) if code.splits.is_part(node):
                return node
            case ast.Name():
                return node if changed else None
            case _:
                return None
        changed = True


def _takes_columns(call: ast.Call) -> bool:
    axis = next((each.value for each in call.keywords if each.arg == "axis"), None)
    return any(each.arg == "columns" for each in call.keywords) or (
        isinstance(axis, ast.Constant) and axis.value in (1, "columns")
    )


def _repeated(code: Code) -> Iterator[Problem]:
    """Rows drawn with replacement into the data before the split: copies of one row end up on both sides."""
    seen: set[ast.AST] = set()
    for split in code.splits.all:
        if split.by not in (By.FUNCTION, By.FOLDS, By.CROSS_VALIDATION, By.RANDOM):
            continue
        for step in (each for data in split.data for each in code.provenance.trace(data, stop=code.splits.is_part)):
            call = step.node
            if call in seen or not isinstance(call, ast.Call) or not _draws_again(code, call):
                continue
            seen.add(call)
            yield code.problem(
                call,
                f"`{code.name(call.func)}` draws rows with replacement, and line {split.node.lineno} splits them only "
                "afterwards: copies of one row are trained on and measured.",
                show=[split.node],
                related=[(split.node, "the split")],
            )


def _draws_again(code: Code, call: ast.Call) -> bool:
    """`resample(minority)`, which replaces unless told not to; `minority.sample(n, replace=True)`."""
    replace = code.argument(call, "replace")
    if code.origin(call) == "sklearn.utils.resample":
        return not code.may_have(call, "replace") or (isinstance(replace, ast.Constant) and replace.value is True)
    is_sample = isinstance(call.func, ast.Attribute) and call.func.attr == "sample"
    return is_sample and isinstance(replace, ast.Constant) and replace.value is True
