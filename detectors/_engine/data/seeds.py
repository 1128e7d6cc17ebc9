"""Seeds: what sets them, who holds one, and whether anything asks for them."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.names.names import Names
from detectors._engine.source.tree import Function, Tree, named_parameters
from detectors._engine.values.values import Values

_SEED = re.compile(r"(^|_)(seed|seeds|rng|randint|random_?state|random_?seed|generator)(_|\d|$)", re.I)
_GENERATOR = re.compile(r"generator|rng", re.I)
_PARAMETERS = frozenset(["seed", "random_seed", "random_state", "manual_seed"])
_SETS = re.compile(r"seed|determinis|reproduc", re.I)
_GIVES = re.compile(r"^(get_|_get|spawn)")
_SPEAKS = re.compile(r"seed|determinis|reproduc|PRNGKey|default_rng|RandomState|fork_rng|Generator$|key_?chain", re.I)
_MAY_SEED = re.compile(r"^_?(set_?up|init|prepare|configure|bootstrap|main|run|launch|start|cli|parse)", re.I)
_FOREIGN = {
    "torch": re.compile(r"^(numpy|random|jax|tensorflow)\."),
    "numpy": re.compile(r"^(torch|random|jax|tensorflow)\."),
}
"""What leaves a library's random numbers as they are."""
_LIBRARIES = frozenset(
    """
    torch torchvision numpy os sys argparse json time logging pathlib math tqdm matplotlib PIL pandas sklearn random
    collections functools re shutil pickle
    """.split()
)


