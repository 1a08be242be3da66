"""Bans on a running border: whom they hit, whom they must not, where they are in force."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from media.types import Endpoint
from tests.attack.besieged import (
    ATTACKER,
    BORDER,
    NAME_SERVER,
    PASSWORD,
    PHONE,
    USER,
    VICTIM,
    Besieged,
)
from tests.kit.certificates import Authority, client_context
from tests.kit.hosts import Host, Lab, missing_for_namespaces
from tests.kit.patience import PATIENCE_S
from tests.kit.sprayer import Sprayer
from tests.kit.stranger import Stranger, bytes_of, knock

pytestmark = pytest.mark.interop
SCANNER = ("User-Agent: friendly-scanner",)
OTHERS = """
table inet others {
  set mine { type ipv4_addr; elements = { 192.0.2.1 }; }
  chain input { type filter hook input priority 0; policy accept; ip saddr @mine drop; }
}
"""

Make = Callable[..., Besieged]


@pytest.fixture
def besieged(tmp_path: Path) -> Iterator[Make]:
    missing = missing_for_namespaces("nft")
    if missing is not None:
        pytest.skip(missing)
    with Lab(tmp_path) as lab:
        yield lambda **how: Besieged(lab, tmp_path, **how)


@pytest.fixture
def stranger() -> Iterator[Callable[..., Stranger]]:
    """Makes strangers, and hangs up for them."""
    with ExitStack() as stack:
        yield lambda host, **how: stack.enter_context(closing(Stranger(host, BORDER, **how)))


def test_datagrams_in_the_name_of_others_shut_nobody_out(
    besieged: Make, stranger: Callable[..., Stranger]
) -> None:
    siege = besieged()
    victim, phone = stranger(siege.victim), stranger(siege.phone, port=5070)
    assert phone.register(USER, PASSWORD) == 200
    scan = bytes_of(victim.write("OPTIONS", "100", headers=SCANNER))
    border = Endpoint(BORDER, 5060)
    with Sprayer(siege.attacker, siege.border) as sprayer:
        for number in range(300):
            for host, port in ((VICTIM, 9), (NAME_SERVER, 53), (PHONE, 5070), ("10.20.0.2", 5060)):
                sprayer.forges(scan, Endpoint(host, port), border)
                sprayer.forges(b"rubbish %d\r\n\r\n" % number, Endpoint(host, port), border)
    siege.until(lambda: siege.ask("bans")["mutes"], "what was forged is seen")
    answer = siege.ask("bans")
    assert answer["bans"] == []
    # All that is shut up are the very address and port that nobody sent from.
    assert {(one["host"], one["port"]) for one in answer["mutes"]} == {(VICTIM, 9)}
    assert victim.register(USER, PASSWORD) == 200
    assert phone.register(USER, PASSWORD) == 200
    siege.stop()


def test_a_scanner_by_tcp_is_banned_everywhere_and_an_operator_lets_it_in_again(
    besieged: Make, stranger: Callable[..., Stranger]
) -> None:
    siege = besieged()
    siege.border.run("nft", "-f", "-", text=OTHERS)
    attacker = stranger(siege.attacker)
    ping = bytes_of(attacker.write("OPTIONS", "100"))
    assert knock(siege.attacker, BORDER, ping)
    assert not knock(
        siege.attacker, BORDER, bytes_of(attacker.write("OPTIONS", "1", headers=SCANNER))
    )
    assert siege.bans() == [f"{ATTACKER}/32"]
    ours = siege.border.run("nft", "list", "ruleset")
    assert ATTACKER in ours
    assert not knock(siege.attacker, BORDER, ping, 2.0)
    assert attacker.ask(attacker.write("OPTIONS", "100"), 1.5) is None
    (ban,) = siege.ask("bans")["bans"]
    assert ban["evidence"][-1]["offence"] == "scanner_name"
    assert siege.ask("status")["bans"]["kernel_dropped"]["banned"] >= 0
    # A killed process leaves nothing in the kernel; the next one takes over the ban.
    kept = siege.directory / "state/bans.json"
    siege.until(lambda: kept.exists() and ATTACKER in kept.read_text(), "it is kept")
    siege.sbc.process.kill()
    siege.sbc.wait(within_s=PATIENCE_S)
    siege.until(lambda: "sbc_" not in siege.border.run("nft", "list", "tables"), "the table ends")
    siege.start()
    assert siege.bans() == [f"{ATTACKER}/32"]
    assert siege.border.run("nft", "list", "tables").count("sbc_") == 1
    assert not knock(siege.attacker, BORDER, ping, 2.0)
    assert siege.ask("bans", "--lift", ATTACKER) == {"lifted": [f"{ATTACKER}/32"]}
    siege.until(lambda: knock(siege.attacker, BORDER, ping, 2.0), "it is let in")
    siege.ask("bans", "--add", f"{ATTACKER}/32", "--for", "1h", "--why", "by hand")
    assert not knock(siege.attacker, BORDER, ping, 2.0)
    siege.stop()
    left = siege.border.run("nft", "list", "ruleset")
    assert "sbc_" not in left
    assert left.strip().startswith("table inet others")


_CARRIER = """\
  carrier:
    kind: trunk
    network: outside
    address: 203.0.113.40:5061;transport=tls
    tls: {name: sip.carrier.example, ca: ca.pem, client_certificate: required}
