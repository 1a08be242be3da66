"""The shipped policy `remote-workers`: what phones may do, and that each line of it matters."""

from typing import Any

import pytest

from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.sip.message import Request
from tests.kit.shipped_policies import read, shipped, verdict
from tests.policy.test_call_facts import KEY, an_invite, sdp

NAMES = ("remote-workers.yaml", "trusted-lan.yaml", "edge-default.yaml")
POLICY = shipped(*NAMES)
OWNERS = "owners: {users: {alice: '101'}, peers: {carrier: '+49*', pbx: '6*'}}"
SRTP = sdp("m=audio 4000 RTP/SAVP 8\r\n" + KEY)
RTP = sdp("m=audio 4000 RTP/AVP 8\r\n")


def call(body: str = SRTP, caller: str = "101") -> Request:
    return an_invite(caller=f"<sip:{caller}@x>", body=body)


def phone(transport: Any = "tls", method: str = "INVITE", **known: Any) -> Facts:
    given = {"registered": True, "phone": "alice", "request": call(), **known}
    return Facts("outside", False, "203.0.113.7", method, transport=transport, **given)


def carrier(request: Request) -> Facts:
    return Facts("outside", False, "192.0.2.1", "INVITE", peer="carrier", request=request)


def pbx(request: Request) -> Facts:
    return Facts("inside", True, "192.168.1.5", "INVITE", peer="pbx", request=request)


CODECS = "codecs for the Internet"
CASES: list[tuple[Facts, str, int, tuple[str, ...]]] = [
    (phone(), "allow", 0, (CODECS,)),
    (phone("wss"), "allow", 0, (CODECS,)),
    (phone("wss", "REGISTER", registered=False, phone=""), "allow", 0, ()),
    (phone("udp", "OPTIONS"), "allow", 0, ()),
    (phone("udp", "REGISTER"), "reject", 403, ("phones register by TLS",)),
    (phone("ws", "REGISTER"), "reject", 403, ("phones register by TLS",)),
    (phone("tcp"), "reject", 403, ("phones call by TLS",)),
    (phone(request=call(RTP)), "reject", 488, ("phones have SRTP",)),
    (phone("tls", "OPTIONS", request=call(RTP)), "allow", 0, ()),
    (phone(request=call(caller="102")), "allow", 0, (CODECS,)),
    (carrier(call(RTP)), "allow", 0, ()),
    (Facts("outside", False, "192.0.2.1", "REGISTER", peer="carrier"), "allow", 0, ()),
    (pbx(call(RTP)), "allow", 0, ()),
]


@pytest.mark.parametrize(("facts", "outcome", "status", "rules"), CASES)
def test_the_policy(facts: Facts, outcome: str, status: int, rules: tuple[str, ...]) -> None:
    found = verdict(POLICY, facts)
    assert found[:2] == (outcome, status)
    assert tuple(one.split(": ")[1] for one in found[3]) == rules


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (phone(), "allow"),
        (phone(request=call(caller="102")), "reject"),
        (phone(request=call(caller="102"), phone="bob"), "allow"),
        (phone(request=call(caller="102"), user="alice", phone=""), "reject"),
        (carrier(call(RTP, "+33123")), "allow"),
        (pbx(call(RTP, "+33123")), "allow"),
    ],
)
def test_a_user_with_a_list_shows_what_is_on_it(facts: Facts, outcome: str) -> None:
    own = load_policy(OWNERS, "owners.yaml")
    assert verdict(combine([*(read(name) for name in NAMES), own]), facts)[0] == outcome


def at_home(method: str, request: Request | None = None) -> Facts:
    return Facts(
        "inside", True, "192.168.1.9", method, request=request, registered=True, phone="alice"
    )


def test_in_a_trusted_network_phones_do_as_they_did() -> None:
    assert verdict(POLICY, at_home("REGISTER"))[0] == "allow"
    assert verdict(POLICY, at_home("INVITE", call(RTP)))[0] == "allow"
