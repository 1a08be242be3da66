"""Named sets: what is in them, for how long, and what is said of lines that are wrong."""

from ipaddress import ip_address, ip_network
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.conditions import matcher_of
from sbc.policy.sets import MOST_FAULTS, MOST_TRIED, Entries, EntrySet, Fault, read_entries
from sbc.prefixes import prefix_key

NOON = 1_800_000_000.0
"""2027-01-15T08:00:00Z"""

FEED = """\
# what others saw
192.0.2.0/24
198.51.100.7   ; one host
203.0.113.0/24 until 2027-01-15T09:00Z   # an hour
203.0.113.0/25 until 2027-01-15 07:00    # over, and UTC where nothing is said
2001:db8::/32

::ffff:233.252.0.0/120
"""


def networks(text: str) -> Entries:
    entries, faults = read_entries("networks", text.splitlines())
    assert faults == []
    return entries


def numbers(*lines: str) -> Entries:
    entries, faults = read_entries("numbers", lines)
    assert faults == []
    return entries


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.3.0", None),
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.8", None),
        # The narrower entry is over; the wider one still holds the address.
        ("203.0.113.1", "203.0.113.0/24"),
        ("2001:db8::1", "2001:db8::/32"),
        ("2001:db9::1", None),
        ("233.252.0.9", "::ffff:233.252.0.0/120"),
        ("a name", None),
        ("", None),
    ],
)
def test_an_address_is_in_the_entry_that_holds_it(host: str, entry: str | None) -> None:
    assert networks(FEED).find(host, NOON) == entry


def test_entries_end_at_their_time() -> None:
    feed = networks(FEED)
    assert feed.find("203.0.113.1", NOON + 3599) == "203.0.113.0/24"
    assert feed.find("203.0.113.1", NOON + 3600) is None
    assert [feed.live(NOON - 7200), feed.live(NOON), feed.live(NOON + 3600)] == [6, 5, 4]


@pytest.mark.parametrize(
    ("number", "entry"),
    [
        ("+49301", "+49301"),
        ("+493012", "+4930*"),
        ("+49", None),
        ("650", "600-699"),
        ("7x9", "7?9"),
        ("+8", None),
        ("", None),
    ],
)
def test_a_number_is_in_the_entry_that_fits_it(number: str, entry: str | None) -> None:
    assert numbers("+49301", "+4930*", "600-699", "7?9").find(number, NOON) == entry


def test_broken_lines_are_named_and_the_others_count() -> None:
    text = "192.0.2.1\nbad\n192.0.2.1/24\n192.0.2.2 until tomorrow\n192.0.2.3 forever\n300.1.1.1"
    entries, faults = read_entries("networks", text.splitlines())
    assert faults == [
        Fault(2, "'bad' is neither an address nor a prefix"),
        Fault(3, "192.0.2.1/24 has bits set behind its prefix length"),
        Fault(4, "'tomorrow' is no time like 2026-12-31T18:00Z"),
        Fault(5, "'192.0.2.3 forever' is not ENTRY [until TIME] [# comment]"),
        Fault(6, "'300.1.1.1' is neither an address nor a prefix"),
    ]
    assert entries.count == 1


@pytest.mark.parametrize("every", ["0.0.0.0/0", "::/0"])
def test_no_line_of_a_feed_shuts_everybody_out(every: str) -> None:
    entries, faults = read_entries("networks", ["192.0.2.1", every])
    assert (entries.count, len(faults)) == (1, 1)
    assert faults[0].why == f"{every!r} is every address; a rule without a set says that"


def test_after_many_broken_lines_nothing_more_is_read() -> None:
    assert len(read_entries("networks", ["x"] * 1000)[1]) == MOST_FAULTS


def test_what_must_be_tried_one_after_the_other_is_bounded() -> None:
    lines = [f"{number}-{number + 5}" for number in range(1000, 9000, 6)]
    entries, faults = read_entries("numbers", lines)
    assert (entries.count, faults[0].line) == (MOST_TRIED, MOST_TRIED + 1)


