"""What holds for every test."""

from hypothesis import settings

# How long an example takes says something of the machine, not of the code. A run tells of the code
# alone, so each tries the same examples; `make search` tries others.
settings.register_profile("sbc", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("sbc")
