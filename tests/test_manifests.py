"""What repositories say of library versions, in every way in which they say it; nothing in a manifest does harm."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.manifests.bounds import bounds
from app.manifests.pins import USUAL, included_paths, is_manifest, pins_of
from detectors import Pin, Versions


def torch(**files: str) -> Pin | None:
    """What the files (`a__b` is a/b, `_txt` is .txt) pin of torch at the top."""
    named = {re.sub(r"_(?=[a-z]+$)", ".", name.replace("__", "/")): text for name, text in files.items()}
    return pins_of(named).at("train.py").pins.get("torch")


def span(pin: Pin | None) -> tuple[object, ...]:
    return () if pin is None else (pin.low, pin.high, pin.is_closed)


@pytest.mark.parametrize(
    ("specifier", "low", "high", "is_closed"),
    [
        ("==2.1.0", (2, 1), (2, 1), True),
        ("==2.1.0+cu118", (2, 1), (2, 1), True),
        ("===2.6.0rc1", (2, 6), (2, 6), True),
        ("==2.1.*", (2, 1), (2, 2), False),
        ("==2.0.*", (2,), (2, 1), False),
        (">=2.0, <3", (2,), (3,), False),
        (">= 2.0", (2,), None, False),
        ("<=2.6", (), (2, 6), True),
        ("!=2.2,>=2.1", (2, 1), None, False),
        ("~=2.1", (2, 1), (3,), False),
        ("~=2.1.3", (2, 1, 3), (2, 2), False),
        ("^2.1", (2, 1), (3,), False),
        ("^0.3.1", (0, 3, 1), (0, 4), False),
        ("~2.1.2", (2, 1, 2), (2, 2), False),
        ("2.1.2", (2, 1, 2), (2, 1, 2), True),
        ("2.*", (2,), (3,), False),
        ("^1.9 || ^2.1", (1, 9), (3,), False),
        ("*", (), None, False),
    ],
)
def test_a_specifier_as_bounds(specifier: str, low: tuple[int, ...], high: tuple[int, ...], is_closed: bool) -> None:
    assert span(bounds(specifier)) == (low, high, is_closed)


def test_condas_single_equals_sign_is_a_family() -> None:
    assert span(bounds("=2.1")) == ((2, 1), (2, 2), False)
    assert span(bounds("2.1", is_bare_exact=False)) == ((2, 1), (2, 2), False)


EXACTLY = ((2, 1), (2, 1), True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "numpy\ntorch==2.1.0  # the one on the cluster\n"),
        ("requirements.txt", 'torch[opt] == 2.1.0 ; python_version > "3.8" \\\n    --hash=sha256:abc\n'),
        (
            "requirements.txt",
            "torch @ https://download.pytorch.org/whl/cu118/torch-2.1.0%2Bcu118-cp310-cp310-linux_x86_64.whl",
        ),
        ("requirements-dev.txt", "torch==2.1"),
        ("requirements/base.txt", "torch==2.1"),
        ("constraints.txt", "TORCH==2.1"),
        ("pyproject.toml", "[project]\ndependencies = ['torch (==2.1)']"),
        ("pyproject.toml", "[project.optional-dependencies]\ntrain = ['torch==2.1']"),
        ("pyproject.toml", "[dependency-groups]\ntrain = ['torch==2.1', {include-group = 'x'}]"),
        ("pyproject.toml", "[tool.poetry.dependencies]\ntorch = '2.1'"),
        ("pyproject.toml", "[tool.poetry.group.train.dependencies]\ntorch = {version = '2.1', source = 'pytorch'}"),
        ("pyproject.toml", "[tool.pdm.dev-dependencies]\ntrain = ['torch==2.1']"),
        ("pyproject.toml", "[tool.hatch.envs.train]\ndependencies = ['torch==2.1']"),
        ("pyproject.toml", "[tool.uv]\nconstraint-dependencies = ['torch==2.1']"),
        ("setup.cfg", "[options]\ninstall_requires =\n    numpy\n    torch==2.1\n"),
        ("setup.cfg", "[options.extras_require]\ntrain = torch==2.1\n"),
        ("setup.py", "from setuptools import setup\n\nsetup(install_requires=['torch==2.1'])"),
        ("setup.py", "NEEDS = ['numpy', 'torch==2.1']\nsetup(install_requires=NEEDS)"),
        ("setup.py", "setup(extras_require={'train': ['torch==2.1']})"),
        ("Pipfile", "[packages]\ntorch = '==2.1'"),
        ("Pipfile.lock", '{"default": {"torch": {"version": "==2.1.0"}, "x": {"git": "y"}}}'),
        ("poetry.lock", '[[package]]\nname = "torch"\nversion = "2.1.0"\n\n[package.dependencies]\nnumpy = "*"\n'),
        ("uv.lock", 'version = 1\n\n[[package]]\nname = "torch"\nversion = "2.1.0"\nsource = { registry = "x" }\n'),
        ("pdm.lock", '[[package]]\nname = "torch"\nversion = "2.1.0"\n'),
        ("environment.yml", "dependencies:\n  - python=3.10\n  - pytorch::pytorch=2.1.0=py3.10_cuda11.8_0\n"),
        ("conda.yaml", "dependencies:\n  - pip:\n    - torch==2.1\n"),
        ("Dockerfile", "RUN apt-get update && \\\n  pip install \\\n    'torch==2.1' numpy && rm -rf x"),
        ("Dockerfile", "FROM pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime\n"),
    ],
)
def test_every_manifest_says_it_in_its_own_way(name: str, text: str) -> None:
    pins = pins_of({name: text})

    pin = pins.at("train.py").pins["torch"]
    assert is_manifest(name)
    assert not pins.broken
    assert span(pin) == EXACTLY
    assert pin.file == name


def test_a_name_without_a_version_says_nothing() -> None:
    assert torch(requirements_txt="torch\ntorch ; x\n", Dockerfile="RUN pip install torch") is None


def test_what_is_locked_wins_over_what_is_asked_for() -> None:
    lock = '[[package]]\nname = "torch"\nversion = "2.1.0"\n'

    assert span(torch(pyproject_toml="[project]\ndependencies = ['torch>=1.9']", uv_lock=lock)) == EXACTLY


def test_what_everybody_gets_wins_over_what_a_test_run_gets() -> None:
    assert span(torch(requirements_txt="torch>=2.6", **{"requirements-oldest_txt": "torch==1.13"})) == (
        (2, 6),
        None,
        False,
    )


def test_two_manifests_of_equal_weight_hold_together() -> None:
    assert span(torch(requirements_txt="torch==2.1", setup_cfg="[options]\ninstall_requires = torch>=1.9")) == EXACTLY


def test_lines_for_several_platforms_leave_everything_between_open() -> None:
    pin = torch(requirements_txt="torch==2.1; sys_platform == 'linux'\ntorch>=2.0; sys_platform == 'darwin'\n")

    assert span(pin) == ((2,), None, False)
    assert span(torch(requirements_txt="torch==2.1", setup_cfg="[options]\ninstall_requires = torch==2.4")) == (
        (2, 1),
        (2, 4),
        True,
    )


def test_includes_are_followed_where_they_are_at_hand() -> None:
    files = {"requirements.txt": "-r deps/core.txt\n-c deps/missing.txt\n", "deps/core.txt": "torch==2.1"}

    assert span(pins_of(files).at("train.py").pins["torch"]) == EXACTLY
    assert included_paths("requirements.txt", files["requirements.txt"]) == ["deps/core.txt", "deps/missing.txt"]
    assert included_paths("requirements.txt", "-r ../../secret.txt\n-r /etc/passwd\n") == []


def test_requirements_that_include_each_other_end() -> None:
    line = "-r requirements.txt\n-r requirements-b.txt\n" * 200

    assert torch(requirements_txt=line, **{"requirements-b_txt": f"{line}torch==2.1"}) is not None


def test_the_nearest_folder_wins_for_each_library() -> None:
    files = {"requirements.txt": "torch==2.1\ntransformers==4.40", "jobs/a/requirements.txt": "torch==2.7"}

    versions = pins_of(files).at("jobs/a/b/train.py")
    assert versions.is_from("torch", "2.6")
    assert versions.is_below("transformers", "5")
    assert pins_of(files).at("jobs/b/train.py").is_below("torch", "2.6")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("pyproject.toml", "[project\n", "no TOML"),
        ("pyproject.toml", "a = " + "[" * 5000, "no TOML"),
        ("Pipfile.lock", "{", "no JSON"),
        ("setup.cfg", "[options\n", "no configuration"),
        ("setup.py", "def setup(:\n", "no Python"),
        ("uv.lock", '<<<<<<< HEAD\n[[package]]\nname = "torch"\n', "merge conflict"),
        ("requirements.txt", "torch==2.0\n=======\n>>>>>>> other\n", "merge conflict"),
    ],
)
def test_a_broken_manifest_is_named_and_costs_only_itself(name: str, text: str, reason: str) -> None:
    pins = pins_of({name: text, "constraints.txt": "torch==2.1"})

    (broken,) = pins.broken
    assert broken.path == name
    assert reason in broken.reason
    assert span(pins.at("train.py").pins["torch"]) == EXACTLY


def test_answers_are_certain_or_none() -> None:
    some = Versions({"torch": Pin((2,), (2, 6), False, "torch>=2.0,<2.6", "setup.py")})

    assert some.is_below("torch", "2.6")
    assert not some.is_below("torch", "2.5")
    assert some.is_from("torch", "2.0")
    assert not some.is_from("torch", "2.1")
    assert some.allows_below("torch", "2.1")
    assert not Versions().is_below("torch", "99")
    assert not Versions().is_from("torch", "0")
    assert not Versions().allows_below("torch", "99")
    with pytest.raises(LookupError, match="LIBRARIES"):
        some.is_below("tensorflow-of-a-typo", "1")


PIECES = st.sampled_from(
    ["torch", "==", ">=2.1", "^", "2.1", ",", "\n", "[", "]", "[[package]]\n", 'name = "torch"\n', 'version = "', '"',
     "{", "}", ":", "-r ", "requirements.txt", "- ", "=", "\\", "[project]\n", "dependencies = ", "'torch>=", "'", "#",
     " @ https://x/torch-", "%2B", "pip install ", "FROM pytorch/pytorch:", "install_requires=", "(", ")", "\0", "٣",
     "[options]\n", "*", "|", "9" * 5000, "!"]
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*USUAL, "requirements-a.txt"]), st.lists(PIECES).map("".join), max_size=4))
@example({"requirements.txt": "torch==" + "9" * 9000})
@settings(max_examples=300)
def test_no_manifest_raises_and_every_pin_can_be_asked(files: dict[str, str]) -> None:
    pins = pins_of(files)

    versions = pins.at("a/b.py")
    assert not (versions.is_below("torch", "2.6") and versions.is_from("torch", "2.6"))
    assert versions.assumed("torch")
    assert {each.path for each in pins.broken} <= files.keys()