routes:
"""
_TLS = (
    "tls: {certificates: [{certificate: sbc.pem, key: sbc.key}], "
    "client_certificates: optional, ca: ca.pem}"
)


def with_carrier(configuration: str) -> str:
    """A configuration with a trunk that is known by its certificate alone."""
    listens = "listen: [udp/5060, tcp/5060], "
    assert listens in configuration
    text = configuration.replace(listens, f"listen: [udp/5060, tcp/5060, tls/5061], {_TLS}, ", 1)
    return text.replace("routes:\n", _CARRIER)


def answered_by_tls(host: Host, context: ssl.SSLContext, message: bytes) -> bool:
    """Whether a message over a new TLS connection is answered."""
    with host.entered():
        plain = socket.socket()
    with plain:
        plain.settimeout(2.0)
        try:
            plain.connect((BORDER, 5061))
            with context.wrap_socket(plain) as stream:
                stream.sendall(message)
                return stream.recv(65_536).startswith(b"SIP/2.0 ")
        except OSError:
            return False


def test_a_peer_gets_in_by_its_certificate_from_a_banned_address(
    besieged: Make, stranger: Callable[..., Stranger], tmp_path: Path
) -> None:
    authority = Authority()
    authority.write(tmp_path)
    authority.issue("sbc.example", BORDER).write(tmp_path)
    carrier = authority.issue("sip.carrier.example").write(tmp_path, "carrier")
    siege = besieged(edit=with_carrier)
    attacker = stranger(siege.attacker)
    ping = bytes_of(attacker.write("OPTIONS", "100"))
    scan = bytes_of(attacker.write("OPTIONS", "1", headers=SCANNER))
    assert not knock(siege.attacker, BORDER, scan)
    assert siege.bans() == [f"{ATTACKER}/32"]
    assert not knock(siege.attacker, BORDER, ping, 2.0)
    assert not answered_by_tls(siege.attacker, client_context(authority), ping)
    assert siege.bans() == [f"{ATTACKER}/32"]
    proving = client_context(authority, carrier)
    siege.until(lambda: answered_by_tls(siege.attacker, proving, ping), "the carrier is heard")
    assert siege.bans() == []
    siege.until(lambda: knock(siege.attacker, BORDER, ping, 2.0), "its neighbours too")
    siege.stop()


def test_without_the_kernel_bans_are_in_force_in_the_process(
    besieged: Make, stranger: Callable[..., Stranger]
) -> None:
    siege = besieged(nftables="off", challenge=False)
    attacker = stranger(siege.attacker)
    assert not knock(
        siege.attacker, BORDER, bytes_of(attacker.write("OPTIONS", "1", headers=SCANNER))
    )
    assert siege.bans() == [f"{ATTACKER}/32"]
    assert not knock(siege.attacker, BORDER, bytes_of(attacker.write("OPTIONS", "1")), 2.0)
    assert attacker.ask(attacker.write("OPTIONS", "100"), 1.5) is None
    phone = stranger(siege.phone)
    assert phone.register(USER, PASSWORD) == 200
    assert siege.ask("status")["bans"]["kernel"] == "it is off"
    siege.stop()
