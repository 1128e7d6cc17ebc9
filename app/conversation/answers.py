"""What a command does, once it is understood and allowed

Every effect is one that can be begun again: reactions are added once, replies carry the command's key, and what a
command decides is a note in that reply.
"""

import json
from collections.abc import Mapping

import structlog

from app import pipeline
from app.configuration import config
from app.conversation.commands import USAGE, Command, Level, Misunderstood, Verb, commands_in, needed
from app.conversation.marker import marker, read, split
from app.events import CommandGiven
from app.github.connection import GitHub
from app.github.conversation import Conversation, level_of
from app.github.fetch import Look
from app.pull_request import Thread
from app.review.markdown import cell, code_span, prose
from app.reviewing import Reviewing
from app.settings import Settings
from detectors import Detector, all_detectors

#: What changes the outcome of a review, so that the check run is brought up to date.
_CHANGES = frozenset({Verb.IGNORE, Verb.UNIGNORE, Verb.RESUME})

log = structlog.get_logger("mlstaff.answers")


class Answers:
    """Answers commands."""

    def __init__(self, github: GitHub, reviewing: Reviewing, settings: Settings) -> None:
        self._github = github
        self._reviewing = reviewing
        self._fetcher = reviewing.fetcher
        self._settings = settings

    async def answer(self, given: CommandGiven) -> None:
        """Do what a comment says, if its author may say it."""
        names = frozenset(detector.name for detector in all_detectors())
        found = commands_in(given.body, rules=names, is_in_thread=given.place == "thread")
        if not found or given.author_is_bot:
            return
        level = await level_of(self._github, given.ref, given.author, is_asking=True)
        if given.author == given.pull_request_author:
            level = max(level, Level.AUTHOR)
        if level is Level.NOBODY:
            log.info("a command of somebody without permission", author=given.author)
            return
        look = await self._fetcher.look(given.ref)
        allowed = _allowed(found, level, pipeline.configuration(look.config_files).config.commands)
        conversation = Conversation(self._github, given)
        await conversation.react("EYES")
        answered = {note.get("command", "") for note in look.notes} | await conversation.answered()
        for each in allowed:
            if conversation.key(each.index) not in answered:
                await self._do(given, conversation, look, each)
        if any(isinstance(each, Command) and each.verb in _CHANGES for each in allowed):
            await self._reviewing.review(given.ref, whole_files=False, is_asked=False)
        if any(isinstance(each, Misunderstood) for each in allowed):
            await conversation.react("CONFUSED")
        if any(isinstance(each, Command) for each in allowed):
            await conversation.react("ROCKET")

    async def _do(
        self, given: CommandGiven, conversation: Conversation, look: Look, each: Command | Misunderstood
    ) -> None:
        note = {"command": conversation.key(each.index)}
        if isinstance(each, Misunderstood):
            await conversation.reply(f"{each.why}\n\n{USAGE}", note)
            return
        match each.verb:
            case Verb.REVIEW | Verb.REVIEW_ALL:
                whole = each.verb is Verb.REVIEW_ALL
                await self._reviewing.review(given.ref, whole_files=whole, is_asked=True)
            case Verb.IGNORE | Verb.UNIGNORE if given.place == "thread":
                await self._in_thread(given, conversation, look, each, note)
            case Verb.IGNORE:
                text = (
                    f"`{each.rule}` stays quiet on this pull request. `/mlstaff unignore {each.rule}` takes that back."
                )
                await conversation.reply(text, {**note, "ignore": each.rule, "because": each.reason})
            case Verb.UNIGNORE:
                await conversation.reply(f"`{each.rule}` speaks again.", {**note, "unignore": each.rule})
            case Verb.PAUSE:
                text = "I leave this pull request alone until somebody writes `/mlstaff resume`."
                await conversation.reply(text, {**note, "pause": given.author})
            case Verb.RESUME:
                await conversation.reply("I review what is pushed here again.", {**note, "resume": given.author})
            case Verb.EXPLAIN:
                await conversation.reply(self._explained(each.rule), note)
            case Verb.CONFIG:
                await conversation.reply(_table(pipeline.configuration(look.config_files)), note)
            case Verb.HELP:
                await conversation.reply(USAGE, note)

    async def _in_thread(
        self,
        given: CommandGiven,
        conversation: Conversation,
        look: Look,
        each: Command,
        note: dict[str, str],
    ) -> None:
        """The decision about one finding is kept in the comment that told it."""
        thread = next((each for each in look.threads if each.comment_id == given.thread_comment_id), None)
        if thread is None:
            text = "This thread is not about a finding of mine; elsewhere, name the rule to be quiet about."
            await conversation.reply(f"{text}\n\n{USAGE}", note)
            return
        is_quiet = each.verb is Verb.IGNORE
        await conversation.edit(thread.comment_id, with_decision(thread, given.author if is_quiet else "", each.reason))

    def _explained(self, rule: str) -> str:
        detector = next(each for each in all_detectors() if each.name == rule)
        return explanation(detector, self._settings.public_url)


def _allowed(
    found: tuple[Command | Misunderstood, ...], level: Level, configured: Mapping[str, str]
) -> list[Command | Misunderstood]:
    """What needs a higher level becomes a reply that says so."""
    return [
        each
        if isinstance(each, Misunderstood) or needed(each.verb, configured) <= level
        else Misunderstood(each.index, f"`{each.verb}` is for {needed(each.verb, configured).words}.")
        for each in found
    ]


def _table(reading: config.Reading) -> str:
    """Every value with where it is from."""
    rows = [
        f"| `{name}` | {cell(code_span(json.dumps(value)))} | {cell(code_span(origin))} |"
        for name, value, origin in reading.effective()
    ]
    mistakes = [f"- {prose(str(each))}" for each in reading.mistakes]
    table = "\n".join(["| setting | value | from |", "|---|---|---|", *rows])
    return "\n\n".join([table, *(["Not followed:\n\n" + "\n".join(mistakes)] if mistakes else [])])


def with_decision(thread: Thread, ignored_by: str, reason: str) -> str:
    """The body of our comment with a note of who does not want to hear of it; "" takes the note back."""
    text, markers = split(thread.body)
    kept = [line for line in markers.splitlines() if not read(line).get("ignored_by")]
    if ignored_by:
        kept.append(marker({"ignored_by": ignored_by, "because": reason}))
    return "\n".join([text, *kept])


def explanation(detector: Detector, public_url: str) -> str:
    """A rule's page as a reply."""
    page = detector.page
    link = f"[{detector.name}]({public_url.rstrip('/')}/rules/{detector.name})" if public_url else f"`{detector.name}`"
    parts = [
        f"**{page.title}** ({link}, {detector.tier.value})",
        page.why,
        f"❌\n```python\n{page.bad.rstrip()}\n```",
        f"✅\n```python\n{page.good.rstrip()}\n```",
        "\n".join(page.links),
    ]
    return "\n\n".join(part for part in parts if part)
