from random import Random

import pytest

from sbc.demo.audio import AudioTerms, Recording
from sbc.demo.g711 import PCMA, PCMU
from sbc.demo.offers import AudioFace
from sbc.demo.rtp import RtpPacket
from sbc.sdp.attributes.direction import Direction
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted


def a_face(host: str = "192.0.2.1", port: int = 4000, secure: bool = False) -> AudioFace:
    return AudioFace(host, port, Random(port), secure=secure)


def an_offer(*media: str) -> bytes:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines).encode()


def agreed(caller: AudioFace, callee: AudioFace) -> tuple[AudioTerms, AudioTerms]:
    agreement = callee.answer(caller.offer())
    return caller.accept(agreement.body), agreement.terms


def test_two_ends_agree_on_each_other() -> None:
    ours, theirs = agreed(a_face(port=4000), a_face("192.0.2.2", port=5000))
    assert ours == AudioTerms(("192.0.2.2", 5000), ("192.0.2.2", 5001), PCMU)
    assert theirs == AudioTerms(("192.0.2.1", 4000), ("192.0.2.1", 4001), PCMU)


def test_ipv6_addresses_are_said_as_such() -> None:
    ours, _ = agreed(a_face("2001:db8::1"), a_face("2001:db8::2"))
    assert ours.remote[0] == "2001:db8::2"
    assert b"c=IN IP6 2001:db8::1" in a_face("2001:db8::1").offer()


def test_srtp_is_answered_with_srtp_and_the_keys_cross() -> None:
    ours, theirs = agreed(a_face(port=4000, secure=True), a_face("192.0.2.2", port=5000))
    assert ours.send_key == theirs.receive_key is not None
    assert ours.receive_key == theirs.send_key is not None
    assert ours.send_key != ours.receive_key


def test_an_answer_that_drops_srtp_is_refused() -> None:
    secure = a_face(secure=True)
    secure.offer()
    with pytest.raises(SdpError, match="between RTP and SRTP"):
        secure.accept(an_offer("m=audio 5000 RTP/AVP 0"))


def test_the_first_codec_that_both_speak_is_taken() -> None:
    terms = a_face().answer(an_offer("m=audio 5000 RTP/AVP 9 8 0")).terms
    assert terms.codec is PCMA


def test_telephone_events_are_answered_only_where_they_are_offered() -> None:
    with_events = an_offer("m=audio 5000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    (media,) = parse_sdp_untrusted(a_face().answer(with_events).body).media
    assert media.formats == ["0", "101"]
    (media,) = parse_sdp_untrusted(a_face().answer(an_offer("m=audio 5000 RTP/AVP 0")).body).media
    assert media.formats == ["0"]


def test_other_streams_are_rejected_in_their_place() -> None:
    offer = an_offer("m=video 6000 RTP/AVP 96", "m=audio 5000 RTP/AVP 0", "m=audio 7000 RTP/AVP 0")
    answered = parse_sdp_untrusted(a_face().answer(offer).body)
    assert [(media.kind, media.port) for media in answered.media] == [
        ("video", 0),
        ("audio", 4000),
        ("audio", 0),
    ]


@pytest.mark.parametrize(
    "offer",
    [
        an_offer("m=audio 5000 RTP/AVP 9"),
        an_offer("m=video 5000 RTP/AVP 0"),
        an_offer("m=audio 0 RTP/AVP 0"),
        an_offer("m=audio 5000 RTP/SAVP 0"),
        an_offer("m=audio 5000 UDP/TLS/RTP/SAVP 0"),
        an_offer("m=audio 5000 RTP/AVP 0", "c=IN IP4 name.example"),
        b"nonsense",
    ],
    ids=["codec", "video", "rejected", "no key", "DTLS", "a name", "no SDP"],
)
def test_what_cannot_be_spoken_is_refused(offer: bytes) -> None:
    with pytest.raises(SdpError):
        a_face().answer(offer)


def test_hold_is_heard_and_said() -> None:
    caller, callee = a_face(), a_face("192.0.2.2", port=5000)
    caller.direction = Direction.SENDONLY
    ours, theirs = agreed(caller, callee)
    assert (ours.sending, ours.receiving) == (True, False)
    assert (theirs.sending, theirs.receiving) == (False, True)


def test_the_old_hold_address_means_do_not_send() -> None:
    terms = a_face().answer(an_offer("m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0")).terms
    assert (terms.sending, terms.remote) == (False, ("", 0))


def test_the_version_counts_changes_only() -> None:
    face = a_face()
    versions = [parse_sdp_untrusted(face.offer()).origin.version for _ in range(2)]
    face.direction = Direction.INACTIVE
    versions.append(parse_sdp_untrusted(face.offer()).origin.version)
    assert versions == ["0", "0", "1"]


def a_packet(timestamp: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(0, 0, timestamp & 0xFFFFFFFF, ssrc, b"")


def test_a_recording_puts_packets_where_their_time_is() -> None:
    recording = Recording()
    for timestamp, value in ((2**32 - 2, 1), (4, 4), (2, 3), (0, 2)):
        recording.add(a_packet(timestamp), [value, value], now=5.0 + timestamp)
    assert recording.samples == [1, 1, 2, 2, 3, 3, 4, 4]
    assert recording.started_at == 5.0 + 2**32 - 2


def test_a_gap_is_recorded_as_silence() -> None:
    recording = Recording()
    recording.add(a_packet(0), [1], now=0.0)
    recording.add(a_packet(3), [2], now=0.0)
    assert recording.samples == [1, 0, 0, 2]


def test_another_source_goes_on_where_the_recording_is() -> None:
    recording = Recording()
    recording.add(a_packet(0), [1], now=0.0)
    recording.add(a_packet(777_000, ssrc=2), [2], now=0.0)
    recording.add(a_packet(777_001, ssrc=2), [3], now=0.0)
    assert recording.samples == [1, 2, 3]


def test_a_recording_stops_after_a_minute() -> None:
    recording = Recording()
    frame = [1] * 160
    for at in range(0, 61 * 8000, 160):
        recording.add(a_packet(at), frame, now=0.0)
    assert len(recording.samples) == 60 * 8000
