"""A repository and the pull requests opened in it"""

from pathlib import Path

from tests.simulator import checking, events
from tests.simulator.git import revision
from tests.simulator.model import Account, PullRequest, Repository
from tests.simulator.objects import Files
from tests.simulator.people import OpenedPullRequest
from tests.simulator.shapes.repositories import simple_commit
from tests.simulator.world import World


class HostedRepository:
    """A repository in the hands of a test."""

    def __init__(self, world: World, repository: Repository, *, source: Path | None = None) -> None:
        self._world, self.repository = world, repository
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

    def push(self, files: Files, *, branch: str = "main", message: str = "change", start: str | None = None) -> str:
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
            return self._open(start, head, author=author, title=title, body=body, draft=draft, fork=fork, base=base)

    def open_pull_request_between(
        self, base_revision: str, head_revision: str, *, author: str = "contributor", title: str = "A change"
    ) -> OpenedPullRequest:
        """Open a pull request between two revisions of the local repository this one was made from."""
        base, head = (revision(self._source, name) for name in (base_revision, head_revision))
        with self._world.lock:
            self.repository.branches["main"] = base
            return self._open(base, head, author=author, title=title, body="", draft=False, fork=False, base="main")

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

    def move(self, full_name: str) -> None:
        """Rename it or transfer it to another owner; the old address answers 301."""
        with self._world.lock:
            old = self.full_name.lower()
            owner, _, name = full_name.partition("/")
            self._world.renamed[old] = self._world.repositories.pop(old)
            self.repository.owner = self._world.account(owner, "Organization")
            self.repository.name = name
            self._world.repositories[full_name.lower()] = self.repository

    def rename(self, name: str) -> None:
        """Give it another name; the old address answers 301."""
        self.move(f"{self.repository.owner.login}/{name}")

    def archive(self) -> None:
        """Make it read-only."""
        self.repository.archived = True

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
        repository.roles.setdefault(who.login, "read")  # or they could not have opened it
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
        if not fork:
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
