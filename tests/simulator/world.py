"""All of the simulated GitHub in memory, and how things are looked up in it"""

import base64
import threading
from pathlib import Path
from typing import Any, Protocol

from tests.simulator.errors import not_found
from tests.simulator.model import (
    Account,
    AccountType,
    App,
    Clock,
    Ids,
    Installation,
    IssueComment,
    Json,
    PullRequest,
    Repository,
    ReviewComment,
)

_NODE_PREFIX = {
    "IssueComment": "IC_kwDO",
    "PullRequest": "PR_kwDO",
    "Review": "PRR_kwDO",
    "ReviewComment": "PRRC_kwDO",
    "Thread": "PRRT_kwDO",
    "CheckRun": "CR_kwDO",
    "CheckSuite": "CS_kwDO",
    "Repository": "R_kgDO",
    "Reaction": "REA_lADO",
    "Account": "U_kgDO",
    "Installation": "MDIzOklu",
    "App": "A_kwDO",
}


class Emitter(Protocol):
    """What tells the App's webhook that something happened."""

    def __call__(
        self, event: str, action: str | None, *, repository: Repository | None, sender: Account, parts: Json
    ) -> None: ...


class World:
    """Everything GitHub knows. Hold `lock` while reading or writing more than one thing."""

    def __init__(self, app: App, clock: Clock, ids: Ids, folder: Path) -> None:
        self.lock = threading.RLock()
        self.clock, self.ids, self.app, self.folder = clock, ids, app, folder
        self.url = ""
        self.accounts: dict[str, Account] = {}
        self.installations: dict[int, Installation] = {}
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, Repository] = {}
        self.pull_requests_by_id: dict[int, PullRequest] = {}
        self.issue_comments: dict[int, IssueComment] = {}
        self.review_comments: dict[int, ReviewComment] = {}
        self.nodes: dict[str, Any] = {}
        self.emit: Emitter = _nobody
        for account in (app.owner, app.bot):
            self.accounts[account.login.lower()] = account

    def account(self, login: str, kind: AccountType = "User") -> Account:
        """The account with this login; made when new (`[bot]` logins are bots)."""
        known = self.accounts.get(login.lower())
        if known is None:
            kind = "Bot" if login.endswith("[bot]") else kind
            known = self.accounts[login.lower()] = Account(self.ids.small(), login, kind)
        return known

    def installation_of(self, account: Account) -> Installation | None:
        """The App's installation on an account."""
        return next(
            (each for each in self.installations.values() if each.account is account and not each.deleted),
            None,
        )

    def installed_on(self, repository: Repository) -> Installation | None:
        """The installation that covers a repository, suspended or not."""
        found = self.installation_of(repository.owner)
        covered = found is not None and (found.repositories is None or repository.id in found.repositories)
        return found if covered else None

    def repository(self, owner: str, name: str) -> Repository:
        """A repository by its present name; 404 for another."""
        key = f"{owner}/{name}".lower()
        if key in self.repositories:
            return self.repositories[key]
        raise not_found()

    def repository_by_id(self, identifier: int) -> Repository:
        """A repository by its number; 404 for none."""
        for repository in self.repositories.values():
            if repository.id == identifier:
                return repository
        raise not_found()

    def remember(self, thing: Any) -> None:
        """Make a thing findable by its node id."""
        self.nodes[node_id(thing)] = thing

    def role(self, repository: Repository, login: str) -> str:
        """The role an account has in a repository; nobody has one by being known."""
        if login.lower() == repository.owner.login.lower():
            return "admin"
        given = {name.lower(): role for name, role in repository.roles.items()}
        return given.get(login.lower(), "none" if repository.private else "read")

    def pull_requests_at(self, repository: Repository, sha: str) -> list[PullRequest]:
        """Open pull requests of the repository's own branches whose head is this commit (never of forks)."""
        return [
            pull
            for pull in repository.pull_requests.values()
            if pull.head_sha == sha and not pull.is_fork and pull.state == "open"
        ]


def node_id(thing: Any) -> str:
    """The GraphQL id of a thing."""
    packed = base64.urlsafe_b64encode(thing.id.to_bytes(6, "big")).decode().rstrip("=")
    return _NODE_PREFIX[type(thing).__name__] + packed


def association(world: World, repository: Repository, account: Account) -> str:
    """`author_association`: who somebody is to the repository, which is no permission."""
    if account.type == "Bot":
        return "NONE"
    if account is repository.owner:
        return "OWNER"
    role = world.role(repository, account.login)
    if role in ("write", "maintain", "admin"):
        return "MEMBER" if repository.owner.is_organization else "COLLABORATOR"
    return "CONTRIBUTOR"


def _nobody(event: str, action: str | None, **_: Any) -> None:
    """The emitter until webhooks are connected."""
