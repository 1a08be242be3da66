"""The E-model against what ITU-T publishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.quality import (
    Conditions,
    codec_name,
    delay_impairment,
    is_listed,
    loss_impairment,
    mean_opinion_score,
    score_of_rating,
)

CLEAN = Conditions(codec=0, loss=0.0, burst_ratio=1.0, jitter_ms=0.0, delay_ms=0.0)


@pytest.mark.parametrize(
    ("rating", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_ratings_have_the_scores_of_table_b_1_of_g_107(rating: float, score: float) -> None:
    assert score_of_rating(rating) == pytest.approx(score, abs=0.01)


def test_a_clean_call_has_the_default_rating_of_g_107() -> None:
    assert mean_opinion_score(CLEAN) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("codec", "impairments"),
    [
        (0, {0: 0, 1: 5, 2: 7, 3: 10, 5: 15}),
        (4, {0: 15, 1: 19, 2: 24, 4: 32, 8: 41, 16: 55}),
        (18, {0: 11, 1: 15, 2: 19, 4: 26, 8: 36, 16: 49}),
    ],
)
def test_loss_by_chance_impairs_as_g_113_lists_it(codec: int, impairments: dict[int, int]) -> None:
    # The planning values under random loss of G.113 appendix I, whole numbers; the formula that
    # G.107 fits to them is off by one here and there.
    for percent, listed in impairments.items():
        impairment = loss_impairment(CLEAN._replace(codec=codec, loss=percent / 100))
        assert impairment == pytest.approx(listed, abs=1.5)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (0, "G.711"),
        (8, "G.711"),
        (4, "G.723.1"),
        (18, "G.729A"),
        (3, "G.711 assumed"),
        (111, "G.711 assumed"),
        (None, "G.711 assumed"),
    ],
)
def test_a_codec_without_figures_counts_as_g_711_and_says_so(codec: int | None, name: str) -> None:
    assert codec_name(codec) == name
    assert codec is None or is_listed(codec) is ("assumed" not in name)
    lossy = CLEAN._replace(loss=0.05)
    same = loss_impairment(lossy._replace(codec=codec)) == loss_impairment(lossy)
    assert same is name.startswith("G.711")


def test_delay_costs_what_the_formula_of_g_107_says() -> None:
    # By hand: X = 2, so 25 * (65 ** (1/6) - 3 * (1 + 64/729) ** (1/6) + 2).
    assert delay_impairment(400.0) == pytest.approx(24.07, abs=0.01)
    assert delay_impairment(100.0) == 0.0
    assert delay_impairment(150.0) < 1.0


def test_a_jitter_buffer_of_twice_the_jitter_adds_to_the_delay() -> None:
    buffered = CLEAN._replace(jitter_ms=100.0, delay_ms=200.0)
    assert mean_opinion_score(buffered) == mean_opinion_score(CLEAN._replace(delay_ms=400.0))


def test_bursts_cost_more_than_loss_by_chance_up_to_a_ratio_of_eight() -> None:
    impairment = [
        loss_impairment(CLEAN._replace(loss=0.1, burst_ratio=ratio))
        for ratio in (0.5, 1.0, 2.0, 7.9, 8.0, 80.0)
    ]
    assert impairment[0] == impairment[1] < impairment[2] < impairment[3] < impairment[4]
    assert impairment[4] == impairment[5]


@given(
    st.builds(
        Conditions,
        codec=st.none() | st.integers(0, 127),
        loss=st.floats(0, 2),
        burst_ratio=st.floats(0, 1e6),
        jitter_ms=st.floats(0, 1e9),
        delay_ms=st.floats(0, 1e9),
    )
)
def test_the_score_stays_on_its_scale(conditions: Conditions) -> None:
    assert 1.0 <= mean_opinion_score(conditions) <= 4.5
