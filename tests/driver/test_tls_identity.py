"""Who sends by TLS is who they prove to be, at the door and where messages are counted."""

from pathlib import Path

import pytest

from sbc.config.load import Configuration
from sbc.policy.bans import OPERATOR, PROVING_S, Ban, source_of
from sbc.policy.guard import Lifted, Measure
from sbc.sip.flow import Flow
from tests.kit.certificates import Authority
from tests.kit.switchboard import OFFER, Board, Sent, a_configuration, a_message, titles

TEXT = """\
networks:
  outside:
    bind: 203.0.113.10
    listen: [udp/5060, tcp/5060, tls/5061]
    media_ports: 30000-39999
    tls:
      certificates: [{{certificate: {0}/sbc.pem, key: {0}/sbc.key}}]
      client_certificates: optional
  inside: {{trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}}
peers:
  pbx: {{kind: pbx, network: inside, address: 192.168.1.5}}
  carrier:
    kind: trunk
    network: outside
    address: 192.0.2.9;transport=tls
    tls: {{name: sip.carrier.example}}
  strict:
    kind: trunk
    network: outside
    sources: 192.0.2.30
    tls: {{name: strict.example, client_certificate: required}}
routes:
  - {{name: in, from: [carrier, strict], to: pbx}}
policies: ../policies/edge-default.yaml
"""
REGISTERING = TEXT.replace(
    "    sources: 192.0.2.30\n",
    "    address: 192.0.2.30;transport=tls\n    register: {{user: '600'}}\n",
)
ANYWHERE = Flow("outside", "tls", ("203.0.113.10", 5061), ("198.51.100.66", 40000), 7)
CARRIER = ANYWHERE._replace(remote=("192.0.2.9", 40000))
STRICT = ANYWHERE._replace(remote=("192.0.2.30", 40000))
STRICT_UDP = Flow("outside", "udp", ("203.0.113.10", 5060), ("192.0.2.30", 5060))


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    Authority().issue("sbc.example").write(tmp_path)
    return a_configuration(TEXT.format(tmp_path))


def invite(board: Board, flow: Flow, *proven: str, call: int = 1) -> list[Sent]:
    board.wire.certificates[flow] = proven
    return board.give(
        flow,
        a_message(
            "INVITE",
            uri="sip:600@203.0.113.10",
            transport=flow.transport.upper(),
            branch=f"z9hG4bK-{call}",
            call_id=f"c-{call}",
            body=OFFER,
        ),
    )


@pytest.mark.parametrize(
    ("flow", "proven", "peer"),
    [
        (ANYWHERE, "sip.carrier.example", "carrier"),
        (STRICT, "sip.carrier.example", "carrier"),
        (ANYWHERE, "strict.example", "strict"),
        (CARRIER, "strict.example", "strict"),
        (CARRIER, "unknown.example", "carrier"),
    ],
)
def test_who_proves_a_peers_name_is_the_peer(
    configuration: Configuration, flow: Flow, proven: str, peer: str
) -> None:
    board = Board(configuration)
    assert titles(invite(board, flow, proven)) == ["100 INVITE", "INVITE"]
    (call,) = board.switchboard.calls
    assert call.a.peer == peer


@pytest.mark.parametrize("flow", [STRICT, STRICT_UDP, ANYWHERE])
def test_who_only_has_the_address_is_nobody_where_a_name_is_demanded(
    configuration: Configuration, flow: Flow
) -> None:
    board = Board(configuration)
    assert titles(invite(board, flow)) == ["403 INVITE"]


def test_what_comes_by_a_connection_that_we_opened_is_of_whom_we_opened_it_for(
    configuration: Configuration,
) -> None:
    board = Board(configuration)
    opened = ANYWHERE._replace(peer="carrier")
    assert titles(invite(board, opened)) == ["100 INVITE", "INVITE"]


def test_nor_does_our_registration_with_it_make_its_address_a_proof(tmp_path: Path) -> None:
    Authority().issue("sbc.example").write(tmp_path)
    board = Board(a_configuration(REGISTERING.format(tmp_path)))
    board.switchboard.begin(board.now)
    (register,) = [one for one in board.wait(1) if one.title == "REGISTER"]
    board.reply(register, 200)
    (ours,) = board.switchboard.carriers.registrations
    assert ours.home is not None
    assert "INVITE" not in titles(invite(board, STRICT_UDP, call=1))
    assert "INVITE" not in titles(invite(board, STRICT, call=2))
    assert titles(invite(board, ours.home, call=3)) == ["100 INVITE", "INVITE"]


def test_the_messages_of_a_peer_are_counted_as_its_own_wherever_they_come_from(
    configuration: Configuration,
) -> None:
    board = Board(configuration)
    messages = 200  # a stranger may send 30 at once
    answered = [invite(board, ANYWHERE, "sip.carrier.example", call=n) for n in range(messages)]
    assert all(answered)
    assert board.switchboard.tally.dropped_rate == 0
    stranger = ANYWHERE._replace(connection=8)
    for number in range(messages):
        invite(board, stranger, "unknown.example", call=messages + number)
    # At least: whoever goes on calling over a connection, unregistered, is muted in the end.
    assert board.switchboard.tally.dropped_rate >= messages - 30


