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
from contextlib import suppress

from detectors import (
    DISCRETE,
    FUNCTIONS,
    GRADIENT_WORDS,
    WANTS_GRADIENTS,
    Act,
    Change,
    Code,
    DetachedRun,
    EvaluationPass,
    Function,
    Kind,
    Problem,
    Region,
    Tier,
    Undecided,
    covers,
    last_name,
)

TIER = Tier.RISK
WORDS = ("torch|.eval()", "eval|val|test|predict|infer|generat|translat|benchmark|detach")
_TRAINS = re.compile(r"(^|_)(train|fit|finetune|fine_tune|optimize|learn)(_|$)", re.I)
_GRADIENT_REGIONS = {Region.NO_GRAD, Region.SOME_GRAD, Region.GRAD}
_SWITCHES = re.compile(r"grad|infer|eval|(?<!amp_)(?<!cast_)(context|ctx)", re.I)
_MEASURES = re.compile(r"bench|profil|latency|speed|throughput|time|fps|infer", re.I)
_HOOK = re.compile(r"^_?(on|before|after|pre|post)_|_(step|hook|start|end|begin|loop|forward)$|^forward$")
"""Functions that a framework calls, most often without gradients."""
_MADE_UP = frozenset(f"torch.{name}" for name in ("randn", "rand", "zeros", "ones", "empty", "randint"))


def detect(code: Code) -> Iterator[Problem]:
    """Evaluation passes on a path without `no_grad`, one finding a function."""
    if not code.is_torch or code.is_test or _is_switched_by_call(code):
        return
    told: set[object] = set()
    with suppress(Undecided):
        yield from _of_passes(code, told)
    for method, run in code.generations:
        if not code.framework(run):
            yield _problem_of_method(code, method, run)
    for each in code.detached_runs:
        around = {each.function, *code.tree.loops(each.call)}
        if not around & told and not _may_need_gradients(code, each):
            told.add(each.function)
            yield _problem_of_run(code, each)


def _of_passes(code: Code, told: set[object]) -> Iterator[Problem]:
    """Passes that evaluate; `told` are the functions and loops that were told of."""
    for each in sorted(code.passes.evaluations, key=lambda each: each.forward.line):
        where = each.loop or each.forward.function
        if {where, each.forward.function} & told or where is None or not _has_gradients(code, each):
            continue
        told.add(each.forward.function if _decorator(code, each) else where)
        yield _problem(code, each)


def _may_need_gradients(code: Code, run: DetachedRun) -> bool:
    """Whether something else than the graphs that a function cuts may decide about gradients, or nothing is saved.

    A framework's class, or a model, is called from out of sight, but for what goes through data in eval mode itself.
    """
    function, model = run.function, run.model
    owner = code.tree.class_of(function)
    is_models_own = owner is not None and code.values.classes.kind(owner) is Kind.MODEL
    if _HOOK.search(function.name) or _may_be_switched_off(code, run.call):
        return True
    sees_to_itself = run.loop is not None and run.is_own and _switches_to_eval(function)
    if (code.framework(run.call) or is_models_own) and not sees_to_itself:
        return True
    if code.modes.is_frozen(model) or code.modes.may_come_frozen(model) or _has_nothing_to_learn(code, model):
        return True
    is_private = function.name.startswith("_") and (run.loop is None or run.sibling is not None)
    is_helper = is_private or (run.sibling is not None and not run.is_own)
    return is_helper or not run.outflow.ends_here


def _is_switched_by_call(code: Code) -> bool:
    """Gradients are switched off for the rest of the run: `torch.set_grad_enabled(False)` as a statement."""
    calls = code.calls("torch.set_grad_enabled", "torch.autograd.set_grad_enabled")
    return any(isinstance(code.tree.parents[each], ast.Expr) for each in calls)


def _has_gradients(code: Code, each: EvaluationPass) -> bool:
    forward = each.forward
    if _is_dropped(code.tree.parents[forward.node], forward.function):
        return False  # a run to warm up or to see the shapes: what it gives is dropped at once, and its graph with it
    if not each.is_direct or _GRADIENT_REGIONS & {region for region, _ in forward.regions}:
        return False
    if _uses_gradients(each) or _is_frozen(code, each) or _may_be_switched_off(code, forward.node):
        return False
    if _has_nothing_to_learn(code, forward.target) or _is_smoke_test(code, each):
        return False
    if _is_for_callers(code, each) and not _trains_on_its_way(each):
        return False
    if not (_ends_here(code, each) or _is_inference(code, each) or code.passes.is_interlude(each.flow, forward)):
        return False
    if code.passes.is_in_eval_mode(each.flow, forward):
        return each.is_named or each.loop is not None or code.passes.is_switched_here(each)
    return each.is_named and each.loop is not None and (_trains_on_its_way(each) or not _has_outside_base(code, each))


