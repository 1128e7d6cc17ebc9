"""Every worker draws the same numbers

A data set that makes its own generator in `__init__` is copied into each worker with that generator's state: all
workers draw the same numbers, so the augmentations repeat, and they repeat again every epoch. (PyTorch seeds `torch`,
`random` and NumPy's global generators per worker, but knows nothing of this one.)

❌
```python
import numpy as np
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __init__(self, images):
        self.images = images
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index] + self.rng.normal(size=3)  # ❌


loader = DataLoader(Noisy(images), batch_size=32, num_workers=4, shuffle=True)
```

✅
```python
import numpy as np
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        rng = np.random.default_rng(torch.initial_seed() % 2**32 + index)
        return self.images[index] + rng.normal(size=3)


loader = DataLoader(Noisy(images), batch_size=32, num_workers=4, shuffle=True)
```

https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader
https://docs.pytorch.org/docs/stable/data.html#data-loading-randomness
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Function, Problem, Tier

TIER = Tier.BUG
WORDS = (
    "__getitem__|worker",
    "default_rng|RandomState|random.Random|Generator|seed|np.random|numpy.random",
    "DataLoader|worker",
)
_SEEDS = ("random.seed", "numpy.random.seed", "torch.manual_seed")
_GENERATORS = (
    "numpy.random.default_rng",
    "numpy.random.RandomState",
    "numpy.random.Generator",
    "random.Random",
    "torch.Generator",
)

_NUMPY_DRAWS = re.compile(
    r"numpy\.random\.(rand|randn|randint|random|random_sample|uniform|normal|choice|permutation|shuffle|beta|binomial)$"
)
_DIFFERS = re.compile(r"initial_seed|worker_info|getpid|time\(|urandom|get_rank|SeedSequence|get_state")
_SEEDED = re.compile(r"worker_init|worker_info|random\.seed\(")


def detect(code: Code) -> Iterator[Problem]:
    """Draws in `__getitem__` from a generator made in `__init__`, of data sets that a loader with workers reads."""
    yield from _one_seed_for_all(code)
    yield from _same_start(code)
    read = {origin: loader for loader in _loaders_with_workers(code) for origin in _data_sets(code, loader)}
    for owner in code.tree.all(ast.ClassDef):
        loader = read.get(code.names.local_origin(owner))
        get = code.values.classes.method(owner, "__getitem__") if loader is not None else None
        if loader is None or get is None or _is_seeded_anew(code, owner):
            continue
        for draw, attribute in _draws(code, owner, get):
            yield code.problem(
                draw,
                f"`self.{attribute}` is made once in `{owner.name}.__init__` and copied into every worker of "
                "the loader at line "
                f"{loader.lineno}: all workers draw the same numbers.",
                related=[(loader, "the loader with workers")],
            )
            break
        else:
            yield from _same_numpy(code, get, loader)


def _same_numpy(code: Code, get: Function, loader: ast.Call) -> Iterator[Problem]:
    """Before torch 1.9 no worker seeded NumPy: all begin with the state that they were forked with."""
    if not code.versions.is_below("torch", "1.9") or _SEEDED.search(code.text):
        return
    for call in ast.walk(get):
        if isinstance(call, ast.Call) and _NUMPY_DRAWS.match(code.origin(call) or ""):
            yield code.problem(
                call,
                f"`{code.name(call.func)}` draws the same numbers in every worker of the loader at line "
                f"{loader.lineno}: torch before 1.9 seeds NumPy in none of them ({code.versions.assumed('torch')}).",
                related=[(loader, "the loader with workers")],
            )
            return


def _one_seed_for_all(code: Code) -> Iterator[Problem]:
    """A worker's start that seeds one generator with what is the same in all workers, and others with the "
    "worker's own."""
    seeds: dict[Function, list[ast.Call]] = {}
    for call in code.calls(*_SEEDS):
        function = code.tree.function(call)
        if function is not None and "worker" in function.name and call.args:
            seeds.setdefault(function, []).append(call)
    for function, calls in seeds.items():
        common = [
            each for each in calls if isinstance(each.args[0], ast.Name) and _is_parameter(function, each.args[0])
        ]
        own = [each for each in calls if _made_from(code, each.args[0], common)]
        for call in common if own and not any("worker" in ast.unparse(each.args[0]) for each in common) else ():
            yield code.problem(
                call,
                f"`{code.name(call.func)}` gets `{code.name(call.args[0])}`, which is the same everywhere, while "
                f"`{code.name(own[0].func)}` gets `{code.name(own[0].args[0])}`: the draws of this generator repeat.",
                mend=[code.source.replace(call.args[0], code.source.of(own[0].args[0]))],
                related=[(own[0], "the seed that differs")],
            )


