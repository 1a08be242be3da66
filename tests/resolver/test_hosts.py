from hypothesis import given
from hypothesis import strategies as st

from sbc.prefixes import is_numeric
from sbc.resolver.hosts import parse_hosts


def test_a_table_gives_addresses_by_each_name() -> None:
    text = (
        "# the office\n"
        "127.0.0.1 localhost\n"
        "::1\tlocalhost ip6-localhost\n"
        "192.0.2.5  PBX.example.com. pbx # the old one\n"
        "192.0.2.6 pbx\n"
    )
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1", "::1"),
        "ip6-localhost": ("::1",),
        "pbx.example.com": ("192.0.2.5",),
        "pbx": ("192.0.2.5", "192.0.2.6"),
    }


def test_lines_that_make_no_sense_are_left_out() -> None:
    assert parse_hosts("pbx 192.0.2.5\n\n   \n192.0.2.5\n#192.0.2.5 pbx\n300.0.2.1 pbx\n") == {}


@given(st.text(max_size=300))
def test_any_text_gives_names_with_addresses(text: str) -> None:
    assert all(is_numeric(one) for addresses in parse_hosts(text).values() for one in addresses)
