"""Padding is trained as if it were text

The labels are the padded ids, and nothing sets the padding to -100, the value the loss skips. Every short example then
teaches the model to predict padding, often more positions than the text has, and the loss looks better than it is.

❌
```python
from transformers import AutoTokenizer, Trainer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2")


def encode(row):
    tokens = tokenizer(row["text"], truncation=True, padding="max_length", max_length=512)
    tokens["labels"] = tokens["input_ids"].copy()  # ❌
    return tokens


trainer = Trainer(model=model, args=args, train_dataset=dataset.map(encode))
```

✅
```python
from transformers import AutoTokenizer, DataCollatorForLanguageModeling, Trainer

tokenizer = AutoTokenizer.from_pretrained("openai-community/gpt2")


def encode(row):
    return tokenizer(row["text"], truncation=True, max_length=512)


collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
trainer = Trainer(model=model, args=args, train_dataset=dataset.map(encode), data_collator=collator)
```

https://huggingface.co/docs/transformers/main/en/main_classes/data_collator
https://huggingface.co/docs/transformers/main/en/tasks/language_modeling
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Encoding, Function, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("labels", "input_ids", "padding|pad_token_id|attention_mask", "okenizer|attention_mask")

_KEEPS_LABELS = ("default_data_collator", "DataCollatorForSeq2Seq", "DataCollatorWithPadding", "DefaultDataCollator")
_MASKS = re.compile(r"-\s?100\b|ignore_?(index|id|token)|label_?pad|loss_?mask|pad_token_id\s*[,\]:)]|!= ?\w*pad", re.I)

_COPIES = frozenset(["clone", "detach", "to", "long", "contiguous"])
_IGNORED = re.compile(r"\[-100\] \*|\[\w*(IGNORE|ignore)\w*\] \*")
_UNPADS = re.compile(r"[!=]= ?[\w.]*pad_token_id|pad_token_id ?[!=]=|ignore_index|loss_mask|label_pad_token_id|\.ne\(")


def detect(code: Code) -> Iterator[Problem]:
    """Labels that are padded ids, in a file where they are evidently trained on and nothing masks them; and label
    lists that begin with the ignored index and end with padding.
    """
    yield from _lists(code)
    yield from _of_masked_ids(code)
    if code.is_test or _MASKS.search(code.text) or _makes_labels(code):
        return
    trains_labels = _a_trainer_keeps_them(code)
    for node, value in _labels(code):
        encoding = code.finetuning.encoding_of(value)
        if encoding is None or not _is_padded(code, encoding):
            continue
        to_model = isinstance(node, ast.keyword)
        if not (to_model or trains_labels) or (to_model and not _trains(code, node)):
            continue
        yield code.problem(
            value,
            f"`{code.name(value)}` is padded at line {encoding.node.lineno}, and its padding goes into the labels "
            "unmasked: the loss counts every padding position.",
            good=_good(code, node, value, encoding),
            related=[(encoding.node, "pads")],
        )


def _lists(code: Code) -> Iterator[Problem]:
    """`labels = [-100] * n + ids`, then `labels + [pad_token_id] * rest`: the loss ignores -100, not the padding."""
    if (
        code.is_test
        or "pad_token_id" not in code.text
        or any(_UNPADS.search(ast.unparse(each)) for each in _collators(code))
    ):
        return
    statements: list[ast.Assign | ast.AugAssign] = [*code.tree.all(ast.Assign), *code.tree.all(ast.AugAssign)]
    for statement in statements:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if not isinstance(target, ast.Name) or "label" not in target.id.lower():
            continue
        if isinstance(statement, ast.Assign) and not _extends(statement.value, target.id):
            continue
        padding = next((each for each in ast.walk(statement.value) if _is_of_padding(each)), None)
        ignored = _ignored_before(code, statement, target.id) if padding is not None else None
        if padding is not None and ignored is not None and not _is_unpadded(code, statement):
            yield code.problem(
                statement,
                f"`{target.id}` marks what the loss leaves out with -100 (line {ignored.lineno}), but is filled up "
                f"with `{code.source.of(padding)}`: every padding position is trained on.",
                mend=[code.source.replace(padding, "-100")],
                related=[(ignored, "what is left out")],
            )


def _of_masked_ids(code: Code) -> Iterator[Problem]:
    """`labels = batch["input_ids"].clone()` into cross-entropy, where the model gets `batch["attention_mask"]`: the
    labels hold what the mask keeps from the model."""
    if code.is_test:
        return
    for assign in code.tree.all(ast.Assign):
        function, target = code.tree.function(assign), assign.targets[0]
        ids = _ids_of_mapping(assign.value)
        if function is None or ids is None or not isinstance(target, ast.Name) or "label" not in target.id.lower():
            continue
        mask, spends = _mask_beside(function, ids), _counts_all(code, function)
        if mask is not None and spends is not None and not _is_worked_on(function, target.id, assign):
            yield code.problem(
                assign,
                f"The model gets a mask of the padding at line {mask.lineno}, but `{target.id}` is the padded ids as "
                "they are: the loss counts every padding position.",
                tier=Tier.RISK,
                related=[(mask, "what is padding"), (spends, "leaves nothing out")],
            )


def _ids_of_mapping(value: ast.expr) -> ast.Subscript | None:
    """The entry of a batch that is copied: `batch["input_ids"].clone()`."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _COPIES:
        value = value.func.value
    match value:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(key))) if key.endswith("input_ids"):
            return value
    return None


