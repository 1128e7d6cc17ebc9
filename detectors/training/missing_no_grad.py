"""Evaluation runs with gradients on

Without `torch.no_grad()` every evaluation batch builds the graph for a backward pass that never comes: activations stay
in memory until the output is freed, and validation needs as much memory as training.

❌
```python
import torch

def evaluate(model, val_loader):
    model.eval()
    correct = 0
    for images, labels in val_loader:
        correct += (model(images).argmax(1) == labels).sum().item()  # ❌
    return correct
```

✅
```python
import torch

@torch.no_grad()
def evaluate(model, val_loader):
    model.eval()
    correct = 0
    for images, labels in val_loader:
        correct += (model(images).argmax(1) == labels).sum().item()
    return correct
```

https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import (
    DISCRETE,
    GRADIENT_WORDS,
    Act,
    Change,
    Code,
    EvaluationPass,
    Function,
    Kind,
    Problem,
    Region,
    Tier,
    last_name,
)

TIER = Tier.RISK
WORDS = ("torch|.eval()", "eval|val|test|predict|infer|generat|translat|benchmark")
_TRAINS = re.compile(r"(^|_)(train|fit|finetune|fine_tune|optimize|learn)(_|$)", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Evaluation passes on a path without `no_grad`, one finding a function."""
    if not code.is_torch or code.is_test or _is_switched_by_call(code):
        return
    told: set[object] = set()
    passes = sorted(code.passes.evaluations, key=lambda each: each.forward.line)
    for each in passes:
        where = each.loop or each.forward.function
        if {where, each.forward.function} & told or where is None or not _has_gradients(code, each):
            continue
        told.add(each.forward.function if _decorator(code, each) else where)
        yield _problem(code, each)
    for method, run in code.generations:
        yield _problem_of_method(code, method, run)


def _is_switched_by_call(code: Code) -> bool:
    """Gradients are switched off for the rest of the run: `torch.set_grad_enabled(False)` as a statement."""
    calls = code.calls("torch.set_grad_enabled", "torch.autograd.set_grad_enabled")
    return any(isinstance(code.tree.parents[each], ast.Expr) for each in calls)


def _has_gradients(code: Code, each: EvaluationPass) -> bool:
    forward = each.forward
    if not each.is_direct or any(
        region in (Region.NO_GRAD, Region.SOME_GRAD, Region.GRAD) for region, _ in forward.regions
    ):
        return False
    if code.framework(forward.node) or _uses_gradients(each) or _is_frozen(code, each):
        return False
    if _may_be_switched_off(code, forward.node) or _has_nothing_to_learn(code, forward.target):
        return False
    where = each.loop or forward.function
    if where is None or not _ends_here(where, forward.function):
        return False
    owner = code.tree.enclosing(forward.node, ast.ClassDef)
    if owner is not None and code.values.classes.kind(owner) is Kind.MODEL:
        return False  # the model's own method: its callers, out of sight, decide
    if code.passes.is_in_eval_mode(each.flow, forward):
        return each.is_named or each.loop is not None or code.passes.is_switched_here(each)
    return each.is_named and each.loop is not None and (owner is None or not _has_outside_base(code, owner))


def _may_be_switched_off(code: Code, node: ast.AST) -> bool:
    """A context manager out of sight, called like one that switches gradients off."""
    return any(
        code.origin(item.context_expr.func if isinstance(item.context_expr, ast.Call) else item.context_expr) is None
        and re.search(r"grad|infer|eval|context|ctx", ast.unparse(item.context_expr), re.I)
        for above in code.tree.ancestors(node)
        if isinstance(above, (ast.With, ast.AsyncWith))
        for item in above.items
    )


def _has_nothing_to_learn(code: Code, model: ast.expr | None) -> bool:
    """`nn.CosineSimilarity()` and the like: what it is given decides about gradients."""
    origin = code.values.only(model).origin or ""
    return (
        re.match(r"torch\.nn\.(CosineSimilarity|PairwiseDistance|\w*Softmax\w*|\w*Pool\dd|Flatten)$", origin)
        is not None
    )


