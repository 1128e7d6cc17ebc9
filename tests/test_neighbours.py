"""Which files of a repository are worth one more call, and which is which side's."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.neighbours import MOST_MODULES, MOST_PATHS, paths_to_ask
from app.pull_request import ChangedFile, Status
from app.surroundings import imported_texts, sides_of
from detectors import imported_modules, module_paths
from tests.changes import changed, pull_request

TRAINS = "loss.backward()\n"


def added(text: str, path: str = "train.py") -> ChangedFile:
    return ChangedFile(path, None, Status.ADDED, (), head=text)


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import a.b as c, d", ["a.b", "d"]),
        ("from . import x, y as z", [".", ".x", ".y"]),
        ("from .m import (f,  # one\n    g,\n)", [".m", ".m.f", ".m.g"]),
        ("    from ..u import *", ["..u"]),
        ("# import a\ntext = 'from b'\nimportant = 1", []),
    ],
)
def test_the_modules_that_a_text_imports(text: str, modules: list[str]) -> None:
    assert list(imported_modules(text)) == modules


def test_a_module_is_looked_for_from_the_file_upward_and_under_src() -> None:
    assert list(module_paths("a.b", "x/t.py"))[:4] == ["x/a/b.py", "x/a/b/__init__.py", "a/b.py", "a/b/__init__.py"]
    assert "src/a/b.py" in module_paths("a.b", "x/t.py")
    assert list(module_paths("..c", "x/y/t.py")) == ["x/c.py", "x/c/__init__.py"]
    assert list(module_paths("...c", "x/t.py")) == []
    assert list(module_paths("a", "/r/t.py"))[:2] == ["/r/a.py", "/r/a/__init__.py"]
    assert "a.py" not in module_paths("a", "../t.py")


def test_nothing_is_asked_for_where_nothing_can_matter() -> None:
    assert paths_to_ask([added("import helper\nprint(helper.x())\n")], {}) == ()
    assert paths_to_ask([added(f"import os, torch, yaml, torch_scatter\n{TRAINS}")], {}) == ()
    assert paths_to_ask([added(f"from helper import clear\n{TRAINS}")], {"helper.py": ""}) == ()


def test_a_name_is_looked_for_as_a_module_where_it_is_used_as_one() -> None:
    asked = paths_to_ask([added(f"from . import engine, Net\nengine.run()\nNet()\n{TRAINS}", "a/train.py")], {})

    assert "a/engine.py" in asked
    assert "a/Net.py" not in asked


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            added,
            st.sampled_from(
                [f"from b.c import d\n{TRAINS}", f"from ..e import (f\n{TRAINS}", f"import a, .\n{TRAINS}", "x"]
            ),
            st.sampled_from(["t.py", "a/t.py", "x/y/z/t.py", "a/b/c/d/e/f/g/t.py"]),
        ),
        max_size=40,
    )
)
def test_one_call_is_enough_for_any_change(files: list[ChangedFile]) -> None:
    asked = paths_to_ask(files, {})

    assert len(asked) <= MOST_PATHS
    assert len(set(asked)) == len(asked)


def test_no_more_modules_than_twenty() -> None:
    text = TRAINS + "".join(f"from .m{n} import f\n" for n in range(50))

    assert len({path for path in paths_to_ask([added(text)], {}) if not path.endswith("__init__.py")}) == MOST_MODULES


def test_imports_are_followed_to_what_they_import() -> None:
    files = {"a.py": "from b import x", "b.py": "from c import y", "c.py": "", "d.py": ""}

    assert list(imported_texts("train.py", "from a import z", files)) == ["a.py", "b.py", "c.py"]


def test_each_side_has_its_own_texts_and_nothing_of_the_other() -> None:
    request = pull_request(
        changed("old\n", "new\n", "a.py"),
        added("added\n", "b.py"),
        ChangedFile("moved.py", "c.py", Status.RENAMED, (), head="x", base="x"),
        ChangedFile("d.py", None, Status.REMOVED, (), base="gone\n"),
        ChangedFile("e.py", None, Status.MODIFIED, (), unread="binary"),
    )
    sides = sides_of(request)

    assert sides.head == {"a.py": "new\n", "b.py": "added\n", "moved.py": "x"}
    assert sides.base == {"a.py": "old\n", "c.py": "x", "d.py": "gone\n"}
