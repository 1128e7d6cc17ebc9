"""The web server: takes GitHub's deliveries, and says how the process, the whole and its counts are."""

import asyncio
import time
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app import metrics
from app.configuration.config import json_schema
from app.events import Event, Ignored, Ping
from app.queue.jobs import Jobs
from app.store import Unavailable
from app.web import pages
from app.web.site import Site
from app.webhook import KNOWN_EVENTS, MAXIMUM_BYTES, Malformed, WrongSignature, parse

BODY_SECONDS = 20.0
"""GitHub itself gives up after ten: https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks"""

log = structlog.get_logger("mlstaff.web")


def create_app(site: Site) -> FastAPI:
    """The application: the routes below, and the pages."""
    routes: list[BaseRoute] = [
        Route("/webhook", webhook, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", prometheus),
        Route("/config.schema.json", schema),
    ]
    app = FastAPI(title="mlstaff", routes=routes, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.include_router(pages.router)
    return app


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


async def webhook(request: Request) -> Response:
    """Answers 202 when what is asked is on disk, or when nothing is asked."""
    began = time.perf_counter()
    event = request.headers.get("x-github-event", "")
    delivery = request.headers.get("x-github-delivery", "")[:100]
    with structlog.contextvars.bound_contextvars(delivery=delivery):
        status, outcome, words = await _take(request)
        known = event if status < 400 and event in KNOWN_EVENTS else "other"
        metrics.WEBHOOKS.labels(known, outcome).inc()
        metrics.WEBHOOK_SECONDS.observe(time.perf_counter() - began)
        level = log.info if status < 400 else log.warning
        level("webhook", event_name=event[:50], outcome=outcome, status=status, reason=words)
    return JSONResponse({"outcome": outcome, "reason": words}, status_code=status)


async def _take(request: Request) -> tuple[int, str, str]:
    """The status, the outcome in a word, and what there is to say about it."""
    site = _site(request)
    if not site.secret:
        return 503, "no_secret", "MLSTAFF_WEBHOOK_SECRET is not set: no delivery can be told from a forged one"
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
    except (TimeoutError, ClientDisconnect):
        return 408, "broken_off", "the body did not arrive"
    if body is None:
        return 413, "too_large", f"the body is larger than {MAXIMUM_BYTES} bytes"
    try:
        event = parse(request.headers, body, secret=site.secret)
    except WrongSignature as error:
        return 401, "wrong_signature", str(error)
    except Malformed as error:
        return 400, "malformed", str(error)
    return await _keep(site.jobs, event)


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is too large, which is known before it was read where its length is given."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAXIMUM_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BYTES:
            return None
    return bytes(body)


async def _keep(jobs: Jobs, event: Event) -> tuple[int, str, str]:
    match event:
        case Ping(zen):
            return 200, "pong", zen
        case Ignored(reason):
            return 202, "ignored", reason
        case request:
            try:
                answer = await jobs.enqueue(request)
            except Unavailable as error:
                log.error("the store cannot be reached", exc_info=error)
                return 503, "not_stored", "the store cannot be reached; please deliver again"
            return 202, _OUTCOMES[answer], ""


_OUTCOMES = {"new": "queued", "known": "queued_already", "finished": "done_already"}


async def healthz(request: Request) -> Response:
    """Whether this process answers: nothing else is asked, so that a restart is never the answer to an outage."""
    return JSONResponse({"status": "ok", "version": version("mlstaff")})


async def readyz(request: Request) -> Response:
    """Whether a delivery would become a review now: 200, or 503 and what is missing."""
    site = _site(request)
    workers: list[str] = []
    reachable = await site.store.is_reachable()
    if reachable:
        workers = await site.jobs.workers()
    ready = reachable and bool(workers) and bool(site.secret) and not site.credentials.problem
    return JSONResponse(
        {
            "ready": ready,
            "store": "reachable" if reachable else "cannot be reached",
            "workers": len(workers),
            "webhook": "open" if site.secret else "MLSTAFF_WEBHOOK_SECRET is not set",
            "credentials": site.credentials.problem or "usable",
        },
        status_code=200 if ready else 503,
    )


async def schema(request: Request) -> Response:
    """The schema of `.mlstaff.yml`, by which editors anywhere complete and check it."""
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}
    return JSONResponse(json_schema(), headers=headers, media_type="application/schema+json")


async def prometheus(request: Request) -> Response:
    """All counts: this process's, and those that the workers leave in the store."""
    site = _site(request)
    try:
        subjects, dead = await site.jobs.inbox.depth()
        workers = await site.jobs.workers()
        reports = await site.store.reports()
    except Unavailable:
        page = metrics.page({}, {"store_reachable": 0})
    else:
        gauges = {"queue_subjects": subjects, "dead_letters": dead, "workers": len(workers)}
        page = metrics.page(reports, {"store_reachable": 1, **gauges})
    return Response(page, media_type=metrics.CONTENT_TYPE)
