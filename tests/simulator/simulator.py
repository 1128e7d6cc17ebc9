"""A GitHub to test against: start it, make repositories, open pull requests, look at what was done"""

import functools
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import httpx
import jwt

from tests.simulator.auth import Tokens, new_keys
from tests.simulator.faults import Faults
from tests.simulator.git import GitRepository
from tests.simulator.graphql import executor
from tests.simulator.hosting import HostedRepository
from tests.simulator.http import Router
from tests.simulator.limits import Limits, Meter
from tests.simulator.model import Account, App, Clock, Ids, Installation, Json, Repository
from tests.simulator.objects import Files
from tests.simulator.recording import Exchange, Recording
from tests.simulator.routes import apps, checks, conversation, pulls, repositories, reviews
from tests.simulator.server import Api, Server
from tests.simulator.shapes import accounts
from tests.simulator.webhooks import Delivery, Webhooks
from tests.simulator.world import World

#: What mlstaff asks of an installation.
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "pull_requests": "write",
    "checks": "write",
    "issues": "write",
    "merge_queues": "read",
}
EVENTS = [
    "check_run",
    "check_suite",
    "issue_comment",
    "merge_group",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
]


class Simulator:
    """GitHub on a free port of the loopback, with one App.

    `webhook_url` is where events go (`connect` sets it later); `record` is a file to which every exchange is written;
    `senders` is how many deliveries are under way at once (one keeps their order). `tls` are the files of a certificate
    and its key, for https.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        record: Path | None = None,
        senders: int = 1,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="github-"))
        self.clock, self.limits, self.faults = Clock(), Limits(), Faults()
        ids = Ids()
        self.world = World(_new_app(ids, self.clock, webhook_url), self.clock, ids, self._folder)
        self.tokens, self._meter = Tokens(self.world), Meter(self.clock, self.limits)
        self.webhooks = Webhooks(self.world, senders=senders)
        self.world.emit = self.webhooks.emit
        self.recording = Recording(record)
        self.api = Api(self.world, self._router(), self.tokens, self._meter, self.faults, self.recording)
        self._server = Server(self.api, port, tls)
        self.url = self.world.url = self._server.url

    def __enter__(self) -> "Simulator":
        """Start serving."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and remove the repositories."""
        self._server.stop()
        self.webhooks.close()
        for repository in self.world.repositories.values():
            repository.git.close()
        self.recording.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def app(self) -> App:
        """The App: its id, private key and webhook secret."""
        return self.world.app

    @property
    def calls(self) -> list[Exchange]:
        """Every exchange with the API so far."""
        return self.recording.exchanges

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempted delivery so far, the oldest first."""
        return list(self.webhooks.deliveries)

    def connect(self, webhook_url: str) -> None:
        """Send events there from now on."""
        self.app.webhook_url = webhook_url

    def ping(self) -> None:
        """What GitHub sends when a webhook is set up."""
        config = {"url": self.app.webhook_url, "content_type": "json", "insecure_ssl": "0"}
        hook = {"type": "App", "id": self.app.id, "name": "web", "active": True, "events": self.app.events}
        parts = {"zen": "Keep it logically awesome.", "hook_id": self.app.id}
        hook_parts = {"hook": {**hook, "config": config, "app_id": self.app.id}}
        self.webhooks.emit("ping", None, repository=None, sender=self.app.owner, parts={**parts, **hook_parts})

    def account(self, login: str) -> Account:
        """A person, by login; made when new."""
        with self.world.lock:
            return self.world.account(login)

    def token_of(self, login: str) -> str:
        """A person's own token, to act as them through the API."""
        return self.tokens.person(self.account(login))

    def client(self, token: str | None = None, *, login: str | None = None) -> httpx.Client:
        """A client that calls the API with a token, as a person, or as nobody; close it."""
        known = self.token_of(login) if login is not None else token
        headers = {"authorization": f"Bearer {known}"} if known else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False)

    def app_token(self, *, issued: float = -60, lifetime: float = 300, **claims: object) -> str:
        """The App's JWT, `issued` and living so many seconds from now."""
        now = int(self.clock.now())
        known = {"iat": int(now + issued), "exp": int(now + lifetime), "iss": str(self.app.id), **claims}
        return jwt.encode(known, self.app.private_key, algorithm="RS256")

    def installation(
        self, login: str, *, organization: bool = True, permissions: dict[str, str] | None = None
    ) -> "InstalledApp":
        """Install the App on an account; `installation` created."""
        with self.world.lock:
            account = self.world.account(login, "Organization" if organization else "User")
            granted = dict(PERMISSIONS if permissions is None else permissions)
            made = Installation(self.world.ids.small(), account, granted, self.clock.stamp())
            self.world.installations[made.id] = made
            installed = InstalledApp(self, made)
            installed.tell("created")
        return installed

    def installation_on(self, login: str) -> "InstalledApp":
        """The App's installation on an account that has one."""
        found = self.world.installation_of(self.account(login))
        if found is None:
            raise ValueError(f"the App is not installed on {login}")
        return InstalledApp(self, found)

    def repository(
        self, full_name: str, *, files: Files | None = None, private: bool = True, git: Path | None = None
    ) -> HostedRepository:
        """A repository with one commit of `files` on `main`, or one that reads the objects of a local repository.

        Its owner gets an installation when there is none.
        """
        owner, _, name = full_name.partition("/")
        with self.world.lock:
            account = self.world.account(owner, "Organization")
            if self.world.installation_of(account) is None:
                self.installation(owner)
            identifier = self.world.ids.small()
            store = GitRepository.create(self._folder / f"{identifier}.git", objects_of=git)
            made = Repository(identifier, account, name, store, self.clock.stamp(), private=private)
            made.roles[self.world.account("maintainer").login] = "maintain"
            self.world.repositories[full_name.lower()] = made
            hosted = HostedRepository(self.world, made, source=git)
            if git is None:
                hosted.push(files if files is not None else {"README.md": f"# {name}\n"})
        return hosted

    def _router(self) -> Router:
        router = Router()
        for each in (pulls, reviews, conversation, checks, repositories):
            router.include(each.router)
        router.include(apps.routes(self.tokens, self.webhooks, self._meter))
        router.include(executor.routes(self._meter))
        return router


