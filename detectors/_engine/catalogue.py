"""The detectors there are: a detector is a file, its name is the file's name, its docstring is its page."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property

from detectors._engine.code import Code
from detectors._engine.flow.paths import Undecided
from detectors._engine.source.finding import Finding, Tier
from detectors._engine.source.problems import Problem
from detectors._engine.source.words import Words

FAMILIES = ("data", "training", "performance", "distributed", "production", "llm")
_BLOCK = re.compile(r"^(?P<mark>[❌✅])\n```python\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Page:
    """A detector's docstring: a title line, why it matters, a ❌ and a ✅ example, links."""

    text: str

    @property
    def title(self) -> str:
        """The first line."""
        return self.text.partition("\n")[0]

    @property
    def why(self) -> str:
        """The text between the title and the first example."""
        return self.text.partition("\n")[2].partition("\n❌")[0].strip()

    def _example(self, mark: str) -> str:
        found = [block["code"] for block in _BLOCK.finditer(self.text) if block["mark"] == mark]
        if len(found) != 1:
            raise ValueError(f"page {self.title!r} needs exactly one {mark} block, has {len(found)}")
        return found[0]

    @cached_property
    def bad(self) -> str:
        """The ❌ example, with `# ❌` on each line that is found."""
        return self._example("❌")

    @cached_property
    def good(self) -> str:
        """The ✅ example."""
        return self._example("✅")

    @property
    def links(self) -> list[str]:
        """Where the facts come from."""
        return re.findall(r"^https://\S+$", self.text, re.M)


@dataclass(frozen=True)
class Detector:
    """One rule: `name` is the suppression word and the URL, `tier` what most of its findings are."""

    name: str
    family: str
    tier: Tier
    page: Page
    words: tuple[str, ...]
    """Each is one word or several separated by `|`; where one of them is absent from a text the detector
    cannot fire there and is not called."""
    run: Callable[[Code], Iterator[Problem]]

    def may_fire(self, words: Words) -> bool:
        """Whether a text with these words holds those without which the detector cannot fire."""
        return all(words.any_of(each) for each in self.words)

    def detect(self, code: Code) -> list[Finding]:
        """The findings in one file, in order of line; a line is found at most once.

        Where the paths through the file are too many to tell, the detector says no more.
        """
        found: dict[int, Finding] = {}
        with suppress(Undecided):
            for problem in self.run(code):
                found.setdefault(problem.line, problem.found_by(self.name, self.tier, self.page.good))
        return [found[line] for line in sorted(found)]


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Every detector, by family and name: the modules in the family folders.

    Raises:
        AttributeError, ValueError: a module lacks TIER, WORDS, `detect` or its page (a test keeps that away).
    """
    found = []
    for family in FAMILIES:
        package = importlib.import_module(f"detectors.{family}")
        for module_info in pkgutil.iter_modules(package.__path__):
            if module_info.name.startswith("_"):
                continue
            module = importlib.import_module(f"detectors.{family}.{module_info.name}")
            name = module_info.name.replace("_", "-")
            page = Page(module.__doc__ or "")
            found.append(Detector(name, family, module.TIER, page, tuple(module.WORDS), module.detect))
    return tuple(found)
