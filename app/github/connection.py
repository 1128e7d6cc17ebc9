"""The only way to GitHub: PyGithub in a few threads, one token an installation, no sleep through a limit"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import requests
from github import GithubException
from github.Requester import Requester

from app.events import RetryLater
from app.github.auth import Bearer, Token, Tokens, requester
from app.github.counting import counted, operation_of
from app.github.graphql import Data, data_of_mutation, data_of_query, is_limited
from app.github.pace import Pace
from app.github.weather import Answer, Limited, Limits, Refused, Unwell, check_status, is_limit
from app.settings import Settings
from app.store import Store

#: GitHub allows 100 requests at a time; far fewer keep two cores busy.
THREADS = 12
#: The longest that one request may take altogether, a body that drips in included.
DEADLINE = 60.0
#: A review does not begin when the writes of its installation are booked so far ahead.
LONGEST_QUEUE = 15.0
JSON = "application/vnd.github+json"
DIFF = "application/vnd.github.diff"
RAW = "application/vnd.github.raw+json"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. With `twice` it is sent again when the connection broke: for what changes nothing."""

    method: str
    path: str
    accept: str = JSON
    query: Mapping[str, str | int] | None = None
    body: Mapping[str, Any] | None = None
    twice: bool = False


class GitHub:
    """Calls GitHub for installations. All methods may raise `RetryLater`, `GiveUp` or `Refused`.

    Through the `store` all processes together keep GitHub's pace.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self._settings = settings
        self._graphql = graphql_of(settings.github_url)
        self._limits = Limits()
        self._tokens = Tokens(settings, self._limits)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="github")
        self._local = threading.local()
        self._requesters: list[Requester] = []
        self._pace = Pace(store, settings.seconds_between_writes)

    async def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for each in self._requesters:
            each.close()
        self._tokens.close()

    async def check_queue(self, installation_id: int) -> None:
        """Raises RetryLater when work for this installation had better not begin now."""
        self._limits.check(installation_id)
        backlog, silence = await self._pace.ahead(installation_id)
        if silence > 0:
            raise Limited(installation_id, silence, "another process has met GitHub's rate limit")
        if backlog > LONGEST_QUEUE:
            raise RetryLater(backlog, "too many writes of this installation are waiting")

    async def permissions(self, installation_id: int) -> Mapping[str, str]:
        """What the installation grants: `{"contents": "read", …}`."""
        token = await self._run(partial(self._tokens.token, installation_id))
        return token.permissions

    async def as_app(self, method: str, path: str, body: Any = None) -> Answer:
        """A call with the App's own JWT."""
        answer = await self._run(partial(self._tokens.as_app, method, path, body))
        check_status(answer)
        return answer

    async def introduce(self) -> Answer:
        """What GitHub says to the App's own JWT, whatever that is."""
        return await self._run(partial(self._tokens.as_app, "GET", "/app"))

    async def read(
        self,
        installation_id: int,
        path: str,
        *,
        accept: str = JSON,
        query: Mapping[str, str | int] | None = None,
    ) -> Answer:
        """GET; tried again at once when a connection that was kept open turns out to be closed."""
        return await self._call(installation_id, Call("GET", path, accept, query, twice=True))

    async def write(self, installation_id: int, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """POST, PATCH, PUT or DELETE, in its turn; never sent twice."""
        self._limits.check(installation_id)
        await asyncio.sleep(await self._pace.book(installation_id))
        return await self._call(installation_id, Call(method, path, body=body))

    async def query(self, installation_id: int, document: str, variables: Mapping[str, Any]) -> Data:
        """A GraphQL query's `data`, in which what GitHub does not let us have is null.

        Raises:
            Refused: 404 for a repository or pull request that is not there, 403 for a missing permission.
        """
        body = {"query": document, "variables": dict(variables)}
        call = Call("POST", self._graphql, body=body, twice=True)
        return data_of_query(await self._call(installation_id, call))

    async def mutate(self, installation_id: int, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """A GraphQL mutation's `data`; a write like any other."""
        body = {"query": document, "variables": dict(variables)}
        return data_of_mutation(await self.write(installation_id, "POST", self._graphql, body))

    async def _call(self, installation_id: int, call: Call) -> Answer:
        self._limits.check(installation_id)
        try:
            return await self._run(partial(self._send, installation_id, call))
        except Limited as limited:
            if limited.whose == installation_id:
                await self._pace.silence(installation_id, limited.seconds)
            raise

    async def _run(self, function: Callable[[], Result]) -> Result:
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        try:
            return await asyncio.wait_for(future, DEADLINE)
        except TimeoutError:
            raise Unwell(f"GitHub took longer than {DEADLINE:g} s") from None
        except requests.RequestException as error:
            raise Unwell(f"no connection to GitHub ({type(error).__name__})") from None
        except (GithubException, RuntimeError, AssertionError) as error:
            raise Refused(0, f"PyGithub could not send it: {error}") from None

    def _send(self, installation_id: int, call: Call) -> Answer:
        """In a thread: one call, once more with a new token when GitHub refuses the one we have."""
        token = self._tokens.token(installation_id)
        answer = self._exchange(call, token)
        if answer.status == 401:
            self._tokens.forget(installation_id, token)
            answer = self._exchange(call, self._tokens.token(installation_id))
        if is_limit(answer) or (call.path == self._graphql and answer.status == 200 and is_limited(answer)):
            raise self._limits.struck(installation_id, answer)
        check_status(answer)
        self._limits.succeeded(installation_id)
        return answer

    def _exchange(self, call: Call, token: Token) -> Answer:
        sender, bearer = self._sender()
        bearer.current = token.text
        operation = operation_of(call.method, call.path)
        try:
            with counted(operation) as count:
                return count(_sent(sender, call))
        except requests.ConnectionError:
            if not call.twice:
                raise
        with counted(operation) as count:
            return count(_sent(sender, call))

    def _sender(self) -> tuple[Requester, Bearer]:
        """This thread's own connection."""
        if not hasattr(self._local, "sender"):
            bearer = Bearer()
            self._local.sender = requester(self._settings, bearer), bearer
            self._requesters.append(self._local.sender[0])
        pair: tuple[Requester, Bearer] = self._local.sender
        return pair


def graphql_of(github_url: str) -> str:
    """https://HOST/api/v3 has its GraphQL at https://HOST/api/graphql."""
    return f"{github_url.rstrip('/').removesuffix('/v3')}/graphql"


def _sent(sender: Requester, call: Call) -> Answer:
    headers = {"Accept": call.accept}
    return Answer(*sender.requestJson(call.method, call.path, dict(call.query or {}), headers, call.body))
