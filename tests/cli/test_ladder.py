from hypothesis import given
from hypothesis import strategies as st

from sbc.b2bua.journal import JournalEntry
from sbc.cli.ladder import LadderEntry, ascii_only, draw_ladder

CALL = [
    LadderEntry(10.0, "sip", "a", "in", "INVITE sip:600@192.0.2.1"),
    LadderEntry(10.001, "decision", "", "", "route 'to the PBX' (sbc.yaml:50) chose pbx"),
    LadderEntry(10.0012, "sip", "b", "out", "INVITE sip:600@10.0.0.1"),
    LadderEntry(10.02, "sip", "b", "in", "180 Ringing (INVITE)"),
    LadderEntry(10.021, "sip", "a", "out", "180 Ringing (INVITE)"),
    LadderEntry(10.1, "media", "a", "", "RTP latched to 198.51.100.7:4000"),
]

DRAWN = """\
         phones 198.51.100.7:5060    SBC           pbx 10.0.0.1:5060
         |                            |                            |
   0.000 |-INVITE sip:600@192.0.2.1-->|                            |
   0.001 |  * decision: route 'to the PBX' (sbc.yaml:50) chose pbx |
   0.001 |                            |-INVITE sip:600@10.0.0.1--->|
   0.020 |                            |<-180 Ringing (INVITE)------|
   0.021 |<-180 Ringing (INVITE)------|                            |
   0.100 |  * media (a): RTP latched to 198.51.100.7:4000          |
"""


def test_a_call_is_drawn_as_two_legs_with_its_decisions_between() -> None:
    drawn = draw_ladder(CALL, a="phones 198.51.100.7:5060", b="pbx 10.0.0.1:5060", width=69)
    assert drawn == DRAWN


def test_a_journal_is_drawn_as_it_is() -> None:
    raw = b"SIP/2.0 200 OK\r\nCSeq: 7 BYE\r\n\r\n"
    drawn = draw_ladder([JournalEntry(3.5, "sip", "b", "in", "", raw)], a="a", b="b")
    assert "   0.000 |" in drawn
    assert "|<-200 OK (BYE)-" in drawn


def test_a_long_message_is_cut_and_a_long_note_is_wrapped() -> None:
    long = [
        LadderEntry(0, "sip", "a", "in", "INVITE sip:" + "6" * 500),
        LadderEntry(0, "decision", "", "", "because " * 40),
    ]
    lines = draw_ladder(long, a="a" * 200, b="b" * 200, width=80).splitlines()
    assert {len(line) for line in lines[1:]} == {len(lines[1])}
    assert max(map(len, lines)) <= 80
    assert "..-" in lines[2]


def test_an_empty_journal_is_two_lanes() -> None:
    assert len(draw_ladder([], a="a", b="b").splitlines()) == 2


entries = st.builds(
    LadderEntry,
    st.floats(0, 1e6),
    st.sampled_from(["sip", "decision", "media", "timer", "error"]),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["in", "out", ""]),
    st.text(),
)


@given(st.lists(entries), st.text(), st.text(), st.integers(0, 200))
def test_nothing_that_a_stranger_wrote_leaves_its_lane(
    journal: list[LadderEntry], a: str, b: str, width: int
) -> None:
    drawn = draw_ladder(journal, a=a, b=b, width=width)
    assert drawn.replace("\n", "") == ascii_only(drawn.replace("\n", ""))
    assert len(drawn.split("\n")) >= len(journal) + 3
    for line in drawn.splitlines()[1:]:
        assert line.endswith("|")