def _is_dropped(parent: ast.AST, function: Function | None) -> bool:
    """A call as a statement, or `_ = model(batch)` where no time is taken; the parts of a model that is being built."""
    if isinstance(parent, ast.Expr) or (function is not None and function.name == "__init__"):
        return True
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    is_measured = function is not None and _MEASURES.search(function.name) is not None
    return isinstance(target, ast.Name) and target.id == "_" and not is_measured


def _is_for_callers(code: Code, each: EvaluationPass) -> bool:
    """Whether callers out of sight decide about gradients: a framework's hook, or a model's own method.

    A function that switches to eval mode itself and goes through the data leaves nothing to its callers.
    """
    framework = code.framework(each.forward.node)
    is_own = framework.endswith("Trainer") or not framework
    if is_own and each.is_named and each.loop and code.passes.is_switched_here(each) and not _is_hook(each):
        return False
    owner = code.tree.enclosing(each.forward.node, ast.ClassDef)
    is_models_own = owner is not None and code.values.classes.kind(owner) is Kind.MODEL
    return bool(framework) or is_models_own


def _is_hook(each: EvaluationPass) -> bool:
    return each.forward.function is not None and _HOOK.search(each.forward.function.name) is not None


def _trains_on_its_way(each: EvaluationPass) -> bool:
    """Whether the same run back-propagates as well: no caller of it can have switched gradients off."""
    return any(not _GRADIENT_REGIONS & {region for region, _ in event.regions} for event in each.flow.of(Act.BACKWARD))


def _is_inference(code: Code, each: EvaluationPass) -> bool:
    """Whether a function called inference switches to eval mode first, and says nothing of a use for gradients."""
    if not each.is_named or each.loop is None or not code.passes.is_in_eval_mode(each.flow, each.forward):
        return False
    return not any(WANTS_GRADIENTS.search(name) for name in _names_around(each))


def _names_around(each: EvaluationPass) -> Iterator[str]:
    """Every name in the function that evaluates, its own too; in the loop alone where the function also trains."""
    function = each.forward.function
    if function is not None and not _trains(each, function):
        yield function.name
    for node in ast.walk(_around(each)):
        if isinstance(node, (ast.Name, ast.Attribute)):
            yield last_name(node)


def _around(each: EvaluationPass) -> ast.AST:
    function = each.forward.function
    where = each.loop if function is None or _trains(each, function) else function
    return where or each.forward.node


def _may_be_switched_off(code: Code, node: ast.AST) -> bool:
    """A decorator or context manager out of sight, called like one that switches gradients off, or the way out of a
    try that failed without them."""
    contexts: list[ast.expr] = []
    for above in code.tree.ancestors(node):
        if isinstance(above, ast.ExceptHandler):
            return True
        if isinstance(above, FUNCTIONS):
            contexts += above.decorator_list
        elif isinstance(above, (ast.With, ast.AsyncWith)):
            contexts += [item.context_expr for item in above.items]
    return any(_is_out_of_sight(code, each) and _SWITCHES.search(ast.unparse(each)) for each in contexts)


def _is_out_of_sight(code: Code, context: ast.expr) -> bool:
    """Neither torch's nor of this file."""
    origin = code.origin(context.func if isinstance(context, ast.Call) else context) or ""
    return not origin.startswith(("torch.", "<local>.", "contextlib.", "builtins."))


def _has_nothing_to_learn(code: Code, model: ast.expr | None) -> bool:
    """`nn.CosineSimilarity()` and the like: what it is given decides about gradients."""
    origin = code.values.only(model).origin or ""
    return (
        re.match(r"torch\.nn\.(CosineSimilarity|PairwiseDistance|\w*Softmax\w*|\w*Pool\dd|Flatten)$", origin)
        is not None
    )


def _is_smoke_test(code: Code, each: EvaluationPass) -> bool:
    """Whether the model is only tried, on numbers made up here: nothing is evaluated, and once. A benchmark is none."""
    forward = each.forward
    given = forward.node.args if isinstance(forward.node, ast.Call) else []
    name = forward.function.name if forward.function is not None else ""
    returned = code.values.calls.returns(forward.function) if forward.function is not None else []
    if each.loop is not None and any(one.value is not None for one in returned):
        return False
    return (
        bool(given)
        and not _MEASURES.search(name)
        and any((each.origin or "") in _MADE_UP for each in code.values.of(given[0]))
    )


def _has_outside_base(code: Code, each: EvaluationPass) -> bool:
    """A class whose methods a base out of sight may call, without gradients."""
    owner = code.tree.enclosing(each.forward.node, ast.ClassDef)
    bases = code.values.classes.bases(owner) if owner is not None else []
    return any(base not in ("builtins.object", "abc.ABC") for base in bases)


