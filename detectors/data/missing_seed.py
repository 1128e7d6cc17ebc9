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
import re
from collections.abc import Iterator
from itertools import pairwise

from detectors import FUNCTIONS, Code, Function, Kind, Problem, Tier, TrainingStep, last_name

TIER = Tier.RISK
WORDS = ("backward|.fit(|train_test_split|random_split|Fold|Shuffle|seed", "train|_split|Fold|backward|rand")
_SEED = re.compile(r"(^|_)(seed|seeds|rng|randint|random_?state|random_?seed|generator)(_|\d|$)", re.I)
_SEEDS = re.compile(r"seed|determinis|reproduc|PRNGKey|default_rng|RandomState|fork_rng|Generator$|key_?chain", re.I)
_MAY_SEED = re.compile(r"^_?(set_?up|init|prepare|configure|bootstrap|main|run|launch|start|cli|parse)", re.I)
_FRAMEWORKS = frozenset(["jax", "hydra", "catalyst", "mmcv", "mmengine", "fastai"])
_RANDOM_SPLITS = (
    "sklearn.model_selection.train_test_split",
    "torch.utils.data.random_split",
    "sklearn.model_selection.KFold",
    "sklearn.model_selection.StratifiedKFold",
    "sklearn.model_selection.ShuffleSplit",
    "sklearn.model_selection.StratifiedShuffleSplit",
)
_DRAWS = frozenset(["shuffle", "permutation", "randperm", "randint", "rand", "randn", "choice", "sample", "normal"])


def detect(code: Code) -> Iterator[Problem]:
    """The most telling of: a split that ignores the seed at hand, a seed nobody reads, a training run without any."""
    if code.is_test:
        return
    problem = next((each for way in (_split, _unread_argument, _unread_option, _run) for each in way(code)), None)
    if problem is not None:
        yield problem


# -- splits ---------------------------------------------------------------------------------------------------


def _split(code: Code) -> Iterator[Problem]:
    calls = [each for each in code.calls(*_RANDOM_SPLITS) if _draws_unseeded(code, each)]
    if not calls:
        return
    seeded = _seeds_globally(code)
    for call in calls:
        other = _seeded_beside(code, call)
        if other is not None:
            yield code.problem(
                call,
                f"`{code.name(other.func)}` at line {other.lineno} is seeded, but `{code.name(call.func)}` draws from "
                f"{_GENERATORS[_library(code, call)]} and splits differently on every run.",
                mend=[code.source.set_keyword(call, _keyword(code, call), _value(code, call))],
                related=[(other, "what is seeded beside it")],
            )
        seed = _seed_at_hand(code, call)
        if seed is None or (_seeds_its_library(code, call) and not _is_unread_parameter(code, call, seed)):
            continue
        others = [each for each in calls if each is not call]
        more = f" (so does line {others[0].lineno})" if len(others) == 1 else ""
        yield code.problem(
            call,
            f"`{seed}` is there to make this repeatable, but `{code.name(call.func)}` does not get it and splits "
            f"differently on every run{more}.",
            mend=[code.source.set_keyword(call, _keyword(code, call), seed)],
        )
    if (
        not seeded
        and _is_entry_point(code)
        and (_trains(code) or _fits_and_scores(code))
        and not _speaks_of_seeds(code)
    ):
        call = calls[0]
        yield code.problem(
            call,
            f"`{code.name(call.func)}` splits differently on every run: no seed is set here or given, so scores of two "
            "runs are of different rows.",
            mend=[code.source.set_keyword(call, _keyword(code, call), _value(code, call))],
        )


_GENERATORS = {"torch": "torch's own generator", "numpy": "NumPy's"}
_ONLY = {"torch": r"^(numpy|random|jax|tensorflow)\.", "numpy": r"^(torch|random|jax|tensorflow)\."}


def _library(code: Code, call: ast.Call) -> str:
    """Whose random numbers a split draws."""
    return "torch" if (code.origin(call) or "").startswith("torch.") else "numpy"


