"""A constant that stays behind on the CPU

`model.to(device)` moves parameters and buffers. A tensor that is a plain attribute stays where it was made: the first
forward pass on a GPU stops with "expected all tensors to be on the same device". A buffer moves along.

❌
```python
import torch
from torch import nn


class Normalise(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)  # ❌

    def forward(self, images):
        return images - self.mean
```

✅
```python
import torch
from torch import nn


class Normalise(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images):
        return images - self.mean
```

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer
"""

import ast
import re
from collections.abc import Iterator

from detectors import FUNCTIONS, Binding, Bound, Change, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("torch", "Module", "forward|_step", "tensor|Tensor|zeros|ones|arange|linspace|eye|rand|full|from_numpy|window")

_SHAPED = frozenset(["zeros", "ones", "rand", "randn", "full", "empty"])
_VECTORS = frozenset(["arange", "linspace", "logspace", "eye", "from_numpy", "hann_window", "hamming_window"])
_OF_DATA = frozenset(["tensor", "as_tensor", "Tensor", "FloatTensor", "LongTensor", "DoubleTensor"])
_ARRAYS = tuple(f"numpy.{each}" for each in ("array", "asarray", "arange", "linspace", "stack", "concatenate", "load"))
_KEEPS_PLACE = frozenset(
    [
        *("view", "reshape", "unsqueeze", "float", "half", "double", "long", "t", "transpose", "permute", "repeat"),
        *(
            "expand",
            "contiguous",
            "clone",
            "flatten",
            "exp",
            "log",
            "sqrt",
            "pow",
            "neg",
            "abs",
            "flip",
            "tril",
            "triu",
            "cumsum",
            "cumprod",
        ),
    ]
)
_JOINING = frozenset(
    [
        *("matmul", "mm", "bmm", "einsum", "where", "cat", "stack", "add", "sub", "mul", "div", "maximum", "minimum"),
        *("conv1d", "conv2d", "conv3d", "linear", "lerp", "addmm", "dot", "mv", "outer", "mse_loss", "l1_loss"),
    ]
)
_LOSSES = frozenset(["cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"])
_OF_NO_DEVICE = frozenset(
    ["shape", "size", "dim", "ndim", "numel", "device", "dtype", "item", "tolist", "numpy", "cpu", "new_tensor", "len"]
)
_OF_TENSORS = frozenset(
    [
        *("shape", "size", "view", "unsqueeze", "dim", "device", "dtype", "permute", "transpose", "squeeze", "float"),
        *("reshape", "mean", "sum", "flatten", "contiguous", "new_zeros"),
    ]
)
_ELSEWHERE = re.compile(r"set_default_device|set_default_tensor_type|with torch\.device|device_map|init_empty_weights")
_DEVICES = re.compile(r"cuda|device|mps|accelerat|lightning", re.I)
_DEPTH = 6


def detect(code: Code) -> Iterator[Problem]:
    """Tensors made once in `__init__` on the CPU that `forward` computes with beside its input, never moved."""
    if code.is_test or _ELSEWHERE.search(code.text) or (not _DEVICES.search(code.text) and code.training_steps):
        return
    for owner in code.modules.classes:
        for binding in code.values.classes.all_attribute_bindings(owner):
            if not _is_constant_of(code, owner, binding) or code.modules.keeps_own_registry(owner):
                continue
            meets = _meets_input(code, owner, binding.name)
            if meets is not None:
                yield code.problem(
                    binding.node,
                    f"`self.{binding.name}` is neither parameter nor buffer, so it stays on the CPU when the "
                    f"`{owner.name}` is moved, and line {meets.lineno} uses it beside an input.",
                    fix=_as_buffer(code, binding),
                    related=[(meets, "meets the input here")],
                )


def _is_constant_of(code: Code, owner: ast.ClassDef, binding: Binding) -> bool:
    if binding.how is not Bound.ASSIGNMENT or binding.value is None or not isinstance(binding.scope, FUNCTIONS):
        return False
    if binding.scope.name != "__init__" or len(code.values.classes.attribute_bindings(owner, binding.name)) != 1:
        return False
    if not _is_on_cpu(code, binding.value):
        return False
    written = [
        each
        for each in code.tree.all(ast.Attribute)
        if each.attr == binding.name and not isinstance(each.ctx, ast.Load)
    ]
    return len(written) == 1


