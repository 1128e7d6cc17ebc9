"""The command line: `mlstaff check PATH…`, `mlstaff review --base REF`, `mlstaff explain RULE`, the server.

Exit codes: 0 clean, 1 findings of the `--fail-on` tier or above, 2 bad usage. A command imports what only it
needs inside its function: `check` runs in editors and commit hooks, where half a second of importing a web
server and a queue would be most of its time.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.cache import Cache
from app.formats import Format, Outcome, rendered
from app.review.find import FileReport
from app.review.options import Options
from detectors import Tier

cli = typer.Typer(
    name="mlstaff",
    help="Reviews machine-learning code the way a staff engineer would.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class FailOn(StrEnum):
    """The mildest tier that makes the exit code 1."""

    BUG = "bug"
    RISK = "risk"
    ADVICE = "advice"
    NEVER = "never"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print the findings.")]
FailOnOption = Annotated[FailOn, typer.Option(help="Exit with 1 for findings of this tier or above.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes; 0: one a core.")]


@cli.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Reviews machine-learning code the way a staff engineer would."""
    if version:
        from app.version import version as installed

        typer.echo(f"mlstaff {installed()}")
        raise typer.Exit


@cli.command()
def check(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders.")],
    format: FormatOption = Format.TEXT,
    fail_on: FailOnOption = FailOn.BUG,
    jobs: JobsOption = 0,
    cache_dir: Annotated[Path | None, typer.Option(help="Where reports are kept.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep reports.")] = False,
) -> None:
    """Check whole files, folders with everything below them."""
    from app.check import check as check_files

    cache = None if no_cache else Cache(cache_dir or _default_cache())
    reports = check_files(paths, jobs=jobs or _cores(), cache=cache)
    _finish(reports, format, fail_on)


@cli.command()
def review(
    base: Annotated[str | None, typer.Option(help="Review what changed since this revision.")] = None,
    diff: Annotated[str | None, typer.Option(help="Review this unified diff; `-` reads it from the input.")] = None,
    root: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The repository's folder.")] = Path(),
    format: FormatOption = Format.TEXT,
    fail_on: FailOnOption = FailOn.BUG,
    whole_file: Annotated[bool, typer.Option("--all", help="Also what was there before the change.")] = False,
) -> None:
    """Review a change: only what it brings is said, as on a pull request."""
    from app.diff import parse
    from app.local_review import local_reports
    from app.worktree import NoRepository, changes, with_local_texts

    if (base is None) == (diff is None):
        _usage("give either --base REF or --diff FILE")
    try:
        files = changes(root, base) if base else tuple(with_local_texts(parse(_read(diff or "-")), root))
    except NoRepository as error:
        _usage(str(error))
    except OSError as error:
        _usage(f"{diff}: {error.strerror}")
    _finish(local_reports(files, whole_file=whole_file), format, fail_on)


def _read(file: str) -> str:
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    return content.decode("utf-8", "replace")


@cli.command()
def rules() -> None:
    """List the rules, by family."""
    from app.rules import listing

    typer.echo(listing())


@cli.command()
def explain(rule: str) -> None:
    """Print a rule's page: why it matters, a wrong and a right example, where the facts come from."""
    from app.rules import UnknownRule, page

    try:
        typer.echo(page(rule))
    except UnknownRule as error:
        _usage(str(error))


@cli.command()
def serve() -> None:
    """Run everything in one: web, worker, and a store of its own unless REDIS_URL names one."""
    from app.serve import serve as run
    from app.settings import Settings

    run(Settings())  # type: ignore[call-arg]  # pydantic fills it from the environment


@cli.command()
def web() -> None:
    """Run only the web half, on a shared store."""
    from app.serve import web as run
    from app.settings import Settings

    run(Settings())  # type: ignore[call-arg]  # pydantic fills it from the environment


@cli.command()
def worker() -> None:
    """Run only the half that reviews, on a shared store."""
    from app.serve import worker as run
    from app.settings import Settings

    run(Settings())  # type: ignore[call-arg]  # pydantic fills it from the environment


def _finish(reports: tuple[FileReport, ...], format: Format, fail_on: FailOn) -> NoReturn:
    sys.stdout.write(rendered(Outcome(reports, Options(), colour=_wants_colour()), format))
    sys.stdout.flush()
    tiers = {finding.tier for report in reports for finding in report.findings}
    failing = fail_on is not FailOn.NEVER and any(tier.rank <= Tier(fail_on).rank for tier in tiers)
    raise typer.Exit(1 if failing else 0)


def _wants_colour() -> bool:
    """https://no-color.org: colour on a terminal, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlstaff"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _usage(message: str) -> NoReturn:
    typer.echo(f"mlstaff: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """The program `mlstaff`. Output is UTF-8 whatever the locale: findings hold ❌, ✅ and strangers' names."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    cli()
