"""Which codecs of an m-line pass, and in which order they are offered.

Spec: RFC 3264 §5.1, RFC 4733, RFC 4588, RFC 2198.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.codecs import codec_names, objection, shaped
from sbc.routing.codecs import CodecRules, codec_rules_from_data, codec_rules_to_data
from sbc.sdp.description import MediaDescription

PHONE = (
    "96 9 8 0 101 13",
    "rtpmap:96 opus/48000/2",
    "fmtp:96 useinbandfec=1",
    "rtpmap:101 telephone-event/8000",
    "fmtp:101 0-16",
    "rtcp-fb:96 nack",
    "ptime:20",
)
CAMERA = (
    "97 98 99",
    "rtpmap:97 VP8/90000",
    "rtpmap:98 H264/90000",
    "rtpmap:99 rtx/90000",
    "fmtp:99 apt=97",
    "rtcp-fb:* nack",
)


def media(formats: str, *attributes: str, kind: str = "audio") -> MediaDescription:
    pairs = [tuple(one.partition(":")[::2]) for one in attributes]
    return MediaDescription(kind, 4000, "RTP/AVP", formats.split(), attributes=pairs)


def after(*rules: CodecRules, of: MediaDescription | None = None) -> str:
    return " ".join(shaped(of or media(*PHONE), rules).formats)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (CodecRules(), "96 9 8 0 101 13"),
        (CodecRules(allow=("pcma", "g722")), "9 8 101 13"),
        (CodecRules(allow=("opus",)), "96 101 13"),
        (CodecRules(remove=("opus", "pcmu")), "9 8 101 13"),
        (CodecRules(remove=("telephone-event",)), "96 9 8 0 13"),
        (CodecRules(allow=("pcma",), remove=("cn",)), "8 101"),
        (CodecRules(prefer=("pcma", "opus")), "8 96 9 0 101 13"),
        (CodecRules(allow=("pcma", "pcmu"), prefer=("pcmu",)), "0 8 101 13"),
        (CodecRules(allow=("opus/48000",)), "96 101 13"),
        (CodecRules(remove=("opus/16000",)), "96 9 8 0 101 13"),
        (CodecRules(allow=("g729",)), "101 13"),
    ],
)
def test_each_rule_leaves_what_it_says(rules: CodecRules, left: str) -> None:
    assert after(rules) == left


def test_of_several_rules_all_hold_and_the_last_preference_comes_first() -> None:
    one = CodecRules(allow=("pcma", "pcmu"), prefer=("pcmu",))
    other = CodecRules(remove=("cn",), prefer=("pcma",))
    assert after(one, other) == "8 0 101"


def test_nothing_of_what_was_removed_stays_in_the_attributes() -> None:
    left = shaped(media(*PHONE), (CodecRules(remove=("opus",)),))
    assert left.attributes == [
        ("rtpmap", "101 telephone-event/8000"),
        ("fmtp", "101 0-16"),
        ("ptime", "20"),
    ]


def test_an_answer_keeps_the_order_of_who_answers() -> None:
    rules = (CodecRules(remove=("pcmu",), prefer=("pcma",)),)
    assert shaped(media(*PHONE), rules, ordered=False).formats == ["96", "9", "8", "101", "13"]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (CodecRules(allow=("h264",)), "98"),
        (CodecRules(allow=("vp8",)), "97 99"),
        (CodecRules(remove=("rtx",)), "97 98"),
    ],
)
def test_a_retransmission_goes_with_what_it_repeats(rules: CodecRules, left: str) -> None:
    assert after(rules, of=media(*CAMERA, kind="video")) == left


def test_redundancy_goes_with_what_it_repeats() -> None:
    audio = media("63 111 8", "rtpmap:111 opus/48000/2", "rtpmap:63 red/48000/2", "fmtp:63 111/111")
    assert after(CodecRules(allow=("pcma",)), of=audio) == "8"
    assert after(CodecRules(allow=("opus",)), of=audio) == "63 111"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (CodecRules(allow=("g729",)), "no codec of audio may pass (opus, g722, pcma, pcmu, "),
        (CodecRules(allow=("g729",)), "these may: g729"),
        (CodecRules(kinds=("video",)), "audio may not pass here"),
        (CodecRules(remove=("opus", "g722", "pcma", "pcmu")), "no codec of audio may pass"),
    ],
)
def test_where_no_codec_is_left_the_objection_names_what_there_was(
    rules: CodecRules, said: str
) -> None:
    assert said in (objection(media(*PHONE), (rules,)) or "")


@pytest.mark.parametrize("rules", [(), (CodecRules(kinds=("audio",), allow=("pcma",)),)])
def test_what_may_pass_meets_no_objection(rules: tuple[CodecRules, ...]) -> None:
    assert objection(media(*PHONE), rules) is None


def test_a_format_that_nothing_names_passes_only_where_all_do() -> None:
    assert after(CodecRules(remove=("pcma",)), of=media("120 8")) == "120"
    assert after(CodecRules(allow=("pcma",)), of=media("120 8")) == "8"
    assert codec_names(media("120 8")) == ("pcma",)


def test_rules_leave_as_data_and_come_back() -> None:
    rules = CodecRules(("opus",), ("cn",), ("opus",), ("audio",), "rule 'x' (p.yaml:3)")
    assert codec_rules_from_data(codec_rules_to_data(rules)) == rules
    assert str(rules) == "kinds audio, allow opus, remove cn, prefer opus"


NAMES = st.sampled_from(("opus", "g722", "pcma", "pcmu", "telephone-event", "cn", "g729", "rtx"))
SOME = st.lists(NAMES, max_size=3, unique=True).map(tuple)
RULES = st.builds(CodecRules, allow=SOME, remove=SOME, prefer=SOME)


@given(st.lists(RULES, max_size=3).map(tuple))
def test_shaping_never_adds_and_done_twice_is_done_once(rules: tuple[CodecRules, ...]) -> None:
    before = media(*PHONE)
    once = shaped(before, rules)
    assert set(once.formats) <= set(before.formats)
    assert shaped(once, rules) == once
    for name in codec_names(once):
        assert not any(name in rule.remove for rule in rules)
