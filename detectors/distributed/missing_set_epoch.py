"""The distributed sampler shuffles alike in every epoch

`DistributedSampler` shuffles with a seed made of its own seed and the epoch it was told. Without `set_epoch` every
epoch has the same order, so the model sees the same batches again and again.

❌
```python
from torch.utils.data import DataLoader, DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
for epoch in range(10):  # ❌
    for images, labels in loader:
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
```

✅
```python
from torch.utils.data import DataLoader, DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
for epoch in range(10):
    sampler.set_epoch(epoch)
    for images, labels in loader:
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
```

https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
"""

import ast
import re
from collections.abc import Iterator

from detectors import FUNCTIONS, Act, Code, Kind, Loop, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("DistributedSampler|use_ddp|set_epoch",)

_FRAMEWORKS = {"lightning", "pytorch_lightning", "ignite", "composer", "catalyst", "mmengine", "mmcv", "accelerate"}
_MAKES_ITS_OWN = ("dgl.dataloading.GraphDataLoader", "dgl.dataloading.DataLoader", "dgl.dataloading.EdgeDataLoader")
_LOADERS = ("torch.utils.data.DataLoader", "torch.utils.data.BatchSampler", "torch.utils.data.sampler.BatchSampler")
_TRAINS = re.compile(r"(^|_)(train|fit|epoch|learn|optimi[sz]e)|Train", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Epoch loops over a loader whose distributed sampler shuffles and is never told the epoch."""
    yield from _kept_to_itself(code)
    samplers = [each for each in _distributed(code) if _shuffles(code, each)]
    if not samplers or _FRAMEWORKS & code.packages or "set_epoch" in _called(code):
        return
    told = False
    for statement, epochs, sampler in _consumed(code, samplers):
        told = True
        if _is_handed_on(code, epochs, sampler):
            continue
        yield _problem(code, statement, epochs, sampler)
    if not told:
        yield from _made_each_epoch(code, samplers)


def _distributed(code: Code) -> Iterator[ast.Call]:
    """The samplers, and DGL's loaders that make one of their own: `GraphDataLoader(…, use_ddp=True)`."""
    yield from code.calls("torch.utils.data.DistributedSampler")
    for loader in code.calls(*_MAKES_ITS_OWN):
        given, shuffle = code.argument(loader, "use_ddp"), code.argument(loader, "shuffle")
        if given is not None and shuffle is not None and code.values.only(given).constant is not False:
            yield loader


def _is_handed_on(code: Code, epochs: Loop, sampler: ast.Call) -> bool:
    """Whether a function that the loop calls is given the sampler: it may tell it the epoch. A loader does not."""
    calls = (each for each in ast.walk(epochs) if isinstance(each, ast.Call) and code.origin(each) not in _LOADERS)
    return any(
        value.call is sampler
        for call in calls
        for given in (*call.args, *(each.value for each in call.keywords))
        for value in code.values.of(given)
    )


def _called(code: Code) -> set[str]:
    return {each.attr for each in code.tree.all(ast.Attribute)} & {"set_epoch"}


def _kept_to_itself(code: Code) -> Iterator[Problem]:
    """`set_epoch` methods that do something and never read the epoch: what they hold is not told."""
    for function in code.tree.all(*FUNCTIONS):
        if function.name != "set_epoch" or len(function.args.args) < 2 or all(map(_is_nothing, function.body)):
            continue
        epoch = function.args.args[1].arg
        below = list(code.tree.below(function))
        if any(isinstance(each, ast.Name) and each.id == epoch for each in below):
            continue
        held = next((each for each in below if isinstance(each, ast.Attribute)), None)
        if held is not None and not any(isinstance(each, (ast.Raise, ast.Assert)) for each in below):
            yield code.problem(
                code.tree.statement(held),
                f"`set_epoch` never reads `{epoch}`: what this class holds is not told, and shuffles in the same "
                "order in every epoch.",
            )


def _is_nothing(statement: ast.stmt) -> bool:
    """A docstring, `pass`, `...`, `return`: a method for others to override."""
    return isinstance(statement, (ast.Pass, ast.Return)) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _shuffles(code: Code, call: ast.Call) -> bool:
    if code.argument(call, "shuffle", 3) is None:
        return not code.may_have(call, "shuffle", 3)
    given = code.argument(call, "shuffle", 3)
    constants = {each.constant for each in code.values.of(given)}
    return True in constants or (constants != {False} and "shuffle" in last_name(given))


def _sampler_of(code: Code, loader: ast.expr, samplers: list[ast.Call]) -> ast.Call | None:
    """The sampler, among these, of the loader an expression holds or hands on."""
    if isinstance(loader, ast.Call) and last_name(loader.func) in (
        "enumerate",
        "tqdm",
        "zip",
        "iter",
        "cycle",
        "islice",
    ):
        return next((found for each in loader.args if (found := _sampler_of(code, each, samplers)) is not None), None)
    for value in code.values.of(loader):
        if value.call is None:
            continue
        if value.call in samplers:
            return value.call
        if value.kind is Kind.LOADER:
            given = (code.argument(value.call, "sampler", 3), code.argument(value.call, "batch_sampler", 4))
            found = next((each for node in given if (each := _held(code, node, samplers)) is not None), None)
            if found is not None:
                return found
        elif value.index and not (value.origin or "").startswith("<local>"):  # handed through a call out of sight
            for argument in (*value.call.args, *(each.value for each in value.call.keywords)):
                if code.kind(argument) is Kind.LOADER and (found := _sampler_of(code, argument, samplers)):
                    return found
    return None


def _held(code: Code, node: ast.expr | None, samplers: list[ast.Call]) -> ast.Call | None:
    """The sampler an expression is, or the one that a sampler of batches is made from."""
    for value in code.values.of(node) if node is not None else ():
        if value.call in samplers:
            return value.call
        for argument in value.call.args if value.call is not None and "ampler" in last_name(value.call.func) else ():
            found = next((each.call for each in code.values.of(argument) if each.call in samplers), None)
            if found is not None:
                return found
    return None


def _consumed(code: Code, samplers: list[ast.Call]) -> Iterator[tuple[ast.stmt, Loop, ast.Call]]:
    """The statements of an epoch loop that train over one of the samplers' loaders."""
    seen: set[ast.AST] = set()
    for flow in code.flows:
        for event in flow.of(Act.BACKWARD):
            for outer, inner in zip(event.loops, event.loops[1:], strict=False):
                sampler = _sampler_of(code, inner.iter, samplers) if not isinstance(inner, ast.While) else None
                if sampler is None or code.tree.inside(sampler, outer):
                    continue
                if outer not in seen:
                    seen.add(outer)
                    yield outer, outer, sampler
    for call in code.tree.all(ast.Call):
        if not _TRAINS.search(last_name(call.func)) or code.values.calls.callee(call) is not None:
            continue
        epochs = next((each for each in code.tree.loops(call) if _counts_epochs(each)), None)
        statement = code.tree.statement(call)
        if epochs is None or statement in seen or epochs in seen:
            continue
        for argument in (*call.args, *(each.value for each in call.keywords)):
            if isinstance(argument, (ast.Name, ast.Attribute)) and (found := _sampler_of(code, argument, samplers)):
                seen.add(statement)
                yield statement, epochs, found
                break


def _counts_epochs(loop: Loop) -> bool:
    return "epoch" in ast.unparse(loop.test if isinstance(loop, ast.While) else loop.target).lower()


def _made_each_epoch(code: Code, samplers: list[ast.Call]) -> Iterator[Problem]:
    """Samplers made anew in each epoch: every one of them starts at epoch 0."""
    for sampler in samplers:
        epochs = next((each for each in code.tree.loops(sampler) if _counts_epochs(each)), None)
        if epochs is None or not any(epochs in each.loops for flow in code.flows for each in flow.of(Act.BACKWARD)):
            continue
        yield _problem(code, code.tree.statement(sampler), epochs, sampler)


def _problem(code: Code, statement: ast.stmt, epochs: Loop, sampler: ast.Call) -> Problem:
    found = statement
    made = code.tree.statement(sampler)
    target = made.targets[0] if isinstance(made, ast.Assign) else getattr(made, "target", None)
    held = made.value is sampler if isinstance(made, (ast.Assign, ast.AnnAssign)) else False
    name = ast.unparse(target) if held and isinstance(target, (ast.Name, ast.Attribute)) else ""
    counter = epochs.target.id if isinstance(epochs, ast.For) and isinstance(epochs.target, ast.Name) else ""
    same = code.tree.function(made) is code.tree.function(statement)
    fix = []
    if statement is made and name and counter:
        fix = [code.source.insert_after(made, f"{name}.set_epoch({counter})")]
    elif same and name and counter:
        statement = statement.body[0] if statement is epochs else statement
        indent = " " * statement.col_offset
        maybe = isinstance(code.tree.parents[made], ast.If)
        call = f"{name}.set_epoch({counter})"
        fix = [code.source.insert_before(statement, f"if {name} is not None:\n{indent}    {call}" if maybe else call)]
    elif counter and statement is epochs and (loader := _iterated(epochs)):
        fix = [code.source.insert_before(epochs.body[0], f"{loader}.sampler.set_epoch({counter})")]
    what = f"`{name}`" if name else "The loader's `DistributedSampler`"
    return code.problem(
        found,
        f"{what} shuffles in the same order in every epoch of this loop: nothing calls its `set_epoch`.",
        fix=fix,
        related=[(sampler, "the sampler"), (epochs, "the epochs")],
    )


def _iterated(epochs: Loop) -> str:
    """The name of the loader that a loop directly in the epoch goes over."""
    names = [each.iter.id for each in epochs.body if isinstance(each, ast.For) and isinstance(each.iter, ast.Name)]
    return names[0] if names else ""