def _mask_beside(function: Function, ids: ast.Subscript) -> ast.expr | None:
    """The mask of the same entry, given to a model; None where anything else is done with a mask."""
    key = ast.unparse(ids).replace("input_ids", "attention_mask")
    given = None
    for node in ast.walk(function):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            if keyword.arg == "attention_mask" and ast.unparse(keyword.value) == key:
                given = keyword.value
    uses = [each for each in ast.walk(function) if isinstance(each, ast.Subscript) and ast.unparse(each) == key]
    return given if len(uses) == 1 else None


def _counts_all(code: Code, function: Function) -> ast.Call | None:
    """The cross-entropy of the function that averages over every position, where it has just this one."""
    found = [
        each
        for each in ast.walk(function)
        if isinstance(each, ast.Call)
        and code.origin(each) in ("torch.nn.CrossEntropyLoss", "torch.nn.functional.cross_entropy")
    ]
    plain = [each for each in found if not {"ignore_index", "reduction", "weight"} & {key.arg for key in each.keywords}]
    return plain[0] if len(found) == len(plain) == 1 else None


def _is_worked_on(function: Function, name: str, assign: ast.Assign) -> bool:
    """Whether the function gives the labels something else, or writes into them."""
    for each in ast.walk(function):
        targets = each.targets if isinstance(each, ast.Assign) and each is not assign else []
        for target in targets:
            root = target.value if isinstance(target, ast.Subscript) else target
            is_new = isinstance(each, ast.Assign) and _makes_other(each.value)
            if isinstance(root, ast.Name) and root.id == name and (root is not target or is_new):
                return True
        if isinstance(each, ast.Attribute) and each.attr.startswith("masked_"):
            return True
    return False


def _makes_other(value: ast.expr) -> bool:
    """Whether the value is more than the labels sliced, reshaped or moved, or an entry of the batch."""
    while isinstance(value, (ast.Call, ast.Subscript, ast.Attribute)):
        if isinstance(value, ast.Call) and not isinstance(value.func, ast.Attribute):
            return True
        value = value.func if isinstance(value, ast.Call) else value.value
    return not isinstance(value, ast.Name) or value.id == "torch"


def _is_unpadded(code: Code, statement: ast.stmt) -> bool:
    """Whether the function looks at the padding itself."""
    function = code.tree.function(statement)
    return bool(_UNPADS.search(ast.unparse(function if function is not None else code.tree.module)))


def _collators(code: Code) -> Iterator[ast.AST]:
    """The functions that may mask the padding later."""
    for function in code.tree.all(ast.FunctionDef):
        if "collat" in function.name or function.name in ("__call__", "torch_call", "compute_loss"):
            yield function


