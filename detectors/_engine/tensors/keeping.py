"""Keeping: what a value is stored in, and whether that outlives the iteration that computed it."""

import ast
from collections.abc import Iterator

from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import Loop, Tree
from detectors._engine.values.values import Values

Kept = tuple[ast.stmt | ast.Call, ast.expr, ast.expr]
"""The statement or call that stores something, what it is stored in, and the value."""


class Keeping:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values

    def kept(self) -> Iterator[Kept]:
        """What is appended, added up or put at another place in each iteration."""
        for call in self._tree.method_calls("append", "extend", "appendleft"):
            if len(call.args) == 1 and isinstance(call.func, ast.Attribute):
                yield call, call.func.value, call.args[0]
        for update in self._tree.all(ast.AugAssign):
            if isinstance(update.op, ast.Add):
                yield update, update.target, update.value
        for assign in self._tree.all(ast.Assign):
            target, value = assign.targets[0], assign.value
            if isinstance(value, ast.IfExp):  # `loss if total is None else total + loss`
                value = value.orelse if _mentions(value.orelse, target) else value.body
            terms = list(_terms(value))
            rest = [each for each in terms if not _mentions(each, target)]
            if len(terms) == len(rest) + 1 and not any(
                isinstance(each, ast.Call) for each in terms if each not in rest
            ):
                yield from ((assign, target, each) for each in rest)
            is_rewritten = isinstance(target, ast.Subscript) and ast.unparse(target) in ast.unparse(value)
            if isinstance(target, ast.Subscript) and not is_rewritten and self._is_counted(target.slice, assign):
                yield assign, target.value, value

    def _is_counted(self, index: ast.expr, statement: ast.stmt) -> bool:
        """Whether the index is a loop's counter: each iteration fills another place."""
        names = {each.id for each in ast.walk(index) if isinstance(each, ast.Name)}
        targets = [each.target for each in self._tree.loops(statement) if not isinstance(each, ast.While)]
        return any(isinstance(each, ast.Name) and each.id in names for target in targets for each in ast.walk(target))

    @staticmethod
    def container(keeper: ast.expr) -> ast.expr:
        """What is indexed: `self.losses` for `self.losses["train"][-1]`."""
        while isinstance(keeper, ast.Subscript):
            keeper = keeper.value
        return keeper

    def outlives(self, keeper: ast.expr, loop: Loop | None, node: ast.AST) -> bool:
        """Whether the keeper was there before the iteration and is not made anew in it."""
        root = self.container(keeper)
        if isinstance(root, ast.Attribute):
            text = ast.unparse(root)
            around = loop or self._tree.function(node)
            return around is not None and not any(text == ast.unparse(each) for each in _made_in(around.body))
        if not isinstance(root, ast.Name) or loop is None:
            return False
        if any(isinstance(each, ast.Name) and each.id == root.id for each in _made_in(loop.body)):
            return False
        bindings = self._names.bindings.of(root.id, self._tree.scope(root))
        outside = [each for each in bindings if not self._tree.inside(each.node, loop)]
        around = next((each for each in self._tree.loops(loop) if each is not loop), None)
        if around is not None and outside and all(self._tree.inside(each.node, around) for each in outside):
            return not self._is_of_one_batch(loop, around)
        return bool(outside)

    def _is_of_one_batch(self, loop: Loop, around: Loop) -> bool:
        """Whether a loop goes over the parts of what the loop around it gives, or over one batch some times."""
        if isinstance(loop, ast.While) or isinstance(around, ast.While):
            return False
        given = {each.id for each in ast.walk(around.target) if isinstance(each, ast.Name)}
        if any(isinstance(each, ast.Name) and each.id in given for each in ast.walk(loop.iter)):
            return True
        is_counted = isinstance(loop.iter, ast.Call) and last_name(loop.iter.func) == "range"
        return is_counted and any(
            isinstance(each, (ast.Name, ast.Attribute)) and self._values.kind(each) is Kind.LOADER
            for each in ast.walk(around.iter)
        )


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield from (*_terms(node.left), *_terms(node.right))
    else:
        yield node


def _mentions(node: ast.expr, target: ast.expr) -> bool:
    text = ast.unparse(target)
    return any(isinstance(each, type(target)) and ast.unparse(each) == text for each in ast.walk(node))


def _made_in(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """What every iteration assigns afresh."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                used = {ast.unparse(each) for each in ast.walk(statement.value) if isinstance(each, ast.expr)}
                if ast.unparse(target) not in used:
                    yield from target.elts if isinstance(target, ast.Tuple) else [target]
        elif isinstance(statement, ast.AnnAssign):
            yield statement.target
        elif isinstance(statement, (ast.With, ast.For, ast.While, ast.Try)):
            yield from _made_in(statement.body)
