"""Eventful functions: those in which something happens that a flow has to know."""

import ast
from collections.abc import Callable

from detectors._engine.flow.events import Act, Actions
from detectors._engine.names.libraries import Kind
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.values import Values


def eventful_functions(
    tree: Tree, values: Values, actions: Actions, elsewhere: Callable[[ast.Call], object]
) -> set[ast.AST]:
    """The functions in which something happens, by themselves or through what they call.

    In the methods of a model, running its own layers is not an event. `elsewhere` tells of a call whether something
    happens in a function of another file that it runs.
    """
    eventful: set[ast.AST] = set()
    for call in tree.all(ast.Call):
        function = tree.function(call)
        if function is None or function in eventful:
            continue
        acts = {each.act for each in actions.of(call)}
        if acts == {Act.FORWARD}:
            owner = tree.class_of(function)
            acts = set() if owner is not None and values.classes.kind(owner) is Kind.MODEL else acts
        if acts or (values.calls.callee(call) is None and elsewhere(call)):
            eventful.add(function)
    for context in tree.all(ast.withitem):
        function = tree.function(context)
        if function is not None and actions.region(context.context_expr) is not None:
            eventful.add(function)
    for attribute in tree.all(ast.Attribute):
        if attribute.attr in ("grad", "training") and not isinstance(attribute.ctx, ast.Load):
            eventful |= {tree.function(attribute)} - {None}  # type: ignore[arg-type]
    return _with_callers(eventful, tree, values)


def _with_callers(eventful: set[ast.AST], tree: Tree, values: Values) -> set[ast.AST]:
    rest = list(eventful)
    while rest:
        callee = rest.pop()
        callers = {tree.function(call) for call in values.calls.sites(callee)}
        if isinstance(callee, FUNCTIONS) and callee.name == "__init__":
            callers = set()
        outer = tree.function(callee)
        for caller in (*callers, outer):
            if caller is not None and caller not in eventful:
                eventful.add(caller)
                rest.append(caller)
    return eventful
