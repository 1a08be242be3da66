"""What strangers do is seen wherever it is judged, and shuts out nobody but them."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from sbc.driver.attempts import Attempts, attempt_of
from sbc.driver.nonces import Nonces
from sbc.policy.bans import source_of
from sbc.policy.guard import Banned, Muted
from sbc.policy.offences import Offence, Proof
from sbc.policy.refusal import Refusal
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.driver.test_authentication import CONFIGURATION, answered
from tests.kit.switchboard import (
    OFFER,
    OUTSIDE,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
    register,
    titles,
)

STRANGER = PHONE_FLOW._replace(remote=("198.51.100.66", 5060))
STREAM = Flow("outside", "tcp", ("0.0.0.0", 5060), ("198.51.100.66", 40000), 7)
NEIGHBOUR = PHONE_FLOW._replace(remote=("198.51.100.7", 41000))
"""Another phone, or an attacker, behind the NAT of `PHONE_FLOW`."""


def counters(board: Board) -> dict[Offence, int]:
    return dict(board.switchboard.watch.guard.counters)


def bans(board: Board) -> list[str]:
    return [str(ban.source) for ban in board.switchboard.watch.guard.bans]


def is_heard(board: Board, flow: Flow) -> bool:
    """Whether an OPTIONS of a flow is looked at."""
    before = board.switchboard.watch.guard.bans.turned_away
    board.give(flow, a_message("OPTIONS", branch=f"z9hG4bK-o{board.now}{flow.remote}"))
    return board.switchboard.watch.guard.bans.turned_away == before


def an_invite(number: int, flow: Flow = PHONE_FLOW, called: str = "") -> bytes:
    uri = f"sip:{called or 9000 + number}@{OUTSIDE}"
    return a_message(
        "INVITE", uri=uri, branch=f"z9hG4bK-{number}", call_id=f"c{number}", body=OFFER
    )


def test_a_scanner_with_its_name_is_muted_by_datagrams_and_banned_by_connection() -> None:
    board = Board()
    scan = a_message("OPTIONS", headers=("User-Agent: friendly-scanner",))
    assert board.give(STRANGER, scan) == []
    assert not is_heard(board, STRANGER)
    assert bans(board) == []
    assert board.log.events("info").count("flow muted") == 1
    board.give(STREAM, scan)
    assert bans(board) == ["198.51.100.66/32"]
    ((_, _, line),) = [one for one in board.log.lines if one[1] == "source banned"]
    assert line["why"] == "scanner: known by its name: its User-Agent says 'friendly-scanner'"
    assert line["lift"] == "sbc bans --lift 198.51.100.66/32"


@pytest.mark.parametrize(
    ("message", "trait"),
    [
        (a_message("OPTIONS", max_forwards=None), "it has no Max-Forwards"),
        (a_message("INVITE", contact=None, body=OFFER), "its INVITE has no Contact"),
        (
            a_message("OPTIONS", to=f"sip:alice@{OUTSIDE}", uri="sip:203.0.113.99"),
            "whether sip:alice@203.0.113.10 is itself",
        ),
    ],
)
def test_who_writes_like_a_scanner_is_seen(message: bytes, trait: str) -> None:
    board = Board()
    board.give(STRANGER, message)
    assert counters(board)[Offence.SCANNER_TRAITS] == 1


def test_a_phone_that_is_challenged_first_has_done_nothing() -> None:
    board = Board(CONFIGURATION)
    for number in range(300):
        user = "alice" if number % 2 else "bob"
        password = "s3cret" if number % 2 else "b0b"
        request = a_register(user, domain="example.com", cseq=2 * number + 1)
        (challenge,) = board.give(PHONE_FLOW, request)
        sent = board.give(
            PHONE_FLOW, answered(request, challenge, user, password, cseq=2 * number + 2)
        )
        assert titles(sent) == ["REGISTER"]
        board.reply(sent[0], 200)
        board.wait(1)
    assert counters(board) == {}


def test_wrong_passwords_for_many_users_after_our_challenge_ban_the_source() -> None:
    board = Board(CONFIGURATION)
    number = 0
    while not bans(board):
        request = a_register(f"user{number}", domain="example.com", cseq=1)
        (challenge,) = board.give(STRANGER, request)
        board.give(STRANGER, answered(request, challenge, f"user{number}", "guess"))
        board.wait(1.1)
        number += 1
    assert number <= 12
    assert counters(board)[Offence.UNKNOWN_USER] == number
    ban = next(iter(board.switchboard.watch.guard.bans))
    assert {one.proof for one in ban.evidence} == {Proof.NONCE}
    assert board.give(STRANGER, a_register("x", domain="example.com")) == []


def test_a_nonce_of_somebody_else_proves_nothing() -> None:
    board = Board(CONFIGURATION)
    request = a_register("alice", domain="example.com")
    (challenge,) = board.give(STRANGER, request)
    victim = PHONE_FLOW._replace(remote=("192.0.2.77", 5060))
    for number in range(60):
        again = answered(request, challenge, f"u{number}", "guess", cseq=number + 2)
        board.give(victim, again)
        board.wait(1.1)
    assert bans(board) == []
    assert is_heard(board, victim._replace(remote=("192.0.2.77", 5061)))


def relayed(board: Board, flow: Flow, user: str, cseq: int, credentials: str = "") -> Sent:
    headers = (f"Authorization: {credentials}",) if credentials else ()
    (sent,) = board.give(flow, a_register(user, cseq=cseq, headers=headers))
    return sent


def test_a_registrar_behind_us_tells_of_wrong_passwords_by_its_answers() -> None:
    board = Board()
    digest = (
        'Digest username="{0}", realm="pbx", nonce="n-{0}", uri="sip:pbx", response="' + "0" * 32
    ) + '"'
    challenge = 'WWW-Authenticate: Digest realm="pbx", nonce="n-{0}"'
    number = 0
    while not bans(board):
        user = f"u{number}"
        board.reply(relayed(board, STRANGER, user, 1), 401, headers=(challenge.format(user),))
        again = relayed(board, STRANGER, user, 2, digest.format(user))
        board.reply(again, 401, headers=(challenge.format(user + "x"),))
        board.wait(1.1)
        number += 1
    assert number <= 30
    assert counters(board)[Offence.WRONG_PASSWORD] == number


def test_credentials_in_front_hide_none_that_a_registrar_judges() -> None:
    board = Board()
    made = 'Digest username="{0}", realm="{1}", nonce="{2}", uri="sip:x", response="' + "0" * 32
    challenge = 'WWW-Authenticate: Digest realm="pbx", nonce="n-{0}"'
    number = 0
    while not bans(board):
        user = f"u{number}"
        board.reply(relayed(board, STRANGER, user, 1), 401, headers=(challenge.format(user),))
        front = made.format("x" * 100, "elsewhere", "never-sent")
        guess = made.format(user, "pbx", f"n-{user}")
        again = relayed(board, STRANGER, user, 2, f'{front}"\r\nAuthorization: {guess}"')
        board.reply(again, 401, headers=(challenge.format(user + "x"),))
        board.wait(1.1)
        number += 1
    assert number <= 30


def test_asking_for_many_users_and_logging_in_as_none_is_muted() -> None:
    board = Board()
    muted = 0
    for number in range(60):
        sent = board.give(STRANGER, a_register(f"{100 + number}", cseq=1))
        if not sent:
            muted += 1
            continue
        board.reply(sent[0], 401, headers=('WWW-Authenticate: Digest realm="p", nonce="n"',))
    assert muted > 25
    assert bans(board) == []


def test_calls_to_numbers_that_do_not_exist_are_counted_but_ban_no_registered_phone() -> None:
    board = Board()
    register(board)
    for number in range(60):
        sent = board.give(PHONE_FLOW, an_invite(number))
        board.reply(sent[-1], 404)
        board.wait(1)
    assert counters(board)[Offence.UNKNOWN_NUMBER] == 60
    assert bans(board) == []
    assert is_heard(board, PHONE_FLOW)


def test_a_war_dial_over_a_connection_of_a_registered_phone_is_slowed_down() -> None:
    board = Board()
    phone = STREAM._replace(remote=("198.51.100.7", 40000))
    register(board, flow=phone)
    served = 0
    for number in range(60):
        sent = board.give(phone, an_invite(number))
        if sent:
            served += 1
            board.reply(sent[-1], 404)
        board.wait(0.1)
    assert served < 30
    assert bans(board) == []
    # It may still register and call, now and then.
    board.wait(2)
    assert titles(board.give(phone, an_invite(100)))[-1] == "INVITE"


def test_an_attacker_behind_the_same_nat_does_not_cost_the_phone_anything() -> None:
    board = Board()
    register(board)
    for number in range(40):
        board.give(NEIGHBOUR, a_message("OPTIONS", branch=f"z9hG4bK-{number}", max_forwards=None))
    assert not is_heard(board, NEIGHBOUR)
    assert is_heard(board, PHONE_FLOW)
    stream = STREAM._replace(remote=("198.51.100.7", 40000))
    for number in range(40):
        board.give(stream, a_message("OPTIONS", branch=f"z9hG4bK-{number}", max_forwards=None))
    assert bans(board) == []
    assert not is_heard(board, stream)
    assert is_heard(board, PHONE_FLOW)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.53", "it is a name server"),
        ("203.0.113.10", "it is an address of ours"),
        ("127.0.0.1", "it is this machine"),
    ],
)
def test_whom_we_need_is_never_banned(host: str, why: str) -> None:
    board = Board()
    watch = board.switchboard.watch
    watch.protect([("192.0.2.53", "it is a name server")])
    flow = STREAM._replace(remote=(host, 40000))
    for number in range(200):
        board.give(flow, a_message("OPTIONS", branch=f"z9hG4bK-{number}", max_forwards=None))
    assert bans(board) == []
    assert watch.protected.within(source_of(host)) == why


def test_a_peer_is_never_banned_even_by_what_seems_to_come_from_it() -> None:
    board = Board(a_configuration())
    for flow in (PBX_FLOW, PBX_FLOW._replace(network="outside")):
        for number in range(100):
            board.give(flow, b"rubbish\r\n\r\n" + str(number).encode())
    assert bans(board) == []
    assert board.switchboard.watch.protected.find(PBX_FLOW.remote[0]) == "it is peer 'pbx'"


def test_a_reload_lifts_bans_of_whom_it_protects() -> None:
    board = Board()
    board.give(STREAM, a_message("OPTIONS", headers=("User-Agent: sipvicious",)))
    assert bans(board) == ["198.51.100.66/32"]
    force = board.switchboard.force
    rules = force.policy.bans
    assert rules is not None
    force.policy.bans = replace(rules, never=(ip_network("198.51.100.0/24"),))
    assert board.switchboard.configure(force, board.now)
    assert bans(board) == []
    assert "ban lifted" in board.log.events("info")


def test_what_a_connection_was_ended_for_counts() -> None:
    board = Board()
    for number in range(10):
        stream = STREAM._replace(connection=number + 1)
        board.switchboard.flow_closed(stream, "no whole message in time", board.now)
    assert bans(board) == ["198.51.100.66/32"]
    board.switchboard.flow_closed(STREAM, "closed by the peer", board.now)
    assert counters(board) == {Offence.SLOW_STREAM: 10}


def test_rubbish_is_told_apart_and_its_measures_are_carried_out() -> None:
    board = Board()
    told: list[object] = []
    board.switchboard.watch.enforce = told.append
    for number in range(5):
        board.give(STREAM, b"rubbish\r\n\r\n" + str(number).encode())
    assert counters(board) == {Offence.NOT_SIP: 5}
    (measure,) = told
    assert isinstance(measure, Banned)
    board.give(STRANGER, a_message("OPTIONS", headers=("User-Agent: sipvicious",)))
    assert len(told) == 1  # the source is banned already
    other = STRANGER._replace(remote=("192.0.2.99", 5060))
    board.give(other, a_message("OPTIONS", headers=("User-Agent: sipvicious",)))
    assert isinstance(told[1], Muted)


def test_on_a_trusted_network_nothing_is_watched() -> None:
    board = Board()
    stranger = PBX_FLOW._replace(remote=("192.168.1.99", 5060))
    for number in range(50):
        board.give(stranger, a_message("INVITE", branch=f"z9hG4bK-{number}", contact=None))
        board.give(stranger, b"rubbish\r\n\r\n")
    assert counters(board) == {}


def test_what_waits_for_an_answer_is_bounded() -> None:
    attempts, nonces = Attempts(most=3), Nonces(most=3)
    request = parse_message_untrusted(a_message("OPTIONS"))
    for number in range(9):
        attempts.put(str(number), attempt_of(request, STRANGER, nonces))
        nonces.sent([f"n{number}"], "192.0.2.1")
    assert (len(attempts), len(nonces)) == (3, 3)
    assert attempts.take("5") is None
    assert attempts.take("8") is not None
    assert nonces.prove("n8", "192.0.2.1")
    assert not nonces.prove("n1", "192.0.2.1")
    nonces.sent(["n8"], "192.0.2.2")
    assert not nonces.prove("n8", "192.0.2.1")
    assert not nonces.prove("n8", "192.0.2.2")


@pytest.mark.parametrize(("rule", "offence"), [("", "OTHERS_NAME"), ("no premium", "POLICY")])
def test_who_logs_in_and_is_refused_by_a_rule_claims_nobody_elses_name(
    rule: str, offence: str
) -> None:
    board = Board()
    credentials = f'Digest username="a", realm="r", nonce="n", uri="sip:b", response="{"0" * 32}"'
    data = a_message("INVITE", body=OFFER, headers=(f"Authorization: {credentials}",))
    request = parse_message_untrusted(data)
    assert isinstance(request, Request)
    board.switchboard.watch.refused(request, STRANGER, Refusal(403, "no", rule=rule))
    assert counters(board) == {Offence[offence]: 1}
