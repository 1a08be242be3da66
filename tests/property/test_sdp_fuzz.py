"""The fuzzer's oracle on a bounded, seeded stream of mutations."""

from itertools import islice

import pytest

from tests.fuzz.sdp import check, mutations, seeds


def test_every_seed_is_a_description() -> None:
    assert len(seeds()) > 40
    assert all(check(body) for body in seeds())


@pytest.mark.parametrize("seed", range(4))
def test_mutated_bodies_break_no_promise(seed: int) -> None:
    outcomes = [check(body) for body in islice(mutations(seed), 1500)]
    # Both kinds must come up, or the mutations test nothing.
    assert 100 < sum(outcomes) < 1400