def _extends(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.BinOp) and any(
        isinstance(each, ast.Name) and each.id == name for each in ast.walk(value)
    )


def _is_of_padding(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute)) and last_name(node) == "pad_token_id"


def _ignored_before(code: Code, statement: ast.stmt, name: str) -> ast.stmt | None:
    """The assignment in the same function that puts -100 into the list."""
    function = code.tree.function(statement)
    return next(
        (
            each
            for each in code.tree.all(ast.Assign)
            if code.tree.function(each) is function
            and each.lineno < statement.lineno
            and any(isinstance(target, ast.Name) and target.id == name for target in each.targets)
            and isinstance(each.value, ast.BinOp)
            and _IGNORED.search(ast.unparse(each.value))
        ),
        None,
    )


def _makes_labels(code: Code) -> bool:
    """Whether the file makes a collator that sets labels itself, or may."""
    calls = (last_name(each.func) for each in code.tree.all(ast.Call))
    return any("ollator" in name and not name.endswith(_KEEPS_LABELS) for name in calls)


def _labels(code: Code) -> Iterator[tuple[ast.AST, ast.expr]]:
    """What is used as labels: an item, a key, an argument of a call."""
    for assign in code.tree.all(ast.Assign):
        target = assign.targets[0]
        if isinstance(target, ast.Subscript) and _is_labels(target.slice):
            yield assign, assign.value
    for shown in code.tree.all(ast.Dict):
        for key, value in zip(shown.keys, shown.values, strict=True):
            if key is not None and _is_labels(key):
                yield shown, value
    for keyword in code.tree.all(ast.keyword):
        if keyword.arg == "labels":
            yield keyword, keyword.value


def _is_labels(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "labels"


def _is_padded(code: Code, encoding: Encoding) -> bool:
    return encoding.always_pads or (encoding.pads_batches and code.finetuning.is_batch(encoding.text))


def _a_trainer_keeps_them(code: Code) -> bool:
    """Whether a Trainer of this file trains with the labels as they are."""
    for trainer in code.finetuning.trainers:
        collator = trainer.given("data_collator")
        kept = collator is None or any(
            each in ast.unparse(collator) or each in (code.values.only(collator).origin or "") for each in _KEEPS_LABELS
        )
        is_plain = trainer.origin.startswith("transformers.") and isinstance(
            trainer.node.func, (ast.Name, ast.Attribute)
        )
        own = (code.origin(trainer.node) or "").startswith("<local>.")
        if kept and is_plain and not trainer.is_open and not own:
            return True
    collates = [each.value for each in code.tree.all(ast.keyword) if each.arg == "collate_fn"]
    return bool(collates) and all(
        (code.origin(each) or code.values.only(each).origin or "").endswith(_KEEPS_LABELS) for each in collates
    )


def _trains(code: Code, keyword: ast.AST) -> bool:
    """Whether the call is of a model, in a function that back-propagates."""
    call = code.tree.parents.get(keyword)
    function = code.tree.function(keyword)
    if not isinstance(call, ast.Call) or not last_name(call.func):
        return False
    around: ast.AST = function if function is not None else code.tree.module
    return code.finetuning.model(call.func) is not None and any(
        isinstance(each, ast.Attribute) and each.attr == "backward" for each in ast.walk(around)
    )


def _good(code: Code, node: ast.AST, value: ast.expr, encoding: Encoding) -> str:
    """The same assignment with the padding masked, where ids are lists."""
    tensors = encoding.setting("return_tensors")
    if not isinstance(node, ast.Assign) or tensors is not None:
        return ""
    base = value.func.value if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else value
    ids, pad = code.source.of(base), f"{code.source.of(encoding.tokenizer)}.pad_token_id"
    target = code.source.of(node.targets[0])
    if code.finetuning.is_batch(encoding.text):
        return f"{target} = [\n    [token if token != {pad} else -100 for token in ids] for ids in {ids}\n]"
    return f"{target} = [token if token != {pad} else -100 for token in {ids}]"
