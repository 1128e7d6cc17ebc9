"""A metric of batches, averaged

F1, AUC, precision, recall and BLEU are ratios over all items: their mean over batches is another number, which
depends on the batch size and on chance (a batch with no positive item counts as 0 or fails). Collect the predictions
and measure once, or use an accumulator.

❌
```python
from sklearn.metrics import f1_score

scores = []
for images, labels in test_loader:
    predictions = model(images).argmax(1)
    scores.append(f1_score(labels, predictions))  # ❌
print(sum(scores) / len(scores))
```

✅
```python
import torch
from sklearn.metrics import f1_score

targets, chosen = [], []
for images, labels in test_loader:
    chosen.append(model(images).argmax(1))
    targets.append(labels)
print(f1_score(torch.cat(targets), torch.cat(chosen)))
```

https://lightning.ai/docs/torchmetrics/stable/pages/quickstart.html
https://scikit-learn.org/stable/modules/model_evaluation.html
"""

import ast
from collections.abc import Iterator

from detectors import Code, Kind, Loop, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("f1_score|roc_auc_score|average_precision_score|precision_score|recall_score|bleu|jaccard_score|fbeta", "for ")
_RATIOS = frozenset(
    [
        *("f1_score", "fbeta_score", "roc_auc_score", "average_precision_score", "precision_score", "recall_score"),
        *("jaccard_score", "matthews_corrcoef", "corpus_bleu", "precision_recall_fscore_support"),
    ]
)
_MEANS = ("mean", "average", "fmean", "nanmean")
_HOMES = ("sklearn.metrics.", "nltk.translate.", "sacrebleu.")


def detect(code: Code) -> Iterator[Problem]:
    """Ratios computed in a loop over a loader, added up or collected, and divided by their number."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if last not in _RATIOS or not (code.origin(call) or "").startswith(_HOMES):
            continue
        loop = next((each for each in code.tree.loops(call) if _is_over_batches(code, each)), None)
        if loop is None or _is_of_collected(code, call, loop):
            continue
        total = _collected_in(code, call)
        if total is not None and _is_averaged(code, total, loop):
            yield code.problem(
                call,
                f"`{last}` is measured batch by batch and `{total}` is averaged: the mean of batches is not "
                f"the {last} of all "
                "items.",
                related=[(loop, "the loop over batches")],
            )


def _is_over_batches(code: Code, loop: Loop) -> bool:
    if isinstance(loop, ast.While):
        return False
    iterable = loop.iter
    while (
        isinstance(iterable, ast.Call)
        and iterable.args
        and ast.unparse(iterable.func) in ("enumerate", "tqdm", "tqdm.tqdm")
    ):
        iterable = iterable.args[0]
    return code.kind(iterable) is Kind.LOADER


def _is_of_collected(code: Code, call: ast.Call, loop: Loop) -> bool:
    """Whether the metric is of everything seen so far: a list that grows over the loop."""
    for argument in call.args[:2]:
        bindings = code.provenance.bindings(argument)
        if not bindings or any(not code.tree.inside(each.node, loop) for each in bindings):
            return True
    return False


def _collected_in(code: Code, call: ast.Call) -> str | None:
    """The list or total that the metric goes into, directly or behind a name."""
    statement = code.tree.statement(call)
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        return ast.unparse(statement.target)
    appended = _appended(statement)
    if appended is not None:
        return appended
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return None
    name = statement.targets[0].id
    for other in code.tree.block(statement):
        used = any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(other))
        if other is statement or not used:
            continue
        if isinstance(other, ast.AugAssign) and isinstance(other.op, ast.Add) and other.lineno > statement.lineno:
            return ast.unparse(other.target)
        if _appended(other) is not None:
            return _appended(other)
    return None


def _appended(statement: ast.stmt) -> str | None:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "append":
        return ast.unparse(call.func.value)
    return None


def _is_averaged(code: Code, total: str, loop: Loop) -> bool:
    """Whether the total is divided by a length or averaged after the loop."""
    function = code.tree.function(loop)
    for node in code.tree.all(ast.BinOp, ast.AugAssign, ast.Call):
        if code.tree.function(node) is not function or node.lineno < loop.lineno:
            continue
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and ast.unparse(node.left) in (total, f"sum({total})")
        ):
            return True
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div) and ast.unparse(node.target) == total:
            return True
        given = ast.unparse(node.args[0]) if isinstance(node, ast.Call) and node.args else ""
        if isinstance(node, ast.Call) and given == total and last_name(node.func) in _MEANS:
            return True
    return False
