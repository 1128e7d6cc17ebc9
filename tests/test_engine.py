"""What the engine answers, question by question, on code as people write it."""

import ast
from textwrap import dedent

import pytest

from detectors import Act, Analysis, Code, Flow, Kind, Region, analyse
from detectors._engine.flow.paths import Undecided
from detectors._engine.source.tree import Tree


def code_of(text: str) -> Code:
    return Code(dedent(text))


def name_at(code: Code, text: str, nth: int = -1) -> ast.Name:
    """The nth use of a name, in source order."""
    uses = [each for each in code.tree.all(ast.Name) if each.id == text and isinstance(each.ctx, ast.Load)]
    return sorted(uses, key=lambda each: (each.lineno, each.col_offset))[nth]


def attribute_at(code: Code, name: str, nth: int = -1) -> ast.Attribute:
    return [each for each in code.tree.all(ast.Attribute) if each.attr == name][nth]


def acts(flow: Flow) -> list[str]:
    """What happens, without structure."""
    hidden = (Act.JOIN, Act.BRANCH, Act.LOOP, Act.OPAQUE, Act.ENTER, Act.EXIT)
    return [each.act.name for each in flow.events if each.act not in hidden]


# -- names: what is the dotted origin of this expression ------------------------------------------------------


@pytest.mark.parametrize(
    ("imports", "expression", "origin"),
    [
        ("import torch", "torch.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn.functional as F", "F.cross_entropy", "torch.nn.functional.cross_entropy"),
        ("from torch import nn", "nn.Module", "torch.nn.Module"),
        ("from torch.optim.adam import Adam as A", "A", "torch.optim.Adam"),
        ("from torch.utils.data.distributed import DistributedSampler", "DistributedSampler",
         "torch.utils.data.DistributedSampler"),
        ("import pytorch_lightning as pl", "pl.Trainer", "lightning.pytorch.Trainer"),
        ("import torch\nloss_of = torch.nn.functional.mse_loss", "loss_of", "torch.nn.functional.mse_loss"),
        ("", "print", "builtins.print"),
        ("from elsewhere import *", "print", None),
        ("def train(): pass", "train", "<local>.train"),
        ("try:\n    from torch import amp\nexcept ImportError:\n    amp = None", "amp.autocast", "torch.amp.autocast"),
    ],
)  # fmt: skip
def test_an_expression_has_the_origin_it_was_imported_from(imports: str, expression: str, origin: str | None) -> None:
    code = Code(f"{imports}\n{expression}\n")
    last = code.tree.module.body[-1]
    assert isinstance(last, ast.Expr)

    assert code.origin(last.value) == origin


def test_a_parameter_hides_an_import_of_the_same_name() -> None:
    code = code_of(
        """
        import torch
        def f(torch):
            torch.load("x")
        """
    )

    assert code.calls("torch.load") == []


# -- names: which binding reaches a use -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\nx = 2\nprint(x)", [2]),
        ("x = 1\nif a:\n    x = 2\nprint(x)", [1, 2]),
        ("x = 1\nif a:\n    x = 2\nelse:\n    x = 3\nprint(x)", [2, 3]),
        ("x = 1\nfor i in a:\n    print(x)\n    x = 2", [1, 2]),
        ("for i in a:\n    x = 1\n    print(x)\n    x = 2", [1]),
        ("if a:\n    x = 1\n    print(x)\nelse:\n    x = 2", [1]),
        ("x = 1\nwith a:\n    x = 2\nprint(x)", [2]),
        ("x = 1\ny = [x for x in a]\nprint(x)", [1]),
        ("x = 1\ntry:\n    x = 2\nexcept E:\n    x = 3\nprint(x)", [2, 3]),
        ("x = 1\ndef f():\n    global x\n    x = 2\ndef g():\n    print(x)", [1, 2]),
    ],
)
def test_the_values_that_can_reach_a_use(text: str, expected: list[int]) -> None:
    code = Code(text)

    assert sorted(each.constant for each in code.values.known(name_at(code, "x"))) == expected  # type: ignore[type-var]