def _ends_here(code: Code, each: EvaluationPass) -> bool:
    """Whether outputs become numbers, classes or tokens here, or a validation keeps its losses: nobody can want the
    gradients later."""
    function = each.forward.function
    where = each.loop or function
    if where is None:
        return False
    if any(isinstance(node, ast.Attribute) and node.attr in DISCRETE for node in ast.walk(where)):
        return True
    if function is None:
        return False
    if re.search(r"(^|_)(eval|valid|val|test)", function.name, re.I):
        return True
    if _is_between_switches(code, each):
        return True
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return bool(returned) and all(map(_is_cut_off, returned)) and not _trains(each, function)


def _is_between_switches(code: Code, each: EvaluationPass) -> bool:
    """A loop between `eval()` and `train()`, or after `eval()` one whose outputs all lose their graphs."""
    forward, loop = each.forward, each.loop
    if loop is None or not code.passes.is_switched_here(each):
        return False
    after = (event for event in each.flow.of(Act.TRAIN_MODE) if event.line > (loop.end_lineno or 0))
    own = (event.subject for event in after if event.function is forward.function)
    return any(covers(subject, forward.subject) for subject in own) or code.outflows.of(forward.node).ends_here


def _is_cut_off(value: ast.expr) -> bool:
    """`outputs.detach()[:, start:]`, `(outputs.cpu().numpy(), classes.tolist())`: no gradient leaves through it."""
    if isinstance(value, ast.Tuple):
        return all(map(_is_cut_off, value.elts))
    while isinstance(value, (ast.Subscript, ast.Call, ast.Attribute)):
        if isinstance(value, ast.Attribute) and value.attr in ("detach", "numpy", "tolist", "item"):
            return True
        value = value.func if isinstance(value, ast.Call) else value.value
    return False


def _is_frozen(code: Code, each: EvaluationPass) -> bool:
    """Whether no parameter has a gradient: all are frozen, and no part of the model is trained."""
    is_trained = any(event.subject == each.forward.subject for event in code.passes.trained(each.flow))
    return not is_trained and code.modes.is_frozen(each.forward.target)


def _uses_gradients(each: EvaluationPass) -> bool:
    """The evaluation works with gradients: attacks, saliency, fine-tuning at test time.

    What another call of the same function back-propagates does not matter.
    """
    events = each.flow.of(Act.BACKWARD)
    of_training = {event.node.func for event in events if isinstance(event.node, ast.Call)}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in GRADIENT_WORDS and node not in of_training)
        or (isinstance(node, ast.Name) and node.id in GRADIENT_WORDS)
        or (isinstance(node, ast.keyword) and node.arg in GRADIENT_WORDS and not _is_false(node.value))
        for node in ast.walk(_around(each))
    )


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


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


def _switches_to_eval(function: Function) -> bool:
    return any(isinstance(each, ast.Call) and last_name(each.func) == "eval" for each in ast.walk(function))


def _problem_of_run(code: Code, run: DetachedRun) -> Problem:
    """A loop that cuts every graph it builds: the loop is meant, or the comprehension's statement."""
    torch = code.names.bindings.imported_as("torch", run.function)
    block = code.tree.statement(run.loop or run.call)
    keeps = "every round keeps" if run.loop is not None else "it keeps"
    says = (
        f"where `{run.sibling.name}` switches them off"
        if run.sibling is not None
        else "and cuts the graph off all that comes of it"
    )
    related = (
        (run.sibling, "without gradients here")
        if run.sibling is not None
        else (run.outflow.detached[0], "cut off here")
    )
    return code.problem(
        run.call,
        f"`{run.function.name}` runs `{code.name(run.model)}` with gradients on, {says}: {keeps} the activations of a "
        "backward pass that never comes.",
        fix=code.source.indent_block([block], f"with {torch}.no_grad():") if torch and run.is_whole else [],
        related=[related],
    )


def _problem(code: Code, each: EvaluationPass) -> Problem:
    forward = each.forward
    name = code.name(forward.target)
    function = forward.function
    where = f"`{function.name}`" if function is not None else "this evaluation"
    loop = each.loop or next(reversed(forward.loops), None)
    is_counted = isinstance(loop, ast.While) or (loop is not None and ast.unparse(loop.iter).startswith("range("))
    keeps = "it keeps" if loop is None else "every round keeps" if is_counted else "every batch keeps"
    return code.problem(
        forward.node,
        f"{where} runs `{name}` with gradients on: {keeps} the activations of a backward pass that never comes.",
        fix=_fix(code, each),
        related=[(each.loop, "the evaluation loop")] if each.loop is not None else [],
    )


def _fix(code: Code, each: EvaluationPass) -> tuple[Change, ...]:
    """A decorator where the whole function evaluates, else a `with` around its loop."""
    function = each.forward.function
    decorator = _decorator(code, each)
    if function is not None and decorator:
        return (code.source.insert_before(function, decorator),)
    if any(each.loop in event.loops for event in each.flow.of(Act.BACKWARD)):
        return ()  # the same loop trains where it is told to
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