def _seeded_beside(code: Code, call: ast.Call) -> ast.Call | None:
    """Something in the same function that is seeded for certain, where nothing seeds what the split draws from."""
    function = code.tree.function(call)
    if _seeds_its_library(code, call):
        return None
    for other in code.tree.all(ast.Call):
        if other is call or code.tree.function(other) is not function:
            continue
        given = (each.value for each in other.keywords if each.arg in ("random_state", "seed"))
        if any(isinstance(each, ast.Constant) and isinstance(each.value, int) for each in given):
            return other
        if other in _seeding(code):
            return other
    return None


def _seeds_its_library(code: Code, call: ast.Call) -> bool:
    """Whether something in the file may seed the numbers that the split draws process-wide."""
    foreign = re.compile(_ONLY[_library(code, call)])
    return any(not foreign.match(code.origin(each) or "") for each in _seeding(code))


def _seeding(code: Code) -> list[ast.Call]:
    """Every call that sets a process-wide seed, by its name."""
    return [each for each in code.tree.all(ast.Call) if _sets_seed(each)]


def _sets_seed(call: ast.Call) -> bool:
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return re.search(r"seed|determinis|reproduc", last, re.I) is not None and not re.search(r"^(get_|_get|spawn)", last)


def _keyword(code: Code, call: ast.Call) -> str:
    return "generator" if code.origin(call) == "torch.utils.data.random_split" else "random_state"


def _value(code: Code, call: ast.Call) -> str:
    return "torch.Generator().manual_seed(0)" if _keyword(code, call) == "generator" else "0"


def _draws_unseeded(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    if code.may_have(call, "random_state") or code.may_have(
        call, "generator", 2 if origin.startswith("torch") else None
    ):
        return False
    if any(isinstance(each, ast.Starred) for each in call.args) and origin.endswith("train_test_split"):
        return len(call.args) == 1 and not any(each.arg is None for each in call.keywords)
    shuffle = code.argument(call, "shuffle")
    if origin.endswith("KFold"):
        return isinstance(shuffle, ast.Constant) and shuffle.value is True
    return not (isinstance(shuffle, ast.Constant) and shuffle.value is False)


def _seed_at_hand(code: Code, call: ast.Call) -> str | None:
    """A seed the author holds where the split is made: a parameter, a variable, an attribute set in `__init__`."""
    wanted = re.compile(r"generator|rng", re.I) if _keyword(code, call) == "generator" else _SEED
    function: Function | None = code.tree.function(call)
    while function is not None:
        held = []
        for name, bindings in code.names.bindings.all_in(function).items():
            early = any(getattr(each.node, "lineno", 0) <= call.lineno for each in bindings)
            if wanted.search(name) and early and not (name == "generator" and _keyword(code, call) != "generator"):
                held.append(name)
        if held:  # a number before the generator it is drawn from
            return min(held, key=lambda name: ("rng" in name, "state" not in name and "seed" not in name))
        owner = code.tree.class_of(function)
        if owner is not None:
            return next((f"self.{name}" for name in _attributes(code, owner) if wanted.search(name)), None)
        function = code.tree.function(function)
    return None


def _is_unread_parameter(code: Code, call: ast.Call, seed: str) -> bool:
    """Whether the seed is a parameter that its function never reads, so that it can only have been meant for this."""
    function = code.tree.function(call)
    while function is not None:
        arguments = function.args
        if any(each.arg == seed for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)):
            return isinstance(function, ast.FunctionDef) and not _reads(function, seed)
        function = code.tree.function(function)
    return False


def _attributes(code: Code, owner: ast.ClassDef) -> list[str]:
    stored = [each for each in code.tree.all(ast.Attribute) if isinstance(each.ctx, ast.Store)]
    own = [each for each in stored if isinstance(each.value, ast.Name) and each.value.id == "self"]
    return [each.attr for each in own if code.tree.inside(each, owner)]


# -- seeds nobody reads ----------------------------------------------------------------------------------------


