"""The shipped policy `tls-only`: what it lets in, what not, and that each line of it matters."""

from typing import Any

import pytest

from sbc.policy.facts import Facts
from tests.kit.shipped_policies import shipped, verdict
from tests.policy.test_call_facts import KEY, PRINT, an_invite, sdp

NAMES = ("tls-only.yaml", "edge-default.yaml")
POLICY = shipped(*NAMES)
RTP = an_invite(body=sdp("m=audio 4000 RTP/AVP 8\r\n"))
SRTP = an_invite(body=sdp("m=audio 4000 RTP/SAVP 8\r\n" + KEY))
DTLS = an_invite(body=sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n" + PRINT))
HALF = an_invite(body=sdp("m=audio 4 RTP/SAVP 8\r\n" + KEY, "m=video 6 RTP/AVP 34\r\n"))
LATE = an_invite()


def outside(transport: Any, method: str = "INVITE", **known: Any) -> Facts:
    known.setdefault("registered", True)
    return Facts("outside", False, "203.0.113.7", method, transport=transport, **known)


def inside(transport: Any, request: Any = RTP) -> Facts:
    return Facts(
        "inside", True, "192.168.1.5", "INVITE", peer="pbx", transport=transport, request=request
    )


CASES = [
    (outside("udp", "REGISTER"), ("drop", "no datagrams")),
    (outside("udp", request=SRTP), ("drop", "no datagrams")),
    (outside("udp", request=SRTP, peer="carrier"), ("drop", "no datagrams")),
    (outside("tcp", "REGISTER"), ("reject", "no streams in the clear")),
    (outside("ws", "OPTIONS"), ("reject", "no streams in the clear")),
    (outside("tcp", request=SRTP, peer="carrier"), ("reject", "no streams in the clear")),
    (outside("tls", "REGISTER"), ("allow", "")),
    (outside("tls", "OPTIONS"), ("allow", "")),
    (outside("wss", request=DTLS), ("allow", "")),
    (outside("tls", request=SRTP), ("allow", "")),
    (outside("tls", request=RTP), ("reject", "no media in the clear")),
    (outside("tls", request=HALF), ("reject", "no media in the clear")),
    (outside("tls", request=RTP, peer="carrier"), ("reject", "no media in the clear")),
    (outside("tls", request=LATE), ("reject", "offers come with the call")),
    (outside("tls", "OPTIONS", request=RTP), ("allow", "")),
    (inside("udp"), ("allow", "")),
    (inside("tcp"), ("allow", "")),
    (inside("udp", LATE), ("allow", "")),
]


@pytest.mark.parametrize(("facts", "wanted"), CASES)
def test_the_policy(facts: Facts, wanted: tuple[str, str]) -> None:
    outcome, status, _, said = verdict(POLICY, facts)
    assert (outcome, said[0].split(": ")[1] if said else "") == wanted
    assert status == (0 if outcome != "reject" else 403 if "streams" in wanted[1] else 488)