# -- values: what does this expression hold -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("import torch\nthing = torch.optim.AdamW(p)\nuse(thing)", "thing", Kind.OPTIMIZER),
        ("import torch\nthing = torch.optim.lr_scheduler.StepLR(o, 3)\nuse(thing)", "thing", Kind.SCHEDULER),
        ("import torch\na, thing = 1, torch.optim.SGD(p)\nuse(thing)", "thing", Kind.OPTIMIZER),
        ("import torch\ndef make():\n    return torch.optim.SGD(p)\nthing = make()\nuse(thing)", "thing",
         Kind.OPTIMIZER),
        ("import torch\ndef step(thing):\n    use(thing)\nstep(torch.optim.SGD(p))", "thing", Kind.OPTIMIZER),
        ("import torch\ndef step(*, thing=None):\n    use(thing)\nstep(thing=torch.optim.SGD(p))", "thing",
         Kind.OPTIMIZER),
        ("import torch\nfrom accelerate import Accelerator\nacc = Accelerator()\nm, thing = acc.prepare(a, "
         "torch.optim.SGD(p))\nuse(thing)", "thing", Kind.OPTIMIZER),
        ("import torch\nclass Net(torch.nn.Module): pass\nthing = Net().cuda().eval()\nuse(thing)", "thing",
         Kind.MODEL),
        ("import torch\nclass Base(torch.nn.Module): pass\nclass Net(Base): pass\nthing = Net()\nuse(thing)", "thing",
         Kind.MODEL),
        ("import torch\nthing = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))\nuse(thing)", "thing",
         Kind.MODEL),
        ("import torch\ndef f(thing: torch.optim.Optimizer):\n    use(thing)", "thing", Kind.OPTIMIZER),
        ("for thing in [1]:\n    use(thing)", "thing", Kind.NUMBER),
        ("thing = unknown()\nthing.zero_grad()\nthing.step()\nuse(thing)", "thing", Kind.OPTIMIZER),
        ("optimizer = unknown()\nuse(optimizer)", "optimizer", Kind.OPTIMIZER),
        ("optimizer = 'sgd'\nuse(optimizer)", "optimizer", Kind.TEXT),
        ("thing = unknown()\nuse(thing)", "thing", Kind.UNKNOWN),
    ],
)  # fmt: skip
def test_the_kind_of_object_a_name_holds(text: str, name: str, kind: Kind) -> None:
    code = Code(text)

    assert code.kind(name_at(code, name)) is kind


def test_an_attribute_holds_what_init_assigned() -> None:
    code = code_of(
        """
        import torch
        class Trainer:
            def __init__(self, model):
                self.model = model
                self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            def step(self):
                self.optimizer.step()
        """
    )

    value = code.values.only(attribute_at(code, "optimizer"))

    assert (value.kind, value.origin) == (Kind.OPTIMIZER, "torch.optim.SGD")


def test_a_wrapped_model_is_still_the_model_and_remembers_its_wrapper() -> None:
    code = code_of(
        """
        import torch
        model = torch.nn.Linear(1, 1)
        model = torch.nn.parallel.DistributedDataParallel(model)
        use(model)
        """
    )

    value = code.values.only(name_at(code, "model"))

    assert value.origin == "torch.nn.Linear"
    assert value.wrappers == ("torch.nn.parallel.DistributedDataParallel",)


def test_aliases_and_prepared_objects_are_the_same_subject() -> None:
    code = code_of(
        """
        first = make()
        second = first
        third = accelerator.prepare(second)
        use(first, third.module)
        """
    )
    use = next(each for each in code.tree.all(ast.Call) if isinstance(each.func, ast.Name) and each.func.id == "use")

    assert code.values.subject(use.args[0]) == code.values.subject(use.args[1]) is not None


# -- flow: what happens, in which order, on which paths -------------------------------------------------------


def test_local_calls_methods_and_closures_are_followed_in_order() -> None:
    code = code_of(
        """
        import torch
        class Trainer:
            def __init__(self, model):
                self.model = model
                self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            def clear(self):
                self.optimizer.zero_grad()
            def train_one_epoch(self, loader):
                def update(loss):
                    loss.backward()
                    self.optimizer.step()
                for batch in loader:
                    self.clear()
                    update(self.model(batch))
        def main(model, loader):
            trainer = Trainer(model)
            for epoch in range(3):
                trainer.train_one_epoch(loader)
        if __name__ == "__main__":
            main(make_model(), make_loader())
        """
    )
    flow = code.flows[0]

    assert acts(flow) == ["ZERO_GRAD", "FORWARD", "BACKWARD", "STEP"]
    step = flow.of(Act.STEP)[0]
    assert [type(loop.target).__name__ for loop in step.loops] == ["Name", "Name"]  # type: ignore[union-attr]
    assert step.subject == flow.of(Act.ZERO_GRAD)[0].subject


