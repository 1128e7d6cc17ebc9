"""The parts of GitHub's payloads that we read; unknown fields are skipped, so that new ones never break us.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from pydantic import BaseModel

from app.pull_request import PullRequestRef


class Action(BaseModel):
    """What every payload may have: the word after the dot in `pull_request.opened`."""

    action: str = ""


class Identified(BaseModel):
    """Anything of which the id is enough: an installation, a repository."""

    id: int


class Repository(Identified):
    """`full_name` is owner/name as of now; the id stays through renames and transfers."""

    full_name: str


class User(BaseModel):
    """An account; `type` is User, Bot, Organization or Mannequin."""

    login: str
    type: str = "User"


class Delivery(BaseModel):
    """What each payload of ours has: where we are installed, and the repository."""

    installation: Identified
    repository: Repository

    def ref(self, number: int) -> PullRequestRef:
        """Where the pull request `number` of this repository is."""
        return PullRequestRef(self.installation.id, self.repository.id, self.repository.full_name, number)


class Authored(BaseModel):
    """A pull request; `user` is None for a deleted account."""

    number: int
    user: User | None = None


class Issue(Authored):
    """An issue; `pull_request` is there when it is the conversation of one."""

    pull_request: object = None


class Changes(BaseModel):
    """What an `edited` changed; `base` is there when it was the base branch."""

    base: object = None


class Label(BaseModel):
    """A label that was put on or taken off."""

    name: str = ""


class PullRequestDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request"""

    pull_request: Authored
    changes: Changes = Changes()
    label: Label = Label()


class Comment(Identified):
    """A comment of any kind, or a review. `in_reply_to_id` is the first comment of its thread."""

    node_id: str
    body: str | None = None
    user: User | None = None
    in_reply_to_id: int | None = None


class IssueCommentDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment"""

    issue: Issue
    comment: Comment


class ReviewCommentDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review_comment"""

    pull_request: Authored
    comment: Comment


class ReviewDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review"""

    pull_request: Authored
    review: Comment


class Base(BaseModel):
    """The side of a pull request that it would be merged into."""

    repo: Identified


class NamedPullRequest(BaseModel):
    """A pull request as a check names it; it may be one of another repository with the same commit."""

    number: int
    base: Base | None = None


class Check(Identified):
    """A check run or a check suite. `pull_requests` is empty where the head is in a fork."""

    head_sha: str = ""
    external_id: str | None = None
    pull_requests: tuple[NamedPullRequest, ...] = ()


class RequestedAction(BaseModel):
    """The button of a check run that somebody pressed."""

    identifier: str = ""


class CheckRunDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_run"""

    check_run: Check
    sender: User
    requested_action: RequestedAction | None = None


class CheckSuiteDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_suite"""

    check_suite: Check


class MergeGroup(BaseModel):
    """The commit that a merge queue is about to merge."""

    head_sha: str


class MergeGroupDelivery(Delivery):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#merge_group"""

    merge_group: MergeGroup


class PingDelivery(BaseModel):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping"""

    zen: str = ""
