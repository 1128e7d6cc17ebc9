"""What each kind of manifest says, as requirements; nothing here is run or looked up."""

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?\s*(?P<rest>[^;#)]*)")
_WHEEL = re.compile(r"@\s*\S*/[A-Za-z0-9_.]+-(\d[\w.]*)(?:(?:\+|%2B)\w+)?[-.](?:cp|py|tar|zip)")
_LOCKED = re.compile(r"^\[\[package\]\]\r?\n(.*?)(?=^\[|\Z)", re.M | re.S)
_FIELD = re.compile(r'^(name|version) = "([^"]+)"', re.M)
_LISTED = re.compile(
    r"^[ \t]*-[ \t]*[\"']?(?:[\w./-]+::)?([A-Za-z0-9][\w.-]*)(?:\[[^\]\n]*\])?[ \t]*([=<>!~][^#\"'\n]*)", re.M
)
_BUILD = re.compile(r"={1,2}([^=]+)=[^=]+$")
_INSTALL = re.compile(r"\bpip3?[ \t]+install\b([^\n;&|]*)")
_IMAGE = re.compile(r"^FROM[ \t]+\S*pytorch/pytorch:(\d[\d.]*)", re.M | re.I)
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[\s=]*(\S+)")
_CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.M)
_LONGEST = 2_000
"""Characters; a longer line is no requirement."""


class Broken(Exception):
    """The manifest cannot be read; the message says why."""


class Weight(IntEnum):
    """How much a requirement counts: what is locked, what everybody gets, what some extra or test run gets."""

    LOCK = 0
    MAIN = 1
    EXTRA = 2


@dataclass(frozen=True, slots=True)
class Requirement:
    """One library as it is asked for. `is_bare_exact`: a version without an operator is that one version."""

    name: str
    specifier: str
    weight: Weight = Weight.MAIN
    is_bare_exact: bool = True


@dataclass(frozen=True, slots=True)
class Include:
    """Another file whose requirements count as if they stood here; relative to this one's folder."""

    path: str


Statement = Requirement | Include


def requirements_txt(text: str) -> Iterator[Statement]:
    """https://pip.pypa.io/en/stable/reference/requirements-file-format/"""
    _check_conflicts(text)
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        include = _INCLUDE.match(line)
        if include:
            yield Include(include[1])
        elif line and not line.startswith("-") and len(line) < _LONGEST:
            yield from _requirement(re.sub(r"\s--?\w.*", "", line), Weight.MAIN)


def pyproject_toml(text: str) -> Iterator[Statement]:
    """The standard tables, and those of Poetry, PDM, Hatch and uv."""
    document = _toml(text)
    project = _table(document, "project")
    yield from _requirements(project.get("dependencies"), Weight.MAIN)
    for extra in (_table(project, "optional-dependencies"), _table(document, "dependency-groups")):
        for group in extra.values():
            yield from _requirements(group, Weight.EXTRA)
    poetry = _table(document, "tool", "poetry")
    yield from _poetry(_table(poetry, "dependencies"), Weight.MAIN)
    yield from _poetry(_table(poetry, "dev-dependencies"), Weight.EXTRA)
    for name in _table(poetry, "group"):
        yield from _poetry(_table(poetry, "group", name, "dependencies"), Weight.EXTRA)
    for group in _table(document, "tool", "pdm", "dev-dependencies").values():
        yield from _requirements(group, Weight.EXTRA)
    for name in _table(document, "tool", "hatch", "envs"):
        environment = _table(document, "tool", "hatch", "envs", name)
        for key in ("dependencies", "extra-dependencies"):
            yield from _requirements(environment.get(key), Weight.EXTRA)
    uv = _table(document, "tool", "uv")
    for key in ("constraint-dependencies", "override-dependencies"):
        yield from _requirements(uv.get(key), Weight.MAIN)
    yield from _requirements(uv.get("dev-dependencies"), Weight.EXTRA)


def pipfile(text: str) -> Iterator[Statement]:
    """https://github.com/pypa/pipfile"""
    document = _toml(text)
    yield from _poetry(_table(document, "packages"), Weight.MAIN)
    yield from _poetry(_table(document, "dev-packages"), Weight.EXTRA)


def pipfile_lock(text: str) -> Iterator[Statement]:
    """`default` is what everybody gets, `develop` is more."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Broken(f"it is no JSON: {_short(error)}") from None
    for key, weight in (("default", Weight.LOCK), ("develop", Weight.EXTRA)):
        for name, entry in _table(document, key).items():
            version = entry.get("version") if isinstance(entry, dict) else None
            if isinstance(version, str):
                yield Requirement(name, version, weight)


def lock(text: str) -> Iterator[Statement]:
    """The locks of Poetry, uv and PDM: read by their lines, since they are long and written by programs."""
    _check_conflicts(text)
    packages = list(_LOCKED.finditer(text))
    if text.strip() and not packages and "[[package" in text:
        raise Broken("it is no lock file that we know")
    for package in packages:
        fields = dict(_FIELD.findall(package[1]))
        if "name" in fields and "version" in fields:
            yield Requirement(fields["name"], f"=={fields['version']}", Weight.LOCK)


def setup_cfg(text: str) -> Iterator[Statement]:
    """https://setuptools.pypa.io/en/latest/userguide/declarative_config.html"""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError, AttributeError) as error:
        raise Broken(f"it is no configuration: {_short(error)}") from None
    yield from _requirements(parser.get("options", "install_requires", fallback="").splitlines(), Weight.MAIN)
    if parser.has_section("options.extras_require"):
        for _, lines in parser.items("options.extras_require"):
            yield from _requirements(lines.splitlines(), Weight.EXTRA)


def setup_py(text: str) -> Iterator[Statement]:
    """The literal lists given to `install_requires` and `extras_require`, or bound to a name that is."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Broken(f"it is no Python: {_short(error)}") from None
    bound = {
        target.id: each.value
        for each in tree.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    weights = {"install_requires": Weight.MAIN, "extras_require": Weight.EXTRA}
    for keyword in (each for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg in weights):
        value = bound.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value
        lists = value.values if isinstance(value, ast.Dict) else [value]
        for each in lists:
            texts = each.elts if isinstance(each, (ast.List, ast.Tuple)) else []
            yield from _requirements(
                [text.value for text in texts if isinstance(text, ast.Constant)], weights[keyword.arg or ""]
            )


def environment_yml(text: str) -> Iterator[Statement]:
    """The lists of a conda environment, `pip:` included, read by their lines: they have no other shape."""
    for name, specifier in _LISTED.findall(text):
        built = _BUILD.match(specifier.strip())
        named = {"pytorch": "torch", "pytorch-gpu": "torch", "pytorch-cpu": "torch"}.get(name.lower(), name)
        yield Requirement(named, f"=={built[1]}" if built else specifier.strip(), is_bare_exact=False)


def dockerfile(text: str) -> Iterator[Statement]:
    """What its `pip install` lines name, and PyTorch's own images."""
    for line in _INSTALL.findall(re.sub(r"\\\r?\n", " ", text)):
        for token in line.split():
            yield from _requirement(token.strip("\"'"), Weight.EXTRA)
    for version in _IMAGE.findall(text):
        yield Requirement("torch", f"=={version}", Weight.EXTRA)


def _requirements(texts: object, weight: Weight) -> Iterator[Requirement]:
    for text in texts if isinstance(texts, list) else ():
        if isinstance(text, str):
            yield from _requirement(text.strip(), weight)


def _requirement(text: str, weight: Weight) -> Iterator[Requirement]:
    found = _REQUIREMENT.match(text)
    if found is None:
        return
    rest = found["rest"].strip()
    wheel = _WHEEL.match(rest)
    if wheel:
        rest = f"=={wheel[1]}"
    if rest.startswith(("=", "<", ">", "!", "~")):
        yield Requirement(found["name"], rest, weight)


def _poetry(table: Mapping[str, Any], weight: Weight) -> Iterator[Requirement]:
    """`name = "^1"`, `name = {version = "^1"}`, or a list of these for different platforms."""
    for name, value in table.items():
        for each in value if isinstance(value, list) else [value]:
            version = each.get("version") if isinstance(each, dict) else each
            is_extra = isinstance(each, dict) and each.get("optional") is True
            if isinstance(version, str):
                yield Requirement(name, version, Weight.EXTRA if is_extra else weight)


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Broken(f"it is no TOML: {_short(error)}") from None


def _table(document: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _check_conflicts(text: str) -> None:
    if _CONFLICT.search(text):
        raise Broken("it has a merge conflict in it")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
