"""Layers that the module does not know of

A module knows the layers and parameters that are its attributes. In a plain list or dict they are invisible:
`parameters()` leaves them out, so they are never trained, `.to(device)` leaves them behind and `state_dict()` does not
save them. And a module takes no layer at all before `super().__init__()` has run.

❌
```python
from torch import nn


class Tower(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.layers = [nn.Linear(width, width) for _ in range(depth)]  # ❌

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
```

✅
```python
from torch import nn


class Tower(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from detectors import FUNCTIONS, Binding, Bound, Change, Code, Function, Problem, Tier

TIER = Tier.BUG
WORDS = ("__init__", "torch", "forward")

_LOOKING = frozenset(["len", "enumerate", "zip", "range", "reversed", "print", "list", "tuple", "iter", "sum", "any"])
_SHARED = {
    "ModuleList": frozenset(["append", "extend", "insert"]),
    "ParameterList": frozenset(["append", "extend"]),
    "ModuleDict": frozenset(["keys", "values", "items", "update"]),
    "ParameterDict": frozenset(["keys", "values", "items", "update"]),
}
"""What the containers have in common with `list` and `dict`: other methods make the swap unsafe."""
_DICT = (ast.Dict, ast.DictComp)
_ADDERS = {"append": 0, "insert": 1, "extend": 0}


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A plain container: the expression that makes it, and every place that names it."""

    display: ast.expr
    uses: list[ast.expr]


def detect(code: Code) -> Iterator[Problem]:
    """Plain containers of layers that `forward` uses, and layers set before `super().__init__()`."""
    for owner in code.modules.classes:
        yield from _before_init(code, owner)
        if not code.modules.keeps_own_registry(owner):
            for binding in code.values.classes.all_attribute_bindings(owner):
                yield from _plain_container(code, owner, binding)


# -- plain containers -----------------------------------------------------------------------------------------


def _plain_container(code: Code, owner: ast.ClassDef, binding: Binding) -> Iterator[Problem]:
    name = binding.name
    if binding.how is not Bound.ASSIGNMENT or binding.value is None:
        return
    if [each for each in code.values.classes.attribute_bindings(owner, name) if not _is_none(each)] != [binding]:
        return
    held = _held(code, owner, binding)
    if held is None or any(_is_given_away(code, each, binding) for each in held.uses):
        return
    elements = list(_elements(code, held))
    layers = [each for each in elements if _is_layer(code, each)]
    parameters = [each for each in elements if code.modules.makes_parameter(each)]
    used = code.modules.in_forward(owner, name)
    if not (layers or parameters) or not used:
        return
    if len(elements) == 1 and isinstance(held.display, (ast.List, ast.Tuple)) and held.display.elts == elements:
        return  # `[teacher]` hides a module on purpose
    what = "layers" if layers else "parameters"
    kind = ("Module" if layers else "Parameter") + ("Dict" if _is_dict(held.display) else "List")
    plain = "dict" if _is_dict(held.display) else "tuple" if isinstance(held.display, ast.Tuple) else "list"
    whole = all(code.modules.makes(each) if layers else code.modules.makes_parameter(each) for each in elements)
    changes = [_registered(code, binding, held.display, kind)]
    is_safe = whole and isinstance(binding.node, ast.Assign) and _is_swappable(code, held, kind)
    yield code.problem(
        binding.node,
        f"`self.{name}` is a plain {plain}: `{owner.name}` does not know the {what} in it, so `parameters()` leaves "
        "them out and they are neither trained, moved to a device nor saved.",
        fix=changes if is_safe else (),
        mend=changes if whole else (),
        related=[(used[0], f"`{code.tree.definition(used[0]).rpartition('.')[2]}` uses them")],
    )


def _is_none(binding: Binding) -> bool:
    return isinstance(binding.value, ast.Constant) and binding.value.value is None


def _is_dict(display: ast.expr) -> bool:
    return isinstance(display, _DICT) or (isinstance(display, ast.Call) and not _says(display, "list"))