def _unread_argument(code: Code) -> Iterator[Problem]:
    """A `seed` parameter of a function that makes a model or draws, which the body never reads."""
    for argument in (each for each in code.tree.all(ast.arg) if _is_seed_name(each.arg)):
        function = code.tree.parents.get(code.tree.parents[argument])
        if not isinstance(function, ast.FunctionDef) or _is_stub(function) or _reads(function, argument.arg):
            continue
        drawing = _first_draw(code, function)
        if drawing is None or _seeds_globally(code) or code.tree.class_of(function) is not None:
            continue
        yield code.problem(
            _with_around(code, drawing),
            f"`{function.name}` takes `{argument.arg}` and never uses it: what `{code.name(_called(drawing))}` "
            "draws, and "
            "all that follows, differs on every run.",
            related=[(argument, "the seed that nothing reads")],
        )


def _is_seed_name(name: str) -> bool:
    return name in ("seed", "random_seed", "random_state", "manual_seed")


def _is_stub(function: ast.FunctionDef) -> bool:
    body = [each for each in function.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    return len(body) < 3 or bool(function.decorator_list)


def _reads(function: ast.FunctionDef, name: str) -> bool:
    inside = list(ast.walk(function))
    if any(isinstance(each, ast.Call) and getattr(each.func, "id", "") in ("locals", "vars") for each in inside):
        return True
    return any(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load) for each in inside)


def _first_draw(code: Code, function: ast.FunctionDef) -> ast.Call | None:
    """The first call in the function that draws random numbers for training: a model's or loader's making, a draw."""
    steps = {each.step.function for each in code.training_steps} | {
        code.tree.function(call) for each in code.training_steps for call in each.step.calls
    }
    calls = [each for each in ast.walk(function) if isinstance(each, ast.Call)]
    calls.sort(key=lambda each: (each.lineno, each.col_offset))
    for call in calls:
        origin = code.origin(call) or ""
        last = origin.rpartition(".")[2]
        if last in _DRAWS and origin.startswith(("torch.", "numpy.random", "random.")):
            return call
        if function in steps and _makes_model(code, call):
            return call
    return None


def _makes_model(code: Code, call: ast.Call) -> bool:
    if any(each.kind is Kind.MODEL and each.call is call for each in code.values.of(call)):
        return "from_pretrained" not in ast.unparse(call.func)
    statement = code.tree.statement(call)
    named = isinstance(statement, ast.Assign) and last_name(statement.targets[0]) in ("model", "net", "network")
    made = isinstance(call.func, ast.Name) and call.func.id[:1].isupper()
    return named and made and isinstance(statement, ast.Assign) and statement.value is call


def _with_around(code: Code, call: ast.Call) -> ast.AST:
    """The `with` whose body the call begins: the seed has to come before it."""
    statement = code.tree.statement(call)
    above = code.tree.parents.get(statement)
    return above if isinstance(above, ast.With) and above.body[0] is statement else call


def _called(call: ast.Call) -> ast.expr:
    return call.func


def _unread_option(code: Code) -> Iterator[Problem]:
    """A `--seed` option that nothing in the script reads, where something draws."""
    if not _is_script(code):
        return
    for call in code.method_calls("add_argument"):
        names = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if not any(each.lstrip("-").replace("-", "_") in ("seed", "random_seed") for each in names):
            continue
        if _is_read(code, names) or _options_leave(code):
            return
        calls = list(code.tree.all(ast.Call))
        draw = next((each for each in calls if _draws(code, each)), None)
        draw = draw or next((each for each in calls if _makes_model(code, each) and _is_trained(code, each)), None)
        if draw is not None:
            parsing = [each for each in calls if last_name(each.func) == "parse_args"]
            own = (each for each in parsing if isinstance(code.values.calls.callee(each), FUNCTIONS))
            parsed = next(own, parsing[0] if parsing else call)
            yield code.problem(
                parsed,
                f"`{names[0]}` is offered and nothing reads it: `{code.name(draw.func)}` at line {draw.lineno} draws "
                "differently on every run.",
                related=[(call, "the option"), (draw, "what the seed is for")],
            )


def _is_read(code: Code, names: list[str]) -> bool:
    wanted = {each.lstrip("-").replace("-", "_") for each in names}
    attributes = (each.attr for each in code.tree.all(ast.Attribute))
    constants = (each.value for each in code.tree.all(ast.Constant) if isinstance(each.value, str))
    return any(each in wanted for each in attributes) or any(each in wanted for each in constants)


