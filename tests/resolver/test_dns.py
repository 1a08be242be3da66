"""Questions to a real server on loopback, whatever it answers."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.resolver.dns import MOST_RECORDS, NEGATIVE_TTL_S, Dns, DnsSettings, Found, Unanswered
from sbc.resolver.records import Kind, Naptr, Question, Srv
from tests.kit.name_server import NameServer
from tests.kit.patience import PATIENCE_S

ZONE = """\
pbx.example. 60 IN A 192.0.2.1
pbx.example. 60 IN A 192.0.2.2
pbx.example. 60 IN AAAA 2001:db8::1
alias.example. 20 IN CNAME second.example.
second.example. 90 IN CNAME pbx.example.
loop.example. 60 IN CNAME pool.example.
pool.example. 60 IN CNAME loop.example.
_sip._udp.pbx.example. 30 IN SRV 10 60 5070 Big.example.
_sip._udp.pbx.example. 30 IN SRV 0 0 0 .
pbx.example. 60 IN NAPTR 50 51 "s" "SIP+D2U" "" _sip._udp.pbx.example.
pbx.lan. 60 IN A 192.0.2.7
"""

Started = Callable[..., Awaitable[Dns]]


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A machine without hosts table and resolv.conf."""
    return tmp_path


@pytest.fixture
def started(nursery: trio.Nursery, nowhere: Path) -> Started:
    async def start(server: NameServer, *, timeout_s: float = 5.0, attempts: int = 1) -> Dns:
        place = await nursery.start(server.run)
        return made(nowhere, DnsSettings((place,), timeout_s, attempts))

    return start


def made(directory: Path, settings: DnsSettings) -> Dns:
    return Dns(settings, resolv_conf=directory / "resolv.conf", hosts=directory / "hosts")


async def why_not(resolver: Dns, name: str, kind: Kind = "A") -> str:
    with pytest.raises(Unanswered) as refused, trio.fail_after(PATIENCE_S):
        await resolver.ask(Question(name, kind))
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("pbx.example", "A", Found(("192.0.2.1", "192.0.2.2"), 60)),
        ("pbx.example", "AAAA", Found(("2001:db8::1",), 60)),
        ("alias.example", "A", Found(("192.0.2.1", "192.0.2.2"), 20)),
        (
            "_sip._udp.pbx.example",
            "SRV",
            Found((Srv(10, 60, 5070, "big.example"), Srv(0, 0, 0, "")), 30),
        ),
        (
            "pbx.example",
            "NAPTR",
            Found((Naptr(50, 51, "s", "SIP+D2U", "", "_sip._udp.pbx.example"),), 60),
        ),
        ("pbx.example", "SRV", Found((), NEGATIVE_TTL_S)),
        ("nobody.example", "A", Found((), NEGATIVE_TTL_S)),
    ],
)
async def test_records_come_as_values_with_the_least_time_to_live_on_the_way(
    started: Started, name: str, kind: Kind, expected: Found
) -> None:
    resolver = await started(NameServer(ZONE))
    found = await resolver.ask(Question(name, kind))
    assert (set(found.records), found.ttl_s) == (set(expected.records), expected.ttl_s)


async def test_what_is_truncated_is_asked_for_over_tcp(started: Started) -> None:
    lines = [f"many.example. 60 IN A 198.51.100.{n}" for n in range(200)]
    server = NameServer("\n".join(lines))
    resolver = await started(server)
    assert len((await resolver.ask(Question("many.example", "A"))).records) == 200
    assert server.asked_over_tcp == ["A of many.example."]


async def test_of_hundreds_of_records_only_some_are_taken(started: Started) -> None:
    lines = [f"many.example. 60 IN A 10.1.{n // 250}.{n % 250}" for n in range(400)]
    resolver = await started(NameServer("\n".join(lines)))
    assert len((await resolver.ask(Question("many.example", "A"))).records) == MOST_RECORDS


