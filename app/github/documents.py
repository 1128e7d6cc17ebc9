"""What is asked of GitHub's GraphQL: https://docs.github.com/graphql/reference/objects

The head is asked for as the pull request's last commit, and every file as that commit's: so one query gets the
head's id and its texts together, and a push in between cannot mix two heads.
"""

from collections.abc import Iterable

from app.manifests.pins import USUAL

#: More in one query, and GitHub's time limit of ten seconds comes into sight.
MOST_FILES = 100
CONFIG_PATHS = (".mlstaff.yml", ".github/mlstaff.yml")

_TEXT = """
fragment Text on TreeEntry {
  type
  object { ... on Blob { oid byteSize isBinary isTruncated text } }
}
"""
_TALK = """
fragment Threads on PullRequestReviewThreadConnection {
  pageInfo { hasNextPage endCursor }
  nodes {
    id isResolved path line
    comments(first: 1) {
      totalCount
      nodes {
        id fullDatabaseId body viewerDidAuthor isMinimized
        reactions(content: THUMBS_DOWN, first: 10) { nodes { user { login } } }
      }
    }
  }
}
fragment Reviews on PullRequestReviewConnection {
  pageInfo { hasPreviousPage startCursor }
  nodes { fullDatabaseId body viewerDidAuthor state }
}
fragment Comments on IssueCommentConnection {
  pageInfo { hasPreviousPage startCursor }
  nodes { body viewerDidAuthor }
}
"""
_CHECKS = """
fragment Checks on CheckSuiteConnection {
  nodes { checkRuns(first: 20, filterBy: {checkName: $check}) { nodes { permalink status externalId } } }
}
"""
_WHICH = "$owner: String!, $name: String!"
ORGANISATION = ".github"
"""The repository whose configuration lies below that of every other one of its owner."""


def _configs() -> str:
    return " ".join(f'config{nth}: file(path: "{path}") {{ ...Text }}' for nth, path in enumerate(CONFIG_PATHS))


def _manifests() -> str:
    return " ".join(f'manifest{nth}: file(path: "{path}") {{ ...Text }}' for nth, path in enumerate(USUAL))


def _organisation() -> str:
    """The owner's own configuration; an error of the type NOT_FOUND beside the rest where there is none."""
    commit = f"target {{ ... on Commit {{ {_configs()} }} }}"
    return f'organisation: repository(owner: $owner, name: "{ORGANISATION}") {{ defaultBranchRef {{ {commit} }} }}'


def pull_request(files: int, *, manifests: bool) -> str:
    """Everything about a pull request, and so many files of its head: variables `path0`, `path1`, …; with
    `manifests` also what the top folder may say of library versions."""
    return f"""
query PullRequest({_WHICH}, $number: Int!, $app: Int!, $check: String!{_variables(files)}) {{
  repository(owner: $owner, name: $name) {{
    nameWithOwner
    pullRequest(number: $number) {{
      id title body isDraft state
      author {{ __typename login }}
      labels(first: 100) {{ nodes {{ name }} }}
      baseRefName baseRefOid headRefOid changedFiles additions deletions
      baseRef {{ target {{ ... on Commit {{ {_configs()} }} }} }}
      commits(last: 1) {{ nodes {{ commit {{
        oid
        checkSuites(first: 10, filterBy: {{appId: $app}}) {{ ...Checks }}
        {_files(range(files))}
        {_manifests() if manifests else ""}
      }} }} }}
      reviewThreads(first: 100) {{ ...Threads }}
      reviews(last: 100) {{ ...Reviews }}
      comments(last: 100) {{ ...Comments }}
    }}
  }}
  {_organisation()}
}}
{_TEXT}{_CHECKS}{_TALK}"""


def files_at(files: int) -> str:
    """So many further files of the commit `head`."""
    return f"""
query Files({_WHICH}, $head: GitObjectID!{_variables(files)}) {{
  repository(owner: $owner, name: $name) {{
    object(oid: $head) {{ ... on Commit {{ oid {_files(range(files))} }} }}
  }}
}}
{_TEXT}"""


TALK = f"""
query Talk({_WHICH}, $number: Int!, $threads: String, $reviews: String, $comments: String,
           $moreThreads: Boolean!, $moreReviews: Boolean!, $moreComments: Boolean!) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{
      reviewThreads(first: 100, after: $threads) @include(if: $moreThreads) {{ ...Threads }}
      reviews(last: 100, before: $reviews) @include(if: $moreReviews) {{ ...Reviews }}
      comments(last: 100, before: $comments) @include(if: $moreComments) {{ ...Comments }}
    }}
  }}
}}
{_TALK}"""

CHECKS = f"""
query Checks({_WHICH}, $head: GitObjectID!, $check: String!) {{
  repository(owner: $owner, name: $name) {{
    object(oid: $head) {{ ... on Commit {{ checkSuites(first: 10) {{ ...Checks }} }} }}
  }}
}}
{_CHECKS}"""

REPLIES = f"""
query Replies({_WHICH}, $number: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{
      reviewThreads(first: 50, after: $after) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{ comments(first: 100) {{ nodes {{ fullDatabaseId body viewerDidAuthor }} }} }}
      }}
    }}
  }}
}}
"""

REACT = """
mutation React($subject: ID!, $content: ReactionContent!) {
  addReaction(input: {subjectId: $subject, content: $content}) { reaction { content } }
}
"""

LOOK = f"""
query Look({_WHICH}, $number: Int!) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{
      headRefOid
      baseRef {{ target {{ ... on Commit {{ {_configs()} }} }} }}
      reviewThreads(first: 100) {{ ...Threads }}
      reviews(last: 100) {{ ...Reviews }}
      comments(last: 100) {{ ...Comments }}
    }}
  }}
  {_organisation()}
}}
{_TEXT}{_TALK}"""


def _variables(files: int) -> str:
    return "".join(f", $path{index}: String!" for index in range(files))


def _files(indices: Iterable[int]) -> str:
    return "\n".join(f"file{index}: file(path: $path{index}) {{ ...Text }}" for index in indices)
