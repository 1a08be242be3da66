"""Listening tells a whole tune from everything that is not one."""

from tests.kit import sound
from tests.kit.wire import Datagram

CALLER, CALLEE = sound.TUNES["caller"], sound.TUNES["callee"]


def _packets(samples: list[int]) -> list[Datagram]:
    coded = sound.ulaw_encode(samples)
    packets = []
    for number in range(len(coded) // 160):
        header = b"\x80\x00" + (65000 + number & 0xFFFF).to_bytes(2, "big") + bytes(8)
        payload = header + coded[number * 160 : number * 160 + 160]
        packets.append(Datagram(0.0, False, "192.0.2.1", 4000, "192.0.2.2", 4000, payload))
    return packets


def test_a_tune_survives_g711_and_any_cut() -> None:
    samples = sound.ulaw_decode(sound.ulaw_encode(sound.tune(CALLER, 3)))
    assert sound.seconds_of_tune(samples[777:], CALLER) >= 2.8


def test_another_tune_a_mix_and_silence_are_not_the_tune() -> None:
    mine, other = sound.tune(CALLER, 3), sound.tune(CALLEE, 3)
    mix = [(left + right) // 2 for left, right in zip(mine, other, strict=True)]
    assert sound.seconds_of_tune(other, CALLER) == 0
    assert sound.seconds_of_tune(mix, CALLER) == 0
    assert sound.seconds_of_tune([0] * 24000, CALLER) == 0


def test_a_hole_breaks_the_tune() -> None:
    samples = sound.tune(CALLER, 4)
    samples[16000:17600] = [0] * 1600
    assert 1.9 <= sound.seconds_of_tune(samples, CALLER) <= 2.1


def test_a_note_held_too_long_breaks_the_tune() -> None:
    stuck = sound.tone(CALLER[0], 3)
    assert sound.seconds_of_tune(stuck, CALLER) < 0.4


def test_packets_are_heard_in_order_of_their_numbers_and_lost_ones_as_silence() -> None:
    packets = _packets(sound.tune(CALLER, 3))
    shuffled = [*packets[1::2], *packets[0::2], packets[3]]
    assert sound.seconds_of_tune(sound.heard_in_rtp(shuffled), CALLER) >= 2.9
    lossy = packets[:70] + packets[75:]
    assert sound.seconds_of_tune(sound.heard_in_rtp(lossy), CALLER) < 2


def test_a_tone_is_told_by_its_share() -> None:
    assert sound.share_of_note(sound.tone(440, 1), 440) == 1
    assert sound.share_of_note(sound.tone(440, 1), 600) == 0
