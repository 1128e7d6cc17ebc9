"""What people do on a pull request, each with the webhooks GitHub sends for it"""

from collections.abc import Sequence
from typing import Any

from tests.simulator import checking, conversation, events, reviewing
from tests.simulator.model import Account, CheckRun, IssueComment, Json, PullRequest, ReviewComment, Thread
from tests.simulator.objects import Files
from tests.simulator.placing import placement
from tests.simulator.shapes import checks, comments, pulls
from tests.simulator.shapes.comments import review as shape_of_review
from tests.simulator.world import World


class OpenedPullRequest:
    """A pull request in the hands of a test.

    `author` and `user` arguments are logins; who is not named is the pull request's author.
    """

    def __init__(self, world: World, pull: PullRequest) -> None:
        self.world, self.pull = world, pull

    @property
    def number(self) -> int:
        """Its number in the repository."""
        return self.pull.number

    @property
    def head_sha(self) -> str:
        """The present head."""
        return self.pull.head_sha

    @property
    def base_sha(self) -> str:
        """The base as of the last push or retarget."""
        return self.pull.base_sha

    @property
    def merge_base(self) -> str:
        """The commit the diff starts from."""
        return self.pull.merge_base

    @property
    def path(self) -> str:
        """`/repos/{owner}/{repo}/pulls/{number}`."""
        return f"/repos/{self.pull.repository.full_name}/pulls/{self.number}"

    @property
    def diff(self) -> str:
        """What it changes, as git writes it."""
        return pulls.diff_of(self.pull).text.decode("utf-8", "replace")

    def push(self, files: Files, *, message: str = "more", author: str | None = None) -> str:
        """Add a commit to the head; returns its id."""
        with self.world.lock:
            sha = self._git.commit(files, parents=[self.head_sha], message=message, author=self._name(author))
            return self.set_head(sha, author=author)

    def force_push(self, files: Files, *, onto: str | None = None, author: str | None = None) -> str:
        """Replace all its commits by one, on the merge base or on another commit (a rebase)."""
        with self.world.lock:
            parent = onto or self.merge_base
            sha = self._git.commit(files, parents=[parent], message="rewritten", author=self._name(author))
            return self.set_head(sha, author=author)

    def merge_base_in(self, *, author: str | None = None) -> str:
        """Merge the base branch's tip into the head, keeping the head's side of the tree."""
        with self.world.lock:
            tip = self.pull.repository.branches[self.pull.base_ref]
            changed = self._git.diff(self.merge_base, tip).files
            files: dict[str, bytes | None] = {}
            for file in changed:
                found = self._git.read(f"{tip}:{file.path}")
                files[file.path] = found.data if found else None
            sha = self._git.commit(files, parents=[self.head_sha, tip], message="merge", author=self._name(author))
            return self.set_head(sha, author=author)

    def set_head(self, sha: str, *, author: str | None = None) -> str:
        """Point the head at a commit that exists; `synchronize`."""
        with self.world.lock:
            before, pull = self.head_sha, self.pull
            pull.heads.append(sha)
            pull.head_repository.branches[pull.head_ref] = sha
            pull.base_sha = pull.repository.branches.get(pull.base_ref, pull.base_sha)
            self._touch()
            if pull.state == "open":
                self._told("synchronize", author, before=before, after=sha)
                if not pull.is_fork:  # the push was to another repository
                    suite = checking.suite_of(self.world, pull.repository, sha)
                    events.check_suite(self.world, suite, "requested", self._account(author))
        return sha

    def retarget(self, base: str, *, author: str | None = None) -> None:
        """Change the base branch; `edited`."""
        with self.world.lock:
            before = {"ref": {"from": self.pull.base_ref}, "sha": {"from": self.pull.base_sha}}
            self.pull.base_ref, self.pull.base_sha = base, self.pull.repository.branches[base]
            self._touch()
            self._told("edited", author, changes={"base": before})

    def edit(self, *, title: str | None = None, body: str | None = None, author: str | None = None) -> None:
        """Change the title or the description; `edited`."""
        with self.world.lock:
            changes: Json = {}
            for name, value in (("title", title), ("body", body)):
                if value is not None:
                    changes[name] = {"from": getattr(self.pull, name)}
                    setattr(self.pull, name, value)
            self._touch()
            self._told("edited", author, changes=changes)

    def close(self, *, merged: bool = False, author: str | None = None) -> None:
        """Close or merge it; `closed`."""
        with self.world.lock:
            self._touch()
            self.pull.state, self.pull.closed_at = "closed", self.pull.updated_at
            self.pull.merged_at = self.pull.updated_at if merged else None
            if merged:
                self.pull.repository.branches[self.pull.base_ref] = self.head_sha
            self._told("closed", author)

    def reopen(self, *, author: str | None = None) -> None:
        """Open it again; `reopened`."""
        with self.world.lock:
            self._touch()
            self.pull.state, self.pull.closed_at = "open", None
            self._told("reopened", author)

    def convert_to_draft(self, *, author: str | None = None) -> None:
        """`converted_to_draft`."""
        self._set_draft(True, "converted_to_draft", author)

    def ready_for_review(self, *, author: str | None = None) -> None:
        """`ready_for_review`."""
        self._set_draft(False, "ready_for_review", author)

    def label(self, name: str, *, author: str | None = None) -> None:
        """Add a label; `labeled`."""
        with self.world.lock:
            self.pull.labels.append(name)
            self._told("labeled", author, label=pulls.label(self.world, self.pull.repository, name))

    def unlabel(self, name: str, *, author: str | None = None) -> None:
        """Take a label off; `unlabeled`."""
        with self.world.lock:
            self.pull.labels.remove(name)
            self._told("unlabeled", author, label=pulls.label(self.world, self.pull.repository, name))

    def comment(self, body: str, *, author: str | None = None) -> IssueComment:
        """Say something in the conversation; `issue_comment` created."""
        with self.world.lock:
            return conversation.comment(self.world, self.pull, self._account(author), body)

    def edit_comment(self, comment: IssueComment | ReviewComment, body: str, *, author: str | None = None) -> None:
        """Give a comment another text; `edited`."""
        with self.world.lock:
            who = self._account(author or comment.user.login)
            if isinstance(comment, IssueComment):
                conversation.edit(self.world, comment, who, body)
            else:
                reviewing.edit_comment(self.world, comment, who, body)

    def comment_on_diff(
        self, path: str, line: int, body: str, *, side: str = "RIGHT", author: str | None = None
    ) -> ReviewComment:
        """Open a thread on a line; `pull_request_review` and `pull_request_review_comment`."""
        given = {"path": path, "line": line, "side": side, "body": body, "commit_id": self.head_sha}
        with self.world.lock:
            return reviewing.create_comment(self.world, self.pull, self._account(author), given)

    def comment_in_thread(self, comment: ReviewComment | int, body: str, *, author: str | None = None) -> ReviewComment:
        """Answer in the thread of a comment."""
        with self.world.lock:
            first = self._comment(comment).thread.comments[0]
            return reviewing.reply(self.world, first, self._account(author), {"body": body})

    def review_with_body(
        self, body: str, *, event: str = "COMMENT", author: str, comments: Sequence[Json] = ()
    ) -> Json:
        """Submit a review; returns what the API shows of it."""
        given = {"body": body, "event": event, "comments": list(comments)}
        with self.world.lock:
            review = reviewing.create_review(self.world, self.pull, self._account(author), given)
            return shape_of_review(self.world, review)

    def delete_comment(self, comment: ReviewComment | int, *, author: str | None = None) -> None:
        """Delete a comment on the diff."""
        with self.world.lock:
            reviewing.delete_comment(self.world, self._comment(comment), self._account(author))

    def react(self, subject: IssueComment | ReviewComment | int | None, content: str, user: str) -> None:
        """React to a comment, or to the pull request itself; no webhook tells of it."""
        with self.world.lock:
            found = self.pull if subject is None else self._reactable(subject)
            conversation.react(self.world, found, self._account(user), content)

    def resolve_thread(self, comment: ReviewComment | int, *, user: str | None = None) -> None:
        """Resolve the thread of a comment."""
        with self.world.lock:
            who = self._account(user)
            reviewing.resolve(self.world, self._comment(comment).thread, who, who)

    def unresolve_thread(self, comment: ReviewComment | int, *, user: str | None = None) -> None:
        """Open the thread of a comment again."""
        with self.world.lock:
            reviewing.resolve(self.world, self._comment(comment).thread, None, self._account(user))

    def check_runs(self, *, name: str | None = None, sha: str | None = None) -> list[CheckRun]:
        """The check runs on a commit, the present head else, oldest first."""
        with self.world.lock:
            runs = self.pull.repository.check_runs.values()
            return [
                each for each in runs if each.suite.head_sha == (sha or self.head_sha) and name in (None, each.name)
            ]

    def rerequest(self, run: CheckRun, *, user: str | None = None) -> None:
        """Press "Re-run" of a check run; `check_run` rerequested."""
        with self.world.lock:
            events.check_run(self.world, run, "rerequested", self._account(user))

    def rerequest_suite(self, *, user: str | None = None) -> None:
        """Press "Re-run all checks"; `check_suite` rerequested."""
        with self.world.lock:
            suite = checking.suite_of(self.world, self.pull.repository, self.head_sha)
            events.check_suite(self.world, suite, "rerequested", self._account(user))

    def press(self, run: CheckRun, identifier: str, *, user: str | None = None) -> None:
        """Press a check run's own button; `check_run` requested_action."""
        if identifier not in [action["identifier"] for action in run.actions]:
            raise ValueError(f"the check run has no button {identifier}")
        with self.world.lock:
            asked = {"identifier": identifier}
            events.check_run(self.world, run, "requested_action", self._account(user), requested_action=asked)

    def threads(self) -> list[Thread]:
        """The review threads whose comments were submitted."""
        with self.world.lock:
            return [each for each in self.pull.threads if each.comments[0].review.state != "PENDING"]

    def state(self, *, check: str | None = None) -> Json:
        """What GitHub shows now: the head's last check run, reviews, comments on the diff, conversation, reactions."""
        with self.world.lock:
            runs = self.check_runs(name=check)
            said = [shown for each in reviewing.visible_comments(self.pull) if (shown := self._shown(each))]
            submitted = [each for each in self.pull.reviews if each.state != "PENDING"]
            return {
                "check_run": checks.check_run(self.world, runs[-1]) if runs else None,
                "reviews": [comments.review(self.world, each) for each in submitted],
                "comments": said,
                "conversation": [comments.issue_comment(self.world, each) for each in self.pull.comments],
                "reactions": self._all_reactions(),
            }

    def _shown(self, comment: ReviewComment) -> Json:
        full = comments.review_comment(self.world, comment)
        first = ("path", "line", "start_line", "side", "body")
        rest = ("id", "commit_id", "original_line", "original_commit_id", "in_reply_to_id", "start_side")
        shown: Json = {name: full.get(name) for name in (*first, *rest)}
        resolver = comment.thread.resolved_by
        return {
            **shown,
            "user": comment.user.login,
            "outdated": placement(comment.thread).position is None,
            "resolved_by": resolver.login if resolver else None,
            "minimized": comment.minimized_reason,
        }

    def _all_reactions(self) -> list[Json]:
        subjects: list[tuple[str, Any]] = [("pull_request", self.pull)]
        subjects += [("issue_comment", each) for each in self.pull.comments]
        subjects += [("review", each) for each in self.pull.reviews]
        subjects += [("review_comment", each) for each in reviewing.visible_comments(self.pull)]
        return [
            {"subject": name, "subject_id": subject.id, "content": each.content, "user": each.user.login}
            for name, subject in subjects
            for each in subject.reactions
        ]

    @property
    def _git(self) -> Any:
        return self.pull.repository.git

    def _name(self, author: str | None) -> str:
        return author or self.pull.author.login

    def _account(self, author: str | None) -> Account:
        return self.world.account(self._name(author))

    def _comment(self, comment: ReviewComment | int) -> ReviewComment:
        return self.world.review_comments[comment] if isinstance(comment, int) else comment

    def _reactable(self, subject: IssueComment | ReviewComment | int) -> IssueComment | ReviewComment:
        if not isinstance(subject, int):
            return subject
        return self.world.review_comments.get(subject) or self.world.issue_comments[subject]

    def _set_draft(self, draft: bool, action: str, author: str | None) -> None:
        with self.world.lock:
            self.pull.draft = draft
            self._touch()
            self._told(action, author)

    def _touch(self) -> None:
        self.pull.updated_at = self.world.clock.stamp()

    def _told(self, action: str, author: str | None, **parts: object) -> None:
        events.pull_request(self.world, self.pull, action, self._account(author), **parts)
