"""What calls sound like, window by window."""

from collections.abc import Callable

import pytest

from media.rating import Path, Ratings
from media.statistics import Reception
from media.types import SpeechQuality


class Talk:
    """Speech of 50 packets a second, of which each window loses what it is told to."""

    def __init__(self, payload_type: int = 0, delay_ms: float = 0.0) -> None:
        self.path = Path(8000, delay_ms)
        self.reception = Reception()
        self.ratings = Ratings()
        self.payload_type = payload_type
        self.sequence = 0

    def packet(self, payload_type: int | None = None) -> None:
        self.reception.payload_type = self.payload_type if payload_type is None else payload_type
        ticks = self.sequence * 160
        self.reception.receive(self.sequence & 0xFFFF, ticks & 0xFFFFFFFF, 1, float(ticks))
        self.sequence += 1

    def look(self) -> None:
        self.ratings.look(self.reception, self.path)

    def window(self, lost: Callable[[int], bool] = lambda _: False) -> None:
        """Ten seconds, without the packets whose number in the window is lost."""
        for number in range(500):
            if lost(number):
                self.sequence += 1
            else:
                self.packet()
            if number % 50 == 49:
                self.look()

    @property
    def report(self) -> SpeechQuality | None:
        return self.ratings.report(self.reception, self.path)

    @property
    def speech(self) -> SpeechQuality:
        assert self.report is not None
        return self.report


def test_a_clean_call_sounds_as_well_as_it_can() -> None:
    talk = Talk()
    talk.window()
    assert talk.speech.last == talk.speech.mean == talk.speech.worst
    assert talk.speech.last == pytest.approx(4.41, abs=0.005)
    assert (talk.speech.windows, talk.speech.codec) == (1, "G.711")


def test_a_call_recovers_after_a_bad_minute_and_does_not_forget_it() -> None:
    talk = Talk()
    talk.window()
    clean = talk.speech.last
    for _ in range(6):
        talk.window(lambda number: number % 5 == 0 and number > 0)
    bad = talk.speech.last
    # 99 of 500 lost one by one: Ie-eff = 95 * 19.8 / (19.8 + 25.1) = 41.9.
    assert bad == pytest.approx(2.65, abs=0.02)
    for _ in range(6):
        talk.window()
    assert (talk.speech.last, talk.speech.worst, talk.speech.windows) == (clean, bad, 13)
    assert talk.speech.mean == pytest.approx((7 * clean + 6 * bad) / 13, abs=0.01)


def test_as_many_packets_lost_at_once_sound_worse_than_lost_by_chance() -> None:
    singly, at_once = Talk(), Talk()
    singly.window(lambda number: number % 10 == 5)
    at_once.window(lambda number: 200 <= number < 250)
    assert singly.reception.lost == at_once.reception.lost == 50
    assert at_once.speech.last < singly.speech.last - 0.1


def test_a_pause_makes_a_window_longer_and_not_worse() -> None:
    talk = Talk()
    talk.window()
    clean = talk.speech
    for _ in range(2):  # comfort noise: one packet comes, one is lost
        talk.packet()
        talk.sequence += 1
        for _ in range(10):
            talk.look()
    assert talk.speech == clean


def test_a_short_call_is_rated_by_what_there_was() -> None:
    talk = Talk()
    for _ in range(100):
        assert talk.report is None
        talk.packet()
    assert (talk.speech.windows, talk.speech.codec) == (1, "G.711")


def test_asking_changes_nothing() -> None:
    asked, left_alone = Talk(), Talk()
    for talk in (asked, left_alone):
        for number in range(700):
            talk.packet()
            if number % 50 == 49:
                talk.look()
            if talk is asked:
                assert talk.report == talk.report
    assert asked.report == left_alone.report


def test_a_codec_counts_by_its_payload_type_and_keys_pressed_are_no_codec() -> None:
    talk = Talk(payload_type=18)
    talk.window()
    alone = talk.speech.last
    assert alone == pytest.approx(4.10, abs=0.02)
    talk.packet(payload_type=101)
    talk.look()
    talk.window()
    assert (talk.speech.codec, talk.speech.worst) == ("G.729A", alone)


def test_a_codec_without_figures_is_said_to_be_assumed() -> None:
    talk = Talk(payload_type=111)
    talk.window()
    assert talk.speech.codec == "G.711 assumed"


def test_delay_counts() -> None:
    talk = Talk(delay_ms=400.0)
    talk.window()
    # Idd is 24.07, so R is 69.1.
    assert talk.speech.last == pytest.approx(3.56, abs=0.01)


def test_silence_is_not_rated() -> None:
    talk = Talk()
    talk.window(lambda _: True)
    assert talk.report is None