async def test_an_answer_of_thousands_of_records_is_not_even_read(started: Started) -> None:
    lines = [f"many.example. 60 IN A 10.1.{n // 250}.{n % 250}" for n in range(4000)]
    server = NameServer("\n".join(lines))
    resolver = await started(server)
    why = await why_not(resolver, "many.example")
    assert "an answer of 64030 bytes, more than 8192, from 127.0.0.1:" in why
    assert len(server.asked_over_tcp) == 1


async def test_nor_is_one_that_comes_over_udp_at_once(started: Started) -> None:
    lines = [f"many.example. 60 IN A 10.1.{n // 250}.{n % 250}" for n in range(4000)]
    zone = NameServer("\n".join(lines))
    server = NameServer(say=lambda query, _: zone._from_zone(query, True))
    resolver = await started(server, timeout_s=0.2)
    assert "no answer from" in await why_not(resolver, "many.example")


@pytest.mark.parametrize("said", [None, b"", b"junk", bytes(40)])
async def test_junk_over_tcp_is_no_answer(started: Started, said: bytes | None) -> None:
    def say(query: dns.message.Message, over_tcp: bool) -> bytes | None:
        short = dns.message.make_response(query)
        short.flags |= dns.flags.TC
        return said if over_tcp else short.to_wire()

    resolver = await started(NameServer(say=say), timeout_s=0.3)
    assert " from 127.0.0.1:" in await why_not(resolver, "pbx.example")


async def test_aliases_that_go_round_are_no_answer(started: Started) -> None:
    server = NameServer(ZONE)
    resolver = await started(server)
    assert "127.0.0.1" in await why_not(resolver, "loop.example")
    assert len(server.asked) == 1


async def test_a_server_that_is_silent_is_given_up_after_its_time(started: Started) -> None:
    server = NameServer(say=lambda query, over_tcp: None)
    resolver = await started(server, timeout_s=0.2, attempts=1)
    why = await why_not(resolver, "pbx.example")
    assert why.startswith("no answer from 127.0.0.1:")
    assert why.endswith(" in 0.2 s")


async def test_a_second_server_is_asked_when_the_first_is_silent(
    nursery: trio.Nursery, nowhere: Path
) -> None:
    silent = await nursery.start(NameServer(say=lambda query, over_tcp: None).run)
    good = await nursery.start(NameServer(ZONE).run)
    resolver = made(nowhere, DnsSettings((silent, good), 0.2, 10))
    assert (await resolver.ask(Question("pbx.example", "AAAA"))).records == ("2001:db8::1",)


async def test_nobody_at_the_address_of_a_server_is_told(nowhere: Path) -> None:
    resolver = made(nowhere, DnsSettings((("127.0.0.1", 9),), 0.2, 1))
    assert "127.0.0.1:9" in await why_not(resolver, "pbx.example")


@pytest.mark.parametrize(
    ("rcode", "kind", "says"),
    [
        (dns.rcode.SERVFAIL, "A", "SERVFAIL"),
        (dns.rcode.REFUSED, "NAPTR", "REFUSED"),
    ],
)
async def test_a_server_that_cannot_is_no_server_that_has_nothing(
    started: Started, rcode: dns.rcode.Rcode, kind: Kind, says: str
) -> None:
    def say(query: dns.message.Message, over_tcp: bool) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return response.to_wire()

    resolver = await started(NameServer(say=say), timeout_s=0.3)
    assert says in await why_not(resolver, "pbx.example", kind)


async def test_a_server_that_does_not_know_a_type_has_no_record_of_it(started: Started) -> None:
    def say(query: dns.message.Message, over_tcp: bool) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.NOTIMP)
        return response.to_wire()

    resolver = await started(NameServer(say=say))
    assert await resolver.ask(Question("pbx.example", "NAPTR")) == Found((), NEGATIVE_TTL_S)


