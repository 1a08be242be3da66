from hypothesis import given
from hypothesis import strategies as st

from sbc.b2bua.journal import MAX_ENTRIES as JOURNAL_ENTRIES
from sbc.b2bua.journal import Journal
from sbc.management.ladder import MAX_ENTRIES, MAX_SUMMARY, ladder_text, read_ladder


def a_journal() -> Journal:
    journal = Journal()
    journal.note(100.0, "sip", "", "a", "in", b"INVITE sip:600@x SIP/2.0\r\n\r\nbody")
    journal.note(100.0213, "decision", "the rule chose pbx")
    journal.note(100.5, "media", "RTP latched", "b")
    return journal


def test_a_story_is_one_line_per_entry() -> None:
    assert ladder_text(a_journal(), 100.0) == (
        "0.000 sip a in INVITE sip:600@x\n"
        "0.021 decision - - the rule chose pbx\n"
        "0.500 media b - RTP latched"
    )


def test_a_story_is_read_as_the_process_tells_it() -> None:
    assert read_ladder(ladder_text(a_journal(), 100.0))[:2] == [
        {
            "at": 0.0,
            "kind": "sip",
            "side": "a",
            "direction": "in",
            "summary": "INVITE sip:600@x",
        },
        {
            "at": 0.021,
            "kind": "decision",
            "side": "",
            "direction": "",
            "summary": "the rule chose pbx",
        },
    ]
    assert read_ladder("") == []


def test_of_a_long_story_the_middle_gives_way_and_says_so() -> None:
    journal = Journal()
    for number in range(JOURNAL_ENTRIES + 40):
        journal.note(float(number), "timer", f"tick {number}")
    entries = read_ladder(ladder_text(journal, 0.0))
    assert len(entries) == MAX_ENTRIES + 1
    assert [entry["summary"] for entry in entries[39:42]] == [
        "tick 39",
        "120 entries in the middle gave way",
        "tick 160",
    ]
    assert entries[-1]["summary"] == "tick 199"


def test_a_story_keeps_no_secret() -> None:
    journal = Journal()
    journal.note(0.0, "sip", "", "a", "in", b"INVITE sip:6:pw@x SIP/2.0\r\n\r\n")
    journal.note(0.0, "decision", "cannot read a=crypto:1 X inline:abcdef|1")
    assert ladder_text(journal, 0.0) == (
        "0.000 sip a in INVITE sip:6:(removed)@x\n"
        "0.000 decision - - cannot read a=crypto:1 X inline:(removed)|1"
    )


notes = st.tuples(
    st.floats(0, 1e6),
    st.sampled_from(["decision", "media", "timer", "error"]),
    st.text(st.characters(), min_size=1),
    st.sampled_from(["", "a", "b"]),
)


@given(st.lists(notes), st.lists(st.binary(max_size=2000)))
def test_whatever_a_stranger_wrote_a_story_is_small_can_be_kept_and_read(
    told: list[tuple[float, str, str, str]], messages: list[bytes]
) -> None:
    journal = Journal()
    for at, kind, text, side in told:
        journal.note(at, kind, text, side)
    for raw in messages:
        journal.note(0.0, "sip", "", "a", "in", raw)
    text = ladder_text(journal, 0.0)
    text.encode()
    entries = read_ladder(text)
    assert len(entries) == len(journal.entries)
    assert [entry["side"] for entry in entries] == [entry.side for entry in journal.entries]
    longest = max([len(line) for line in text.split("\n")])
    assert longest <= MAX_SUMMARY + 40