def _is_on_cpu(code: Code, node: ast.expr, depth: int = 0) -> bool:
    """Whether the expression is a tensor with at least one dimension that is made on the default device."""
    if depth > _DEPTH:
        return False
    match node:
        case ast.Name():
            told = code.definitions.of(node)
            return told is not node and _is_on_cpu(code, told, depth + 1)
        case ast.BinOp():
            # a tensor with dimensions that is on another device, or on one that is not known, would not go with it
            return any(_is_on_cpu(code, each, depth + 1) for each in (node.left, node.right))
        case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _KEEPS_PLACE and not code.origin(node):
            return _is_on_cpu(code, value, depth + 1)
        case ast.Call():
            return _is_made_on_cpu(code, node)
    return False


def _is_made_on_cpu(code: Code, call: ast.Call) -> bool:
    origin = code.origin(call) or ""
    module, _, last = origin.rpartition(".")
    if module == "torch" and last in _KEEPS_PLACE and call.args:
        return _is_on_cpu(code, call.args[0], 1)
    if module != "torch" or not call.args or code.may_have(call, "device"):
        return False
    if last in ("stack", "cat", "concat"):
        return _has_some_on_cpu(code, call.args[0])
    wants = code.argument(call, "requires_grad")
    if wants is not None:
        return False
    first = call.args[0]
    if last in _SHAPED:
        return not (isinstance(first, (ast.Tuple, ast.List)) and not first.elts) and not isinstance(first, ast.Starred)
    if last in _VECTORS:
        return True
    if last not in _OF_DATA:
        return False
    told = code.definitions.of(first)
    if last.endswith("Tensor") and isinstance(told, ast.BinOp) and isinstance(told.op, ast.Div):
        return True  # a quotient is no size, so it is an array
    return _is_list(told) or (code.origin(told) or "") in _ARRAYS


def _is_list(told: ast.expr) -> bool:
    joins = isinstance(told, ast.BinOp) and isinstance(told.op, ast.Add)
    sides = (told.left, told.right) if isinstance(told, ast.BinOp) and joins else (told,)
    return any(isinstance(each, (ast.List, ast.ListComp)) for each in sides)


def _has_some_on_cpu(code: Code, tensors: ast.expr) -> bool:
    """Whether one of the tensors that are joined is made on the CPU: the others have to be there too."""
    told = code.definitions.of(tensors)
    match told:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return any(_is_on_cpu(code, each, 1) for each in elements)
        case ast.ListComp(elt=element):
            return _is_on_cpu(code, element, 1)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _has_some_on_cpu(code, left) or _has_some_on_cpu(code, right)
    return False


# -- where it meets the input ---------------------------------------------------------------------------------


def _meets_input(code: Code, owner: ast.ClassDef, name: str) -> ast.expr | None:
    uses = code.modules.in_forward(owner, name)
    if any(isinstance(code.tree.parents.get(each), ast.Attribute) and _asks_device(code, each) for each in uses):
        return None
    return next((met for each in uses if (met := _mixed(code, each)) is not None), None)


def _asks_device(code: Code, use: ast.Attribute) -> bool:
    parent = code.tree.parents[use]
    return isinstance(parent, ast.Attribute) and parent.attr in ("device", "to", "cuda", "type_as", "data")


def _mixed(code: Code, use: ast.expr) -> ast.expr | None:
    """The expression in which the constant is an operand beside something computed from an input."""
    node: ast.AST = use
    while True:
        parent = code.tree.parents.get(node)
        above = code.tree.parents.get(parent) if parent is not None else None
        if isinstance(parent, ast.Attribute) and parent.attr in _KEEPS_PLACE and isinstance(above, ast.Call):
            node = above
        elif isinstance(parent, ast.UnaryOp) or (
            isinstance(parent, ast.Subscript) and parent.value is node and _is_view(parent.slice)
        ):
            node = parent
        else:
            break
    others: list[ast.expr] = []
    match parent:
        case ast.BinOp():
            others = [each for each in (parent.left, parent.right) if each is not node]
        case ast.Compare(ops=[ast.Lt() | ast.Gt() | ast.LtE() | ast.GtE()]):
            others = [each for each in (parent.left, *parent.comparators) if each is not node]
        case ast.Call():
            others = _other_operands(code, parent, node)
        case ast.keyword(arg="weight" | "pos_weight") if isinstance(above, ast.Call) and _is_loss(code, above):
            others = [*above.args, *(each.value for each in above.keywords if each.arg in ("input", "target"))]
        case ast.List() | ast.Tuple() if isinstance(above, ast.Call) and _is_joining(code, above):
            others = [each for each in parent.elts if each is not node]
        case _:
            return None
    return use if any(_is_input(code, each) for each in others) else None


