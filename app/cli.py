"""The command line: `mlstaff check PATH…`, `mlstaff review --base REF`, `mlstaff explain RULE`, the server.

Exit codes: 0 clean, 1 findings of the `--fail-on` tier or above, 2 bad usage. A command imports what only it
needs inside its function: `check` runs in editors and commit hooks, where half a second of importing a web
server and a queue would be most of its time.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.formats import Format, Outcome, rendered
from app.local.cache import Cache
from app.review.find import FileReport
from app.review.options import FailOn, Options
from detectors import Tier

cli = typer.Typer(
    name="mlstaff",
    help="Reviews machine-learning code the way a staff engineer would.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


FormatOption = Annotated[Format, typer.Option("--format", help="How to print the findings.")]
FailOnOption = Annotated[
    FailOn | None, typer.Option(help="Exit with 1 for findings of this tier or above [default: bug].")
]
ConfigOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Another file than .mlstaff.yml of this folder.")
]
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
    fail_on: FailOnOption = None,
    config: ConfigOption = None,
    baseline: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Leave out what this file remembers.")
    ] = None,
    jobs: JobsOption = 0,
    cache_dir: Annotated[Path | None, typer.Option(help="Where reports are kept.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep reports.")] = False,
) -> None:
    """Check whole files, folders with everything below them."""
    from app.local.check import check as check_files

    cache = None if no_cache else Cache(cache_dir or _default_cache())
    reports = check_files(paths, jobs=jobs or _cores(), cache=cache)
    _finish(_without(baseline, reports), format, fail_on, _config_file(config, Path()))


@cli.command()
def review(
    base: Annotated[str | None, typer.Option(help="Review what changed since this revision.")] = None,
    diff: Annotated[str | None, typer.Option(help="Review this unified diff; `-` reads it from the input.")] = None,
    root: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The repository's folder.")] = Path(),
    format: FormatOption = Format.TEXT,
    fail_on: FailOnOption = None,
    config: ConfigOption = None,
    whole_file: Annotated[bool, typer.Option("--all", help="Also what was there before the change.")] = False,
) -> None:
    """Review a change: only what it brings is said, as on a pull request."""
    from app.diff import parse
    from app.local.change import local_reports
    from app.local.worktree import NoRepository, changes, top_of, with_local_texts

    if (base is None) == (diff is None):
        _usage("give either --base REF or --diff FILE")
    try:
        top = top_of(root) if base else root
        files = changes(top, base) if base else tuple(with_local_texts(parse(_read(diff or "-")), root))
    except NoRepository as error:
        _usage(str(error))
    except OSError as error:
        _usage(f"{diff}: {error.strerror}")
    _finish(local_reports(files, root=top, whole_file=whole_file), format, fail_on, _config_file(config, root))


@cli.command()
def baseline(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders.")],
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path(".mlstaff-baseline.json"),
    jobs: JobsOption = 0,
) -> None:
    """Remember what is found now, so that `check --baseline FILE` says only what is new."""
    from app.local.baseline import baseline_of
    from app.local.check import check as check_files

    reports = check_files(paths, jobs=jobs or _cores(), cache=None)
    output.write_text(baseline_of(reports), encoding="utf-8")
    typer.echo(f"{sum(len(report.findings) for report in reports)} findings are in {output}")


@cli.command("config")
def config_file(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="A .mlstaff.yml.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file instead.")] = False,
) -> None:
    """Validate a configuration: its mistakes with their lines (exit 1), and what holds."""
    import json

    from app.configuration.config import Layer, json_schema, read

    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    reading = read([Layer(str(file), file.read_text("utf-8", "replace"))] if file else [])
    for name, value, origin in reading.effective():
        typer.echo(f"{name}: {json.dumps(value, ensure_ascii=False)}  # {origin}")
    for mistake in reading.mistakes:
        typer.echo(str(mistake), err=True)
    raise typer.Exit(1 if reading.mistakes else 0)


def _read(file: str) -> str:
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    return content.decode("utf-8", "replace")


@cli.command()
def rules() -> None:
    """List the rules, by family."""
    from app.local.rules import listing

    typer.echo(listing())


@cli.command()
def explain(rule: str) -> None:
    """Print a rule's page: why it matters, a wrong and a right example, where the facts come from."""
    from app.local.rules import UnknownRule, page

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


@cli.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look for what would keep a pull request from being reviewed, and say what to do; exit 1 where something would."""
    import asyncio

    from pydantic import ValidationError

    from app.doctor import examination, line
    from app.logs import Redaction
    from app.settings import Settings

    try:
        settings = Settings()  # type: ignore[call-arg]  # pydantic fills it from the environment
    except ValidationError as error:
        lines, redact = examination.unusable(error), Redaction()
    else:
        lines, redact = asyncio.run(examination.examined(settings)), Redaction.of(settings)
    typer.echo(line.as_json(lines, redact) if as_json else line.as_text(lines, redact))
    raise typer.Exit(line.exit_status(lines))


@cli.command("jobs")
def list_jobs(
    retry: Annotated[str, typer.Option(metavar="DELIVERY", help="Have this dead letter done after all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what waits, what runs and what was given up, or retry one that was given up."""
    import asyncio

    from app.job_list import NoStore, UnknownDelivery, listed, retried
    from app.settings import Settings

    settings = Settings()  # type: ignore[call-arg]  # pydantic fills it from the environment
    try:
        typer.echo(asyncio.run(retried(settings, retry) if retry else listed(settings, as_json=as_json)))
    except (NoStore, UnknownDelivery) as error:
        typer.echo(f"mlstaff: {error}", err=True)
        raise typer.Exit(1) from None


def _finish(reports: tuple[FileReport, ...], format: Format, fail_on: FailOn | None, config: Path | None) -> NoReturn:
    """Prints the reports as the configuration wants them, and ends with the exit code."""
    limit = FailOn.BUG
    if config is not None:
        from app.configuration.config import Layer, read

        reading = read([Layer(str(config), config.read_text("utf-8", "replace"))])
        for mistake in reading.mistakes:
            typer.echo(str(mistake), err=True)
        reports = tuple(reading.config.applied(report) for report in reports)
        limit = FailOn(reading.config.fail_on)
    sys.stdout.write(rendered(Outcome(reports, Options(), colour=_wants_colour()), format))
    sys.stdout.flush()
    raise typer.Exit(1 if _fails(reports, fail_on or limit) else 0)


def _fails(reports: tuple[FileReport, ...], fail_on: FailOn) -> bool:
    tiers = {finding.tier for report in reports for finding in report.findings}
    return fail_on is not FailOn.NEVER and any(tier.rank <= Tier(fail_on).rank for tier in tiers)


def _config_file(given: Path | None, folder: Path) -> Path | None:
    """The file that was named, else the repository's own where there is one."""
    own = (folder / name for name in (".mlstaff.yml", ".github/mlstaff.yml"))
    return given or next((file for file in own if file.is_file()), None)


def _without(baseline: Path | None, reports: tuple[FileReport, ...]) -> tuple[FileReport, ...]:
    if baseline is None:
        return reports
    from app.local.baseline import BrokenBaseline, without

    try:
        return without(baseline.read_text("utf-8", "replace"), reports)
    except BrokenBaseline as error:
        _usage(f"{baseline}: {error}")


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
