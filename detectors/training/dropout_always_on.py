"""Dropout stays on when the model is evaluated

`F.dropout` knows nothing of the module it stands in: `training` is True unless it is given, so `model.eval()` does not
switch it off, and predictions are random. The same goes for an `nn.Dropout` that `forward` makes anew: a fresh module
is in training mode. `F.alpha_dropout` has the opposite default and never drops anything.

❌
```python
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 32)
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        x = F.dropout(F.relu(self.hidden(x)), p=0.5)  # ❌
        return self.out(x)
```

✅
```python
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 32)
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        x = F.dropout(F.relu(self.hidden(x)), p=0.5, training=self.training)
        return self.out(x)
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Change, Code, Function, Problem, Tier

TIER = Tier.BUG
WORDS = ("dropout|Dropout|memory_efficient_attention", "torch", "forward")

_ON = {f"torch.nn.functional.{each}" for each in ("dropout", "dropout1d", "dropout2d", "dropout3d")}
_OFF = {"torch.nn.functional.alpha_dropout", "torch.nn.functional.feature_alpha_dropout"}
_ATTENTION = {
    "torch.nn.functional.scaled_dot_product_attention": ("dropout_p", 4),
    "xformers.ops.memory_efficient_attention": ("p", 4),
    "flash_attn.flash_attn_func": ("dropout_p", 3),
    "flash_attn.flash_attn_qkvpacked_func": ("dropout_p", 1),
    "flash_attn.flash_attn_kvpacked_func": ("dropout_p", 2),
}
_FRESH = {f"torch.nn.{each}": each.lower() for each in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d")}
_MODE = re.compile(r"train|eval|infer|determin|test|mode\b|mc_?drop", re.I)
_SAID_SO = re.compile(r"alway|(even|also) (in|during|at) (the )?(eval|infer|test|predict)|monte.carlo|stochastic", re.I)
_ON_PURPOSE = re.compile(r"mc|monte|bayes|uncertain|always|stochastic|ensemble|training_step|augment|noise", re.I)


def detect(code: Code) -> Iterator[Problem]:
    """Functional dropout without `training` in a module's methods, dropout modules made where they are called, and
    fused attention, which drops whenever its rate is above zero."""
    for call in code.tree.all(ast.Call):
        origin = code.origin(call) if isinstance(call.func, (ast.Name, ast.Attribute)) else code.origin(call.func)
        if origin is None or origin not in _ON | _OFF | _FRESH.keys() | _ATTENTION.keys():
            continue
        held = code.modules.around(call)
        if held is None or _is_on_purpose(code, held[1]) or _depends_on_mode(code, call, held[1]):
            continue
        if origin in _ATTENTION:
            yield from _attention(code, call, held[1], *_ATTENTION[origin])
        elif origin in _FRESH:
            yield from _fresh(code, call, origin, held[1])
        elif not code.may_have(call, "training", 2) and _drops(code, call, held[1]):
            yield _functional(code, call, held[1], is_off=origin in _OFF)


def _functional(code: Code, call: ast.Call, method: Function, *, is_off: bool) -> Problem:
    name, owner = code.name(call.func), code.tree.definition(method).rpartition(".")[2]
    says = (
        f"`{name}` in `{owner}.{method.name}` never drops anything: its `training` is False unless it is given."
        if is_off
        else f"`{name}` in `{owner}.{method.name}` also drops after `model.eval()`: its `training` is True unless it "
        "is given, so its output is random."
    )
    return code.problem(call, says, fix=[code.source.set_keyword(call, "training", f"{_self(method)}.training")])


def _fresh(code: Code, call: ast.Call, origin: str, method: Function) -> Iterator[Problem]:
    """`nn.Dropout(0.5)(x)`: only where the new module is called on the spot."""
    if not isinstance(call.func, ast.Call) or not _drops(code, call.func, method, position=0):
        return
    owner = code.tree.definition(method).rpartition(".")[2]
    yield code.problem(
        call,
        f"`{code.name(call.func)}` is made anew in `{owner}.{method.name}`, and a new module is in training mode: it "
        "also drops after `model.eval()`.",
        fix=[_as_function(code, call, call.func, origin, _self(method))],
    )


def _attention(code: Code, call: ast.Call, method: Function, name: str, position: int) -> Iterator[Problem]:
    """Fused attention has no `training`: it drops by its rate alone."""
    rate = code.argument(call, name, position)
    if rate is None or not _drops(code, call, method, position, name) or _is_property(code, method, rate):
        return
    owner = code.tree.definition(method).rpartition(".")[2]
    yield code.problem(
        call,
        f"`{code.name(call.func)}` in `{owner}.{method.name}` drops attention weights at the rate "
        f"`{code.source.of(rate)}` after `model.eval()` too: it knows no mode, only its rate.",
        fix=[code.source.replace(rate, f"{code.source.of(rate)} if {_self(method)}.training else 0.0")],
        show=[rate],
    )


def _is_property(code: Code, method: Function, rate: ast.expr) -> bool:
    """Whether the rate is computed when it is read, which may ask for the mode."""
    owner = code.tree.class_of(method)
    names = {each.attr for each in ast.walk(rate) if isinstance(each, ast.Attribute)}
    return owner is not None and any(getattr(each, "name", None) in names for each in owner.body)


def _as_function(code: Code, call: ast.Call, made: ast.Call, origin: str, itself: str) -> Change | None:
    function = code.modules.spelling(f"torch.nn.functional.{_FRESH[origin]}", call)
    if not function or len(call.args) != 1 or call.keywords or len(made.args) > 1:
        return None
    given = [code.source.of(each) for each in (*call.args, *made.args, *made.keywords)]
    return code.source.replace(call, f"{function}({', '.join([*given, f'training={itself}.training'])})")


def _self(method: Function) -> str:
    return method.args.args[0].arg


def _is_on_purpose(code: Code, method: Function) -> bool:
    """By the name of the class or method, or by what their docstrings say."""
    owner = code.tree.class_of(method)
    texts = [ast.get_docstring(each, clean=False) or "" for each in (method, owner) if each]
    named = _ON_PURPOSE.search(code.tree.definition(method)) or _ON_PURPOSE.search(method.name)
    return bool(named) or any(map(_SAID_SO.search, texts))


def _drops(code: Code, call: ast.Call, method: Function, position: int = 1, name: str = "p") -> bool:
    """Whether the rate is in sight and does not itself depend on the mode; a parameter may be 0 in evaluation."""
    rate = code.argument(call, name, position)
    if rate is None:
        return not code.may_have(call, name, position)
    names = [each for each in code.tree.below(rate) if isinstance(each, ast.Name)]
    if any(each.id != _self(method) for each in names):
        return False
    told = code.definitions.of(rate)
    is_zero = isinstance(told, ast.Constant) and not told.value
    return not is_zero and not _MODE.search(ast.unparse(rate))


def _depends_on_mode(code: Code, call: ast.Call, method: Function) -> bool:
    """Under a condition on the mode, or after a return that has one."""
    below: ast.AST = call
    for above in code.tree.ancestors(call):
        if isinstance(above, (ast.If, ast.IfExp, ast.While)) and below is not above.test and _asks(above.test):
            return True
        if above is method:
            break
        below = above
    return any(
        isinstance(each, ast.If)
        and each.lineno < call.lineno
        and _asks(each.test)
        and any(isinstance(inner, (ast.Return, ast.Raise)) for inner in each.body)
        for each in code.tree.below(method)
    )


def _asks(test: ast.expr) -> bool:
    return bool(_MODE.search(ast.unparse(test)))
