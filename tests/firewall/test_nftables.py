"""Our table in the kernel: kept in step, batched, made anew, and nothing of anybody else's."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

import pytest
import trio

from sbc.firewall.nft import WORN, Nft, NftFailed
from sbc.firewall.nftables import (
    AGAIN_S,
    LOOK_S,
    MOST_WAITING,
    FirewallUnusable,
    Mode,
    Nftables,
    Wanted,
)
from sbc.firewall.ruleset import (
    Guarded,
    Rate,
    Source,
    clearing,
    read_listing,
    rules_of,
    table_script,
)
from tests.firewall.inside import nft_of
from tests.kit.hosts import Host
from tests.kit.patience import until

UDP = Guarded("udp", "0.0.0.0", 5060)
WANTED = Wanted((UDP,), None, ())
RULE = '{"rule":{}}'
ATTACKER = ip_network("198.51.100.66/32")


class FakeNft(Nft):
    """Remembers what it was told; fails, or ends, when it shall."""

    def __init__(self, wanted: Wanted = WANTED) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.wanted = wanted
        self.fault = ""
        self.there = False
        self.ends = 0
        self.killed = trio.Event()

    async def tell(self, commands: str) -> str:
        await trio.lowlevel.checkpoint()
        if self.fault:
            raise NftFailed(self.fault)
        if commands == clearing("sbc_test"):
            return ""
        if not commands.startswith("list"):
            self.scripts.append(commands)
            self.there |= "table inet" in commands
            return ""
        if not self.there:
            raise NftFailed("No such file or directory")
        if "strangers" in commands:
            rules = rules_of(self.wanted.guarded, self.wanted.rate)
            return f'{{"nftables":[{",".join([RULE] * rules)}]}}'
        if "input" in commands:
            return '{"nftables":[{"chain":{"hook":"input","prio":-310}}]}'
        if "proving" in commands:
            return '{"nftables":[]}'
        return '{"nftables":[{"counter":{"name":"banned","packets":7}}]}'

    async def ended(self) -> str:
        await self.killed.wait()
        self.killed, self.there = trio.Event(), False
        return "nft ended"

    async def end(self) -> None:
        self.ends += 1
        self.there = False
        self._answers = 0

    def wear(self) -> None:
        """Let it have answered as often as it should."""
        self._answers = WORN


class Kept:
    """A table with what it asks for, and what it told."""

    def __init__(self, nft: Nft, mode: Mode = "auto", wanted: Wanted = WANTED) -> None:
        self.shut: dict[Source, float] = {}
        self.told: list[str] = []
        self.table = Nftables(
            "sbc_test",
            mode,
            wanted=lambda: wanted,
            shut=self.shut.items,
            known=lambda: ["198.51.100.7"],
            tell=self.told.append,
            nft=nft,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.table.run)
            yield
            nursery.cancel_scope.cancel()

    def ban(self, source: Source, seconds: float = 600.0) -> None:
        self.shut[source] = seconds
        self.table.ban(source, seconds)

    def lift(self, source: Source) -> None:
        del self.shut[source]
        self.table.lift(source)


async def test_what_is_banned_meanwhile_is_one_batch(autojump_clock: trio.abc.Clock) -> None:
    nft = FakeNft()
    kept = Kept(nft)
    async with kept.running():
        for number in range(200):
            kept.ban(ip_network(f"198.51.100.{number}/32"))
        await trio.sleep(1)
        assert len(nft.scripts) == 2
        assert nft.scripts[1].count("timeout 600s") == 200
    assert (nft.ends, len(nft.scripts)) == (1, 2)


async def test_without_privileges_it_says_so_once_and_goes_on(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    nft.fault = "not allowed"
    kept = Kept(nft)
    async with kept.running():
        for number in range(100):
            kept.ban(ip_network(f"198.51.100.{number}/32"))
            await trio.sleep(1)
        assert kept.told == ["not allowed"]
        nft.fault = ""
        await trio.sleep(LOOK_S + 1)
        # What was banned meanwhile is in force as soon as it can be.
        assert nft.scripts[0].startswith("add table")
        assert kept.told == ["not allowed", ""]
        assert nft.scripts[0].count("timeout 600s") == 100


async def test_a_table_that_is_required_and_cannot_be_had_ends_the_start(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    nft.fault = "not allowed"
    with pytest.RaisesGroup(FirewallUnusable):
        async with trio.open_nursery() as nursery:
            await nursery.start(Kept(nft, "required").table.run)


async def test_a_table_that_is_off_is_never_touched(autojump_clock: trio.abc.Clock) -> None:
    nft = FakeNft()
    kept = Kept(nft, "off")
    async with kept.running():
        kept.ban(ATTACKER)
        await trio.sleep(60)
    assert not nft.scripts
    assert kept.table.trouble == "it is off"


async def test_a_table_that_somebody_removed_is_made_anew(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    kept = Kept(nft)
    async with kept.running():
        kept.ban(ATTACKER)
        await trio.sleep(1)
        nft.there = False
        await trio.sleep(LOOK_S + 1)
        assert "198.51.100.66" in nft.scripts[-1]
        assert nft.scripts[-1].startswith("add table")
        assert kept.table.trouble == ""
        assert kept.table.dropped == {"banned": 14}  # no count is lost with the old table
        assert kept.told == ["", "No such file or directory", ""]


async def test_when_the_program_ends_that_is_told_and_the_table_made_anew(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    kept = Kept(nft)
    async with kept.running():
        kept.ban(ATTACKER)
        await trio.sleep(AGAIN_S + 1)
        nft.killed.set()
        await trio.sleep(1)
        assert kept.told == ["", "nft ended", ""]
        assert nft.scripts[-1].startswith("add table")
        assert "198.51.100.66" in nft.scripts[-1]
        # One that always ends at once is not begun all the time.
        made = len(nft.scripts)
        for _ in range(40):
            nft.killed.set()
            await trio.sleep(AGAIN_S / 10)
        assert len(nft.scripts) - made <= 5


async def test_a_program_that_answered_often_is_followed_by_a_fresh_one(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    kept = Kept(nft)
    async with kept.running():
        kept.ban(ATTACKER)
        nft.wear()
        await trio.sleep(1)
        assert nft.ends == 1
        assert nft.scripts[-1].startswith("add table")
        assert "198.51.100.66" in nft.scripts[-1]
        assert kept.told == [""]


async def test_a_start_that_needs_the_table_waits_for_the_end_of_a_killed_process_s_program(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    nft.fault = "the table belongs to another process"
    kept = Kept(nft, "required")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.table.run)
        await trio.sleep(1)
        nft.fault = ""
        await trio.sleep(1)
        assert kept.told == ["the table belongs to another process", ""]
        nursery.cancel_scope.cancel()


async def test_more_changes_than_may_wait_make_the_table_anew(
    autojump_clock: trio.abc.Clock,
) -> None:
    nft = FakeNft()
    kept = Kept(nft)
    async with kept.running():
        kept.ban(ATTACKER)
        for number in range(MOST_WAITING + 1):
            kept.table.mute_flow("192.0.2.1", number, 3.0)
        await trio.sleep(1)
        assert nft.scripts[1].startswith("add table")
        assert "198.51.100.66" in nft.scripts[1]


def test_what_is_no_listing_is_refused() -> None:
    for text in ("", "[]", "{}", '{"nftables": 7}', '{"nftables": [{"counter": {}}]}'):
        with pytest.raises(ValueError):
            read_listing([text])


async def settled(kept: Kept) -> None:
    """Wait until what was changed just now is in the kernel."""
    before = kept.table.batches
    await until(lambda: kept.table.batches > before)


class Ear:
    """A socket of the border and two of the stranger: is it heard?"""

    def __init__(self, border: Host, stranger: Host, local: str, remote: str, port: int) -> None:
        self._heard = border.udp_socket(local, port)
        self._heard.settimeout(0.2)
        self._mouth = stranger.udp_socket(remote)
        self.port = self._mouth.getsockname()[1]
        self._target = (local, port)

    def hears(self) -> bool:
        self._mouth.sendto(b"x", self._target)
        try:
            return self._heard.recv(10) == b"x"
        except TimeoutError:
            return False

    def hears_of(self, number: int) -> int:
        """How many of so many at once it hears."""
        heard = 0
        self._heard.setblocking(False)
        for _ in range(number):
            self._mouth.sendto(b"x", self._target)
            with suppress(BlockingIOError):
                heard += len(self._heard.recv(10))
        self._heard.settimeout(0.2)
        return heard

    def close(self) -> None:
        self._heard.close()
        self._mouth.close()


@pytest.fixture
def ear(wired: tuple[Host, Host]) -> Iterator[Callable[[str, str, int], Ear]]:
    """Makes ears."""
    made: list[Ear] = []

    def make(local: str, remote: str, port: int) -> Ear:
        made.append(Ear(*wired, local, remote, port))
        return made[-1]

    yield make
    for one in made:
        one.close()


OTHERS = """
table ip mine {
  set seen { type ipv4_addr; elements = { 192.0.2.1 }; }
  chain input { type filter hook input priority filter; policy accept; tcp dport 22 accept; }
}
table inet firewalld {
  chain c { udp dport 9 counter drop; }
}
"""


async def test_the_kernel_drops_for_our_listeners_only_and_others_rules_stay_as_they_are(
    wired: tuple[Host, Host], ear: Callable[[str, str, int], Ear]
) -> None:
    border, _ = wired
    border.run("nft", "-f", "-", text=OTHERS)
    before = border.run("nft", "list", "ruleset")
    # One that a killed process left behind, with something in it.
    border.run("nft", "-f", "-", text="add table inet sbc_test\nadd chain inet sbc_test left\n")
    guarded = (UDP, Guarded("udp", "2001:db8::1", 5060))
    kept = Kept(nft_of(border), "required", Wanted(guarded, None, ()))
    sip, other_port = (
        ear("203.0.113.1", "203.0.113.66", 5060),
        ear("203.0.113.1", "203.0.113.66", 5070),
    )
    other_host = ear("203.0.113.1", "203.0.113.67", 5080)
    sip6 = ear("2001:db8::1", "2001:db8::66", 5060)
    async with kept.running():
        assert kept.told == [""]
        assert sip.hears()
        assert sip6.hears()
        kept.ban(ip_network("203.0.113.66/32"))
        kept.ban(ip_network("2001:db8::/64"))
        await settled(kept)
        assert not sip.hears()
        assert not sip6.hears()
        assert other_port.hears()
        assert other_host.hears()
        counter = border.run("nft", "list", "counter", "inet", "sbc_test", "banned")
        assert "packets 2 " in counter
        kept.lift(ip_network("203.0.113.66/32"))
        kept.lift(ip_network("2001:db8::/64"))
        await settled(kept)
        assert sip.hears()
        assert sip6.hears()
        kept.ban(ip_network("203.0.113.64/29"))
        await settled(kept)
        assert not sip.hears()
        kept.lift(ip_network("203.0.113.64/29"))
        kept.table.mute_flow("203.0.113.66", sip.port, 600)
        await settled(kept)
        assert not sip.hears()
        # Made anew by who made it, as another configuration has it.
        kept.table.renew()
        await settled(kept)
        assert kept.told == [""]
        # One that the kernel forgot already, and one that is banned twice.
        kept.table.lift(ip_network("192.0.2.200/32"))
        kept.ban(ATTACKER, 5)
        kept.ban(ATTACKER, 500)
        await settled(kept)
        assert "timeout 8m20s" in border.run("nft", "list", "set", "inet", "sbc_test", "banned4")
        ours = border.run("nft", "list", "ruleset")
    assert kept.told == [""]
    assert "sbc_test" in ours
    assert border.run("nft", "list", "ruleset") == before


async def test_the_kernel_limits_each_stranger_but_no_peer_and_no_registered_phone(
    wired: tuple[Host, Host], ear: Callable[[str, str, int], Ear]
) -> None:
    border, _ = wired
    wanted = Wanted((UDP,), Rate(1, 5), (ip_network("203.0.113.67/32"),))
    kept = Kept(nft_of(border), "required", wanted)
    stranger = ear("203.0.113.1", "203.0.113.66", 5060)
    async with kept.running():
        heard = [stranger.hears() for _ in range(12)]
        assert heard[:5] == [True] * 5
        assert not all(heard)
        kept.table.know("203.0.113.66", known=True)
        await settled(kept)
        assert all(stranger.hears() for _ in range(12))
        stranger.close()
        peer = ear("203.0.113.1", "203.0.113.67", 5060)
        assert all(peer.hears() for _ in range(12))


async def test_a_little_of_banned_sources_passes_where_peers_prove_themselves(
    wired: tuple[Host, Host], ear: Callable[[str, str, int], Ear]
) -> None:
    border, _ = wired
    guarded = (UDP, UDP._replace(port=5061, proves=True))
    kept = Kept(nft_of(border), "required", Wanted(guarded, None, ()))
    sip, proving = (ear("203.0.113.1", "203.0.113.66", port) for port in (5060, 5061))
    async with kept.running():
        kept.ban(ip_network("203.0.113.66/32"))
        await settled(kept)
        assert not sip.hears()
        assert all(proving.hears() for _ in range(20))
        assert 30 <= proving.hears_of(10_000) <= 1000
        kept.ban(ip_network("203.0.113.64/29"))
        kept.lift(ip_network("203.0.113.66/32"))
        await settled(kept)
        # Whom an operator shut out by a prefix has nothing to prove.
        assert not proving.hears()


async def test_fifty_thousand_bans_are_a_few_batches(wired: tuple[Host, Host]) -> None:
    border, _ = wired
    kept = Kept(nft_of(border), "required")
    async with kept.running():
        for number in range(50_000):
            kept.ban(ip_network(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"))
        await until(lambda: kept.table.batches == 4)
        assert "10.0.195.79 " in border.run("nft", "list", "set", "inet", "sbc_test", "banned4")
        assert kept.table.trouble == ""


async def test_nobody_else_can_remove_the_table_but_its_program_may_end(
    wired: tuple[Host, Host], ear: Callable[[str, str, int], Ear]
) -> None:
    border, _ = wired
    nft = nft_of(border)
    kept = Kept(nft, "required")
    sip = ear("203.0.113.1", "203.0.113.66", 5060)
    async with kept.running():
        kept.ban(ip_network("203.0.113.66/32"))
        await settled(kept)
        border.run("nft", "flush", "ruleset")
        with pytest.raises(RuntimeError, match="not permitted"):
            border.run("nft", "delete", "table", "inet", "sbc_test")
        other = Kept(nft_of(border), "required")
        with pytest.RaisesGroup(pytest.RaisesExc(FirewallUnusable, match="another process")):
            async with trio.open_nursery() as another:
                await another.start(other.table.run)
        assert not sip.hears()
        assert nft.pid is not None
        os.kill(nft.pid, signal.SIGKILL)
        await until(lambda: len(kept.told) == 3)
        assert kept.told == ["", "nft ended by itself with status -9", ""]
        assert not sip.hears()
    assert sip.hears()


def test_whom_several_reasons_spare_is_named_once_and_nobody_within_another() -> None:
    # Of nft 1.0.6 some orders of the same elements are refused as "File exists".
    prefixes = (
        *("127.0.0.0/8", "::/64", "10.20.0.1/32", "2001:db8:1::/64", "10.20.0.2/32"),
        *("127.0.0.1/32", "::/64", "2001:db8:1::/64", "10.20.0.2/32"),
    )
    script = table_script("t", [UDP], None, [ip_network(one) for one in prefixes])
    assert [line for line in script.splitlines() if line.startswith("add element")] == [
        "add element inet t spared4 { 10.20.0.1/32 }",
        "add element inet t spared4 { 10.20.0.2/32 }",
        "add element inet t spared4 { 127.0.0.0/8 }",
        "add element inet t spared6 { ::/64 }",
        "add element inet t spared6 { 2001:db8:1::/64 }",
    ]
