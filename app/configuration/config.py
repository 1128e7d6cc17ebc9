"""`.mlstaff.yml`: what a repository decides. A mistake is named with its line, and costs only itself.

Layers lie over each other: the repository's file (of the base branch: a pull request must not choose its own
rules), the organisation's, the defaults here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.configuration.yaml_lines import BrokenYaml, Document, load
from app.review.find import FileReport
from app.review.options import FailOn, Options
from detectors import Finding, Tier, all_detectors

DEFAULTS = "the defaults"


class Permission(StrEnum):
    """Who may give a command; each includes those below it."""

    AUTHOR = "author"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rules(_Part):
    """Which rules speak. A pattern is a rule's name, `family/*`, or either with `*`."""

    select: tuple[str, ...] = Field(default=("*",), description="Only these rules speak")
    ignore: tuple[str, ...] = Field(default=(), description="These do not")
    tiers: dict[str, Tier] = Field(default={}, description="Rules whose findings count as another tier")


class Override(_Part):
    """Another decision for some paths."""

    paths: tuple[str, ...] = Field(description="Patterns; `*` also crosses folders, a folder means all in it")
    ignore: tuple[str, ...] = Field(default=(), description="Rules that do not speak there")
    tiers: dict[str, Tier] = Field(default={}, description="Rules whose findings count as another tier there")


class Config(_Part):
    """The whole file."""

    rules: Rules = Field(default=Rules(), description="Which rules speak, and as which tier")
    ignore_paths: tuple[str, ...] = Field(default=(), description="Files that are not reviewed")
    overrides: tuple[Override, ...] = Field(default=(), description="Other decisions for some paths")
    inline: tuple[Tier, ...] = Field(default=(Tier.BUG, Tier.RISK), description="Tiers shown beside the code")
    fail_on: FailOn = Field(default=FailOn.BUG, description="The mildest tier that fails the check")
    drafts: bool = Field(default=False, description="Whether drafts are reviewed")
    comments: int = Field(default=20, ge=0, le=30, description="Most comments beside the code in one review")
    comments_per_rule: int = Field(default=5, ge=1, le=30, description="Most of them by one rule")
    commands: dict[str, Permission] = Field(default={}, description="Who may give a command, by its name")

    def options(self, operator: Options) -> Options:
        """The operator's options with what the repository decides."""
        return replace(
            operator,
            budget=self.comments,
            per_rule=self.comments_per_rule,
            inline=frozenset(self.inline),
            fail_on=None if self.fail_on is FailOn.NEVER else Tier(self.fail_on),
        )

    def reads(self, path: str) -> bool:
        """Whether a file is reviewed."""
        return not _is_one_of(path, self.ignore_paths)

    def applied(self, report: FileReport) -> FileReport:
        """The report with only the findings that are wanted, in the tiers that are wanted."""
        if not self.reads(report.path):
            return FileReport(report.path)
        findings = (self._applied(report.path, finding) for finding in report.findings)
        return replace(report, findings=tuple(each for each in findings if each is not None))

    def _applied(self, path: str, finding: Finding) -> Finding | None:
        rules = self.rules
        if not _names(rules.select, finding.rule) or _names(rules.ignore, finding.rule):
            return None
        tiers = dict(rules.tiers)
        for override in self.overrides:
            if _is_one_of(path, override.paths):
                if _names(override.ignore, finding.rule):
                    return None
                tiers |= override.tiers
        tier = [each for pattern, each in tiers.items() if _names((pattern,), finding.rule)]
        return replace(finding, tier=tier[-1]) if tier else finding


