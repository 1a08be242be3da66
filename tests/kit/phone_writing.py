"""What a scripted phone writes: its messages and descriptions, as text of its own."""

from dataclasses import dataclass, field

from sbc.routing.accounts import Account
from sbc.sip.digest import Challenge, ha1_of, parse_credentials_untrusted
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response, make_response

ACCOUNT = Account("acme", "s3cret")
"""What a phone that challenges takes."""


@dataclass(slots=True)
class Habits:
    """How a phone behaves when it is called or asked."""

    trying: bool = True
    """Whether it says 100 to an INVITE at once."""
    rings: tuple[int, ...] = (180,)
    """Provisional responses, one every 20 ms; (100,) rings never."""
    early_media: bool = False
    """Whether a provisional other than 100 describes media."""
    answers_after_s: float | None = 0.1
    """None: it rings for ever."""
    status: int = 200
    """The final response to an INVITE that makes a call."""
    reinvite_status: int = 200
    update_status: int = 200
    reinvite_delay_s: float = 0.0
    """How long it thinks about a re-INVITE."""
    late_offer: bool = False
    """Whether its own INVITEs leave the offer to the other side."""
    sdp: str = ""
    """m-lines and attributes, in place of plain G.711."""
    headers: tuple[str, ...] = ()
    """Headers it puts into everything it sends."""
    acks: bool = True
    """Whether it acknowledges a 2xx."""
    answers_bye: bool = True
    challenges: bool = False
    """Whether it wants credentials of `ACCOUNT` with every request, and takes each nonce once."""


@dataclass(slots=True)
class Dialog:
    """A phone's own idea of its dialog."""

    call_id: str
    local: str
    """From or To value of ours, with tag."""
    remote: str
    target: str
    routes: list[str] = field(default_factory=list)
    cseq: int = 0
    remote_cseq: int = 0


class Writer:
    """The messages of one phone."""

    def __init__(self, name: str, flow: Flow, habits: Habits) -> None:
        self.name = name
        self.flow = flow
        self.habits = habits
        self._count = 0
        self._session = 0
        self._nonces: set[str] = set()

    def challenge(self, request: Request) -> Response:
        """A 407 with a fresh nonce."""
        self._count += 1
        nonce = f"{self.name}-nonce-{self._count}"
        self._nonces.add(nonce)
        response = make_response(request, 407, to_tag=f"{self.name}-asks")
        response.headers.append("Proxy-Authenticate", str(Challenge(self.name, nonce)))
        return response

    def takes(self, request: Request) -> bool:
        """Whether a request has credentials for a nonce of ours that was not used yet."""
        value = request.headers.first("proxy-authorization")
        if value is None:
            return False
        made = parse_credentials_untrusted(value)
        ha1 = ha1_of("MD5", ACCOUNT.username, self.name, ACCOUNT.password)
        if made.nonce not in self._nonces or not made.proves(ha1, request.method, request.body):
            return False
        self._nonces.remove(made.nonce)
        return True

    def request(
        self,
        method: str,
        *,
        uri: str,
        local: str,
        remote: str,
        call_id: str,
        cseq: int,
        sdp: bool,
    ) -> Request:
        """A request."""
        self._count += 1
        request = Request(method, uri)
        headers = request.headers
        branch = f"z9hG4bK-{self.name}-{self._count}"
        headers.append("Via", f"SIP/2.0/UDP {self._sent_by()};branch={branch};rport")
        headers.append("Max-Forwards", "70")
        headers.append("From", local)
        headers.append("To", remote)
        headers.append("Call-ID", call_id)
        headers.append("CSeq", f"{cseq} {method}")
        headers.append("User-Agent", f"{self.name}-product/1.0")
        if method in ("INVITE", "UPDATE"):
            headers.append("Contact", f"<sip:{self.name}@{self._sent_by()}>")
        self.own_headers(headers)
        if sdp:
            headers.append("Content-Type", "application/sdp")
            request.body = self._sdp()
        return request

    def inside(
        self, method: str, dialog: Dialog, *, cseq: int | None = None, sdp: bool = False
    ) -> Request:
        """A request in a dialog, with its next CSeq number."""
        if cseq is None:
            dialog.cseq += 1
        request = self.request(
            method,
            uri=dialog.target,
            local=dialog.local,
            remote=dialog.remote,
            call_id=dialog.call_id,
            cseq=dialog.cseq if cseq is None else cseq,
            sdp=sdp,
        )
        for route in dialog.routes:
            request.headers.append("Route", route)
        return request

    def cancel(self, invite: Request) -> Request:
        """The CANCEL of a request."""
        cancel = Request("CANCEL", invite.uri_text)
        source = invite.headers
        cancel.headers.append("Via", source.first("via") or "")
        for name in ("From", "To", "Call-ID", "Max-Forwards"):
            cancel.headers.append(name, source.first(name.lower()) or "")
        cancel.headers.append("CSeq", f"{invite.cseq.number} CANCEL")
        for route in source.all("route"):
            cancel.headers.append("Route", route)
        return cancel

    def with_sdp(self, response: Response, request: Request) -> Response:
        """A response to an offer, or to an INVITE, with a description if it accepts."""
        if response.status < 300:
            response.headers.append("Contact", f"<sip:{self.name}@{self._sent_by()}>")
            if request.method == "INVITE" or request.body:
                response.headers.append("Content-Type", "application/sdp")
                response.body = self._sdp()
        return response

    def own_headers(self, headers: Headers) -> None:
        """Add the headers this phone puts into everything."""
        for line in self.habits.headers:
            name, _, value = line.partition(": ")
            headers.append(name, value)

    def dialog_of(self, request: Request, to: str, target: str, routes: list[str]) -> Dialog:
        """The dialog that a request of ours makes."""
        local = request.headers.first("from") or ""
        return Dialog(request.call_id, local, to, target, routes, cseq=request.cseq.number)

    def _sdp(self) -> bytes:
        self._session += 1
        host = self.flow.local[0]
        family = "IP6" if ":" in host else "IP4"
        media = self.habits.sdp or (
            "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        return (
            f"v=0\r\no={self.name}-user 77 {self._session} IN {family} {host}\r\n"
            f"s={self.name}-session\r\nc=IN {family} {host}\r\nt=0 0\r\n"
            f"a=tool:{self.name}-tool\r\n{media}"
            f"a=ice-ufrag:{self.name}ufrag\r\na=ssrc:1234 cname:{self.name}-cname\r\n"
            f"a=candidate:1 1 UDP 1 {host} 40000 typ host\r\n"
        ).encode()

    def _sent_by(self) -> str:
        host, port = self.flow.local
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