def _is_loss(code: Code, call: ast.Call) -> bool:
    module, _, last = (code.origin(call) or "").rpartition(".")
    return module == "torch.nn.functional" and last in _LOSSES


def _is_view(index: ast.expr) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return all(
        isinstance(each, ast.Slice) or (isinstance(each, ast.Constant) and each.value in (None, ...)) for each in parts
    )


def _is_joining(code: Code, call: ast.Call) -> bool:
    module, _, last = (code.origin(call) or "").rpartition(".")
    return last in _JOINING and module in ("torch", "torch.nn.functional")


def _other_operands(code: Code, call: ast.Call, node: ast.AST) -> list[ast.expr]:
    if node not in call.args:
        return []
    if _is_joining(code, call):
        return [each for each in call.args if each is not node]
    is_method = code.origin(call) is None and isinstance(call.func, ast.Attribute) and call.func.attr in _JOINING
    return [call.func.value] if is_method and isinstance(call.func, ast.Attribute) else []


def _is_input(code: Code, node: ast.AST, depth: int = 0) -> bool:
    """Whether the value is a tensor computed from what `forward` was given."""
    if depth > _DEPTH:
        return False
    if isinstance(node, ast.Name):
        return any(_is_given(code, node, each, depth) for each in code.names.reaching(node))
    if isinstance(node, ast.Attribute):
        return node.attr not in _OF_NO_DEVICE and _is_input(code, node.value, depth)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and code.origin(node) in ("builtins.len", "builtins.range", "builtins.int"):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in (*_OF_NO_DEVICE, "to"):
            return False
        if code.origin(node) is not None and not (code.origin(node) or "").startswith("torch."):
            return False
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return any(_is_input(code, each, depth + 1) for each in (*receiver, *node.args))
    if isinstance(node, ast.BinOp):
        return any(_is_input(code, each, depth + 1) for each in (node.left, node.right))
    return isinstance(node, (ast.Subscript, ast.UnaryOp)) and _is_input(
        code, node.value if isinstance(node, ast.Subscript) else node.operand, depth + 1
    )


def _is_given(code: Code, use: ast.Name, binding: Binding, depth: int) -> bool:
    if binding.how is Bound.PARAMETER:
        return _is_tensor(code, binding)
    computed = binding.how in (Bound.ASSIGNMENT, Bound.PART) and binding.value is not None
    return computed and not code.tree.inside(use, binding.node) and _is_input(code, binding.value or use, depth + 1)


def _is_tensor(code: Code, binding: Binding) -> bool:
    """A parameter that is annotated as a tensor, or used as one."""
    function = binding.scope
    if not isinstance(function, FUNCTIONS) or not isinstance(binding.node, ast.arg):
        return False
    if function.args.args and function.args.args[0] is binding.node:
        return False
    if binding.node.annotation is not None:
        return "Tensor" in ast.unparse(binding.node.annotation)
    if function.name == "forward" and function.args.args[1:2] == [binding.node]:
        return True
    return any(
        isinstance(each, ast.Attribute)
        and each.attr in _OF_TENSORS
        and isinstance(each.value, ast.Name)
        and each.value.id == binding.name
        for each in ast.walk(function)
    )


def _as_buffer(code: Code, binding: Binding) -> list[Change]:
    """A buffer that checkpoints do not have, so that old ones still load."""
    assign, init = binding.node, binding.scope
    if not isinstance(assign, ast.Assign) or len(assign.targets) != 1 or binding.value is None:
        return []
    starts = [
        each.lineno
        for each in ast.walk(init)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "__init__"
    ]
    if not starts or min(starts) > assign.lineno or not isinstance(assign.targets[0], ast.Attribute):
        return []
    itself = code.source.of(assign.targets[0].value)
    value = code.source.of(binding.value)
    return [code.source.replace(assign, f'{itself}.register_buffer("{binding.name}", {value}, persistent=False)')]
