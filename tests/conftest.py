"""What holds for every test."""

import gc
import os

from hypothesis import settings

# Hundreds of tests start a program of ours. Where the environment forbids Python to keep what it
# has compiled, each start compiles all of it anew, which takes longer than the rest of the start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes says something of the machine, not of the code. A run tells of the code
# alone, so each tries the same examples; `make search` tries others.
settings.register_profile("sbc", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("sbc")


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what is there before the first test, for ever.

    Modules and thousands of tests are no garbage, and to look at them again and again takes a good
    part of the time of tests that only compute.
    """
    gc.collect()
    gc.freeze()