def _options_leave(code: Code) -> bool:
    """Whether the parsed options are handed as a whole to code out of sight."""
    parsed = {
        name.id
        for assign in code.tree.all(ast.Assign)
        if isinstance(assign.value, ast.Call) and "parse" in last_name(assign.value.func)
        for target in assign.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }
    for name in code.tree.all(ast.Name):
        above = code.tree.parents.get(name)
        if (
            name.id not in parsed
            or not isinstance(name.ctx, ast.Load)
            or isinstance(above, (ast.Attribute, ast.Return))
        ):
            continue
        harmless = isinstance(above, ast.Call) and (
            ast.unparse(above.func) in ("print", "vars", "str")
            or isinstance(code.values.calls.callee(above), FUNCTIONS)
        )
        if not harmless:
            return True
    return not parsed


def _draws(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    return origin.rpartition(".")[2] in _DRAWS and origin.startswith(("torch.", "numpy.random", "random."))


# -- a training run without any seed ---------------------------------------------------------------------------


def _run(code: Code) -> Iterator[Problem]:
    if not _is_entry_point(code) or not _trains(code) or _speaks_of_seeds(code) or code.packages & _FRAMEWORKS:
        return
    if _may_seed_elsewhere(code) or (code.packages & {"lightning", "pytorch_lightning"} and "Trainer(" in code.text):
        return
    for training in code.training_steps:
        functions = {
            training.flow.root,
            training.step.function,
            *(code.tree.function(each) for each in training.step.calls),
            None,
        }
        if not _is_started(code, training):
            continue
        for call in code.tree.all(ast.Call):
            if code.tree.function(call) not in functions or not _makes_model(code, call):
                continue
            if _draws_weights(code, call) and _is_trained(code, call):
                start = _start(code, call, training)
                at = "here" if start is call else f"at line {call.lineno}"
                yield code.problem(
                    start,
                    f"`{code.name(call.func)}` draws its weights {at} and training follows, but nothing in this script "
                    "sets a seed: no run can be repeated or fairly compared.",
                    good=_seeded(code, start),
                    related=[(training.step.node, "the training step")],
                )
                return


def _start(code: Code, call: ast.Call, training: TrainingStep) -> ast.AST:
    """Where the run begins, and a seed belongs: after the options are read, else where the function that makes the
    model begins, or the script; what makes the model where that stands in the script's last block itself."""
    for block in code.tree.module.body:
        if isinstance(block, ast.If) and "__name__" in ast.unparse(block.test):
            if code.tree.inside(call, block):
                return call
            root = training.flow.root
            handed = [each for each in code.tree.all(ast.Name) if root is not None and each.id == root.name]
            led = (training.step.node, *training.step.calls, *handed)
            leading = next((each for each in block.body if any(code.tree.inside(one, each) for one in led)), None)
            spawned = leading is not None and not any(_is_called(each, leading) for each in led)
            if leading is not None and len(block.body) > 2 and (spawned or _after_options(block.body) is not None):
                return leading
    function = code.tree.function(call)
    body = function.body if isinstance(function, ast.FunctionDef) else code.tree.module.body
    return _after_options(body) or next((each for each in body if not isinstance(each, _BEFORE_RUN)), call)


_BEFORE_RUN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Expr, ast.Try, ast.Global)


def _is_called(node: ast.AST, statement: ast.stmt) -> bool:
    """Whether the statement itself calls what the name says, and does not hand it on."""
    calls = (each for each in ast.walk(statement) if isinstance(each, ast.Call))
    return any(each is node or each.func is node for each in calls)


def _after_options(body: list[ast.stmt]) -> ast.stmt | None:
    """The statement after the one of the block that parses the command line."""
    for before, after in pairwise(body):
        parses = isinstance(before, ast.Assign) and isinstance(before.value, ast.Call)
        if parses and "parse" in last_name(before.value.func):  # type: ignore[attr-defined]
            return after
    return None