def test_parameters_stand_for_what_the_caller_gave() -> None:
    code = code_of(
        """
        import torch
        def step_all(first, second):
            first.step()
            second.step()
        a = torch.optim.SGD(p)
        b = torch.optim.Adam(q)
        step_all(b, a)
        """
    )
    subjects = [each.subject[2] for each in code.flows[0].of(Act.STEP)]  # type: ignore[index]

    assert subjects == ["b", "a"]


@pytest.mark.parametrize(
    ("body", "clears"),
    [
        ("o.zero_grad()\n    loss.backward()\n    o.step()", True),
        ("loss.backward()\n    o.step()", False),
        ("loss.backward()\n    o.step()\n    if i % 2: o.zero_grad()", False),
        ("loss.backward()\n    if i % 2: o.step()\n    if i % 2: o.zero_grad()", True),
        ("loss.backward()\n    if i % 2: o.step()\n    if not i % 2: o.zero_grad()", False),
        ("loss.backward()\n    if i % 2:\n        o.step()\n        i = 3\n    if i % 2: o.zero_grad()", False),
        ("if bad: continue\n    loss.backward()\n    o.step()\n    o.zero_grad()", True),
        ("loss.backward()\n    o.step()\n    if bad: continue\n    o.zero_grad()", False),
        ("try:\n        loss.backward()\n        o.step()\n    finally:\n        o.zero_grad()", True),
        ("loss.backward()\n    o.step()\n    for g in groups:\n        o.zero_grad()", True),
        ("loss.backward()\n    o.step()\n    while more():\n        o.zero_grad()", True),
        ("o.step(lambda: 0)\n    loss.backward()", False),
    ],
)
def test_whether_every_way_from_a_step_to_the_next_backward_clears_the_gradients(body: str, clears: bool) -> None:
    code = Code(f"import torch\no = torch.optim.SGD(p)\nfor i, batch in enumerate(loader):\n    {body}\n")
    flow = code.flows[0]
    step = flow.of(Act.STEP)[0]

    uncleared = flow.reaches(
        step, lambda event: event.act is Act.BACKWARD, avoiding=lambda event: event.act is Act.ZERO_GRAD
    )

    assert uncleared is not clears


@pytest.mark.parametrize("tests", [2, 40])
def test_a_question_with_too_many_paths_is_undecided_and_its_detectors_are_silent(tests: int) -> None:
    switches = "".join(f"    if f{i}: model.train()\n" for i in range(tests))
    text = (
        "import torch\nmodel = torch.nn.Dropout()\no = torch.optim.SGD(model.parameters())\n"
        "for i, batch in enumerate(loader):\n    loss = model(batch)\n    loss.backward()\n"
        f"    if i % 2: o.step()\n{switches * 2}    if i % 2: o.zero_grad()\n"
    )
    (flow,) = Code(text).flows
    step = flow.of(Act.STEP)[0]

    def is_uncleared() -> bool:
        return flow.reaches(
            step, lambda event: event.act is Act.BACKWARD, avoiding=lambda event: event.act is Act.ZERO_GRAD
        )

    if tests > 10:
        with pytest.raises(Undecided):
            is_uncleared()
    else:
        assert not is_uncleared()
    assert analyse(text, "train.py", rules={"missing-zero-grad"}) == Analysis()


def test_what_is_below_a_node_is_what_a_walk_finds() -> None:
    text = """def step(x, y):
    if x < 3 < y and x in (1, 2) and x is not None:
        return [a for a in y if a < x or a > 2]
    while x < y:
        x, y = f(x < 2, lambda b: b < y), -y
"""
    tree = Tree(text)
    operators = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)

    for node in ast.walk(tree.module):
        if not isinstance(node, operators):
            walked = {each for each in ast.walk(node) if not isinstance(each, operators)}
            assert set(tree.below(node)) == walked


