"""`python -m tests.simulator run`: try the bot on a pull request of any local repository"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.simulator.bot import NotReady
from tests.simulator.git import GitError
from tests.simulator.run import TookTooLong, Trial, run


def main(arguments: list[str] | None = None) -> int:
    """0 when the bot is done, 1 when it is not in time or does not start, 2 for a wrong repository or revision."""
    trial = _trial(_parser().parse_args(arguments))
    try:
        with tempfile.TemporaryDirectory(prefix="mlstaff-") as folder:
            print(json.dumps(run(trial, Path(folder)), indent=2, ensure_ascii=False))
    except (TookTooLong, NotReady) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except GitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    command = parser.add_subparsers(required=True).add_parser("run", help="review one pull request")
    command.add_argument("--git", type=Path, required=True, metavar="PATH", help="a local git repository")
    command.add_argument("--base", required=True, metavar="REV", help="the revision the base branch is at")
    command.add_argument("--head", required=True, metavar="REV", help="the revision the pull request is at")
    command.add_argument("--comment", metavar="TEXT", help="what a maintainer says after the review")
    command.add_argument("--record", type=Path, metavar="FILE", help="write every exchange as a line of JSON")
    command.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="how long to wait for each step"
    )
    command.add_argument(
        "--serve", action="store_true", help="one `mlstaff serve` instead of Valkey, `web` and `worker` apart"
    )
    return parser


def _trial(given: argparse.Namespace) -> Trial:
    return Trial(
        git=given.git.resolve(),
        base=given.base,
        head=given.head,
        comment=given.comment,
        record=given.record,
        timeout=given.timeout,
        apart=not given.serve,
    )


if __name__ == "__main__":
    sys.exit(main())
