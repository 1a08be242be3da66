"""Words for the person who waits; the figures alone go to standard output."""

import sys


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)
