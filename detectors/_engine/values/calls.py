"""Calls: what of this file a call runs, from where a function is called, and what its parameters are given."""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.classes import Classes
from detectors._engine.names.names import Names
from detectors._engine.source.tree import FUNCTIONS, Function, Tree


class Calls:
    """Answers for one file."""

    def __init__(
        self,
        tree: Tree,
        names: Names,
        classes: Classes,
        class_held_by: Callable[[ast.AST], ast.ClassDef | None],
    ) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self._class_held_by = class_held_by
        self._sites: dict[ast.AST, list[ast.Call]] | None = None

    # -- what a call runs ---------------------------------------------------------------------------------

    def callee(self, call: ast.Call) -> Function | ast.ClassDef | None:
        """The function, method or class of this file that a call runs, None where it is not in this file."""
        return self.target(call.func)

    def target(self, func: ast.expr, depth: int = 0) -> Function | ast.ClassDef | None:
        """The function, method or class of this file that an expression means, were it called."""
        if depth > 4:
            return None
        if isinstance(func, ast.Attribute):
            if (
                isinstance(func.value, ast.Call)
                and isinstance(func.value.func, ast.Name)
                and func.value.func.id == "super"
            ):
                own = self._tree.enclosing(func, ast.ClassDef)
                return self._classes.method(own, func.attr, skip_own=True) if own is not None else None
            owner = self._class_held_by(func.value)
            if owner is None and (self._names.origin(func.value) or "").startswith("<local>."):
                owner = self._classes.named((self._names.origin(func.value) or "").removeprefix("<local>."))
            method = self._classes.method(owner, func.attr) if owner is not None else None
            return None if method is not None and _is_property(method) else method
        if not isinstance(func, ast.Name):
            return None
        targets = [self._bound_target(each, depth) for each in self._names.reaching(func)]
        return targets[0] if len(targets) == 1 else None

    def _bound_target(self, binding: Binding, depth: int) -> Function | ast.ClassDef | None:
        if isinstance(binding.node, (*FUNCTIONS, ast.ClassDef)):
            return binding.node
        value = binding.value
        if binding.how is not Bound.ASSIGNMENT or value is None:
            return None
        if isinstance(value, ast.Call):  # partial(f, …), torch.compile(f): the same function
            origin = self._names.origin(value.func) or ""
            handed_on = origin in (
                "functools.partial",
                "functools.wraps",
                "torch.compile",
                "torch.jit.script",
            )
            return self.target(value.args[0], depth + 1) if handed_on and value.args else None
        return self.target(value, depth + 1)

    # -- who calls, and with what -------------------------------------------------------------------------

    def sites(self, function: ast.AST) -> list[ast.Call]:
        """The calls in this file that run the function (a class's calls for its `__init__`)."""
        if self._sites is None:
            self._sites = defaultdict(list)  # what is asked for meanwhile sees the calls found so far
            names = {each.name for each in self._tree.all(*FUNCTIONS, ast.ClassDef)}
            calls = sorted(self._tree.all(ast.Call), key=lambda each: isinstance(each.func, ast.Attribute))
            for call in calls:  # those by name first: methods ask what their object is, which is given by calls too
                last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
                target = self.callee(call) if last in names or isinstance(call.func, ast.Name) else None
                if isinstance(target, ast.ClassDef):
                    target = self._classes.method(target, "__init__") or target
                if target is not None:
                    self._sites[target].append(call)
        return self._sites.get(function, [])

    def given_for(self, function: Function, parameter: str) -> Iterator[ast.expr | None]:
        """What the call sites in this file pass for a parameter: an expression, or None where it is not seen."""
        for call in self.sites(function):
            yield self.argument_for(function, call, parameter)

    def argument_for(
        self, function: Function, call: ast.Call, parameter: str, *, is_method: bool | None = None
    ) -> ast.expr | None:
        """The expression a call gives for a parameter (its default where it is left out), None if unknown.

        What `functools.partial` bound before counts as given. `is_method` says whether the function is a method,
        where it is in another file.
        """
        bound = self._partial(call)
        given = [*bound.args[1:], *call.args] if bound is not None else call.args
        keywords = [*call.keywords, *bound.keywords] if bound is not None else call.keywords
        for keyword in keywords:
            if keyword.arg == parameter:
                return keyword.value
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if is_method is None:
            is_method = self._tree.class_of(function) is not None
        if is_method and not self._is_static(function):
            names = names[1:]
        position = names.index(parameter) if parameter in names else len(given)
        if any(isinstance(each, ast.Starred) for each in given[: position + 1]):
            return None
        if position < len(given):
            return given[position]
        if any(keyword.arg is None for keyword in keywords):
            return None
        return default_of(function, parameter)

    def _partial(self, call: ast.Call) -> ast.Call | None:
        """The `functools.partial(…)` that the called name was assigned from."""
        if not isinstance(call.func, ast.Name):
            return None
        bindings = self._names.reaching(call.func)
        value = bindings[0].value if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT else None
        is_partial = isinstance(value, ast.Call) and self._names.origin(value.func) == "functools.partial"
        return value if is_partial and isinstance(value, ast.Call) else None

    @staticmethod
    def _is_static(function: Function) -> bool:
        return any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)

    # -- what comes back ----------------------------------------------------------------------------------

    def returns(self, function: Function) -> list[ast.Return]:
        """The function's own return statements."""
        return self._returns.get(function, [])

    @cached_property
    def _returns(self) -> dict[Function | None, list[ast.Return]]:
        found: dict[Function | None, list[ast.Return]] = defaultdict(list)
        for statement in self._tree.all(ast.Return):
            found[self._tree.function(statement)].append(statement)
        return found

    def is_generator(self, function: Function) -> bool:
        """Whether calling the function makes a generator."""
        return function in self._generators

    @cached_property
    def _generators(self) -> set[Function | None]:
        return {self._tree.function(each) for each in self._tree.all(ast.Yield, ast.YieldFrom)}


def default_of(function: Function, parameter: str) -> ast.expr | None:
    """The default of a parameter, None where it has none."""
    positional = [*function.args.posonlyargs, *function.args.args]
    with_default = positional[len(positional) - len(function.args.defaults) :]
    for argument, default in zip(with_default, function.args.defaults, strict=True):
        if argument.arg == parameter:
            return default
    for argument, keyword_default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if argument.arg == parameter:
            return keyword_default
    return None


def _is_property(method: Function) -> bool:
    """Whether calling the attribute calls what the method returned."""
    names = {
        each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in method.decorator_list
    }
    return bool(names & {"property", "cached_property"})