class InstalledApp:
    """The App on one account."""

    def __init__(self, github: Simulator, installation: Installation) -> None:
        self._github, self.installation = github, installation

    @property
    def id(self) -> int:
        """The installation's number."""
        return self.installation.id

    def token(self) -> str:
        """A fresh installation token, given out without a call."""
        with self._github.world.lock:
            granted = dict(self.installation.permissions)
            return self._github.tokens.issue(self.installation, granted, None).text

    def client(self) -> httpx.Client:
        """A client that calls the API as this installation; close it."""
        return self._github.client(self.token())

    def suspend(self, *, user: str = "owner") -> None:
        """Tokens stop working and events stop; `installation` suspend."""
        with self._github.world.lock:
            self.installation.suspended_at = self._github.clock.stamp()
            self.installation.suspended_by = self._github.world.account(user)
            self.tell("suspend")

    def unsuspend(self) -> None:
        """`installation` unsuspend."""
        with self._github.world.lock:
            self.installation.suspended_at = self.installation.suspended_by = None
            self.tell("unsuspend")

    def remove(self) -> None:
        """Uninstall; `installation` deleted."""
        with self._github.world.lock:
            self.installation.deleted = True
            self.tell("deleted")

    def tell(self, action: str) -> None:
        """Send the `installation` event."""
        world = self._github.world
        shown = accounts.installation(world, self.installation)
        owned = [each for each in world.repositories.values() if each.owner is self.installation.account]
        short = [{"id": each.id, "name": each.name, "full_name": each.full_name} for each in owned]
        parts: Json = {"installation": shown, "repositories": short}
        world.emit("installation", action, repository=None, sender=world.account("owner"), parts=parts)


@functools.cache
def _keys() -> tuple[str, str]:
    """One pair of keys a process: making one takes a tenth of a second."""
    return new_keys()


def _new_app(ids: Ids, clock: Clock, webhook_url: str | None) -> App:
    private, public = _keys()
    return App(
        id=ids.small(),
        slug="mlstaff",
        client_id="Iv23liSimulatedGitHub",
        owner=Account(ids.small(), "octo-org", "Organization"),
        bot=Account(ids.small(), "mlstaff[bot]", "Bot"),
        private_key=private,
        public_key=public,
        webhook_secret="a-webhook-secret-of-the-simulator",
        permissions=dict(PERMISSIONS),
        events=list(EVENTS),
        created_at=clock.stamp(),
        webhook_url=webhook_url,
    )