def _says(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == name


def _display(code: Code, node: ast.expr | None) -> ast.expr | None:
    if isinstance(node, (ast.List, ast.Tuple, ast.ListComp, *_DICT)):
        return node
    empty = isinstance(node, ast.Call) and not node.args and not node.keywords
    return node if empty and code.origin(node) in ("builtins.list", "builtins.dict") else None


def _held(code: Code, owner: ast.ClassDef, binding: Binding) -> _Held | None:
    """The container, where the attribute is set to a display or to a local name that has one."""
    uses: list[ast.expr] = [
        node for node, _ in code.modules.mentions(owner) if node.attr == binding.name and isinstance(node.ctx, ast.Load)
    ]
    display = _display(code, binding.value)
    if display is None and isinstance(binding.value, ast.Name):
        local = code.names.reaching(binding.value)
        display = _display(code, local[0].value) if len(local) == 1 and local[0].how is Bound.ASSIGNMENT else None
        function = code.tree.function(binding.value)
        if function is None:
            return None
        uses += [
            each
            for each in code.tree.below(function)
            if isinstance(each, ast.Name) and each.id == binding.value.id and isinstance(each.ctx, ast.Load)
        ]
    return _Held(display, uses) if display is not None else None


def _is_given_away(code: Code, use: ast.expr, binding: Binding) -> bool:
    """Whether something may register the container's content: it is handed to a call, or kept elsewhere too."""
    parent = code.tree.parents.get(use)
    while isinstance(parent, (ast.Starred, ast.keyword, ast.BinOp, ast.IfExp, ast.Subscript)):
        if isinstance(parent, ast.Subscript) and isinstance(code.tree.parents.get(parent), ast.Call):
            call = code.tree.parents[parent]
            return not (isinstance(call, ast.Call) and call.func is parent)
        parent = code.tree.parents.get(parent)
    if isinstance(parent, ast.Call) and use is not parent.func:
        return not (isinstance(parent.func, ast.Name) and parent.func.id in _LOOKING)
    if isinstance(parent, (ast.Assign, ast.AnnAssign)):
        return parent is not binding.node and parent.value is use
    return isinstance(parent, (ast.Return, ast.Yield, ast.List, ast.Tuple, ast.Dict))


def _elements(code: Code, held: _Held) -> Iterator[ast.expr]:
    yield from _inside(held.display)
    for use in held.uses:
        parent = code.tree.parents.get(use)
        above = code.tree.parents.get(parent) if parent is not None else None
        if isinstance(parent, ast.Attribute) and parent.attr in _ADDERS and isinstance(above, ast.Call):
            position = _ADDERS[parent.attr]
            if len(above.args) > position:
                added = above.args[position]
                yield from _inside(added) if parent.attr == "extend" else (added,)
        elif isinstance(parent, ast.Subscript) and isinstance(above, ast.Assign) and parent in above.targets:
            yield above.value


def _inside(display: ast.expr) -> Iterator[ast.expr]:
    match display:
        case ast.List() | ast.Tuple():
            yield from display.elts
        case ast.Dict():
            yield from display.values
        case ast.ListComp() | ast.GeneratorExp():
            yield display.elt
        case ast.DictComp():
            yield display.value


def _is_layer(code: Code, node: ast.expr) -> bool:
    """A layer with parameters that is made for this container alone."""
    if isinstance(node, ast.Name):
        function = code.tree.function(node)
        return function is not None and code.modules.has_parameters(node) and _is_only_here(code, node, function)
    return isinstance(node, ast.Call) and not _is_frozen(node) and code.modules.has_parameters(node)


def _is_only_here(code: Code, name: ast.Name, function: Function) -> bool:
    bindings = code.names.reaching(name)
    if len(bindings) != 1 or bindings[0].how is not Bound.ASSIGNMENT or not isinstance(bindings[0].value, ast.Call):
        return False
    if isinstance(bindings[0].node, ast.Assign) and len(bindings[0].node.targets) != 1:
        return False
    others = (
        each
        for each in code.tree.below(function)
        if isinstance(each, ast.Name) and each.id == name.id and each is not name
    )
    return all(
        isinstance(each.ctx, ast.Store) or isinstance(code.tree.parents.get(each), ast.Attribute) for each in others
    ) and not _is_frozen(bindings[0].value)


def _is_frozen(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("eval", "requires_grad_")


def _is_swappable(code: Code, held: _Held, kind: str) -> bool:
    """Whether the container's class does all that the file does with the plain one."""
    if kind.endswith("Dict") and not _keys_are_names(held, code):
        return False
    for use in held.uses:
        parent = code.tree.parents.get(use)
        if isinstance(parent, ast.Attribute) and parent.attr not in _SHARED[kind]:
            return False
        if isinstance(parent, (ast.BinOp, ast.Compare)) and kind.endswith("List"):
            return False
    return True


def _keys_are_names(held: _Held, code: Code) -> bool:
    match held.display:
        case ast.Dict(keys=keys) if keys:
            return all(_is_plain_key(key) for key in keys)
        case _:
            return False


def _is_plain_key(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str) and bool(key.value) and "." not in key.value


def _registered(code: Code, binding: Binding, display: ast.expr, kind: str) -> Change | None:
    container = code.modules.spelling(f"torch.nn.{kind}", binding.node)
    if not container or binding.value is None:
        return None
    is_empty = binding.value is display and not list(_inside(display))
    return code.source.replace(binding.value, f"{container}({'' if is_empty else code.source.of(binding.value)})")


# -- before super().__init__() --------------------------------------------------------------------------------


def _before_init(code: Code, owner: ast.ClassDef) -> Iterator[Problem]:
    init = next((each for each in owner.body if isinstance(each, FUNCTIONS) and each.name == "__init__"), None)
    if (
        init is None
        or not code.modules.has_module_base(owner)
        or owner.decorator_list
        or "__new__" in code.modules.methods(owner)
    ):
        return
    inits = [each for each in code.tree.below(init) if isinstance(each, ast.Call) and _is_init(each)]
    called = code.tree.statement(inits[0]) if inits else None
    if called is not None and (len(inits) > 1 or called not in init.body):
        return
    if called is None and _leaves_it_to_others(init):
        return
    early = [
        each
        for each in code.values.classes.all_attribute_bindings(owner)
        if each.scope is init
        and each.node in init.body
        and each.how is Bound.ASSIGNMENT
        and (called is None or each.node.lineno < called.lineno)
        and each.value is not None
        and isinstance(each.value, ast.Call)
        and (code.modules.makes(each.value) or code.modules.makes_parameter(each.value))
    ]
    if early:
        yield _too_early(code, owner, early[0], called)


def _is_init(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("__init__", "__post_init__")


def _leaves_it_to_others(init: Function) -> bool:
    """Whether a method of `self`, or `super()` in another form, may run the module's `__init__`."""
    first = init.args.args[0].arg if init.args.args else ""
    return any(
        (isinstance(each, ast.Name) and each.id == "super")
        or (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and isinstance(each.func.value, ast.Name)
            and each.func.value.id == first
        )
        for each in ast.walk(init)
    )


def _too_early(code: Code, owner: ast.ClassDef, binding: Binding, called: ast.stmt | None) -> Problem:
    assign = code.tree.statement(binding.node)
    if called is None:
        start = assign
        bases = [code.origin(each) for each in owner.bases]
        fix = [code.source.insert_before(start, "super().__init__()")] if bases == ["torch.nn.Module"] else []
        says = f"`{owner.name}.__init__` never calls `super().__init__()`: setting `self.{binding.name}` raises "
    else:
        plain = isinstance(called, ast.Expr) and isinstance(called.value, ast.Call)
        given = plain and bool(called.value.args or called.value.keywords)  # type: ignore[attr-defined]
        fix = list(code.source.move_before(called, assign)) if plain and not given else []
        says = f"`self.{binding.name}` is set before `super().__init__()` has run: that raises "
    related = [(called, "runs too late")] if called is not None else []
    return code.problem(
        assign,
        says + "`AttributeError: cannot assign module before Module.__init__() call`.",
        fix=fix,
        show=[called] if called is not None else [],
        related=related,
    )
