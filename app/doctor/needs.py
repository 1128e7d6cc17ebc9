"""What the App must be allowed and told, and what is missing without it

https://docs.github.com/rest/authentication/permissions-required-for-github-apps and
https://docs.github.com/webhooks/webhook-events-and-payloads
"""

PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "pull_requests": "write",
    "checks": "write",
    "issues": "write",
    "merge_queues": "read",
}
"""Nothing more. GitHub sends `merge_group` only to Apps that may read merge queues, and a required check that does not
answer it stalls the queue without a word."""
OPTIONAL = {"merge_queues": "a merge queue that requires this check waits for ever"}
"""Without which pull requests are reviewed all the same."""

EVENTS = {
    "pull_request": "no pull request is ever reviewed",
    "issue_comment": "commands in the conversation are not heard",
    "pull_request_review": "commands in reviews are not heard",
    "pull_request_review_comment": "commands in threads of the diff are not heard",
    "check_run": "the buttons of the check run do nothing",
    "check_suite": "“Re-run all checks” does nothing",
    "merge_group": "a merge queue that requires this check waits for ever",
}
"""With what is lost without each."""
_LEVELS = ("none", "read", "write", "admin")


def missing(granted: dict[str, str]) -> dict[str, str]:
    """The permissions that are not granted to their full."""
    return {
        name: level
        for name, level in PERMISSIONS.items()
        if _LEVELS.index(granted.get(name, "none")) < _LEVELS.index(level)
    }