def test_no_neighbour_of_a_proven_peer_gets_their_address_banned(
    configuration: Configuration,
) -> None:
    board = Board(configuration)
    invite(board, ANYWHERE, "sip.carrier.example")
    for number in range(200):
        invite(board, ANYWHERE._replace(connection=8 + number), "unknown.example", call=2 + number)
    guard = board.switchboard.watch.guard
    assert not list(guard.bans)
    assert titles(invite(board, ANYWHERE, "sip.carrier.example", call=900))[-1] == "INVITE"
    board = Board(configuration)
    for number in range(200):
        invite(board, ANYWHERE._replace(connection=8 + number), "unknown.example", call=2 + number)
    assert [str(ban.source) for ban in board.switchboard.watch.guard.bans] == ["198.51.100.66/32"]


def ban(board: Board, host: str, by: str = "scanner") -> None:
    bans = board.switchboard.watch.guard.bans
    bans.put(Ban(source_of(host), "it was tried", by, 0.0, 600.0, board.now + 600.0))


def may_connect(board: Board, flow: Flow) -> bool:
    doorkeeper = board.switchboard.doorkeeper
    return doorkeeper.admits_connection(flow.network, flow.remote, flow.transport, board.now)


def test_a_peer_is_let_in_from_a_banned_address_once_it_proved_itself(
    configuration: Configuration,
) -> None:
    board = Board(configuration)
    done: list[Measure] = []
    board.switchboard.watch.enforce = done.append
    ban(board, "198.51.100.66")
    assert not may_connect(board, ANYWHERE._replace(transport="tcp"))
    assert may_connect(board, ANYWHERE)
    assert titles(invite(board, ANYWHERE, "sip.carrier.example"))[-1] == "INVITE"
    (lifted,) = done
    assert isinstance(lifted, Lifted)
    assert lifted.why == "peer 'carrier' proved by its certificate that it is there"
    assert may_connect(board, ANYWHERE._replace(transport="tcp"))


def test_who_proves_nothing_stays_banned_and_few_may_try(configuration: Configuration) -> None:
    board = Board(configuration)
    ban(board, "198.51.100.66")
    ban(board, "198.51.100.67")
    other = ANYWHERE._replace(remote=("198.51.100.67", 40000))
    assert may_connect(board, ANYWHERE)
    assert invite(board, ANYWHERE, "unknown.example") == []
    assert invite(board, ANYWHERE, call=2) == []
    assert not may_connect(board, ANYWHERE)
    assert not may_connect(board, other)
    board.wait(PROVING_S)
    assert may_connect(board, other)
    assert len(board.switchboard.watch.guard.bans) == 2


def test_whom_an_operator_banned_may_prove_nothing(configuration: Configuration) -> None:
    board = Board(configuration)
    ban(board, "198.51.100.66", OPERATOR)
    assert not may_connect(board, ANYWHERE)
    assert invite(board, ANYWHERE, "sip.carrier.example") == []
    assert len(board.switchboard.watch.guard.bans) == 1


def test_whom_a_rule_for_sources_shuts_out_gains_nothing_by_a_ban(tmp_path: Path) -> None:
    Authority().issue("sbc.example").write(tmp_path)
    (tmp_path / "closed.yaml").write_text(
        "rules: [{name: all, then: allow}]\n"
        "sources: [{name: closed, when: {source: 198.51.100.0/24}, then: block}]\n"
    )
    text = TEXT.replace("../policies/edge-default.yaml", "{0}/closed.yaml")
    board = Board(a_configuration(text.format(tmp_path)))
    assert not may_connect(board, ANYWHERE)
    ban(board, "198.51.100.66")
    assert not may_connect(board, ANYWHERE)


def test_where_no_peer_can_prove_itself_no_banned_source_may_connect(tmp_path: Path) -> None:
    Authority().issue("sbc.example").write(tmp_path)
    text = TEXT.replace("client_certificates: optional", "client_certificates: 'off'")
    text = text.replace(", client_certificate: required", "")
    board = Board(a_configuration(text.format(tmp_path)))
    ban(board, "198.51.100.66")
    assert not may_connect(board, ANYWHERE)


def test_a_refusal_of_a_proven_peer_is_told_each_time(configuration: Configuration) -> None:
    board = Board(configuration)
    board.wire.certificates[ANYWHERE] = ("sip.carrier.example",)
    for number in range(3):
        bye = a_message("BYE", transport="TLS", to_tag="gone", branch=f"z9hG4bK-{number}")
        assert titles(board.give(ANYWHERE, bye)) == ["481 BYE"]
