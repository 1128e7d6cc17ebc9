"""A GitHub to test against: start it, make repositories, open pull requests, look at what was done"""

import functools
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from tests.simulator import checking, events
from tests.simulator.auth import Tokens, new_keys
from tests.simulator.faults import Faults
from tests.simulator.git import Files, GitRepository, revision
from tests.simulator.graphql import executor
from tests.simulator.http import Router
from tests.simulator.limits import Limits, Meter
from tests.simulator.model import Account, App, Clock, Ids, Installation, Json, PullRequest, Repository
from tests.simulator.people import OpenedPullRequest
from tests.simulator.recording import Exchange, Recording
from tests.simulator.routes import apps, checks, conversation, pulls, repositories, reviews
from tests.simulator.server import Api, Server
from tests.simulator.shapes import accounts
from tests.simulator.shapes.repositories import simple_commit
from tests.simulator.webhooks import Delivery, Webhooks
from tests.simulator.world import World

#: What mlstaff asks of an installation.
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "pull_requests": "write",
    "checks": "write",
    "issues": "write",
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
    `senders` is how many deliveries are under way at once (one keeps their order).
    """

    def __init__(
        self, *, webhook_url: str | None = None, record: Path | None = None, senders: int = 1, port: int = 0
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
        self._server = Server(self.api, port)
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
        self.webhooks.emit(
            "ping", None, repository=None, sender=self.app.owner, parts={**parts, **hook_parts}
        )

    def account(self, login: str) -> Account:
        """A person, by login; made when new."""
        with self.world.lock:
            return self.world.account(login)

    def token_of(self, login: str) -> str:
        """A person's own token, to act as them through the API."""
        return self.tokens.person(self.account(login))

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

    def repository(
        self, full_name: str, *, files: Files | None = None, private: bool = True, git: Path | None = None
    ) -> "HostedRepository":
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
            hosted = HostedRepository(self, made, source=git)
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


class HostedRepository:
    """A repository in the hands of a test."""

    def __init__(self, github: Simulator, repository: Repository, *, source: Path | None = None) -> None:
        self._world, self.repository = github.world, repository
        self._source = source or repository.git.path

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return self.repository.full_name

    @property
    def path(self) -> str:
        """`/repos/{owner}/{repo}`."""
        return f"/repos/{self.full_name}"

    def role(self, login: str, role: str) -> None:
        """Give somebody a role: none, read, triage, write, maintain, admin."""
        with self._world.lock:
            self._world.account(login)
            self.repository.roles[login] = role

    def push(
        self, files: Files, *, branch: str = "main", message: str = "change", start: str | None = None
    ) -> str:
        """Commit on a branch, which is made from `start` or `main` when new; returns the commit's id."""
        repository = self.repository
        with self._world.lock:
            tip = repository.branches.get(branch, start or repository.branches.get(repository.default_branch))
            sha = repository.git.commit(files, parents=[tip] if tip else [], message=message)
            repository.branches[branch] = sha
        return sha

    def open_pull_request(
        self,
        files: Files,
        *,
        base_files: Files | None = None,
        author: str = "contributor",
        title: str = "A change",
        body: str = "",
        draft: bool = False,
        fork: bool = False,
        base: str = "main",
    ) -> OpenedPullRequest:
        """Open a pull request that applies `files` on the base, after `base_files` were committed there."""
        with self._world.lock:
            if base_files is not None:
                self.push(base_files, branch=base)
            start = self.repository.branches[base]
            head = self.repository.git.commit(files, parents=[start], message=title, author=author)
            return self._open(
                start, head, author=author, title=title, body=body, draft=draft, fork=fork, base=base
            )

    def open_pull_request_between(
        self, base_revision: str, head_revision: str, *, author: str = "contributor", title: str = "A change"
    ) -> OpenedPullRequest:
        """Open a pull request between two revisions of the local repository this one was made from."""
        base, head = (revision(self._source, name) for name in (base_revision, head_revision))
        with self._world.lock:
            self.repository.branches["main"] = base
            return self._open(
                base, head, author=author, title=title, body="", draft=False, fork=False, base="main"
            )

    def merge_group(self, pull: OpenedPullRequest) -> str:
        """Put a pull request into the merge queue; `merge_group` checks_requested. Returns the group's head."""
        repository, git = self.repository, self.repository.git
        with self._world.lock:
            base = repository.branches[pull.pull.base_ref]
            head = git.commit({}, parents=[pull.head_sha, base], message=f"Merge pull request #{pull.number}")
            ref = f"refs/heads/gh-readonly-queue/{pull.pull.base_ref}/pr-{pull.number}-{base}"
            group = {
                "head_sha": head,
                "head_ref": ref,
                "base_sha": base,
                "base_ref": f"refs/heads/{pull.pull.base_ref}",
                "head_commit": simple_commit(git.commit_of(head)),
            }
            self._world.emit(
                "merge_group",
                "checks_requested",
                repository=repository,
                sender=pull.pull.author,
                parts={"merge_group": group},
            )
        return head

    def rename(self, name: str) -> None:
        """Give it another name; the old one answers 301."""
        with self._world.lock:
            old = self.full_name.lower()
            self._world.renamed[old] = self._world.repositories.pop(old)
            self.repository.name = name
            self._world.repositories[self.full_name.lower()] = self.repository

    def delete(self) -> None:
        """Remove it; everything about it answers 404."""
        with self._world.lock:
            del self._world.repositories[self.full_name.lower()]

    def _open(
        self,
        base_sha: str,
        head: str,
        *,
        author: str,
        title: str,
        body: str,
        draft: bool,
        fork: bool,
        base: str,
    ) -> OpenedPullRequest:
        world, repository = self._world, self.repository
        now, number = world.clock.stamp(), max(repository.pull_requests, default=0) + 1
        who = world.account(author)
        source = self._fork(who) if fork else repository
        ref = f"change-{number}"
        source.branches[ref] = head
        identifier = world.ids.small()
        pull = PullRequest(
            identifier,
            number,
            repository,
            source,
            ref,
            base,
            base_sha,
            [head],
            who,
            title,
            body,
            now,
            now,
            draft=draft,
        )
        repository.pull_requests[number] = pull
        world.remember(pull)
        events.pull_request(world, pull, "opened", who)
        events.check_suite(world, checking.suite_of(world, repository, head), "requested", who)
        return OpenedPullRequest(world, pull)

    def _fork(self, owner: Account) -> Repository:
        key = f"{owner.login}/{self.repository.name}".lower()
        if key not in self._world.repositories:
            made = Repository(
                self._world.ids.small(),
                owner,
                self.repository.name,
                self.repository.git,
                self._world.clock.stamp(),
                private=self.repository.private,
                parent=self.repository,
            )
            self._world.repositories[key] = made
        return self._world.repositories[key]


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