def _is_trained(code: Code, call: ast.Call) -> bool:
    """Whether the parameters of what the call makes are asked for somewhere, as an optimizer does."""
    asked = {
        each
        for one in code.method_calls("parameters")
        for each in code.values.of(one.func.value)  # type: ignore[attr-defined]
    }
    return any(each.call is call for each in asked)


def _draws_weights(code: Code, call: ast.Call) -> bool:
    """Whether what the call makes may begin with random weights: a class of this file only where it is a module for
    certain, since what derives from another library's model may begin with constants, as a Gaussian process does."""
    owner = code.values.calls.callee(call)
    return not isinstance(owner, ast.ClassDef) or code.modules.is_module_class(owner)


def _seeded(code: Code, start: ast.AST) -> str:
    statement = code.tree.statement(start)
    short = isinstance(statement, (ast.Assign, ast.Expr)) and statement.lineno == statement.end_lineno
    return f"torch.manual_seed(0)\n{code.source.of(statement)}" if short else ""


def _is_script(code: Code) -> bool:
    return any("__name__" in ast.unparse(each.test) for each in code.tree.module.body if isinstance(each, ast.If))


def _is_entry_point(code: Code) -> bool:
    if _is_script(code):
        return True
    if any(code.tree.function(each) is None for each in code.method_calls("fit")):
        return True
    running = (ast.For, ast.While, ast.With)
    return any(isinstance(each, running) for each in code.tree.module.body) or any(
        each.flow.root is None for each in code.training_steps
    )


def _trains(code: Code) -> bool:
    return any(_is_started(code, each) for each in code.training_steps)


def _is_started(code: Code, training: TrainingStep) -> bool:
    """Whether the script runs this step itself, or hands the function that does to a launcher."""
    root = training.flow.root
    if root is None:
        return True
    launchers = (
        each for each in code.tree.all(ast.Call) if last_name(each.func) in ("spawn", "launch", "notebook_launcher")
    )
    return any(isinstance(each.args[0], ast.Name) and each.args[0].id == root.name for each in launchers if each.args)


def _fits_and_scores(code: Code) -> bool:
    return bool(code.method_calls("fit")) and bool(code.method_calls("score", "predict", "predict_proba", "evaluate"))


def _seeds_globally(code: Code) -> bool:
    """Whether something in the file sets a process-wide seed."""
    return any(_sets_seed(each) for each in code.tree.all(ast.Call))


def _speaks_of_seeds(code: Code) -> bool:
    """Whether the file reads, sets or passes on a seed at all."""
    for call in code.tree.all(ast.Call):
        last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        passes = any(each.arg and re.search(r"seed|random_state", each.arg) for each in call.keywords)
        if (_SEEDS.search(last) or passes) and not _is_local_class(code, call):
            return True
    reads = (each.id for each in code.tree.all(ast.Name) if isinstance(each.ctx, ast.Load))
    attributes = (each.attr for each in code.tree.all(ast.Attribute) if isinstance(each.ctx, ast.Load))
    loaded = [each for each in (*reads, *attributes) if "seed" in each.lower()]
    stored = {each.attr for each in code.tree.all(ast.Attribute) if isinstance(each.ctx, ast.Store)}
    return any(each not in stored for each in loaded)


def _is_local_class(code: Code, call: ast.Call) -> bool:
    return isinstance(code.values.calls.callee(call), ast.ClassDef)


def _may_seed_elsewhere(code: Code) -> bool:
    """Whether a helper out of sight, by its name, sets a run up."""
    for call in code.tree.all(ast.Call):
        origin = code.origin(call) or ""
        own = origin.startswith(".") or (origin and origin.partition(".")[0] not in _LIBRARIES)
        if own and not origin.startswith(("<local>", "builtins")) and _MAY_SEED.search(origin.rpartition(".")[2]):
            return True
    return False


_LIBRARIES = frozenset(
    [
        *(
            "torch",
            "torchvision",
            "numpy",
            "os",
            "sys",
            "argparse",
            "json",
            "time",
            "logging",
            "pathlib",
            "math",
            "tqdm",
        ),
        *("matplotlib", "PIL", "pandas", "sklearn", "random", "collections", "functools", "re", "shutil", "pickle"),
    ]
)