@dataclass(frozen=True, slots=True)
class Layer:
    """One file's text, and what it is called in messages; one with a `problem` decides nothing."""

    path: str
    text: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something a file says that cannot be followed."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What holds, what could not be followed, and which layer each value (`rules.ignore`) comes from."""

    config: Config
    mistakes: tuple[Mistake, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def effective(self) -> list[tuple[str, Any, str]]:
        """Each value by name, with the layer that it comes from."""
        return [
            (name, value, self.origins.get(name, DEFAULTS))
            for name, value in _flat(self.config.model_dump(mode="json"))
        ]


def read(layers: Sequence[Layer]) -> Reading:
    """The layers over the defaults, the first one uppermost."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for layer in reversed(layers):
        good, wrong = _good_part(layer)
        mistakes = [*wrong, *mistakes]
        for name, value in good.items():
            is_part = isinstance(value, dict) and isinstance(merged.get(name), dict)
            merged[name] = merged[name] | value if is_part else value
        origins |= {name: layer.path for name, _ in _flat(good)}
    return Reading(Config.model_validate(merged), tuple(mistakes), origins)


def _flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if name == "rules" and isinstance(value, dict):
            found += [(f"{name}.{inner}", each) for inner, each in value.items()]
        else:
            found.append((name, value))
    return found


def _good_part(layer: Layer) -> tuple[dict[str, Any], list[Mistake]]:
    """What of a file can be followed; each mistake takes only the value it is in."""
    if layer.problem:
        return {}, [Mistake(layer.path, 1, layer.problem)]
    try:
        document = load(layer.text)
    except BrokenYaml as error:
        return {}, [Mistake(layer.path, error.line, f"no valid YAML: {error}")]
    if not isinstance(document.values, dict):
        return {}, [Mistake(layer.path, 1, "it must be a mapping, such as `fail_on: risk`")]
    mistakes: list[Mistake] = []
    while True:
        try:
            config = Config.model_validate(document.values)
        except ValidationError as error:
            mistakes += _removed(error, document, layer.path)
            continue
        mistakes += _unknown_rules(config, document, layer.path)
        return document.values, sorted(mistakes, key=lambda each: each.line)


def _removed(error: ValidationError, document: Document, path: str) -> list[Mistake]:
    mistakes = []
    for each in reversed(error.errors(include_url=False)):
        place = each["loc"] if each["type"] != "missing" else each["loc"][:-1]
        name = ".".join(str(part) for part in each["loc"])
        mistakes.append(Mistake(path, document.line(place), f"{name}: {_words(each['type'], each['msg'])}"))
        _remove(document.values, place)
    return mistakes


def _words(kind: str, message: str) -> str:
    return "is no setting" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


def _remove(values: Any, place: Sequence[str | int]) -> None:
    """Takes the value at a place away; where the place leads nowhere, the nearest thing around it."""
    holder: Any = values
    last = place[0]
    for part in place[1:]:
        inner = holder[last]
        is_inside = part in inner if isinstance(inner, dict) else isinstance(inner, list) and isinstance(part, int)
        if not is_inside:
            break
        holder, last = inner, part
    holder.pop(last)


def _unknown_rules(config: Config, document: Document, path: str) -> list[Mistake]:
    named: list[tuple[Sequence[str | int], str]] = []
    named += [(("rules", "select", number), each) for number, each in enumerate(config.rules.select)]
    named += [(("rules", "ignore", number), each) for number, each in enumerate(config.rules.ignore)]
    named += [(("rules", "tiers", each), each) for each in config.rules.tiers]
    return [
        Mistake(path, document.line(place), f"no rule is called {pattern}")
        for place, pattern in named
        if not any(_names((pattern,), rule) for rule in _families())
    ]


def _names(patterns: Sequence[str], rule: str) -> bool:
    if not patterns:
        return False
    family = _families().get(rule, "")
    return any(fnmatchcase(rule, each) or fnmatchcase(f"{family}/{rule}", each) for each in patterns)


@cache
def _families() -> dict[str, str]:
    return {each.name: each.family for each in all_detectors()}


def _is_one_of(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, each) or fnmatchcase(path, f"{each.rstrip('/')}/*") for each in patterns)


def json_schema() -> dict[str, Any]:
    """The schema that editors complete and check the file by."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()