def _has_outside_base(code: Code, owner: ast.ClassDef) -> bool:
    """A class whose methods a base out of sight may call, without gradients."""
    return any(each not in ("builtins.object", "abc.ABC") for each in code.values.classes.bases(owner))


def _ends_here(where: ast.AST, function: Function | None) -> bool:
    """Whether outputs become numbers, classes or tokens here, or a validation keeps its losses: nobody can want the
    gradients later."""
    if any(isinstance(node, ast.Attribute) and node.attr in DISCRETE for node in ast.walk(where)):
        return True
    return function is not None and re.search(r"(^|_)(eval|valid|val|test)", function.name, re.I) is not None


def _is_frozen(code: Code, each: EvaluationPass) -> bool:
    """Whether no parameter has a gradient: all are frozen, and no part of the model is trained."""
    is_trained = any(event.subject == each.forward.subject for event in code.passes.trained(each.flow))
    return not is_trained and code.modes.is_frozen(each.forward.target)


def _uses_gradients(each: EvaluationPass) -> bool:
    """The evaluation works with gradients: attacks, saliency, fine-tuning at test time."""
    function = each.forward.function
    where = each.loop if function is None or _trains(each, function) else function
    return where is None or any(
        (isinstance(node, ast.Attribute) and node.attr in GRADIENT_WORDS)
        or (isinstance(node, ast.Name) and node.id in GRADIENT_WORDS)
        or (isinstance(node, ast.keyword) and node.arg in GRADIENT_WORDS)
        for node in ast.walk(where)
    )


def _problem_of_method(code: Code, method: Function, run: ast.Call) -> Problem:
    """A model's own generation: the whole method is meant."""
    torch = code.names.bindings.imported_as("torch", None)
    return code.problem(
        run,
        f"`{method.name}` runs `{ast.unparse(run.func)}` with gradients on, round after round: what it returns is "
        "picked from the outputs, and each round keeps the activations of a backward pass that never comes.",
        fix=[code.source.insert_before(method, f"@{torch}.no_grad()")] if torch is not None else [],
        related=[(code.tree.loops(run)[-1], "one round after the other")],
    )


def _problem(code: Code, each: EvaluationPass) -> Problem:
    forward = each.forward
    name = code.name(forward.target)
    function = forward.function
    where = f"`{function.name}`" if function is not None else "this evaluation"
    return code.problem(
        forward.node,
        f"{where} runs `{name}` with gradients on: every batch keeps the activations of a backward pass that "
        "never comes.",
        fix=_fix(code, each),
        related=[(each.loop, "the evaluation loop")] if each.loop is not None else [],
    )


def _fix(code: Code, each: EvaluationPass) -> tuple[Change, ...]:
    """A decorator where the whole function evaluates, else a `with` around its loop."""
    function = each.forward.function
    decorator = _decorator(code, each)
    if function is not None and decorator:
        return (code.source.insert_before(function, decorator),)
    torch = code.names.bindings.imported_as("torch", function)
    if torch is None:
        return ()
    return code.source.indent_block([each.loop], f"with {torch}.no_grad():") if each.loop is not None else ()


def _decorator(code: Code, each: EvaluationPass) -> str:
    """What mends the whole function, where all of it evaluates and the module imports torch."""
    torch = code.names.bindings.imported_as("torch", None)
    return f"@{torch}.no_grad()" if torch is not None and _is_evaluation(code, each) else ""


def _is_evaluation(code: Code, each: EvaluationPass) -> bool:
    """Whether the whole function evaluates, by its name and by what it and all that it calls do."""
    function = each.forward.function
    if function is None or not each.is_named or _trains(each, function) or _TRAINS.search(function.name):
        return False
    below = (call for event in each.flow.of(Act.BACKWARD, Act.STEP) for call in event.calls)
    called = (last_name(node.func) for node in ast.walk(function) if isinstance(node, ast.Call))
    return not any(code.tree.inside(call, function) for call in below) and not any(map(_TRAINS.match, called))


def _trains(each: EvaluationPass, function: Function) -> bool:
    return any(event.function is function for event in each.flow.of(Act.BACKWARD, Act.STEP))
