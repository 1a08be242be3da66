"""The shipped example for Microsoft Teams, as a process, with a stand-in for Teams by TLS.

No real Teams was tried: the stand-in does what is published of Direct Routing.
"""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sbc.sdp.parser import parse_sdp_untrusted
from sbc.sip.message import Request, make_response, serialize
from tests.cli.running import ROOT
from tests.kit.certificates import client_context, server_context
from tests.kit.tls_trunk import CARRIER, SRTP, Line, Trunk, running_trunk

HUB = "sip.pstnhub.microsoft.com"
SECOND, THIRD = "127.0.0.5", "127.0.0.6"
OUR_NAME = "localhost"
"""What stands for the SBC's name here: one that this machine can find."""
CODECS = (
    b"a=rtpmap:104 SILK/16000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=rtpmap:118 CN/16000\r\na=rtpmap:97 RED/8000\r\n"
)


class Teams(Trunk):
    """The border between Teams and a PBX."""

    example = ROOT / "deploy/examples/teams.yaml"
    name = HUB
    our_name = OUR_NAME
    authorities = "TEAMS_CA"

    def _places(self) -> list[tuple[str, str]]:
        hubs = {"sip.": CARRIER, "sip2.": SECOND, "sip3.": THIRD}
        return [
            *(
                (f"- {hub}pstnhub.microsoft.com:5061", f"- {host}:{self.carrier_port}")
                for hub, host in hubs.items()
            ),
            ("advertise: sbc.example.com", f"advertise: {OUR_NAME}"),
        ]

    async def serve_hub(
        self, host: str, status: int, *, task_status: trio.TaskStatus[list[Request]]
    ) -> None:
        """A hub of Teams: it answers probes, and every call with that status."""
        context = server_context(self.theirs(), self.authority)
        asked: list[Request] = []

        async def serve(connection: trio.SocketStream) -> None:
            line = Line(trio.SSLStream(connection, context, server_side=True))
            try:
                while True:
                    request = await line.next()
                    if not isinstance(request, Request):
                        continue
                    asked.append(request)
                    if request.method != "ACK":
                        await line.send(_hub_answer(request, status))
            except (trio.BrokenResourceError, trio.ClosedResourceError, AssertionError):
                await trio.aclose_forcefully(connection)

        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(self.carrier_port, host=host)
            task_status.started(asked)
            await trio.serve_listeners(serve, listeners, handler_nursery=nursery)


def _hub_answer(request: Request, status: int) -> bytes:
    response = make_response(request, status if request.method == "INVITE" else 200, None, "hub")
    if request.method == "INVITE" and status == 200:
        response.headers.append("Contact", f"<sip:{HUB}:5061;transport=tls>")
        response.headers.append("Content-Type", "application/sdp")
        response.body = SRTP
    return serialize(response)


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[Teams]:
    one = Teams(tmp_path)
    async with running_trunk(one):
        yield one


async def test_teams_calls_in_with_srtp_and_is_answered_by_name(teams: Teams) -> None:
    async with teams.dial() as line:
        offer = SRTP.replace(b"RTP/SAVP 0", b"RTP/SAVP 104 9 8 0 97 101 118") + CODECS
        ok = await teams.call_in(line, offer)
        assert ok.headers.first("contact") == f"<sip:sbc@{OUR_NAME}:{teams.port};transport=tls>"
        assert b"RTP/SAVP" in ok.body
        assert b"AES_CM_128_HMAC_SHA1_80" in ok.body


@pytest.mark.parametrize(
    ("offer", "status", "why"),
    [
        (SRTP.replace(b"RTP/SAVP", b"RTP/AVP"), "488", "Use SRTP with SDES"),
        (SRTP.replace(b" 0\r\n", b" 96\r\n") + b"a=rtpmap:96 opus/48000/2\r\n", "488", "opus"),
    ],
)
async def test_what_teams_may_not_offer_is_refused_and_why(
    teams: Teams, offer: bytes, status: str, why: str
) -> None:
    async with teams.dial() as line:
        refused = await teams.ask(line, "INVITE", offer)
        assert str(refused.status) == status
        assert why in f"{refused.reason} {refused.headers.first('warning')}"


async def test_who_shows_no_certificate_of_teams_is_not_let_in(teams: Teams) -> None:
    other = teams.theirs(teams.authority.issue("sip.pstnhub.microsoft.com.example"))
    async with teams.dial(client_context(teams.authority, other)) as line:
        refused = await teams.ask(line, "INVITE", SRTP)
        assert refused.status == 403
    with pytest.raises((ssl.SSLError, trio.BrokenResourceError, AssertionError)):
        async with teams.dial(client_context(teams.authority)) as line:
            await teams.ask(line, "INVITE", SRTP)


async def test_a_call_out_goes_to_the_second_hub_when_the_first_has_no_room(
    teams: Teams, nursery: trio.Nursery
) -> None:
    first = await nursery.start(teams.serve_hub, CARRIER, 503)
    second = await nursery.start(teams.serve_hub, SECOND, 200)
    assert await teams.call_out() == (200, "")
    await teams.logged("call ended")
    assert [one.method for one in first if one.method != "OPTIONS"] == ["INVITE", "ACK"]
    (invite,) = [one for one in second if one.method == "INVITE"]
    assert invite.uri_text.startswith("sip:+4930123@")
    assert "user=phone" in invite.uri_text
    contact = invite.headers.first("contact") or ""
    assert contact == f"<sip:sbc@{OUR_NAME}:{teams.port};transport=tls>"
    assert (invite.headers.first("via") or "").startswith(f"SIP/2.0/TLS {OUR_NAME}:{teams.port}")
    assert invite.headers.first("record-route") is None
    (audio,) = parse_sdp_untrusted(invite.body).media
    assert (audio.protocol, audio.formats) == ("RTP/SAVP", ["0"])
    assert len(audio.attributes_named("crypto")) == 1


async def test_probes_of_teams_are_answered(teams: Teams) -> None:
    async with teams.dial() as line:
        assert (await teams.ask(line, "OPTIONS")).status == 200
