"""Saved modes: `training = model.training`, to be restored by `model.train(training)` after a run in another mode.

And the context managers that switch a mode for what is run in them.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.data.provenance import root_of
from detectors._engine.names.bindings import Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree

_SEES_TO_MODES = re.compile(r"export|trace|script|onnx|eval|mode|infer|^torch\.|^isinstance$|^hasattr$|^getattr$", re.I)
_SWITCHING_METHOD = re.compile(r"freez|eval|mode|infer|predict|test|valid|prepare|switch", re.I)
_RUNS = ("forward", "generate", "sample", "encode", "decode")


@dataclass(frozen=True, eq=False)
class SavedMode:
    """One saved mode: the model, the calls of its function that switch it, and those that restore what was saved."""

    node: ast.Assign
    model: ast.expr
    name: str
    function: Function
    switches: tuple[ast.Call, ...]
    restores: tuple[ast.Call, ...]
    is_read: bool
    """Whether the saved mode decides anything at all."""
    run: ast.Call | None
    """The first call that runs the model, or is given it."""
    is_seen_to: bool
    """Something else may switch it: a method of the model such as `freeze`, or `eval()` of what was made of it."""

    @property
    def never_reverted(self) -> ast.Call | None:
        """The `eval()` after which the saved mode decides nothing: it was saved to be restored."""
        if self.is_read or self.restores or len(self.switches) > 1:
            return None
        return next((each for each in self.switches if last_name(each.func) == "eval"), None)

    @property
    def restores_nothing(self) -> bool:
        """Whether the mode is restored after a run, with nothing before it that changes the mode."""
        if not self.restores or self.switches or self.is_seen_to or self.run is None:
            return False
        return self.run.lineno <= self.restores[-1].lineno


@dataclass(frozen=True, eq=False)
class LeftContext:
    """A context manager that calls `eval()` on what it is given and does nothing when it is left."""

    function: Function
    switched: ast.Call
    leaves: ast.Yield


def left_contexts(tree: Tree, names: Names) -> Iterator[LeftContext]:
    """Every context manager of the file that leaves a model in eval mode."""
    for function in tree.all(*FUNCTIONS):
        if not any((names.origin(each) or "").endswith("contextmanager") for each in function.decorator_list):
            continue
        own = [each for each in tree.below(function) if tree.function(each) is function]
        leaves = [each for each in own if isinstance(each, ast.Yield)]
        calls = [each for each in own if isinstance(each, ast.Call)]
        switched = next((each for each in calls if _switches_given(names, function, each)), None)
        if switched is None or not leaves or any(each.value is not None for each in leaves):
            continue
        last = max(each.lineno for each in leaves)
        after = [each for each in own if isinstance(each, (ast.Call, ast.Assign, ast.With)) and each.lineno > last]
        if not after and switched.lineno <= last:
            yield LeftContext(function, switched, leaves[-1])


def saved_modes(tree: Tree) -> Iterator[SavedMode]:
    """Every mode that a function saves in a name."""
    for node in tree.all(ast.Assign):
        function, value = tree.function(node), node.value
        if function is None or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            continue
        mode = _mode(value)
        if mode is not None:
            yield _saved(tree, node, mode.value, node.targets[0].id, function)


def _mode(value: ast.expr) -> ast.Attribute | None:
    """`model.training`, and `bool(model.training)` or `True if model.training else False`, which say the same."""
    match value:
        case ast.Attribute(attr="training"):
            return value
        case ast.Call(func=ast.Name(id="bool"), args=[inner]):
            return _mode(inner)
        case ast.IfExp(test=inner, body=ast.Constant(value=True), orelse=ast.Constant(value=False)):
            return _mode(inner)
    return None


def _saved(tree: Tree, node: ast.Assign, model: ast.expr, name: str, function: Function) -> SavedMode:
    text = ast.unparse(model)
    calls = [each for each in tree.below(function) if isinstance(each, ast.Call) and each.lineno > node.lineno]
    calls.sort(key=lambda each: (each.lineno, each.col_offset))
    modes = [each for each in calls if _switched(each) == text]
    run = next((each for each in calls if _runs(each, text)), None)
    restores = [each for each in modes if _reads(tree, each, name, function) and not _comes_first(each, run)]
    return SavedMode(
        node,
        model,
        name,
        function,
        tuple(each for each in modes if each not in restores),
        tuple(restores),
        any(_is_read(tree, each) for each in tree.below(function) if isinstance(each, ast.Name) and each.id == name),
        run,
        any(_may_switch(each, text) for each in calls if each not in modes),
    )


def _switched(call: ast.Call) -> str:
    """The text of the model whose mode a call sets."""
    func = call.func
    return ast.unparse(func.value) if isinstance(func, ast.Attribute) and func.attr in ("train", "eval") else ""


def _comes_first(call: ast.Call, run: ast.Call | None) -> bool:
    """`if training: model.eval()` before the run: that is a switch."""
    return run is not None and call.lineno < run.lineno


def _may_switch(call: ast.Call, text: str) -> bool:
    func = call.func
    if not isinstance(func, ast.Attribute):
        return False
    return func.attr == "eval" or (ast.unparse(func.value) == text and bool(_SWITCHING_METHOD.search(func.attr)))


def _reads(tree: Tree, call: ast.Call, name: str, function: Function) -> bool:
    """Whether the saved mode is the call's argument, or decides whether it happens."""
    tests = [above.test for above in tree.ancestors(call) if isinstance(above, (ast.If, ast.IfExp))]
    places: list[ast.AST] = [*call.args, *call.keywords, *tests]
    return any(isinstance(each, ast.Name) and each.id == name for place in places for each in ast.walk(place))


def _is_read(tree: Tree, use: ast.Name) -> bool:
    """A use that matters: `if training: pass` does not."""
    if not isinstance(use.ctx, ast.Load):
        return False
    statement = tree.statement(use)
    is_empty = isinstance(statement, ast.If) and all(isinstance(each, ast.Pass) for each in statement.body)
    return not (is_empty and isinstance(statement, ast.If) and not statement.orelse)


def _runs(call: ast.Call, text: str) -> bool:
    """Calls the model, or hands it to something that may; exporters switch modes themselves."""
    func = ast.unparse(call.func)
    is_given = any(ast.unparse(each) == text for each in call.args)
    return func in (text, *(f"{text}.{each}" for each in _RUNS)) or (is_given and not _SEES_TO_MODES.search(func))


def _switches_given(names: Names, function: Function, call: ast.Call) -> bool:
    """`eval()` on a parameter, or on each of its modules."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "eval" or call.args or call.keywords:
        return False
    root: ast.expr | None = root_of(call.func.value)
    while isinstance(root, ast.Name):
        bindings = names.reaching(root)
        if len(bindings) != 1:
            return False
        if bindings[0].how is Bound.PARAMETER:
            return bindings[0].scope is function
        value = bindings[0].value if bindings[0].how is Bound.ITEM else None
        inner = value.func if isinstance(value, ast.Call) else value  # `model.modules()`
        root = root_of(inner) if inner is not None else None
    return False
