"""Which expressions carry an autograd graph, and who runs where in a distributed run."""

import ast

import pytest

from detectors import Code, Graph

TRAINING = """
import torch
import torch.nn.functional as F

model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train_step(batch):
    outputs = model(batch)
    loss = F.cross_entropy(outputs, batch.y)
    scaled = loss / 4
    scaled.backward()
    optimizer.step()
    return loss, outputs.argmax(1)


@torch.no_grad()
def evaluate(batch):
    return F.cross_entropy(model(batch), batch.y)


for batch in loader:
    loss, predicted = train_step(batch)
    held_out = evaluate(batch)
    unknown = helper(batch)
"""


@pytest.mark.parametrize(
    ("expression", "graph"),
    [
        ("loss", Graph.ATTACHED),
        ("loss * 3", Graph.ATTACHED),
        ("loss.mean().cpu()", Graph.ATTACHED),
        ("{'loss': loss}", Graph.ATTACHED),
        ("train_step(batch)[0]", Graph.ATTACHED),
        ("model(batch)", Graph.ATTACHED),
        ("loss.item()", Graph.DETACHED),
        ("float(loss)", Graph.DETACHED),
        ("loss.data", Graph.DETACHED),
        ("predicted", Graph.DETACHED),
        ("held_out", Graph.DETACHED),
        ("torch.zeros(3)", Graph.DETACHED),
        ("unknown", Graph.UNKNOWN),
        ("batch_from_elsewhere", Graph.UNKNOWN),
    ],
)
def test_what_an_expression_holds_of_the_graph(expression: str, graph: Graph) -> None:
    code = Code(f"{TRAINING}    show({expression})\n")
    shown = next(call for call in code.tree.all(ast.Call) if getattr(call.func, "id", "") == "show")

    assert code.tensors.graph(shown.args[0]) is graph


def test_a_loss_is_spent_once_its_scaled_form_was_back_propagated() -> None:
    code = Code(f"{TRAINING}    show(loss, predicted)\n")
    shown = next(call for call in code.tree.all(ast.Call) if getattr(call.func, "id", "") == "show")

    assert code.tensors.spent_by(shown.args[0]) is code.gradients.backward_calls[0]
    assert code.tensors.spent_by(shown.args[1]) is None


@pytest.mark.parametrize(
    ("condition", "is_rank_zero_only"),
    [
        ("rank == 0", True),
        ("dist.get_rank() == 0", True),
        ("self.rank == 0 and epoch % 5 == 0", True),
        ("is_main_process()", True),
        ("not rank != 0", True),
        ("rank != 0", False),
        ("world_size > 1", False),
        ("not distributed or rank == 0", False),
        ("local_rank == 0", False),
    ],
)
def test_which_conditions_only_one_rank_meets(condition: str, is_rank_zero_only: bool) -> None:
    code = Code(f"import torch.distributed as dist\nif {condition}:\n    dist.barrier()\n")
    (barrier,) = code.ranks.collectives

    found = any(code.ranks.is_rank_zero_only(test, holds) for test, holds in code.ranks.guards(barrier))

    assert found is is_rank_zero_only


def test_an_early_return_of_the_other_ranks_is_a_condition() -> None:
    code = Code("import torch\ndef save(x, rank):\n    if rank != 0:\n        return\n    torch.save(x, 'x.pt')\n")
    (save,) = code.calls("torch.save")

    assert code.ranks.is_guarded(save)
