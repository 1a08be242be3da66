"""Medians, ratios and goals."""

from tests.bench.media.comparison import compared
from tests.bench.media.report import Figures, goals


def test_ratios_are_of_the_same_round() -> None:
    rounds = {"io_uring": [20.0, 300.0, 40.0], "rtpengine": [10.0, 100.0, 20.0]}
    assert compared("packets", rounds) == {
        "io_uring": {"packets": 40, "times": 2.0, "times_quartiles": [2.0, 2.5]},
        "rtpengine": {"packets": 20},
    }


def test_one_round_has_no_spread() -> None:
    rounds = {"io_uring": [30.0], "rtpengine": [20.0]}
    assert compared("packets", rounds)["io_uring"]["times_quartiles"] == [1.5, 1.5]


def test_without_rtpengine_there_is_no_ratio() -> None:
    assert compared("packets", {"epoll": [5.0, 7.0]}) == {"epoll": {"packets": 6}}


def test_a_goal_is_judged_only_where_something_was_measured() -> None:
    figures: Figures = {
        "drain": {"rtp_rtp": {"io_uring": {"times": 1.4}}},
        "usual": {"rtp_rtp": {"io_uring": {"p50_us": 12}, "rtpengine": {"p50_us": 12}}},
        "memory": {"rtp_rtp": {"io_uring": {"kb_per_call": 9}}},
    }
    assert [(goal.name, goal.met) for goal in goals(figures)] == [
        ("drain rtp_rtp, times", False),
        ("usual rtp_rtp, p50_us", True),
        ("memory rtp_rtp, kb_per_call", False),
    ]
