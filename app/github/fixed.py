"""Marking comments whose finding is gone: edited, minimised and, where that is allowed, resolved, in one call

https://docs.github.com/graphql/reference/mutations. Resolving a thread takes `contents: write`.
"""

from collections.abc import Sequence
from typing import Any

from app.conversation.memory import as_fixed
from app.github.connection import GitHub
from app.pull_request import PullRequest, Thread

#: Three mutations each.
MOST_A_CALL = 20


async def mark_fixed(github: GitHub, pull_request: PullRequest, threads: Sequence[Thread]) -> None:
    """Mark them; what GitHub does not allow beyond the edit is left."""
    if not threads:
        return
    installation_id = pull_request.ref.installation_id
    may_resolve = (await github.permissions(installation_id)).get("contents") == "write"
    for start in range(0, len(threads), MOST_A_CALL):
        part = threads[start : start + MOST_A_CALL]
        variables: dict[str, Any] = {}
        for nth, thread in enumerate(part):
            variables |= {f"id{nth}": thread.comment_node_id, f"body{nth}": as_fixed(thread, pull_request.head_sha)}
            variables |= {f"thread{nth}": thread.thread_id} if may_resolve else {}
        await github.mutate(installation_id, document(len(part), may_resolve=may_resolve), variables)


def document(threads: int, *, may_resolve: bool) -> str:
    """The mutation for so many threads; errors of single fields leave the others done."""
    declared, fields = [], []
    for nth in range(threads):
        declared += [f"$id{nth}: ID!", f"$body{nth}: String!"]
        edit = f"{{pullRequestReviewCommentId: $id{nth}, body: $body{nth}}}"
        fields += [
            f"edit{nth}: updatePullRequestReviewComment(input: {edit}) {{ pullRequestReviewComment {{ id }} }}",
            f"minimize{nth}: minimizeComment(input: {{subjectId: $id{nth}, classifier: RESOLVED}}) "
            "{ clientMutationId }",
        ]
        if may_resolve:
            declared.append(f"$thread{nth}: ID!")
            fields.append(
                f"resolve{nth}: resolveReviewThread(input: {{threadId: $thread{nth}}}) {{ clientMutationId }}"
            )
    return f"mutation Fixed({', '.join(declared)}) {{\n" + "\n".join(fields) + "\n}"
