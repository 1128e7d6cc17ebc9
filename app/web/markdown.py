"""Comments in Markdown as GitHub renders them: HTML in which nothing of a stranger's is HTML.

Raw HTML is escaped but for the few tags that our own templates write; hidden markers disappear.
"""

import html
import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from app.web import highlight

_TAG = re.compile(r"<!--.*?-->|<[^<>]*>", re.S)
_OURS = frozenset(f"<{slash}{name}>" for name in ("sub", "code", "details", "summary") for slash in ("", "/"))
_LINK = re.compile(r"https?://|/(?!/)")


def rendered(markdown: str, *, path: str = "", replaced: Sequence[str] = ()) -> Markup:
    """The HTML of a comment; `replaced` are the lines of `path` that a suggestion in it takes the place of."""
    return Markup(_MARKDOWN.render(markdown, {"path": path, "replaced": replaced}))  # noqa: S704  see above


def inline(markdown: str) -> Markup:
    """The HTML of one line, without a paragraph around it."""
    return Markup(_MARKDOWN.renderInline(markdown, {}))  # noqa: S704  see above


def _raw(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """Raw HTML: our own tags stay, comments vanish, all else is text."""
    text = tokens[index].content
    parts, at = [], 0
    for found in _TAG.finditer(text):
        parts += [html.escape(text[at : found.start()]), _tag(found[0])]
        at = found.end()
    return "".join([*parts, html.escape(text[at:])])


def _tag(tag: str) -> str:
    if tag.startswith("<!--"):
        return ""
    return tag if tag in _OURS else html.escape(tag)


def _fence(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    language = token.info.strip()
    code = token.content.removesuffix("\n")
    if language == "suggestion":
        return _suggestion(code, env.get("path", ""), env.get("replaced", ()), is_deletion=not token.content)
    shown = highlight.python(code) if language == "python" else html.escape(code)
    return f'<pre class="code" tabindex="0"><code>{shown}</code></pre>\n'


def _suggestion(code: str, path: str, replaced: Sequence[str], *, is_deletion: bool) -> str:
    """A suggestion as GitHub shows it: the lines that go, the lines that come."""
    new = [] if is_deletion else highlight.lines(code, path)
    old = highlight.lines("\n".join(replaced), path) if replaced else []
    rows = [_change("del", "-", line) for line in old] + [_change("add", "+", line) for line in new]
    table = f"<table><tbody>{''.join(rows)}</tbody></table>"
    return f'<figure class="suggestion"><figcaption>Suggested change</figcaption>{table}</figure>\n'


def _change(kind: str, mark: str, line: str) -> str:
    return f'<tr class="{kind}"><td class="mark">{mark}</td><td class="text">{line}</td></tr>'


def _is_safe_link(url: str) -> bool:
    return _LINK.match(url) is not None


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": True}).enable("table").disable(["image", "autolink"])
    made.validateLink = _is_safe_link  # type: ignore[method-assign]
    for rule in ("html_inline", "html_block"):
        made.add_render_rule(rule, _raw)
    made.add_render_rule("fence", _fence)
    return made


_MARKDOWN = _markdown()
