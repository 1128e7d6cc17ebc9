"""Activation checkpointing is set up half-way

`torch.utils.checkpoint.checkpoint` needs `use_reentrant` said explicitly: the old default needs inputs that require
gradients, ignores keyword arguments, and is being changed. A transformer that checkpoints cannot fill a key-value
cache while it trains: `use_cache=True` is dropped with a warning, or costs the memory that was to be saved.

❌
```python
from torch.utils.checkpoint import checkpoint


def forward(self, x):
    return checkpoint(self.block, x)  # ❌
```

✅
```python
from torch.utils.checkpoint import checkpoint


def forward(self, x):
    return checkpoint(self.block, x, use_reentrant=False)
```

https://docs.pytorch.org/docs/stable/checkpoint.html
https://huggingface.co/docs/transformers/main/en/grad_checkpointing
"""

import ast
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("checkpoint",)


def detect(code: Code) -> Iterator[Problem]:
    """`checkpoint(...)` with no `use_reentrant`, once a block; a model that checkpoints and caches at once."""
    if code.is_test:
        return
    found: dict[ast.stmt, list[ast.Call]] = {}
    has_choice = not code.versions.is_below("torch", "1.11")
    for call in code.calls("torch.utils.checkpoint.checkpoint", "torch.utils.checkpoint.checkpoint_sequential"):
        unset = not code.may_have(call, "use_reentrant") and not any(
            isinstance(each, ast.Starred) for each in call.args[:1]
        )
        if unset and has_choice and (len(call.args) > 1 or call.keywords):
            found.setdefault(code.tree.block(code.tree.statement(call))[0], []).append(call)
    for call, *others in found.values():
        more = f" (so do {len(others)} more here)" if len(others) > 1 else " (so does one more here)" if others else ""
        yield code.problem(
            call,
            f"`{code.name(call.func)}` recomputes `{code.name(call.args[0]) if call.args else 'its function'}` "
            f"with `use_reentrant` unset{more}: the default is the old, restricted variant and is being changed.",
            fix=[code.source.set_keyword(each, "use_reentrant", "False") for each in (call, *others)],
            related=[(each, "also unset") for each in others[:3]],
        )
    yield from _cached(code)


def _cached(code: Code) -> Iterator[Problem]:
    enabled = {
        code.values.subject(each.func.value): each  # type: ignore[attr-defined]
        for each in code.method_calls("gradient_checkpointing_enable")
    }
    if not enabled:
        return
    for assign in code.tree.all(ast.Assign):
        target, value = assign.targets[0], assign.value
        if not isinstance(target, ast.Attribute) or target.attr != "use_cache" or not _is_true(value):
            continue
        model = target.value.value if isinstance(target.value, ast.Attribute) else None
        switch = enabled.get(code.values.subject(model)) if model is not None else None
        if (
            switch is not None
            and code.tree.function(switch) is code.tree.function(assign)
            and assign.lineno < switch.lineno
        ):
            yield _both(code, assign, value, switch, model)
    for subject, switch in enabled.items():
        made = [each.call for each in code.values.known(switch.func.value) if each.call is not None]  # type: ignore[attr-defined]
        for call in made:
            given = code.argument(call, "use_cache") if call in code.tree.parents else None
            if given is not None and _is_true(given) and subject is not None:
                yield _both(code, call, given, switch, switch.func.value)  # type: ignore[attr-defined]


def _both(code: Code, node: ast.AST, value: ast.expr, switch: ast.Call, model: ast.expr | None) -> Problem:
    return code.problem(
        node,
        f"`{code.name(model)}` recomputes its activations, so it cannot keep the key-value cache that "
        "`use_cache=True` asks for.",
        fix=[code.source.replace(value, "False")],
        related=[(switch, "checkpointing is switched on")],
    )


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
