"""Who asks a GraphQL query, and what they may see"""

from dataclasses import dataclass

from tests.simulator.auth import Caller
from tests.simulator.errors import Refusal
from tests.simulator.graphql.connections import failure
from tests.simulator.http import granted
from tests.simulator.limits import Meter
from tests.simulator.model import Account, Repository
from tests.simulator.world import World


@dataclass(frozen=True)
class Context:
    """One query's caller."""

    world: World
    caller: Caller
    meter: Meter

    @property
    def viewer(self) -> Account:
        """Who asks; the executor has refused nobody before."""
        assert self.caller.account is not None
        return self.caller.account

    def repository(self, owner: str, name: str) -> Repository:
        """A repository the viewer may see; NOT_FOUND else."""
        try:
            found = self.world.repository(owner, name)
        except Refusal as refusal:
            renamed = self.world.renamed.get(f"{owner}/{name}".lower())
            if renamed is None:
                raise _no_repository(owner, name) from refusal
            found = renamed
        if not self._sees(found):
            raise _no_repository(owner, name)
        return found

    def allows(self, repository: Repository, *permissions: str) -> bool:
        """Whether the viewer has one of these permissions (`pull_requests:write`) on a repository."""
        if self.caller.installation is None:
            role = self.world.role(repository, self.viewer.login)
            return role in ("write", "maintain", "admin") or all(each.endswith(":read") for each in permissions)
        return self._sees(repository) and any(granted(self.caller.permissions, each) for each in permissions)

    def require(self, repository: Repository, *permissions: str) -> None:
        """FORBIDDEN without one of these permissions."""
        if not self.allows(repository, *permissions):
            raise failure("FORBIDDEN", "Resource not accessible by integration")

    def _sees(self, repository: Repository) -> bool:
        installation = self.caller.installation
        if installation is None:
            return self.world.role(repository, self.viewer.login) != "none"
        return self.world.installed_on(repository) is installation and self.caller.covers(repository.id)


def _no_repository(owner: str, name: str) -> Exception:
    return failure("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")
