"""Masks: an attention mask that a function has in hand for the ids a model continues, and does not give it."""

import ast
import re
from collections.abc import Iterator

from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree, named_parameters
from detectors._engine.values.values import Values

_MASK = re.compile(r"(^|_)(attention|attn)_masks?(_|$)")
_IDS = ("input_ids", "inputs", "inputs_embeds")
_WEAK = frozenset("attention attn mask masks ids input inputs id tokens token embeds the for".split())
_MOVES = frozenset(["to", "cuda", "cpu", "long", "bool", "int", "contiguous", "unsqueeze", "clone"])


class Masks:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values

    def left_out(self, call: ast.Call) -> tuple[ast.expr, ast.AST, str] | None:
        """The ids that a `generate` continues, where their mask stands, and the mask as it would be given; None where
        a mask is given, may be, or is not known to belong to them."""
        given = self._given(call)
        if given is None or self._may_have_mask(call):
            return None
        # `**options` may hold a mask, but not this one
        opened = any(each.arg is None and not self._is_without_mask(each.value) for each in call.keywords)
        found = self._of_mapping(call, given) if isinstance(given, (ast.Subscript, ast.Call)) and not opened else None
        if found is None and isinstance(given, ast.Name):
            found = self._named(call, given)
            if found is not None and opened and not self._is_dead(call, *found):
                return None
        return (given, *found) if found is not None else None

    def _given(self, call: ast.Call) -> ast.expr | None:
        named = next((each.value for each in call.keywords if each.arg in _IDS), None)
        return named if named is not None else call.args[0] if len(call.args) == 1 else None

    def _may_have_mask(self, call: ast.Call) -> bool:
        """Whether a mask goes along, or what runs is known to want none."""
        if len(call.args) > 1 or any("mask" in (each.arg or "") for each in call.keywords):
            return True
        if any(
            each.arg in ("encoder_outputs", "past_key_values", "prefix_allowed_tokens_fn") for each in call.keywords
        ):
            return True
        callee = self._values.calls.callee(call)
        if isinstance(callee, FUNCTIONS):
            return all(each.arg != "attention_mask" for each in named_parameters(callee.args))
        return callee is not None

    def _is_without_mask(self, options: ast.expr) -> bool:
        """Whether the options are a dict that the function fills in sight, key by key, none of them for this mask."""
        bindings = self._names.reaching(options) if isinstance(options, ast.Name) else ()
        made = [each.value for each in bindings]
        keys: list[ast.expr | None] = []
        for each in made:
            if not isinstance(each, ast.Dict):
                return False
            keys += each.keys
        for use in self._beside(options):
            if not isinstance(use, ast.Name) or not isinstance(options, ast.Name) or use.id != options.id:
                continue
            above = self._tree.parents.get(use)
            if isinstance(above, ast.Subscript) and above.value is use:
                keys.append(above.slice)
                continue
            opened = isinstance(above, ast.keyword) and above.arg is None
            if not opened and not isinstance(use.ctx, ast.Store) and not isinstance(above, (ast.BoolOp, ast.If)):
                return False
        known = [each.value for each in keys if isinstance(each, ast.Constant)]
        return bool(made) and len(known) == len(keys) and "attention_mask" not in known

    # -- masks of a mapping -------------------------------------------------------------------------------

    def _of_mapping(self, call: ast.Call, given: ast.expr) -> tuple[ast.AST, str] | None:
        """`inputs["prompt_attention_mask"]`, read elsewhere in the function that continues `inputs["prompts"]`."""
        entry = _entry(given)
        if entry is None:
            return None
        base, key = entry
        keys: dict[str, ast.expr] = {}
        for node in self._beside(call):
            other = _entry(node) if isinstance(node, (ast.Subscript, ast.Call)) else None
            if other is not None and other[0] == base and _MASK.search(other[1]):
                keys.setdefault(other[1], node)  # type: ignore[arg-type]
        fitting = [each for each in keys if _stem(each) == _stem(key)]
        return (keys[fitting[0]], ast.unparse(keys[fitting[0]])) if len(fitting) == 1 else None

    # -- masks under a name -------------------------------------------------------------------------------

    def _named(self, call: ast.Call, given: ast.Name) -> tuple[ast.AST, str] | None:
        """A mask under a name of its own, bound before the call, that nothing has been done with until then."""
        bound = self._masks_before(call)
        fitting = [each for each in bound if _stem(each) == _stem(given.id)]
        if not fitting and len(bound) == 1 and _MASK.search(next(iter(bound))) and not _stem(next(iter(bound))):
            fitting = list(bound)
        if len(fitting) != 1 or self._is_worked_into(fitting[0], call, given):
            return None
        return bound[fitting[0]], fitting[0]

    def _masks_before(self, call: ast.Call) -> dict[str, ast.AST]:
        """The masks that have a value when the call runs, each with the place it got it last."""
        function = self._tree.function(call)
        given = named_parameters(function.args) if function is not None else []
        found: dict[str, ast.AST] = {each.arg: each for each in given if _MASK.search(each.arg)}
        for node in self._beside(call):
            stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and "mask" in node.id
            if isinstance(node, ast.Name) and stored and _ends(self._tree.statement(node)) < call.lineno:
                found[node.id] = node
        return found

    def _is_worked_into(self, mask: str, call: ast.Call, given: ast.Name) -> bool:
        """Whether the mask is used before the call but for another run of a model: the ids may be cut by it."""
        for node in self._beside(call):
            if not isinstance(node, ast.Name) or node.id != mask or not isinstance(node.ctx, ast.Load):
                continue
            above = self._tree.parents.get(node)
            if isinstance(above, ast.keyword) and above.arg is not None and _MASK.search(above.arg):
                continue
            statement = self._tree.statement(node)
            moved = isinstance(above, ast.Attribute) and above.attr in _MOVES
            if isinstance(statement, ast.Assign) and moved and last_name(statement.targets[0]) == mask:
                continue
            if node.lineno < call.lineno and not self._is_other_way(node, call):
                return True
        return False

    def _is_dead(self, call: ast.Call, place: ast.AST, mask: str) -> bool:
        """Whether the function takes the mask into a variable of its own and never does anything with it."""
        if not isinstance(place, ast.Name):
            return False
        statements = (self._tree.statement(each) for each in self._reads(call, mask))
        return all(isinstance(each, ast.Assign) and last_name(each.targets[0]) == mask for each in statements)

    def _reads(self, call: ast.Call, name: str) -> Iterator[ast.Name]:
        function = self._tree.function(call)
        for node in self._tree.below(function if function is not None else self._tree.module):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                yield node

    def _is_other_way(self, node: ast.AST, call: ast.Call) -> bool:
        """Whether the node stands in another branch of an `if` than the call."""
        below: ast.AST = node
        for above in self._tree.ancestors(node):
            if isinstance(above, ast.If) and self._tree.inside(call, above):
                return not self._tree.inside(call, below)
            below = above
        return False

    def _beside(self, call: ast.expr) -> Iterator[ast.AST]:
        function = self._tree.function(call)
        for node in self._tree.below(function if function is not None else self._tree.module):
            if self._tree.function(node) is function:
                yield node


def _ends(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _entry(node: ast.AST) -> tuple[str, str] | None:
    """The mapping and the key that an expression reads."""
    match node:
        case ast.Subscript(value=ast.Name(id=base), slice=ast.Constant(value=str(key))):
            return base, key
        case ast.Call(func=ast.Attribute(value=ast.Name(id=base), attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return base, key
    return None


def _stem(name: str) -> frozenset[str]:
    """What a name says besides being ids or a mask: `prompt` for `prompt_ids` and `prompt_attention_mask`."""
    words = (each.rstrip("s") for each in name.lower().split("_"))
    return frozenset(each for each in words if each and each not in _WEAK and f"{each}s" not in _WEAK)
