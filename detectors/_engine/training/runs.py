"""Runs: whether a file starts a training run itself, and where that run begins."""

import ast
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise

from detectors._engine.flow.loops import TrainingStep
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Tree

_BEFORE_RUN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Expr, ast.Try, ast.Global, ast.Pass)
"""What stands above a run; a notebook's magics are `pass` to us."""
_RUNNING = (ast.For, ast.While, ast.With)


class Runs:
    """Answers for one file; `steps` gives its training steps where they are needed."""

    def __init__(self, tree: Tree, steps: Callable[[], list[TrainingStep]]) -> None:
        self._tree = tree
        self._steps = steps

    @cached_property
    def is_script(self) -> bool:
        """Whether the file has a block that runs only where it is the program."""
        return next(self._main_blocks(), None) is not None

    @cached_property
    def is_program(self) -> bool:
        """Whether the file is run as a program: it has a block for that, or parses a command line at its top level."""
        calls = (each for each in self._tree.method_calls("parse_args") if self._tree.function(each) is None)
        return self.is_script or next(calls, None) is not None

    @cached_property
    def is_entry_point(self) -> bool:
        """Whether running the file does something: a script, a loop or a fit at its top level."""
        if self.is_script or any(self._tree.function(each) is None for each in self._tree.method_calls("fit")):
            return True
        if any(isinstance(each, _RUNNING) for each in self._tree.module.body):
            return True
        return any(each.flow.root is None for each in self._steps())

    @cached_property
    def trains(self) -> bool:
        """Whether a training step of this file is run by it."""
        return any(self.starts(each) for each in self._steps())

    @cached_property
    def fits_and_scores(self) -> bool:
        """Whether an estimator is fitted and measured in the file."""
        scoring = self._tree.method_calls("score", "predict", "predict_proba", "evaluate")
        return bool(scoring and self._tree.method_calls("fit"))

    def starts(self, training: TrainingStep) -> bool:
        """Whether the script runs this step itself, or hands the function that does to a launcher."""
        root = training.flow.root
        if root is None:
            return True
        calls = (each for each in self._tree.all(ast.Call) if each.args)
        launchers = (each for each in calls if last_name(each.func) in ("spawn", "launch", "notebook_launcher"))
        return any(isinstance(each.args[0], ast.Name) and each.args[0].id == root.name for each in launchers)

    def start(self, call: ast.Call, training: TrainingStep) -> ast.AST:
        """Where the run begins, and a seed belongs: after the options are read, else where the function that makes
        the model begins, or the script; what makes the model where that stands in the script's last block itself."""
        for block in self._main_blocks():
            if self._tree.inside(call, block):
                return call
            leading = self._leading(block, training)
            if leading is not None:
                return leading
        function = self._tree.function(call)
        body = function.body if isinstance(function, ast.FunctionDef) else self._tree.module.body
        return _after_options(body) or next((each for each in body if not isinstance(each, _BEFORE_RUN)), call)

    def before(self, draw: ast.Call) -> ast.AST:
        """Where a seed belongs for one draw: at the `with` whose body it begins, else at the draw itself."""
        statement = self._tree.statement(draw)
        above = self._tree.parents.get(statement)
        return above if isinstance(above, ast.With) and above.body[0] is statement else draw

    def _leading(self, block: ast.If, training: TrainingStep) -> ast.stmt | None:
        """The statement of the script's last block that leads to the step, where the block prepares the run."""
        root = training.flow.root
        handed = [each for each in self._tree.all(ast.Name) if root is not None and each.id == root.name]
        led = (training.step.node, *training.step.calls, *handed)
        leading = next((each for each in block.body if any(self._tree.inside(one, each) for one in led)), None)
        if leading is None or len(block.body) <= 2:
            return None
        is_spawned = not any(_is_called(each, leading) for each in led)
        return leading if is_spawned or _after_options(block.body) is not None else None

    def _main_blocks(self) -> Iterator[ast.If]:
        blocks = (each for each in self._tree.module.body if isinstance(each, ast.If))
        return (each for each in blocks if "__name__" in ast.unparse(each.test))


def _is_called(node: ast.AST, statement: ast.stmt) -> bool:
    """Whether the statement itself calls what the name says, and does not hand it on."""
    calls = (each for each in ast.walk(statement) if isinstance(each, ast.Call))
    return any(each is node or each.func is node for each in calls)


def _after_options(body: list[ast.stmt]) -> ast.stmt | None:
    """The statement after the one of the block that parses the command line."""
    for before, after in pairwise(body):
        call = before.value if isinstance(before, ast.Assign) else None
        if isinstance(call, ast.Call) and "parse" in last_name(call.func):
            return after
    return None