async def test_an_answer_with_another_id_is_not_heard(started: Started) -> None:
    def say(query: dns.message.Message, over_tcp: bool) -> bytes:
        response = dns.message.make_response(query)
        response.id ^= 1
        return response.to_wire()

    resolver = await started(NameServer(say=say), timeout_s=0.2)
    assert "no answer" in await why_not(resolver, "pbx.example")


@pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..example", "a." * 127 + "example"])
async def test_a_name_that_dns_cannot_have_is_not_asked_for(started: Started, name: str) -> None:
    server = NameServer(ZONE)
    assert await why_not(await started(server), name)
    assert server.asked == []


class TestTheHostsTable:
    async def test_comes_first_and_its_names_have_no_service_records(
        self, started: Started, nowhere: Path
    ) -> None:
        (nowhere / "hosts").write_text("192.0.2.9 pbx.example\n2001:db8::9 pbx.example\n")
        server = NameServer(ZONE)
        resolver = await started(server)
        asked: list[tuple[str, Kind, tuple[str, ...]]] = [
            ("pbx.example", "A", ("192.0.2.9",)),
            ("pbx.example", "AAAA", ("2001:db8::9",)),
            ("pbx.example", "NAPTR", ()),
            ("_sip._udp.pbx.example", "SRV", ()),
        ]
        for name, kind, records in asked:
            assert (await resolver.ask(Question(name, kind))).records == records
        assert server.asked == []

    async def test_is_read_again_when_it_changes(self, started: Started, nowhere: Path) -> None:
        resolver = await started(NameServer(ZONE))
        assert len((await resolver.ask(Question("pbx.example", "A"))).records) == 2
        (nowhere / "hosts").write_text("192.0.2.9 pbx.example\n")
        assert (await resolver.ask(Question("pbx.example", "A"))).records == ("192.0.2.9",)


class TestResolvConf:
    async def test_names_the_servers_and_is_read_again_when_it_changes(self, nowhere: Path) -> None:
        resolver = made(nowhere, DnsSettings(timeout_s=0.1, attempts=1))
        assert "resolv.conf names no name server" in await why_not(resolver, "pbx.example")
        (nowhere / "resolv.conf").write_text("nameserver 127.0.0.99\n")
        assert "127.0.0.99" in await why_not(resolver, "pbx.example")

    async def test_junk_in_it_is_told(self, nowhere: Path) -> None:
        (nowhere / "resolv.conf").write_text("nameserver not-an-address\nsearch ..\n")
        resolver = made(nowhere, DnsSettings(timeout_s=0.1, attempts=1))
        assert "resolv.conf names no name server" in await why_not(resolver, "pbx.example")

    async def test_what_is_configured_comes_before_it(
        self, nursery: trio.Nursery, nowhere: Path
    ) -> None:
        place = await nursery.start(NameServer(ZONE).run)
        resolver = made(nowhere, DnsSettings(timeout_s=0.1, attempts=1))
        assert await why_not(resolver, "pbx.example")
        resolver.configure(DnsSettings((place,)))
        assert len((await resolver.ask(Question("pbx.example", "A"))).records) == 2


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=600))
def test_whatever_bytes_a_server_sends_there_are_records_or_there_is_no_answer(
    junk: bytes,
) -> None:
    def say(query: dns.message.Message, over_tcp: bool) -> bytes:
        # The id, flags and question are right, so that what follows is looked at.
        return dns.message.make_response(query).to_wire()[:6] + junk

    async def ask() -> None:
        async with trio.open_nursery() as nursery:
            place = await nursery.start(NameServer(say=say).run)
            missing = Path("/nonexistent")
            resolver = Dns(DnsSettings((place,), 0.05, 1), resolv_conf=missing, hosts=missing)
            with suppress(Unanswered):
                found = await resolver.ask(Question("pbx.example", "SRV"))
                assert all(isinstance(record, Srv) for record in found.records)
            nursery.cancel_scope.cancel()

    trio.run(ask)