def test_regions_come_from_with_blocks_decorators_context_managers_and_wrappers() -> None:
    code = code_of(
        """
        import contextlib
        import torch
        @contextlib.contextmanager
        def quietly():
            with torch.no_grad():
                yield
        def without_gradients(function):
            def wrapper(*args):
                with torch.inference_mode():
                    return function(*args)
            return wrapper
        @torch.no_grad()
        def first(model): return model(1)
        @without_gradients
        def second(model): return model(2)
        def third(model):
            with quietly():
                return model(3)
        def fourth(model):
            with torch.no_grad(), torch.enable_grad():
                return model(4)
        model = torch.nn.Linear(1, 1)
        first(model); second(model); third(model); fourth(model)
        """
    )
    forwards = code.flows[0].of(Act.FORWARD)

    assert [each.within(Region.NO_GRAD) for each in forwards] == [True, True, True, False]


def test_an_optimizer_closure_runs_inside_its_step() -> None:
    code = code_of(
        """
        import torch
        optimizer = torch.optim.LBFGS(model.parameters())
        for batch in loader:
            def closure():
                optimizer.zero_grad()
                loss = model(batch)
                loss.backward()
                return loss
            optimizer.step(closure)
        """
    )

    assert acts(code.flows[0]) == ["ZERO_GRAD", "FORWARD", "BACKWARD", "STEP"]


def test_partial_functions_and_recursion_end() -> None:
    code = code_of(
        """
        import functools
        import torch
        def update(optimizer, loss):
            loss.backward()
            optimizer.step()
            if retry:
                update(optimizer, loss)
        optimizer = torch.optim.SGD(p)
        once = functools.partial(update, optimizer)
        for batch in loader:
            once(model(batch))
        """
    )

    flow = code.flows[0]

    assert acts(flow) == ["FORWARD", "BACKWARD", "STEP"]
    assert flow.of(Act.STEP)[0].subject == ("name", code.tree.module, "optimizer")


def test_code_out_of_sight_says_what_it_is_given() -> None:
    code = code_of(
        """
        import torch
        from steps import prepare
        optimizer = torch.optim.SGD(p)
        for batch in loader:
            prepare(optimizer)
            loss.backward()
            optimizer.step()
        """
    )
    flow = code.flows[0]
    subject = flow.of(Act.STEP)[0].subject

    assert [each.line for each in flow.of(Act.OPAQUE) if each.may_touch(subject)] == [6]


# -- training steps and passes --------------------------------------------------------------------------------


def test_each_optimizer_of_a_gan_has_its_own_step() -> None:
    code = code_of(
        """
        import torch
        opt_g = torch.optim.Adam(generator.parameters())
        opt_d = torch.optim.Adam(discriminator.parameters())
        for real in loader:
            opt_d.zero_grad()
            d_loss = discriminator(real).mean()
            d_loss.backward()
            opt_d.step()
            opt_g.zero_grad()
            g_loss = discriminator(generator(noise)).mean()
            g_loss.backward()
            opt_g.step()
        """
    )

    assert [code.name(each.step.target) for each in code.training_steps] == ["opt_d", "opt_g"]


def test_a_validation_is_told_from_training_and_its_mode_is_known() -> None:
    code = code_of(
        """
        import torch
        def validate(model, loader):
            model.eval()
            with torch.no_grad():
                for batch in loader:
                    total += model(batch)
        def main(model, train_loader, val_loader):
            optimizer = torch.optim.SGD(model.parameters())
            for batch in train_loader:
                model(batch).backward()
                optimizer.step()
            validate(model, val_loader)
        main(model, a, b)
        """
    )
    evaluations = code.passes.evaluations

    assert [each.forward.line for each in evaluations] == [7]
    assert code.passes.is_in_eval_mode(evaluations[0].flow, evaluations[0].forward)
    assert [each.line for each in code.passes.trained(code.flows[0])] == [11]


def test_an_optimizer_steps_its_model_where_no_forward_call_is_in_sight() -> None:
    code = code_of(
        """
        import torch
        def train(net, head, loader, losses):
            optimizer = torch.optim.SGD(net.parameters())
            head_optimizer = torch.optim.SGD(head.parameters())
            for batch in loader:
                losses.of(batch).backward()
                optimizer.step()
            for batch in loader:
                head(batch).mean().backward()
                head_optimizer.step()
        """
    )
    trainings = code.passes.trainings(next(each for each in code.flows if each.root is not None))

    assert [(each.event.act, each.event.line) for each in trainings] == [(Act.FORWARD, 10), (Act.STEP, 8)]


