"""A Python file as detectors see it: all that the engine knows of it, and the problems found in it."""

import ast
from collections.abc import Iterable, Sequence
from functools import cached_property

from detectors._engine.data_answers import DataAnswers
from detectors._engine.names.subjects import last_name
from detectors._engine.secrecy.keys import keys_in
from detectors._engine.secrecy.secrets import Secret, digested, redacted
from detectors._engine.service_answers import ServiceAnswers
from detectors._engine.source.finding import Related, Tier
from detectors._engine.source.mend import Change
from detectors._engine.source.problems import EXCERPT, Excerpts, Problem


class Code(DataAnswers, ServiceAnswers):
    """One version of one file, with every answer about it."""

    def close(self) -> None:
        """Lets go of all answers: they refer to one another in circles, and would wait for the garbage collector."""
        for event in (event for flow in vars(self).get("flows", ()) for event in flow.events):
            event.next.clear()
        for part in filter(None, (vars(self.unit).get("values"), self.unit, self)):
            vars(part).clear()

    @cached_property
    def secrets(self) -> list[tuple[Secret, int, ast.expr | None]]:
        """The keys in this file, comments included, with their lines and the literal that holds each.

        No text that leaves a problem has any of them in it.
        """
        return keys_in(self.text, self.tree, self.names)

    @cached_property
    def _hidden(self) -> list[Secret]:
        return [secret for secret, _, _ in self.secrets]

    def shown(self, text: str) -> str:
        """A text of this file as it may be repeated. Cut it only after that: half a key is not known as one."""
        return redacted(text, self._hidden)

    def name(self, node: ast.AST | None) -> str:
        """The object's name in the author's words, for messages: `self.optimizer`, short code otherwise."""
        if node is None:
            return ""
        text = self.shown(ast.unparse(node))
        return text if len(text) <= 60 and "\n" not in text else last_name(node) or text[:57] + "…"

    def problem(
        self,
        node: ast.AST,
        message: str,
        *,
        fix: Iterable[Change | None] = (),
        good: str = "",
        mend: Iterable[Change | None] = (),
        show: Iterable[ast.AST] = (),
        related: Sequence[tuple[ast.AST, str]] = (),
        tier: Tier | None = None,
    ) -> Problem:
        """A finding at the node.

        `fix` are changes that are safe to apply; `mend` changes that only make the ✅ block; `good` is that block
        written out, where neither is given. `show` are nodes whose lines the ❌ block should hold too, where they
        are near. `related` are other nodes that belong to it, each with its role.
        """
        fixing = tuple(each for each in fix if each is not None)
        mending = fixing or tuple(each for each in mend if each is not None)
        line: int = node.lineno  # type: ignore[attr-defined]
        excerpts = Excerpts(self.tree, self.source)
        shown = excerpts.shown(node)
        spans = excerpts.around(shown, mending, show)
        text = self.source.lines[line - 1].strip()
        mended = good or (excerpts.written(spans, mending) if mending else "")
        if self._hidden and any(self.shown(each.text or "") != (each.text or "") for each in self.source.edits(fixing)):
            fixing = ()  # a suggestion repeats whole lines
        return Problem(
            line=line,
            end_line=min(shown[1], line + EXCERPT),
            message=self.shown(message),
            bad=self.shown(excerpts.written(spans)),
            good=self.shown(mended),
            definition=self.tree.definition(node),
            text=digested(text, self._hidden),
            fix=fixing,
            related=tuple(Related(each.lineno, self.shown(role)) for each, role in related),  # type: ignore[attr-defined]
            tier=tier,
            source=self.source,
        )
