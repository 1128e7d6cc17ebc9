"""Ranks: process groups, collectives, models wrapped for several processes, and the conditions a rank must meet."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from detectors._engine.names.libraries import DATA_PARALLEL
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Tree
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values

COLLECTIVES = frozenset(
    [
        "all_reduce",
        "all_gather",
        "all_gather_object",
        "all_gather_into_tensor",
        "reduce_scatter",
        "reduce_scatter_tensor",
        "all_to_all",
        "all_to_all_single",
        "barrier",
        "monitored_barrier",
        "broadcast",
        "broadcast_object_list",
        "reduce",
        "gather",
        "gather_object",
        "scatter",
        "scatter_object_list",
    ]
)
_RANK = re.compile(
    r"(^|_)rank(_|$|\d)|(^|_)proc(ess)?_?(id|idx|index|num)$|^(gpu|dev|device|node|worker)_?(id)?$", re.I
)
_OWN = re.compile(
    r"rank|proc_?id|process_?(id|index)|shard|gpu|dev_id|worker|partition|chunk|\bsplit\b(?!\()|tempfile|mkdtemp|uuid|getpid",
    re.I,
)
_MAIN = re.compile(
    r"(^|_)(is_)?(main|master|primary|chief|coordinator|lead)(_?(process|proc|rank|node|worker|gpu))?$|rank_?zero|global_?zero|rank_?0|is_?main|is_?master|is_?root|on_?main|is_?first|is_?log|(^|_)log_?rank|should_?(save|log)|should_write",
    re.I,
)
_DISTRIBUTED = re.compile(
    r"dist|standalone|single|ddp|multi_?gpu|parallel|world_?size|n_?gpus?|num_?gpus|num_?processes|local_?rank", re.I
)


class Ranks:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values) -> None:
        self._tree, self._names, self._values = tree, names, values
        self._guards: dict[ast.AST, tuple[tuple[ast.expr, bool], ...]] = {}

    # -- process groups and wrappers ----------------------------------------------------------------------

    def _calls(self, origins: frozenset[str] | set[str]) -> list[ast.Call]:
        lasts = {each.rpartition(".")[2] for each in origins}
        return [
            call
            for call in self._tree.all(ast.Call)
            if (isinstance(call.func, ast.Name) or last_name(call.func) in lasts)
            and self._names.origin(call.func) in origins
        ]

    @cached_property
    def groups(self) -> list[ast.Call]:
        """Every `init_process_group`."""
        return self._calls(
            {"torch.distributed.init_process_group", "torch.distributed.distributed_c10d.init_process_group"}
        )

    @cached_property
    def wraps(self) -> list[ast.Call]:
        """Every wrapping in `DistributedDataParallel`."""
        return self._calls({"torch.nn.parallel.DistributedDataParallel", "apex.parallel.DistributedDataParallel"})

    @cached_property
    def collectives(self) -> list[ast.Call]:
        """Every call of `torch.distributed` that all ranks of the group must make."""
        return [
            call
            for call in self._tree.all(ast.Call)
            if last_name(call.func) in COLLECTIVES
            and (self._names.origin(call.func) or "").startswith("torch.distributed.")
        ]

    def parallel(self, node: ast.AST | None) -> list[Value]:
        """The values of the expression that are wrapped by (Distributed)DataParallel; `model.module` is not."""
        if isinstance(node, ast.Attribute) and node.attr == "module":
            return []
        return [each for each in self._values.of(node) if any(map(DATA_PARALLEL.match, each.wrappers))]

    # -- conditions ---------------------------------------------------------------------------------------

    def guards(self, node: ast.AST) -> tuple[tuple[ast.expr, bool], ...]:
        """The conditions under which the node runs, with their truth: around it in its function, and left over from
        earlier `if …: return`."""
        known = self._guards.get(node)
        if known is None:
            known = self._guards[node] = tuple(self._find_guards(node))
        return known

    def _find_guards(self, node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
        below = node
        for above in self._tree.ancestors(node):
            if isinstance(above, (ast.If, ast.IfExp)) and below is not above.test:
                yes = below is above.body if isinstance(above, ast.IfExp) else below in above.body
                yield above.test, yes
            elif isinstance(above, ast.BoolOp) and isinstance(above.op, ast.And):
                for each in above.values[: above.values.index(below)]:  # type: ignore[arg-type]
                    yield each, True
            if isinstance(below, ast.stmt):
                yield from self._left_over(below)
            if isinstance(above, FUNCTIONS):
                break
            below = above

    def _left_over(self, statement: ast.stmt) -> Iterator[tuple[ast.expr, bool]]:
        block = self._tree.block(statement)
        for earlier in block[: block.index(statement)] if statement in block else []:
            if isinstance(earlier, ast.If) and isinstance(earlier.body[-1], (ast.Return, ast.Continue, ast.Raise)):
                yield earlier.test, False

    def is_guarded(self, node: ast.AST, depth: int = 3) -> bool:
        """Whether any condition on the way to the node speaks of ranks: in its function, its decorators, or at all
        its call sites in this file."""
        if any(speaks_of_ranks(test) or self._holds_a_rank(test) for test, _ in self.guards(node)):
            return True
        function = self._tree.function(node)
        if function is None:
            return False
        if any(_MAIN.search(ast.unparse(each)) or "rank" in ast.unparse(each) for each in function.decorator_list):
            return True
        sites = self._values.calls.sites(function)
        return bool(sites) and depth > 0 and all(self.is_guarded(each, depth - 1) for each in sites)

    def _holds_a_rank(self, test: ast.expr) -> bool:
        """Whether what the condition asks was set by a rank: `args.save_logs = args.logs and is_master(args)`."""
        asked = {ast.unparse(each) for each in ast.walk(test) if isinstance(each, (ast.Name, ast.Attribute))}
        return any(
            speaks_of_ranks(each.value) and any(ast.unparse(target) in asked for target in each.targets)
            for each in self._tree.all(ast.Assign)
        )

    def is_rank_zero_only(self, test: ast.expr, holds: bool) -> bool:
        """Whether the condition surely lets one rank through and stops others: `rank == 0`, `is_main_process()`."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.is_rank_zero_only(operand, not holds)
            case ast.BoolOp(op=ast.And(), values=values) if holds:
                return any(self.is_rank_zero_only(each, True) for each in values)
            case ast.BoolOp(op=ast.Or(), values=values) if not holds:
                return any(self.is_rank_zero_only(each, False) for each in values)
            case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=0)]):
                is_rank = bool(
                    re.fullmatch(r"(global_|world_|dist_|process_|ddp_)?rank|get_(global_)?rank", _word(left))
                )
                return is_rank and isinstance(op, ast.Eq if holds else ast.NotEq)
            case ast.Name() | ast.Attribute() | ast.Call():
                word = _word(test)
                return holds and bool(re.fullmatch(r"_?is_(main|master|global_zero|rank_zero)(_process|_rank)?", word))
        return False

    def may_differ(self, node: ast.expr | None, hops: int = 4) -> bool:
        """Whether the value may be another one on each rank: it, or what it was made from, names a rank, a process or a
        GPU."""
        if node is None:
            return False
        if _OWN.search(ast.unparse(node)):
            return True
        names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
        bound = {binding for name in names for binding in self._names.reaching(name) if binding.value is not None}
        return hops > 0 and any(self.may_differ(each.value, hops - 1) for each in bound)


def _word(node: ast.expr) -> str:
    return last_name(node.func if isinstance(node, ast.Call) else node)


def speaks_of_ranks(test: ast.AST) -> bool:
    """Whether a condition mentions a rank or a main process."""
    return any(_RANK.search(word) or _MAIN.search(word) for word in _words(test))


def speaks_of_distribution(test: ast.AST) -> bool:
    """Whether a condition asks if the run is distributed at all."""
    return any(_DISTRIBUTED.search(word) for word in _words(test))


def _words(test: ast.AST) -> Iterator[str]:
    for each in ast.walk(test):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
