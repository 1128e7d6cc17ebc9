"""`python -m tests.load` (or `make load`): prints how fast webhooks are taken and reviews are posted"""

import argparse

from tests.load import accepting, reviewing


def main(arguments: list[str] | None = None) -> None:
    """Everything in turn; some three minutes."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long webhooks are sent, each time")
    parser.add_argument("--reviews", type=int, default=30, metavar="N", help="how many pull requests, each time")
    given = parser.parse_args(arguments)
    accepting.measure(min(given.seconds, 30.0))
    reviewing.latency(min(given.reviews, 200))
    for answers_after in (0.0, 0.2, 0.5):
        count = given.reviews * (8 if answers_after else 4)
        reviewing.throughput(min(max(count, 10), 400), answers_after=answers_after)


if __name__ == "__main__":
    main()
