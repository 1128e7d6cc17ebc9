"""Chosen by the score that is reported

A checkpoint, a number of rounds or a hyper-parameter that is picked because it scores best on the test part fits that
part: its score is the best of many tries, not what new data will give. Choose on a validation part, and measure on
the test part once.

❌
```python
best_accuracy = 0.0
for epoch in range(100):
    train(model, train_loader)
    test_accuracy = evaluate(model, test_loader)
    if test_accuracy > best_accuracy:  # ❌
        best_accuracy = test_accuracy
        torch.save(model.state_dict(), "best.pt")
print(best_accuracy)
```

✅
```python
best_accuracy = 0.0
for epoch in range(100):
    train(model, train_loader)
    accuracy = evaluate(model, val_loader)
    if accuracy > best_accuracy:
        best_accuracy = accuracy
        torch.save(model.state_dict(), "best.pt")
model.load_state_dict(torch.load("best.pt"))
print(evaluate(model, test_loader))
```

https://scikit-learn.org/stable/modules/cross_validation.html
https://developers.google.com/machine-learning/crash-course/overfitting/dividing-datasets
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Part, Problem, Tier, last_name, part_named

TIER = Tier.RISK
WORDS = ("best|early_stopping|EarlyStopping|ModelCheckpoint", "test")
_BEST = re.compile(r"(^|_)(best|max|min|highest|lowest|top)(_|\d|$)|^best", re.I)
_VALIDATION = re.compile(r"(^|[^a-z])(val|valid|validation|dev|eval)(_|\d|\b|set|idx|loader|data)", re.I)
_ACT = re.compile(r"(^|_)eval(uate|uation)?(_|$)", re.I)
_ROWS = re.compile(r"load|set|data|df|frame|split|part|(^|_)[xy](_|$)|idx|ind(ex|ices)|dl$|ds$|iter|batch", re.I)
_MEASURES = re.compile(r"acc|score|loss|auc|f1|error|err|metric|map|iou|rmse|mae|bleu|ppl|result", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Comparisons of a test score with the best so far, and early stopping on the test part."""
    if code.is_test or _has_validation_part(code):
        return
    yield from _best_so_far(code)
    yield from _early_stopping(code)


def _has_validation_part(code: Code) -> bool:
    """Whether the file knows a validation part: then the test part may be what it says."""
    names = {each.id for each in code.tree.all(ast.Name)} | {each.arg for each in code.tree.all(ast.arg)}
    names |= {each.attr for each in code.tree.all(ast.Attribute)} - {"eval", "evaluate"}
    names -= {"eval", "evaluate", "evaluation", "validation_data"}
    acts = {each for each in names if _ACT.search(each) and not _ROWS.search(each)}
    return any(part_named(each) is Part.VALIDATION for each in names - acts)


def _best_so_far(code: Code) -> Iterator[Problem]:
    for choice in code.tree.all(ast.If):
        test = choice.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not code.tree.loops(choice):
            continue
        sides = [test.left, test.comparators[0]]
        best = next((each for each in sides if _BEST.search(last_name(each))), None)
        score = next((each for each in sides if each is not best), None)
        if best is None or score is None or not _is_test_score(code, score) or not _keeps(choice, best, score):
            continue
        what = "a checkpoint is saved" if _saves(choice) else "the best is kept"
        yield code.problem(
            choice,
            f"`{code.name(score)}` is a score of the test part, and {what} when it beats `{code.name(best)}`: "
            "what is chosen by "
            "it has no part left that measures it.",
        )


def _is_test_score(code: Code, score: ast.expr) -> bool:
    """Whether the value is named for the test part, and comes from a call that is given it or is named for it."""
    name = last_name(score)
    if not isinstance(score, ast.Name) or not _MEASURES.search(name):
        return False
    if code.splits.parts(score) == {Part.TEST} and part_named(name) in (Part.TEST, None):
        return True
    for binding in code.names.reaching(score):
        call = binding.value
        while isinstance(call, ast.Call) and ast.unparse(call.func) in ("float", "round") and call.args:
            call = call.args[0]
        if not isinstance(call, ast.Call):
            return False
        given = [last_name(each) for each in (*call.args, *(k.value for k in call.keywords))]
        from_test = any(part_named(each) is Part.TEST for each in given)
        if not from_test and not (part_named(name) is Part.TEST and part_named(last_name(call.func)) is Part.TEST):
            return False
        if any(
            part_named(each) in (Part.TRAIN, Part.VALIDATION) for each in given if "loader" in each or "set" in each
        ):
            return False
    return bool(code.names.reaching(score))


def _keeps(choice: ast.If, best: ast.expr, score: ast.expr) -> bool:
    """Whether the branch makes the score the best so far."""
    for statement in choice.body:
        for assign in (each for each in ast.walk(statement) if isinstance(each, ast.Assign)):
            pairs = [(assign.targets[0], assign.value)]
            match assign:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                    pairs = list(zip(targets, values, strict=False))
            if any(ast.unparse(to) == ast.unparse(best) and ast.unparse(score) in ast.unparse(of) for to, of in pairs):
                return True
    return False


def _saves(choice: ast.If) -> bool:
    return any(
        isinstance(each, ast.Call) and "save" in ast.unparse(each.func) for one in choice.body for each in ast.walk(one)
    )


def _early_stopping(code: Code) -> Iterator[Problem]:
    """Boosting rounds or epochs stopped by the part that `score` or a metric is then measured on."""
    for call in code.method_calls("fit"):
        given = code.argument(call, "eval_set") or code.argument(call, "validation_data")
        if given is None or not _stops_early(code, call):
            continue
        for element in (each for each in ast.walk(given) if isinstance(each, ast.Name)):
            if code.splits.part(element) is not Part.TEST or not _is_measured(code, call, element):
                continue
            yield code.problem(
                call,
                f"Training stops where `{element.id}` scores best, and `{element.id}` is what the model is measured on "
                "afterwards: keep a validation part for stopping.",
            )
            break


def _stops_early(code: Code, call: ast.Call) -> bool:
    if code.argument(call, "early_stopping_rounds") is not None:
        return True
    made = code.values.only(getattr(call.func, "value", None)).call
    if made is not None and any(each.arg == "early_stopping_rounds" for each in made.keywords):
        return True
    callbacks = code.argument(call, "callbacks")
    return callbacks is not None and any(
        re.search(r"EarlyStopping|early_stopping|ModelCheckpoint", ast.unparse(each.node))
        for each in code.provenance.trace(callbacks)
        if isinstance(each.node, ast.Call)
    )


def _is_measured(code: Code, fit: ast.Call, part: ast.Name) -> bool:
    """Whether the model predicts or scores the same part later."""
    bindings = code.names.reaching(part)
    for call in code.method_calls("predict", "predict_proba", "score", "evaluate"):
        given = call.args[0] if call.lineno > fit.lineno and call.args else None
        if isinstance(given, ast.Name) and code.names.reaching(given) == bindings:
            return True
    return False
