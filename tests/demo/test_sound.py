import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.demo.g711 import CODECS, PCMA, PCMU, Codec
from sbc.demo.sound import NOTES_HZ, compare, melody, note_of, play_melody, tone

MELODY = play_melody(melody(32))


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_g711_keeps_every_sample_to_within_its_step(codec: Codec) -> None:
    samples = list(range(-32768, 32768, 7))
    for sample, returned in zip(samples, codec.decode(codec.encode(samples)), strict=True):
        assert abs(sample - returned) <= 0.07 * abs(sample) + 16


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_g711_decodes_and_encodes_each_code_to_itself(codec: Codec) -> None:
    for code in range(256):
        returned = codec.encode(codec.decode(bytes([code])))[0]
        # PCMU has two zeros (0xFF and 0x7F); both come back as the positive one.
        assert returned == (0xFF if (codec, code) == (PCMU, 0x7F) else code)


def test_g711_knows_the_codes_of_the_standard() -> None:
    # G.711 tables 1a and 2a: largest values and the steps next to zero.
    assert PCMU.decode(b"\x80\x00\xff\xfe") == [32124, -32124, 0, 8]
    assert PCMA.decode(b"\xaa\x2a\xd5\x55") == [32256, -32256, 8, -8]


def test_silence_is_the_code_of_no_sound() -> None:
    assert PCMU.silence == 0xFF
    assert PCMA.silence == 0xD5


def test_samples_beyond_16_bits_are_clipped() -> None:
    assert PCMU.encode([100000, -100000]) == PCMU.encode([32767, -32768])


@pytest.mark.parametrize("note", range(len(NOTES_HZ)))
def test_each_note_is_heard_as_itself_in_20_ms(note: int) -> None:
    assert note_of(tone(NOTES_HZ[note], 160)) == note


def test_silence_and_other_tones_are_no_note() -> None:
    assert note_of([0] * 160) is None
    assert note_of(tone(425, 640)) is None


def test_no_note_of_the_melody_follows_itself() -> None:
    order = melody()
    assert all(one != next_one for one, next_one in itertools.pairwise(order))


@settings(max_examples=25)
@given(delay=st.integers(-2000, 12000), codec=st.sampled_from([PCMU, PCMA]))
def test_the_delay_is_found_to_the_sample(delay: int, codec: Codec) -> None:
    returned = codec.decode(codec.encode(MELODY))
    recording = [0] * delay + returned if delay >= 0 else returned[-delay:]
    heard = compare(MELODY, recording)
    assert heard.delay_samples == delay
    assert heard.share == 1.0
    assert heard.likeness > 0.99
    assert abs(heard.level_db) < 0.2


def test_lost_packets_cost_their_notes_only() -> None:
    recording = list(MELODY)
    recording[6400:8000] = [0] * 1600
    heard = compare(MELODY, recording)
    assert heard.delay_samples == 0
    assert heard.notes == 32
    assert heard.right in (29, 30)


def test_notes_that_were_not_recorded_are_not_expected() -> None:
    heard = compare(MELODY, MELODY[: 10 * 640])
    assert (heard.notes, heard.right) == (10, 10)


def test_another_melody_is_not_taken_for_ours() -> None:
    heard = compare(MELODY, play_melody(melody(32, seed=99)))
    assert heard.share < 0.5 or heard.notes < 8


def test_nothing_heard_has_no_share() -> None:
    heard = compare(MELODY, [0] * 8000)
    assert (heard.notes, heard.share, heard.level_db) == (0, 0.0, -math.inf)
