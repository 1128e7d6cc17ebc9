"""The pages that people read: the first page with its playground, the rules, and what is not there."""

import difflib
from itertools import groupby
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.playground import Submission, Unusable
from app.review.markdown import prose
from app.web import forms, highlight, markdown
from app.web.playground import EXAMPLE, Busy, example, reviewed
from app.web.review_view import Shown, repeatable
from app.web.site import Site
from app.web.standing import standing
from app.web.templates import MARK, STYLE, TEMPLATES
from detectors import Detector, all_detectors, without_keys

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_YEAR = {"Cache-Control": "public, max-age=31536000, immutable"}
_FAMILIES = {
    "data": "Data",
    "training": "Training",
    "performance": "Performance",
    "distributed": "Distributed",
    "production": "Production",
    "llm": "LLM and RAG",
}


def _page(template: str, *, status: int = 200, **values: Any) -> Response:
    html = TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(html, status, headers=HEADERS)


async def home(request: Request) -> Response:
    """How the bot is, and the playground with its example."""
    return await _home(request, Submission(EXAMPLE.kind, diff=EXAMPLE.diff), await example(), is_example=True)


async def playground(request: Request) -> Response:
    """The review of what was posted, on the same page."""
    site: Site = request.app.state.site
    submission = Submission(EXAMPLE.kind)
    status = 200
    try:
        submission = await forms.submission(request)
        result = await reviewed(site, submission)
    except Unusable as reason:
        result = Shown(problem=str(reason))
    except forms.TooLarge:
        status, result = 413, Shown(problem=f"That is more than {forms.MOST_BYTES // 1024 // 1024} MB. {_LESS}")
    except Busy:
        status, result = 503, Shown(problem="The playground is busy with other reviews. Please try again in a moment.")
    if result.problem and status == 200:
        status = 422
    return await _home(request, result.submission or repeatable(submission, without_keys), result, status=status)


_LESS = "Leave out what is not code: a notebook's outputs, lock files, data."


async def _home(
    request: Request, submission: Submission, result: Shown, *, is_example: bool = False, status: int = 200
) -> Response:
    return _page(
        "home.html.j2",
        status=status,
        here="playground",
        standing=await standing(request.app.state.site),
        public_url=request.app.state.site.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/"),
        submission=submission,
        problem=markdown.inline(prose(result.problem)) if result.problem else "",
        review=Markup(result.html),  # noqa: S704  made by a template that escapes
        is_example=is_example,
        rules=len(all_detectors()),
    )


async def to_playground(request: Request) -> Response:
    """The address of a form's answer, asked for without a form."""
    return RedirectResponse("/#playground", 303, headers=HEADERS)


async def rules(request: Request) -> Response:
    """Every rule, or those of one family."""
    every = all_detectors()
    family = request.query_params.get("family", "")
    if family and family not in _FAMILIES:
        return _missing(f"/rules?family={family}")
    counts = {name: sum(each.family == name for each in every) for name in _FAMILIES}
    shown = [each for each in every if family in ("", each.family)]
    families = [(name, list(group)) for name, group in groupby(shown, key=lambda each: each.family)]
    return _page(
        "rules.html.j2",
        here="rules",
        family=family,
        families=families,
        names=_FAMILIES,
        counts=counts,
        total=len(every),
    )


async def rule(request: Request) -> Response:
    """The page of a rule."""
    name = str(request.path_params["name"])
    found = next((each for each in all_detectors() if each.name == name), None)
    if found is None:
        return _missing(f"/rules/{name}")
    return _page(
        "rule.html.j2",
        here="rules",
        rule=found,
        why=markdown.rendered(found.page.why),
        bad=_example(found.page.bad),
        good=_example(found.page.good),
        family=_FAMILIES[found.family],
        others=_others(found),
    )


def _others(rule: Detector) -> list[Detector]:
    return [each for each in all_detectors() if each.family == rule.family and each is not rule]


def _example(code: str) -> list[tuple[bool, Markup]]:
    """The lines of an example, and whether each is one that is found; the mark itself is not shown."""
    marked = [line.endswith("# ❌") for line in code.rstrip("\n").split("\n")]
    plain = "\n".join(line.removesuffix("# ❌").rstrip() for line in code.rstrip("\n").split("\n"))
    return list(zip(marked, highlight.lines(plain, "example.py"), strict=True))


async def style(request: Request) -> Response:
    """The style sheet; its address changes with its text."""
    return Response(STYLE, media_type="text/css", headers=HEADERS | _YEAR)


async def mark(request: Request) -> Response:
    """The icon."""
    return Response(MARK, media_type="image/svg+xml", headers=HEADERS | {"Cache-Control": "public, max-age=86400"})


async def missing(request: Request) -> Response:
    """A page for every address that has none."""
    return _missing(request.url.path)


def _missing(path: str) -> Response:
    word = path.rstrip("/").rpartition("/")[2].lower().replace("_", "-")
    near = difflib.get_close_matches(word, [each.name for each in all_detectors()], n=3)
    return _page("missing.html.j2", status=404, here="", path=path[:200], near=near)


router = APIRouter()
router.add_route("/", home, methods=["GET"])
router.add_route("/playground", playground, methods=["POST"])
router.add_route("/playground", to_playground, methods=["GET"])
router.add_route("/rules", rules, methods=["GET"])
router.add_route("/rules/{name}", rule, methods=["GET"])
router.add_route("/style.css", style, methods=["GET"])
router.add_route("/mark.svg", mark, methods=["GET"])
router.add_route("/favicon.ico", mark, methods=["GET"])
router.add_route("/{path:path}", missing, methods=["GET"])