class Seeds:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree = tree
        self._names = names
        self._values = values

    # -- set ----------------------------------------------------------------------------------------------

    @cached_property
    def setters(self) -> list[ast.Call]:
        """Every call that sets a process-wide seed, by its name."""
        return [each for each in self._tree.all(ast.Call) if _sets_seed(each)]

    def may_be_set_for(self, library: str, draw: ast.Call) -> bool:
        """Whether something in the file may seed the numbers that torch or NumPy draws process-wide, before the draw:
        of what both stand outside functions, what comes later does not."""
        foreign = _FOREIGN[library]
        own = (each for each in self.setters if not foreign.match(self._names.origin(each.func) or ""))
        return any(not self._is_later(each, draw) and not self._is_for_itself(each, draw) for each in own)

    def _is_for_itself(self, setter: ast.Call, draw: ast.Call) -> bool:
        """Whether the seed is set in another function, which nothing here calls and which is no helper for seeds."""
        function = self._tree.function(setter)
        if not isinstance(function, ast.FunctionDef) or function is self._tree.function(draw):
            return False
        takes = any(each.arg in _PARAMETERS for each in named_parameters(function.args))
        is_helper = _SETS.search(function.name) or _MAY_SEED.search(function.name)
        return takes and not is_helper and not self._values.calls.sites(function)

    def _is_later(self, setter: ast.Call, draw: ast.Call) -> bool:
        inside = any(self._tree.function(each) is not None or self._tree.loops(each) for each in (setter, draw))
        return setter.lineno > draw.lineno and not inside

    def beside(self, call: ast.Call) -> ast.Call | None:
        """Another call in the same function that is given a number for its seed, or sets a seed."""
        function = self._tree.function(call)
        others = (each for each in self._tree.all(ast.Call) if each is not call)
        near = (each for each in others if self._tree.function(each) is function)
        return next((each for each in near if _is_given_number(each) or each in self.setters), None)

    @cached_property
    def may_be_set_elsewhere(self) -> bool:
        """Whether a helper out of sight, by its name, sets a run up."""
        origins = (self._names.origin(each.func) or "" for each in self._tree.all(ast.Call))
        own = (each for each in origins if each and each.partition(".")[0] not in _LIBRARIES)
        outside = (each for each in own if not each.startswith(("<local>", "builtins")))
        return any(_MAY_SEED.search(each.rpartition(".")[2]) for each in outside)

    @cached_property
    def are_spoken_of(self) -> bool:
        """Whether the file reads, sets or passes on a seed at all."""
        if any(_speaks(each) and not self._makes_local(each) for each in self._tree.all(ast.Call)):
            return True
        attributes = list(self._tree.all(ast.Attribute))
        reads = [each.id for each in self._tree.all(ast.Name) if isinstance(each.ctx, ast.Load)]
        reads += [each.attr for each in attributes if isinstance(each.ctx, ast.Load)]
        stored = {each.attr for each in attributes if isinstance(each.ctx, ast.Store)}
        return any("seed" in each.lower() and each not in stored for each in reads)

    def _makes_local(self, call: ast.Call) -> bool:
        return isinstance(self._values.calls.callee(call), ast.ClassDef)

    # -- held ---------------------------------------------------------------------------------------------

    def at_hand(self, call: ast.Call, *, as_generator: bool) -> str | None:
        """A seed the author holds where the call is made: a parameter, a variable, an attribute set in `__init__`.

        With `as_generator` the call takes a generator, and a number does not do.
        """
        wanted = _GENERATOR if as_generator else _SEED
        for function in self._functions_around(call):
            held = [each for each in self._bound_before(call, function) if wanted.search(each)]
            if not as_generator:
                held = [each for each in held if each != "generator"]
            if held:  # a number before the generator it is drawn from
                return min(held, key=lambda name: ("rng" in name, "state" not in name and "seed" not in name))
            owner = self._tree.class_of(function)
            if owner is not None:
                return next((f"self.{name}" for name in self._attributes(owner) if wanted.search(name)), None)
        return None

    def is_unread_parameter(self, seed: str, call: ast.Call) -> bool:
        """Whether the seed is a parameter of a function around the call that never reads it, so that it can only have
        been meant for this."""
        for function in self._functions_around(call):
            if any(each.arg == seed for each in named_parameters(function.args)):
                return isinstance(function, ast.FunctionDef) and not _reads(function, seed)
        return False

    def unread_parameters(self) -> Iterator[tuple[ast.arg, ast.FunctionDef]]:
        """The parameters for seeds, of functions that do something, which the body never reads."""
        for parameter in (each for each in self._tree.all(ast.arg) if each.arg in _PARAMETERS):
            function = self._tree.parents.get(self._tree.parents[parameter])
            if isinstance(function, ast.FunctionDef) and not (_is_stub(function) or _reads(function, parameter.arg)):
                yield parameter, function

    def unread_constant(self) -> ast.Assign | None:
        """A number at the top of the file under a seed's name, which nothing reads."""
        for statement in self._tree.module.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int())) if _SEED.search(name):
                    if not any(each.id == name and isinstance(each.ctx, ast.Load) for each in self._tree.all(ast.Name)):
                        return statement
        return None

    def _functions_around(self, node: ast.AST) -> Iterator[Function]:
        function = self._tree.function(node)
        while function is not None:
            yield function
            function = self._tree.function(function)

    def _bound_before(self, call: ast.Call, function: Function) -> Iterator[str]:
        for name, bindings in self._names.bindings.all_in(function).items():
            if any(getattr(each.node, "lineno", 0) <= call.lineno for each in bindings):
                yield name

    def _attributes(self, owner: ast.ClassDef) -> Iterator[str]:
        stored = (each for each in self._tree.all(ast.Attribute) if isinstance(each.ctx, ast.Store))
        own = (each for each in stored if isinstance(each.value, ast.Name) and each.value.id == "self")
        return (each.attr for each in own if self._tree.inside(each, owner))


def _called_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _sets_seed(call: ast.Call) -> bool:
    name = _called_name(call)
    return _SETS.search(name) is not None and not _GIVES.search(name)


def _speaks(call: ast.Call) -> bool:
    passes = any(each.arg and re.search(r"seed|random_state", each.arg) for each in call.keywords)
    return passes or _SPEAKS.search(_called_name(call)) is not None


def _is_given_number(call: ast.Call) -> bool:
    given = (each.value for each in call.keywords if each.arg in ("random_state", "seed"))
    return any(isinstance(each, ast.Constant) and isinstance(each.value, int) for each in given)


def _is_stub(function: ast.FunctionDef) -> bool:
    body = [each for each in function.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    return len(body) < 3 or bool(function.decorator_list)


def _reads(function: ast.FunctionDef, name: str) -> bool:
    inside = list(ast.walk(function))
    if any(isinstance(each, ast.Call) and getattr(each.func, "id", "") in ("locals", "vars") for each in inside):
        return True
    return any(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load) for each in inside)
