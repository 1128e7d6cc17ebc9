"""Losses: what a back-propagated expression is computed from."""

import ast
import re

from detectors._engine.flow.events import Actions
from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.values import Values

_DEPTH = 10
_SCALING = frozenset(
    ["div", "div_", "mul", "mul_", "true_divide", "sum", "nansum", "divide", "multiply", "einsum", "dot", "scale_loss"]
)
_PLAIN = frozenset(
    [
        "mean",
        "to",
        "cuda",
        "cpu",
        "float",
        "squeeze",
        "view",
        "reshape",
        "scale",
        "clone",
        "contiguous",
        "half",
        "nanmean",
        "detach",
    ]
)


_WEIGHT = re.compile(r"(^|_)(coeff?s?|coefficient|weight|lambda|alpha|beta|gamma)$", re.I)
_LOSS = re.compile(r"^(?!.*(scale|accum|sum|weight)).*(^|_)loss(_|$)", re.I)


class Losses:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, actions: Actions) -> None:
        self._tree, self._names, self._values, self._actions = tree, names, values, actions

    def may_be_scaled(self, node: ast.expr, depth: int = 0, seen: frozenset[ast.AST] = frozenset()) -> bool:
        """Whether the loss may have been divided, multiplied or summed on its way, or comes from out of sight.

        A library's criterion and a model's own loss (`model(**batch).loss`) are means.
        """
        if depth > _DEPTH or node in seen:
            return depth > _DEPTH
        seen |= {node}
        match node:
            case ast.BinOp(op=ast.Add()):
                terms = [each for each in (node.left, node.right) if not isinstance(each, ast.Constant)]
                return all(
                    self.may_be_scaled(each, depth + 1, seen) for each in terms
                )  # who divides divides every term
            case ast.BinOp(op=ast.Mult()):  # a weight of one term, `0.5 * auxiliary`
                weighted = [each for each in (node.left, node.right) if _is_weight(each)]
                others = [each for each in (node.left, node.right) if not _is_weight(each)]
                return not weighted or any(self.may_be_scaled(each, depth + 1, seen) for each in others)
            case ast.Constant():
                return False
            case ast.Name():
                bindings = self._names.reaching(node)
                return not bindings or any(self._binding_may_scale(each, depth, seen) for each in bindings)
            case ast.Attribute():
                return not _LOSS.search(node.attr) or not isinstance(node.value, (ast.Name, ast.Call))
            case ast.Subscript(slice=ast.Constant() | ast.Slice()):
                return self.may_be_scaled(node.value, depth + 1, seen)
            case ast.Call():
                return self._call_may_scale(node, depth, seen)
        return True

    def _binding_may_scale(self, binding: Binding, depth: int, seen: frozenset[ast.AST]) -> bool:
        if binding.how in (Bound.ASSIGNMENT, Bound.PART) and binding.value is not None:
            return self.may_be_scaled(binding.value, depth + 1, seen)
        if binding.how is Bound.UPDATE and isinstance(binding.node, ast.AugAssign):
            added = isinstance(binding.node.op, ast.Add)
            return not added or self.may_be_scaled(binding.node.value, depth + 1, seen)
        return True

    def _call_may_scale(self, call: ast.Call, depth: int, seen: frozenset[ast.AST]) -> bool:
        func = call.func
        if isinstance(func, ast.Attribute):
            if func.attr in _SCALING:
                return True
            if func.attr == "scale" and call.args:
                return self.may_be_scaled(call.args[0], depth + 1, seen)
            if func.attr in _PLAIN:
                return func.attr != "mean" and self.may_be_scaled(func.value, depth + 1, seen)
        if _names_a_reduction(call) or any(each.arg is None for each in call.keywords):
            return not self._runs_model(call)
        function = self._values.calls.callee(call)
        if isinstance(function, FUNCTIONS):
            returned = [each.value for each in self._values.calls.returns(function) if each.value is not None]
            return not returned or any(self._returned_may_scale(each, depth, seen) for each in returned)
        if self._runs_model(call):
            return False
        name = last_name(func)
        origin = self._names.origin(func) or ""
        given = self._values.only(func)
        if given.call is not None and _names_a_reduction(given.call):
            return True
        if (
            origin == "builtins.sum" and len(call.args) == 1 and isinstance(call.args[0], ast.Name)
        ):  # the terms of a model's loss
            return self.may_be_scaled(call.args[0], depth + 1, seen)
        is_criterion = origin.startswith("torch.nn.functional.") or (given.origin or "").startswith("torch.nn.")
        named = "loss" in name.lower() or "criterion" in name.lower() or "cross_entropy" in name.lower()
        return not (is_criterion or (named and not any(part in name.lower() for part in ("scale", "accum"))))

    def _returned_may_scale(self, node: ast.expr, depth: int, seen: frozenset[ast.AST]) -> bool:
        elements = node.elts if isinstance(node, ast.Tuple) else [node]
        return any(self._has_arithmetic(each) or self.may_be_scaled(each, depth + 1, seen) for each in elements[:1])

    @staticmethod
    def _has_arithmetic(node: ast.expr) -> bool:
        return any(isinstance(each, ast.BinOp) and isinstance(each.op, ast.Div) for each in ast.walk(node))

    def _runs_model(self, call: ast.Call) -> bool:
        return any(True for _ in self._actions.of(call))


def _is_weight(node: ast.expr) -> bool:
    """`0.5`, `args.lm_coef`: what weighs one term against the others."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Attribute) and bool(_WEIGHT.search(node.attr)))


def _names_a_reduction(call: ast.Call) -> bool:
    """Whether the loss is told to reduce otherwise than to a mean, or by what is not known."""
    return any(
        (each.arg == "reduction" and not (isinstance(each.value, ast.Constant) and each.value.value == "mean"))
        or (
            each.arg in ("size_average", "reduce")
            and not (isinstance(each.value, ast.Constant) and each.value.value is True)
        )
        for each in call.keywords
    )