def _same_start(code: Code) -> Iterator[Problem]:
    """A worker's start that seeds and asks nothing that differs between workers: neither its number nor torch."""
    for loader in code.loaders.all:
        start = code.argument(loader.call, "worker_init_fn", 9)
        while isinstance(start, ast.Call) and code.origin(start) == "functools.partial" and start.args:
            start = start.args[0]
        function = start if isinstance(start, ast.Lambda) else code.values.calls.target(start) if start else None
        if not isinstance(function, (ast.Lambda, ast.FunctionDef)) or not function.args.args:
            continue
        body = [each for part in _body(function) for each in ast.walk(part)]
        names = {each.id for each in body if isinstance(each, ast.Name)}
        seeds = [each for each in body if isinstance(each, ast.Call) and code.origin(each) in _SEEDS and each.args]
        differs = function.args.args[0].arg in names or _DIFFERS.search(" ".join(map(ast.unparse, _body(function))))
        if seeds and not differs and not any(isinstance(each, ast.Call) for seed in seeds for each in seed.args):
            yield code.problem(
                seeds[0],
                f"Every worker of the loader at line {loader.call.lineno} starts with the same seed, "
                f"`{code.name(seeds[0].args[0])}`: all of them draw the same numbers, and the same in every epoch.",
                related=[(loader.call, "the loader with workers")],
            )


def _body(function: ast.Lambda | ast.FunctionDef) -> list[ast.AST]:
    return [function.body] if isinstance(function, ast.Lambda) else list(function.body)


def _is_parameter(function: Function, name: ast.Name) -> bool:
    return any(each.arg == name.id for each in function.args.args)


def _made_from(code: Code, seed: ast.expr, common: list[ast.Call]) -> bool:
    """Whether a seed is computed from the common one and something else."""
    if not isinstance(seed, ast.Name):
        return False
    bindings = code.names.reaching(seed)
    value = bindings[0].value if len(bindings) == 1 and isinstance(bindings[0].node, ast.Assign) else None
    names = {each.id for each in ast.walk(value) if isinstance(each, ast.Name)} if value is not None else set()
    return len(names) > 1 and any(isinstance(each.args[0], ast.Name) and each.args[0].id in names for each in common)


def _loaders_with_workers(code: Code) -> Iterator[ast.Call]:
    for loader in code.loaders.all:
        workers = code.argument(loader.call, "num_workers", 5)
        none = isinstance(workers, ast.Constant) and not workers.value
        if workers is None or none or code.may_have(loader.call, "worker_init_fn", 9):
            continue
        yield loader.call


def _data_sets(code: Code, loader: ast.Call) -> list[str]:
    dataset = code.argument(loader, "dataset", 0)
    return [each.origin or "" for each in code.values.of(dataset)]


def _is_seeded_anew(code: Code, owner: ast.ClassDef) -> bool:
    """Whether the class knows of workers, or makes its generator outside `__init__` too."""
    if any(isinstance(each, ast.Name | ast.Attribute) and "worker" in ast.unparse(each) for each in ast.walk(owner)):
        return True
    calls = [each for each in ast.walk(owner) if isinstance(each, ast.Call) and code.origin(each) in _GENERATORS]
    functions = (code.tree.function(each) for each in calls)
    return any(each is not None and each.name != "__init__" for each in functions)


def _draws(code: Code, owner: ast.ClassDef, get: Function) -> Iterator[tuple[ast.AST, str]]:
    """Uses of the generator in `__getitem__` and in the methods it calls."""
    methods = [get]
    for call in (each for each in ast.walk(get) if isinstance(each, ast.Call)):
        callee = code.values.calls.callee(call)
        if isinstance(callee, ast.FunctionDef) and code.tree.class_of(callee) is owner:
            methods.append(callee)
    for method in methods:
        for call in (each for each in ast.walk(method) if isinstance(each, ast.Call)):
            for node in (call.func, *call.args, *(each.value for each in call.keywords)):
                holder = node.value if node is call.func and isinstance(node, ast.Attribute) else node
                if isinstance(holder, ast.Attribute) and _is_generator(code, owner, holder):
                    yield call, holder.attr


def _is_generator(code: Code, owner: ast.ClassDef, node: ast.Attribute) -> bool:
    values = code.values.of(node)
    return bool(values) and all((each.origin or "").startswith(_GENERATORS) for each in values)
