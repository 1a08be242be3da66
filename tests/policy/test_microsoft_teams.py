"""The shipped policy `microsoft-teams`: what Teams may do, and that each line of it matters."""

from typing import Any

import pytest

from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.sip.message import Request
from tests.kit.shipped_policies import read, shipped, verdict
from tests.policy.test_call_facts import KEY, PRINT, an_invite, sdp

NAMES = ("microsoft-teams.yaml", "edge-default.yaml")
POLICY = shipped(*NAMES)
OWNERS = "owners: {peers: {teams: '+4930123*', carrier: '+49*'}}"
SDES = sdp("m=audio 4000 RTP/SAVP 0 8\r\n" + KEY)
RTP = sdp("m=audio 4000 RTP/AVP 8\r\n")
DTLS = sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n" + PRINT)


def call(body: str = SDES, called: str = "+33123456789", caller: str = "+493012345") -> Request:
    return an_invite(
        caller=f"<sip:{caller}@sip.pstnhub.microsoft.com>",
        uri=f"sip:{called}@sbc.example.com;user=phone",
        body=body,
    )


def teams(method: str = "INVITE", transport: Any = "tls", **known: Any) -> Facts:
    given = {"peer": "teams", "proven": ("sip.pstnhub.microsoft.com",), "request": call(), **known}
    return Facts("outside", False, "52.114.75.24", method, transport=transport, **given)


def carrier(method: str = "INVITE", request: Request | None = None) -> Facts:
    return teams(method, "udp", peer="carrier", proven=(), request=request or call(RTP, "600"))


CODECS = "codecs of Teams"
CASES: list[tuple[Facts, str, int, tuple[str, ...]]] = [
    (teams(), "allow", 0, (CODECS,)),
    (teams("OPTIONS"), "allow", 0, ()),
    (teams("OPTIONS", request=call(RTP, "sbc")), "allow", 0, ()),
    (teams(transport="udp"), "drop", 0, ("Teams comes by TLS",)),
    (teams(transport="tcp"), "drop", 0, ("Teams comes by TLS",)),
    (teams(proven=()), "reject", 403, ("Teams shows its certificate",)),
    (teams("REGISTER"), "reject", 405, ("Teams calls and probes",)),
    (teams("MESSAGE"), "reject", 405, ("Teams calls and probes",)),
    (teams(request=call(RTP)), "reject", 488, ("Teams has SRTP",)),
    (teams(request=call(DTLS)), "reject", 488, ("Teams has SRTP",)),
    (teams(request=call(called="030123")), "reject", 484, ("Teams calls E.164",)),
    (teams(request=call(called="teams")), "reject", 484, ("Teams calls E.164",)),
    (carrier(), "allow", 0, ()),
    (carrier("REGISTER"), "allow", 0, ()),
    (carrier(request=call(DTLS, "600")), "allow", 0, ()),
]


@pytest.mark.parametrize(("facts", "outcome", "status", "rules"), CASES)
def test_the_policy(facts: Facts, outcome: str, status: int, rules: tuple[str, ...]) -> None:
    found = verdict(POLICY, facts)
    assert found[:2] == (outcome, status)
    assert tuple(one.split(": ")[1] for one in found[3]) == rules


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (teams(), "allow"),
        (teams(request=call(caller="+33999")), "reject"),
        (carrier(request=call(RTP, caller="+33999")), "allow"),
    ],
)
def test_teams_shows_numbers_of_its_list(facts: Facts, outcome: str) -> None:
    own = load_policy(OWNERS, "owners.yaml")
    assert verdict(combine([*(read(name) for name in NAMES), own]), facts)[0] == outcome