def test_what_a_call_of_a_property_runs_is_what_the_property_returns() -> None:
    code = code_of(
        """
        class Runner:
            @property
            def current_model(self):
                return self.wrapped
            def validate(self, loader):
                self.current_model.eval()
                for batch in loader:
                    self.current_model(batch)
        """
    )

    assert [acts(each) for each in code.flows if each.root is not None] == [["EVAL_MODE", "FORWARD"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"train"', ["FORWARD", "BACKWARD", "STEP"]),
        ('"val"', ["EVAL_MODE", "FORWARD"]),
        ("split", ["EVAL_MODE", "FORWARD", "BACKWARD", "STEP"]),
    ],
)
def test_a_word_that_a_call_is_told_decides_its_branches(given: str, expected: list[str]) -> None:
    code = code_of(
        f"""
        import torch
        def run(model, optimizer, batch, split):
            if split in ("val", "test"):
                model.eval()
            loss = model(batch).mean()
            if split == "train":
                loss.backward()
                optimizer.step()
        def main(model, batch, split):
            run(model, torch.optim.SGD(model.parameters()), batch, {given})
        """
    )
    flow = next(each for each in code.flows if each.root is not None and each.root.name == "main")

    assert acts(flow) == expected


def test_a_mode_may_be_set_through_an_attribute() -> None:
    code = code_of(
        """
        def evaluate(model, batch):
            model.training = False
            return model(batch).argmax()
        """
    )
    (flow,) = (each for each in code.flows if each.root is not None)

    assert acts(flow) == ["SOME_MODE", "FORWARD"]


def test_whether_a_model_depends_on_the_mode() -> None:
    code = code_of(
        """
        import torch
        from torch import nn
        from elsewhere import Block
        class Plain(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(1, 1)
        class Dropping(nn.Module):
            def __init__(self):
                self.layer = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.1))
        class Recurrent(nn.Module):
            def __init__(self):
                self.rnn = nn.LSTM(1, 1, num_layers=2, dropout=0.5)
        class OfOneLayer(nn.Module):
            def __init__(self):
                self.rnn = nn.LSTM(1, 1, dropout=0.5)
        class Mixed(nn.Module):
            def __init__(self):
                self.layer = Block()
        use(Plain(), Dropping(), Recurrent(), OfOneLayer(), Mixed())
        """
    )
    use = next(each for each in code.tree.all(ast.Call) if isinstance(each.func, ast.Name) and each.func.id == "use")

    assert [code.modes.depends(each) for each in use.args] == [False, True, True, False, None]


# -- mending --------------------------------------------------------------------------------------------------


def test_changes_keep_everything_outside_them() -> None:
    text = "x = load(  'ä',  # why\n    a=1)  # end\ny = 2\n"
    code = Code(text)
    call = next(code.tree.all(ast.Call))

    problem = code.problem(call, "…", fix=[code.source.set_keyword(call, "weights_only", "True")])

    assert problem.good == "x = load(  'ä',  # why\n    a=1,\n    weights_only=True)  # end"


def test_a_block_is_indented_without_touching_its_strings() -> None:
    text = 'for x in y:\n    s = """\nkeep\n"""\n    model(x)\n'
    code = Code(text)
    loop = code.tree.module.body[0]

    changes = code.source.indent_block([loop], "with torch.no_grad():")

    assert code.source.changed(1, 5, changes).split("\n") == [
        "with torch.no_grad():",
        "    for x in y:",
        '        s = """',
        "keep",
        '"""',
        "        model(x)",
    ]


# -- the repository around the file ---------------------------------------------------------------------------


class Snapshot(dict[str, str]):
    """A repository of some files."""

    def read(self, path: str) -> str | None:
        return self.get(path)


TRAIN = """
import torch
from {module} import validate

def main(model, train_loader, val_loader):
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    for batch in train_loader:
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
        validate(model, val_loader)
"""
VALIDATE = """
import torch

@torch.no_grad()
def validate(net, loader):
    net.eval()
    return [net(batch) for batch in loader]
"""


