"""Plans and packets by chance through both brains: the same verdicts, bytes, events and counters.

ENGINE_SEEDS=from-to plays other seeds than those of every day.
"""

import os
from collections import Counter

import pytest

from media.types import DropReason, LatchRank
from tests.kit.engines import native_module

native_module()

from tests.engine.chance import play  # noqa: E402 - it needs the native engine

FIRST, LAST = (int(part) for part in os.environ.get("ENGINE_SEEDS", "0-2000").split("-"))
BUNDLE = 100
STEPS = 150


@pytest.mark.parametrize("first", range(FIRST, LAST, BUNDLE))
def test_both_engines_do_the_same(first: int) -> None:
    for seed in range(first, min(first + BUNDLE, LAST)):
        try:
            play(seed, STEPS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("first", range(FIRST, LAST, 4 * BUNDLE))
def test_a_stream_that_moves_to_another_process_goes_on_all_the_same(first: int) -> None:
    for seed in range(first, min(first + BUNDLE, LAST)):
        try:
            play(seed, STEPS, moves=True)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_chance_meets_everything() -> None:
    seen: Counter[str] = Counter()
    learned: Counter[LatchRank] = Counter()
    measured: Counter[str] = Counter()
    for seed in range(100):
        twins = play(seed, 4 * STEPS)
        seen += twins.verdicts
        learned += twins.learned
        measured += twins.measured
    assert {reason.name for reason in DropReason} - {"SEND_FAILED", "QUEUE_FULL"} <= set(seen)
    assert seen["handshake"] > 100
    assert seen["relayed"] > 0.3 * seen.total()
    assert set(learned) == set(LatchRank) - {LatchRank.NONE}
    assert min(measured[name] for name in ("speech", "windows", "peer", "round_trip_ms")) > 50