def test_of_an_entry_that_stands_there_twice_the_later_end_counts() -> None:
    for lines in (
        ["600 until 2027-01-01", "600 until 2027-02-01"],
        ["600 until 2027-02-01", "600 until 2027-01-01"],
        ["600", "600 until 2027-01-01"],
        ["600 until 2027-01-01", "600"],
    ):
        entries = numbers(*lines)
        assert (entries.count, entries.find("600", NOON)) == (1, "600")


def test_a_set_is_exchanged_while_a_condition_holds_it() -> None:
    bad = EntrySet("bad", "networks", networks("192.0.2.1"))
    matcher = matcher_of("prefixes", ["set:bad"], {"bad": bad})
    assert matcher.matches("192.0.2.1")
    assert matcher.wanted("192.0.2.1") == "set:bad 192.0.2.1"
    bad.replace(networks("192.0.2.0/29"))
    assert matcher.matches("192.0.2.2")
    assert not matcher.matches("192.0.2.9")
    assert matcher.wanted("192.0.2.9") == "set:bad"


def test_only_what_conditions_found_is_a_hit() -> None:
    bad = EntrySet("bad", "numbers", numbers("600"))
    matcher = matcher_of("numbers", ["set:bad"], {"bad": bad})
    for number in ("600", "601", "600"):
        matcher.matches(number)
        matcher.wanted(number)
    assert bad.hits == 2


def test_a_file_that_is_too_old_counts_no_more_until_it_changes() -> None:
    feed = EntrySet("feed", "numbers", numbers("600"), file="f", expires_s=3600)
    feed.look(NOON, modified=NOON - 3600)
    assert (feed.find("600"), feed.entries) == ("600", 1)
    feed.look(NOON + 1, modified=NOON - 3600)
    assert (feed.find("600"), feed.entries, feed.stale) == (None, 0, True)
    feed.look(NOON + 2, modified=NOON + 2)
    assert feed.find("600") == "600"


def test_a_file_that_is_gone_ages_from_its_last_change() -> None:
    feed = EntrySet("feed", "numbers", numbers("600"), file="f", expires_s=3600)
    feed.look(NOON)
    assert not feed.stale
    feed.look(NOON + 3601)
    assert feed.stale


def test_sets_are_alike_if_they_are_defined_alike_whatever_is_in_them() -> None:
    one = EntrySet("x", "numbers", numbers("600"), file="f")
    other = EntrySet("x", "numbers", numbers("601"), file="f")
    assert one == other
    assert hash(one) == hash(other)
    assert one != EntrySet("x", "numbers", numbers("600"), file="g")


@given(
    st.ip_addresses().map(str)
    | st.builds(
        lambda address, length: str(ip_network((address, length), strict=False)),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    )
    | st.builds(
        lambda address, length: str(ip_network((address, length), strict=False)),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    )
)
def test_prefixes_are_read_as_the_library_reads_them(text: str) -> None:
    wanted, key = ip_network(text), prefix_key(text)
    mapped = getattr(ip_address(text.partition("/")[0]), "ipv4_mapped", None)
    if mapped is None or wanted.prefixlen < 96:
        shift = wanted.max_prefixlen - wanted.prefixlen
        assert key == (wanted.max_prefixlen, shift, int(wanted.network_address) >> shift)
    else:
        assert key == (32, 128 - wanted.prefixlen, int(mapped) >> (128 - wanted.prefixlen))


@given(st.text(max_size=60), st.sampled_from(["networks", "numbers"]))
def test_any_line_is_an_entry_or_a_fault(line: str, kind: str) -> None:
    entries, faults = read_entries(kind, [line])  # type: ignore[arg-type]  # one of both
    assert entries.count + len(faults) in (0, 1)
    assert entries.live(-inf) == entries.count
