"""Requests, answers and routes of the simulated API"""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from tests.simulator.auth import Caller
from tests.simulator.errors import Refusal, forbidden, invalid, not_found
from tests.simulator.model import Account, App, Installation, Json, PullRequest, Repository
from tests.simulator.world import World

#: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
PER_PAGE, MOST_PER_PAGE = 30, 100
_LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}


@dataclass
class Answer:
    """An answer: `body` is JSON, or bytes of another media type."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json; charset=utf-8"

    @functools.cached_property
    def content(self) -> bytes:
        """The bytes on the wire; a thing once shown is not changed."""
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.status in (204, 304) else json.dumps(self.body).encode()

    def etag(self) -> str:
        """A tag that changes with the content."""
        return f'W/"{hashlib.sha256(self.content).hexdigest()}"'


@dataclass
class Call:
    """A request with what it is about."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    caller: Caller
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def user(self) -> Account:
        """Who acts; 401 for nobody."""
        if self.caller.account is None:
            raise Refusal(401, "Requires authentication")
        return self.caller.account

    def app(self) -> App:
        """The App, for routes that take its JWT; 401 else."""
        if not self.caller.is_app:
            raise Refusal(401, "A JSON web token could not be decoded")
        return self.world.app

    def installation(self) -> Installation:
        """The installation whose token was sent; 403 else."""
        if self.caller.installation is None:
            raise forbidden()
        return self.caller.installation

    def json(self) -> Json:
        """The body as a JSON object; 400 when it is none."""
        try:
            body = json.loads(self.content or b"{}")
        except ValueError as error:
            raise Refusal(400, "Problems parsing JSON") from error
        if not isinstance(body, dict):
            raise Refusal(400, "Body should be a JSON object")
        return body

    def number(self, name: str) -> int:
        """A parameter of the path as a number; 404 for another thing."""
        if not self.parameters[name].isdigit():
            raise not_found()
        return int(self.parameters[name])

    def repository(self, *permissions: str) -> Repository:
        """The repository of the path, if the caller may see it and has one of `permissions`.

        A permission is written `checks:write`. 404 for what the caller may not see, 403 for what it may not do.
        """
        repository = self.named_repository()
        if self.caller.is_app:
            raise Refusal(401, "Requires authentication")
        installation = self.caller.installation
        if installation is not None:
            if self.world.installed_on(repository) is not installation or not self.caller.covers(repository.id):
                raise not_found() if repository.private else forbidden()
            if not any(granted(self.caller.permissions, each) for each in permissions or ("metadata:read",)):
                raise forbidden()
        elif self.world.role(repository, self.user.login) == "none":
            raise not_found()
        if repository.archived and self.method != "GET":
            raise Refusal(403, "Repository was archived so is read-only.")
        return repository

    def named_repository(self) -> Repository:
        """The repository of the path, whoever asks; 301 (307 for a write) where it was once, 404 for none."""
        owner, name = self.parameters["owner"], self.parameters["repo"]
        moved = self.world.renamed.get(f"{owner}/{name}".lower())
        if moved is None or f"{owner}/{name}".lower() in self.world.repositories:
            return self.world.repository(owner, name)
        rest = self.path.split("/", 4)[4:]
        where = "/".join([f"{self.world.url}/repositories/{moved.id}", *rest])
        query = f"?{urlencode(self.query)}" if self.query else ""
        status, words = (301, "Moved Permanently") if self.method == "GET" else (307, "Temporary Redirect")
        raise Refusal(status, words, headers={"location": where + query})

    def pull_request(self, *permissions: str) -> PullRequest:
        """The pull request of the path; 404 for none."""
        number = self.number("pull_number" if "pull_number" in self.parameters else "issue_number")
        pull = self.repository(*permissions).pull_requests.get(number)
        if pull is None:
            raise not_found()
        return pull

    def accepts(self, media_type: str) -> bool:
        """Whether `Accept` asks for `application/vnd.github.<media_type>`, in any of its spellings."""
        spellings = "|".join((media_type, rf"v3\.{media_type}"))
        return (
            re.search(rf"application/vnd\.github\.({spellings})(\+json)?\b", self.headers.get("accept", "")) is not None
        )

    def page(self, items: Sequence[Any], show: Callable[[Any], Any], *, at_most: int | None = None) -> Answer:
        """One page of a list, with the `Link` header."""
        shown = items[:at_most] if at_most is not None else items
        size = natural(self.query.get("per_page"), PER_PAGE, most=MOST_PER_PAGE)
        page = natural(self.query.get("page"), 1)
        part = shown[(page - 1) * size : page * size]
        last = max(-(-len(shown) // size), 1)
        return Answer(body=[show(each) for each in part], headers=self._links(page, last))

    def _links(self, page: int, last: int) -> dict[str, str]:
        targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        if page == 1:
            del targets["prev"], targets["first"]
        if page >= last:
            del targets["next"], targets["last"]
        links = [f'<{self.link(page=str(target))}>; rel="{name}"' for name, target in targets.items()]
        return {"link": ", ".join(links)} if links else {}

    def link(self, **changes: str) -> str:
        """This request's address with other query parameters."""
        return f"{self.world.url}{self.path}?{urlencode({**self.query, **changes})}"


def granted(permissions: dict[str, str], wanted: str) -> bool:
    """Whether `checks:write` is among an installation's permissions."""
    name, _, level = wanted.partition(":")
    return _LEVELS[permissions.get(name, "none")] >= _LEVELS[level]


def text(body: Json, name: str, *, resource: str, longest: int | None = None, required: bool = False) -> str:
    """A string of a JSON body; 422 when it is missing, of another type or too long."""
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise invalid(resource, name, "missing_field")
        return ""
    if not isinstance(value, str):
        raise invalid(resource, name, "invalid")
    if longest is not None and len(value) > longest:
        raise invalid(resource, name, "custom", f"{name} is too long (maximum is {longest} characters)")
    return value


def natural(word: str | None, default: int, *, most: int | None = None) -> int:
    """A query parameter as a number from 1 to `most`; the default when it is none."""
    number = max(int(word), 1) if word and word.isdigit() else default
    return number if most is None else min(number, most)


Handler = Callable[[Call], Answer]


class Router:
    """Routes by method and path pattern: `{name}` takes one segment, `{name...}` the rest."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, int], list[tuple[re.Pattern[str], Handler]]] = {}
        self._open_ended: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str) -> Callable[[Handler], Handler]:
        """Make a function the answer of a route."""
        rest = "..." in pattern
        expression = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", pattern)
        compiled = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression) + "$")

        def register(handler: Handler) -> Handler:
            if rest:
                self._open_ended.append((method, compiled, handler))
            else:
                self._routes.setdefault((method, pattern.count("/")), []).append((compiled, handler))
            return handler

        return register

    def include(self, other: "Router") -> None:
        """Take over another router's routes."""
        for key, routes in other._routes.items():
            known = self._routes.setdefault(key, [])
            known.extend(routes)
            known.sort(key=lambda route: route[0].groups)  # `/pulls/comments` before `/pulls/{pull_number}`
        self._open_ended.extend(other._open_ended)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The route's function and the path's parameters, decoded."""
        candidates = list(self._routes.get((method, path.count("/")), ()))
        candidates += [(pattern, handler) for verb, pattern, handler in self._open_ended if verb == method]
        for pattern, handler in candidates:
            match = pattern.match(path)
            if match:
                return handler, {name: unquote(value) for name, value in match.groupdict().items()}
        return None
