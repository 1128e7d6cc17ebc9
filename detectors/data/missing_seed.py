"""Nothing seeds this run

Weights, shuffling, dropout, augmentation and splits all draw random numbers. Without a seed no run can be repeated: a
better score may be luck, a bug cannot be brought back, and a split that differs each time mixes train and test rows
between runs.

❌
```python
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


def evaluate(X, y, seed=0):
    X_train, X_test, y_train, y_test = train_test_split(X, y)  # ❌
    model = LogisticRegression(random_state=seed).fit(X_train, y_train)
    return model.score(X_test, y_test)
```

✅
```python
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


def evaluate(X, y, seed=0):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    model = LogisticRegression(random_state=seed).fit(X_train, y_train)
    return model.score(X_test, y_test)
```

https://docs.pytorch.org/docs/stable/notes/randomness.html
https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
"""

import ast
from collections.abc import Iterator
from itertools import islice

from detectors import Code, Problem, RandomSplit, Tier

TIER = Tier.RISK
WORDS = ("backward|.fit(|train_test_split|random_split|Fold|Shuffle|seed", "train|_split|Fold|backward|rand")
_FRAMEWORKS = frozenset(["jax", "hydra", "catalyst", "mmcv", "mmengine", "fastai"])
_LINES = 12
"""A statement as long as that is shown whole below the seed."""
_GENERATORS = {"torch": "torch's own generator", "numpy": "NumPy's"}


def detect(code: Code) -> Iterator[Problem]:
    """The most telling of: a split that ignores the seed at hand, a seed nobody reads, a training run without any."""
    found = (
        each
        for way in (_split, _forgotten, _unread_parameter, _unread_option, _unread_constant, _run)
        for each in way(code)
    )
    if not code.is_test:
        yield from islice(found, 1)


def _split(code: Code) -> Iterator[Problem]:
    splits = code.draws.unseeded_splits
    for split in splits:
        yield from _seeded_beside(code, split)
        yield from _seed_at_hand(code, split, [each.call for each in splits if each is not split])
    if not splits or code.seeds.setters or not code.runs.is_entry_point or code.seeds.are_spoken_of:
        return
    if code.runs.trains or code.runs.fits_and_scores:
        first = splits[0]
        yield code.problem(
            first.call,
            f"`{code.name(first.call.func)}` splits differently on every run: no seed is set here or given, so scores "
            "of two runs are of different rows.",
            mend=[code.source.set_keyword(first.call, first.keyword, first.value)],
        )


def _forgotten(code: Code) -> Iterator[Problem]:
    """One of several splits has no seed, and nothing seeds the process."""
    for call, other, seed in code.draws.forgotten_seeds:
        if code.seeds.may_be_set_for("numpy", call):
            continue
        yield code.problem(
            call,
            f"`{code.name(other.func)}` at line {other.lineno} gets `random_state={code.name(seed)}`, this one gets "
            "none and splits differently on every run.",
            mend=[code.source.set_keyword(call, "random_state", code.source.of(seed))],
            related=[(other, "the split that has a seed")],
        )


def _seeded_beside(code: Code, split: RandomSplit) -> Iterator[Problem]:
    """Something in the same function is seeded for certain, and nothing seeds what the split draws from."""
    other = code.seeds.beside(split.call) if not code.seeds.may_be_set_for(split.library, split.call) else None
    if other is not None:
        is_late = other in code.seeds.setters and other.lineno > split.call.lineno
        where = f"`{code.name(other.func)}` at line {other.lineno}"
        yield code.problem(
            split.call,
            f"{where} comes only after this split, which differs on every run."
            if is_late
            else f"{where} is seeded, but `{code.name(split.call.func)}` draws "
            f"from {_GENERATORS[split.library]} and splits differently on every run.",
            mend=[code.source.set_keyword(split.call, split.keyword, split.value)],
            related=[(other, "what is seeded beside it")],
        )


def _seed_at_hand(code: Code, split: RandomSplit, others: list[ast.Call]) -> Iterator[Problem]:
    """The author holds a seed where the split is made, and does not give it."""
    seed = code.seeds.at_hand(split.call, as_generator=split.keyword == "generator")
    is_set = code.seeds.may_be_set_for(split.library, split.call)
    if seed is None or (is_set and not code.seeds.is_unread_parameter(seed, split.call)):
        return
    more = f" (so does line {others[0].lineno})" if len(others) == 1 else ""
    yield code.problem(
        split.call,
        f"`{seed}` is there to make this repeatable, but `{code.name(split.call.func)}` does not get it and splits "
        f"differently on every run{more}.",
        mend=[code.source.set_keyword(split.call, split.keyword, seed)],
    )


