"""Which steps say something, and where a climb goes next."""

from collections.abc import Callable

from tests.bench.media.generator import Counts
from tests.bench.media.stepped import USUAL_RATE, Climb, Step, Verdict


def a_step(
    *,
    rate: float = 100_000.0,
    offered: float = 1.0,
    kept: float = 1.0,
    p50_us: int = 100,
    cores: float = 1.0,
    steal_s: float = 0.0,
    unseen: int = 0,
) -> Step:
    sent = int(rate * offered)
    counts = Counts(1.0, sent, int(sent * kept), unseen, p50_us, p50_us, (cores,), [])
    return Step("relay", rate, counts, cores, steal_s)


def climbed(climb: Climb, verdict_of: Callable[[float], Step]) -> list[float]:
    """The rates of all steps until the climb is done."""
    rates = []
    while not climb.done:
        rates.append(climb.rate)
        climb.take(verdict_of(climb.rate))
    return rates


def a_relay_that_carries(most: float) -> Callable[[float], Step]:
    def step(rate: float) -> Step:
        kept = min(1.0, most / rate)
        return a_step(rate=rate, kept=kept, p50_us=100 if kept == 1 else 90_000, cores=kept)

    return step


def test_a_relay_that_follows_is_clean_however_busy() -> None:
    assert a_step(cores=0.99).verdict is Verdict.CLEAN


def test_a_queue_that_grows_is_saturation_before_a_packet_is_lost() -> None:
    assert a_step(kept=0.999, p50_us=40_000).verdict is Verdict.SATURATED


def test_packets_that_do_not_come_out_are_saturation() -> None:
    assert a_step(kept=0.9, p50_us=50_000).verdict is Verdict.SATURATED


def test_a_relay_without_its_core_says_nothing() -> None:
    assert a_step(kept=0.9, p50_us=50_000, cores=0.8).verdict is Verdict.DISTURBED


def test_a_gap_that_no_packet_queued_for_says_nothing() -> None:
    assert a_step(kept=0.98, p50_us=200).verdict is Verdict.DISTURBED


def test_a_clean_step_with_a_stolen_core_says_nothing() -> None:
    assert a_step(steal_s=0.1).verdict is Verdict.DISTURBED


def test_a_generator_that_could_not_look_says_nothing() -> None:
    assert a_step(unseen=1).verdict is Verdict.DISTURBED


def test_a_step_costs_what_came_out() -> None:
    assert a_step(rate=1000, kept=0.5, cores=0.25).packets_per_cpu_s == 2000


def test_a_climb_ends_within_a_tenth_of_what_the_relay_carries() -> None:
    for most in (20_000.0, 60_000.0, 133_000.0, 270_000.0):
        climb = Climb(USUAL_RATE)
        climbed(climb, a_relay_that_carries(most))
        assert climb.best is not None
        assert most / 1.1 <= climb.best.asked_per_s <= most


def test_a_climb_that_knows_the_summit_needs_few_steps() -> None:
    assert len(climbed(Climb(200_000.0, near=True), a_relay_that_carries(205_000.0))) == 2
    assert len(climbed(Climb(200_000.0, near=True), a_relay_that_carries(195_000.0))) == 2


def test_a_climb_ends_where_the_generator_does() -> None:
    most_offered = 150_000.0
    climb = Climb(USUAL_RATE)
    rates = climbed(climb, lambda rate: a_step(rate=rate, offered=min(1.0, most_offered / rate)))
    assert climb.best is not None
    assert max(rates) < 1.3 * most_offered


def test_a_climb_of_a_relay_that_relays_nothing_ends() -> None:
    climb = Climb(USUAL_RATE)
    climbed(climb, a_relay_that_carries(0.0))
    assert climb.best is None