@pytest.mark.parametrize(
    ("path", "module", "at"),
    [
        ("train.py", "engine", "engine.py"),
        ("project/train.py", "engine", "project/engine.py"),
        ("project/train.py", ".engine", "project/engine.py"),
        ("project/bin/train.py", "..engine", "project/engine.py"),
        ("src/project/bin/train.py", "project.engine", "src/project/engine.py"),
        ("train.py", "engine", "engine/__init__.py"),
    ],
)
def test_imported_functions_of_the_repository_are_followed(path: str, module: str, at: str) -> None:
    code = Code(TRAIN.format(module=module), path, Snapshot({at: VALIDATE}))
    flow = code.flows[-1]

    imported = [each for each in flow.events if each.is_imported and each.act is Act.EVAL_MODE]

    assert [(each.line, each.subject) for each in imported] == [(12, flow.of(Act.FORWARD)[0].subject)]


def test_events_of_imported_functions_are_for_their_own_file_to_report() -> None:
    code = Code(TRAIN.format(module="engine"), "train.py", Snapshot({"engine.py": VALIDATE}))

    assert [each.line for each in code.flows[-1].of(Act.FORWARD)] == [10]
    assert code.passes.evaluations == []


def test_a_module_that_is_absent_broken_or_has_no_such_function_stays_out_of_sight() -> None:
    for files in ({}, {"engine.py": "def validate(:"}, {"engine.py": "def other(model):\n    model.eval()\n"}):
        code = Code(TRAIN.format(module="engine"), "train.py", Snapshot(files))

        assert [each.line for each in code.flows[-1].of(Act.OPAQUE)][-1] == 12


def test_modules_that_import_each_other_end() -> None:
    text = "from b import f\nimport torch\ndef g(model):\n    model.eval()\n    f(model)\n"
    other = "from a import g\nimport torch\ndef f(model):\n    model.train()\n    g(model)\n"

    assert Code(text, "a.py", Snapshot({"a.py": text, "b.py": other})).flows


NETWORK = """
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("imports", "made", "files"),
    [
        ("from models.net import Net", "Net()", {"models/net.py": NETWORK}),
        ("from models import net", "net.Net()", {"models/net.py": NETWORK}),
        ("import models.net", "models.net.Net()", {"models/net.py": NETWORK}),
        ("from models import Net", "Net()", {"models/__init__.py": "from .net import Net", "models/net.py": NETWORK}),
        ("from models import Net", "Net()", {"models/__init__.py": "from .net import *", "models/net.py": NETWORK}),
        (
            "from big import Big",
            "Big()",
            {"big.py": "from small import Net\nclass Big(Net):\n    pass", "small.py": NETWORK},
        ),
        (
            "from factory import build",
            "build('net')",
            {"factory.py": "from small import Net\ndef build(name):\n    return Net()", "small.py": NETWORK},
        ),
    ],
)
def test_models_of_other_files_are_models(imports: str, made: str, files: dict[str, str]) -> None:
    code = Code(f"{imports}\nthing = {made}\nprint(thing)", "train.py", Snapshot(files))

    assert code.values.only(name_at(code, "thing")).kind is Kind.MODEL


def test_modules_that_import_from_each_other_end() -> None:
    files = {"a.py": "from b import Net", "b.py": "from a import Net"}
    code = Code("from a import Net\nmodel = Net()", "train.py", Snapshot(files))

    assert code.values.only(code.tree.module.body[1].value).kind is Kind.UNKNOWN  # type: ignore[attr-defined]


BASE = """
class BaseTrainer:
    def prepare(self):
        self.model.train()

    def fit(self, loader):
        for batch in loader:
            self.prepare()
            self.train_batch(batch)
"""
TRAINER = """
from base import BaseTrainer

class Trainer(BaseTrainer):
    def train_batch(self, batch):
        self.optimizer.zero_grad()
        self.model(batch).mean().backward()
        self.optimizer.step()

    def run(self, loader):
        self.fit(loader)
        self.model.eval()
"""


def test_methods_of_a_base_class_elsewhere_act_on_the_same_object_and_call_what_overrides_them() -> None:
    code = Code(TRAINER, "trainer.py", Snapshot({"base.py": BASE}))
    flow = next(each for each in code.flows if each.root is not None and each.root.name == "run")
    switches = {each.subject for each in flow.events if each.act in (Act.TRAIN_MODE, Act.EVAL_MODE)}

    assert acts(flow) == ["TRAIN_MODE", "ZERO_GRAD", "FORWARD", "BACKWARD", "STEP", "EVAL_MODE"]
    assert len(switches) == 1