def _unread_parameter(code: Code) -> Iterator[Problem]:
    """A `seed` parameter of a function that makes a model or draws, which the body never reads."""
    for parameter, function in code.seeds.unread_parameters() if not code.seeds.setters else ():
        draw = code.draws.first_in(function) if code.tree.class_of(function) is None else None
        if draw is not None:
            yield code.problem(
                code.runs.before(draw),
                f"`{function.name}` takes `{parameter.arg}` and never uses it: what `{code.name(draw.func)}` draws, "
                "and all that follows, differs on every run.",
                related=[(parameter, "the seed that nothing reads")],
            )


def _unread_option(code: Code) -> Iterator[Problem]:
    """A `--seed` option that nothing in the script reads, where something draws."""
    option = next((each for each in code.options.offered if each.names & {"seed", "random_seed"}), None)
    if option is None or not code.runs.is_program or code.options.may_reach(option):
        return
    draw: ast.AST | None = code.draws.first()
    what = f"`{code.name(draw.func)}`" if isinstance(draw, ast.Call) else "the training"
    if draw is None and code.runs.trains:
        draw = code.training_steps[0].step.node
    if draw is not None:
        parsed = code.options.parsed_at() or option.call
        yield code.problem(
            parsed,
            f"`{option.flags[0]}` is offered and nothing reads it: {what} at line {getattr(draw, 'lineno', 0)} "
            "draws differently on every run.",
            good=_read(code, parsed, draw, option.flags[-1].lstrip("-").replace("-", "_")),
            related=[(option.call, "the option"), (draw, "what the seed is for")],
        )


def _read(code: Code, parsed: ast.Call, draw: ast.AST, option: str) -> str:
    """The line that parses the options, and what the draw needs after it."""
    statement = code.tree.statement(parsed)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) if statement.lineno == statement.end_lineno:
            library = (code.origin(draw) or "").partition(".")[0]
            setter = {"numpy": "np.random.seed", "random": "random.seed"}.get(library, "torch.manual_seed")
            return f"{code.source.of(statement)}\n{setter}({name}.{option})"
    return ""


def _unread_constant(code: Code) -> Iterator[Problem]:
    """`SEED = 123` at the top of a script that trains, and nothing that reads it or speaks of a seed otherwise."""
    if not code.runs.is_entry_point or not code.runs.trains or code.seeds.are_spoken_of or code.seeds.setters:
        return
    constant = code.seeds.unread_constant() if not code.seeds.may_be_set_elsewhere else None
    if constant is not None:
        name = code.name(constant.targets[0])
        yield code.problem(
            constant,
            f"Nothing reads `{name}`: what this script draws, its weights and batches, differs on every run.",
            good=f"{code.source.of(constant)}\ntorch.manual_seed({name})",
        )


def _run(code: Code) -> Iterator[Problem]:
    """A training run that begins with random weights in a file that speaks of no seed."""
    if not code.runs.is_entry_point or not code.runs.trains or code.seeds.are_spoken_of or code.packages & _FRAMEWORKS:
        return
    is_lightning = code.packages & {"lightning", "pytorch_lightning"} and "Trainer(" in code.text
    if is_lightning or code.seeds.may_be_set_elsewhere:
        return
    for training in filter(code.runs.starts, code.training_steps):
        for call in code.draws.models_for(training):
            start = code.runs.start(call, training)
            at = "here" if start is call else f"at line {call.lineno}"
            yield code.problem(
                start,
                f"`{code.name(call.func)}` draws its weights {at} and training follows, but nothing in this script "
                "sets a seed: no run can be repeated or fairly compared.",
                good=_seeded(code, start),
                related=[(training.step.node, "the training step")],
            )


def _seeded(code: Code, start: ast.AST) -> str:
    statement = code.tree.statement(start)
    text = code.source.of(statement)
    if isinstance(statement, (ast.Assign, ast.Expr)):
        return f"torch.manual_seed(0)\n{text}" if text.count("\n") < _LINES else ""
    head = text.partition("\n")[0]
    return f"torch.manual_seed(0)\n{head}\n    ..." if head.endswith(":") else ""
