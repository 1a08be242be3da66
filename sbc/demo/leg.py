"""One end of one dialog that an INVITE made.

Spec: RFC 3261 §12 to §15.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from sbc.demo.account import Account
from sbc.demo.node import Exchange, SipNode
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError, SipError
from sbc.sip.message import Request, Response, make_response
from sbc.sip.timers import T1, T2, TIMEOUT
from sbc.sip.transaction.events import RequestArrived, TransactionKey

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
SDP = "application/sdp"
_CANCEL_PATIENCE_S = 5.0


class CallFailed(SipError):
    """An INVITE of ours was refused, or nobody answered it."""


class Leg:
    """One end of a dialog: it makes requests in it and answers those of the other end."""

    def __init__(self, node: SipNode, dialog: Dialog, contact: str) -> None:
        self.node, self.dialog, self.contact = node, dialog, contact
        self.account: Account | None = None
        self.ended = trio.Event()
        self.ended_by_peer = False
        self.end_reason = ""
        """The Reason header of the peer's BYE."""
        self.on_invite: Callable[[Invitation], Awaitable[None]] | None = None
        """Answers a re-INVITE; without it they are refused."""
        self.on_other: Callable[[RequestArrived], Awaitable[Response]] | None = None
        """Answers INFO and the like; without it they are answered with 200."""
        self.waits_for_ack: dict[int, Invitation] = {}

    async def request(
        self, method: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """Send a request other than INVITE in the dialog; returns the final response."""
        return (await self._send(method, body, headers)).response

    async def invite(self, body: bytes = b"") -> "Accepted":
        """Send a re-INVITE; empty to have the other end make the offer.

        Raises:
            CallFailed: it was refused.
        """
        accepted = await self._send(
            "INVITE", body, (("Contact", self.contact), ("Allow", ALLOW)), content_type=SDP
        )
        if accepted.response.status >= 300:
            raise CallFailed(accepted.response.status, accepted.response.reason)
        self.dialog.refresh_target(accepted.response)
        return accepted

    async def hang_up(self, reason: str = "") -> None:
        """End the dialog with BYE, if it has not ended; waits for the answer, whatever it is.

        Args:
            reason: a Reason header value (RFC 3326).
        """
        if not self.ended.is_set():
            self.end()
            await self._send("BYE", b"", (("Reason", reason),) if reason else ())

    def end(self) -> None:
        """Take note that the dialog is over."""
        self.ended.set()

    def accept_ack(self, ack: Request) -> None:
        """Give an ACK to whoever waits for it."""
        invitation = self.waits_for_ack.pop(ack.cseq.number, None)
        if invitation is not None:
            invitation.acknowledged(ack)

    async def receive(self, arrived: RequestArrived) -> None:
        """Answer a request in the dialog, other than ACK and CANCEL."""
        request = arrived.request
        if not self.dialog.accepts_cseq(request.cseq.number):
            self.node.reply(arrived, 500, "CSeq out of order")
        elif request.method == "BYE":
            self.ended_by_peer = True
            self.end_reason = request.headers.first("reason") or ""
            self.node.reply(arrived, 200)
            self.end()
        elif self.on_other is None:
            self.node.reply(arrived, 200 if request.method in ALLOW.split(", ") else 405)
        else:
            answered = await self.on_other(arrived)
            response = make_response(request, answered.status, answered.reason)
            response.body = answered.body
            if answered.body:
                response.headers.append(
                    "Content-Type", answered.headers.first("content-type") or ""
                )
            self.node.respond(arrived.key, response)

    async def _send(
        self,
        method: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...],
        content_type: str = "",
    ) -> "Accepted":
        node, transport = self.node, self.dialog.flow.transport
        request = self.dialog.build_request(method, node.branch(), node.sent_by)
        for name, value in (*headers, ("User-Agent", node.product)):
            request.headers.append(name, value)
        if body and content_type:
            request.headers.append("Content-Type", content_type)
        request.body = body
        while True:
            exchange = node.send(request, self.dialog.flow)
            response = await exchange.final()
            retry = self.account and self.account.prove(
                request, response, node.via(transport, node.branch()), node.token()
            )
            if not retry:
                return Accepted(self, exchange, response)
            self.dialog.local_cseq = retry.cseq.number
            request = retry


class Accepted:
    """A final response to an INVITE of ours, to be acknowledged when it is a 2xx."""

    def __init__(self, leg: Leg, exchange: Exchange, response: Response) -> None:
        self.leg, self.response = leg, response
        self._exchange = exchange

    def acknowledge(self, body: bytes = b"") -> None:
        """Send the ACK, with the answer when the 2xx brought the offer."""
        node, dialog = self.leg.node, self.leg.dialog
        ack = dialog.build_ack(self._exchange.request.cseq.number, node.branch(), node.sent_by)
        for name in ("authorization", "proxy-authorization"):
            credentials = self._exchange.request.headers.first(name)
            if credentials is not None:
                ack.headers.append(name.title(), credentials)
        if body:
            ack.headers.append("Content-Type", SDP)
            ack.body = body
        node.acknowledge(self._exchange, ack, dialog.flow)


class Invitation:
    """An INVITE that reached us and waits for our answer."""

    def __init__(self, arrived: RequestArrived, leg: Leg) -> None:
        self.request, self.leg = arrived.request, leg
        self.key: TransactionKey = arrived.key
        self.cancelled = trio.Event()
        self.answered = False
        """Whether a final response was sent."""
        self.accepted = False
        """Whether that was a 2xx."""
        self._ack: Request | None = None
        self._acknowledged = trio.Event()

    def ring(self, status: int = 180, body: bytes = b"") -> None:
        """Send a provisional response, with early media's SDP or without."""
        if not self.answered:
            self.leg.node.respond(self.key, self._response(status, None, body))

    def refuse(
        self,
        status: int,
        reason: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Refuse it, unless it was answered before."""
        if not self.answered:
            self.answered = True
            response = self._response(status, reason, b"")
            for name, value in headers:
                response.headers.append(name, value)
            self.leg.node.respond(self.key, response)

    async def accept(self, body: bytes) -> bytes:
        """Send a 2xx until its ACK comes; returns the ACK's body.

        Raises:
            SipError: 487 when the INVITE was cancelled before, 408 when no ACK came; the
                dialog is then over.
        """
        if self.answered:
            raise SipError(487, "cancelled before it was answered")
        self.answered = self.accepted = True
        self.leg.waits_for_ack[self.request.cseq.number] = self
        response = self._response(200, None, body)
        interval = T1
        with trio.move_on_after(TIMEOUT):
            while True:
                # RFC 3261 §13.3.1.4: again and again over any transport, the path may change it.
                self.leg.node.respond(self.key, response)
                with trio.move_on_after(interval):
                    await self._acknowledged.wait()
                    break
                interval = min(2 * interval, T2)
        if self._ack is None:
            await self.leg.hang_up()
            raise SipError(408, "the 200 was never acknowledged")
        return self._ack.body

    def acknowledged(self, ack: Request) -> None:
        """Take the ACK."""
        self._ack = ack
        self._acknowledged.set()

    def cancel(self) -> None:
        """The caller gave up (RFC 3261 §9.2)."""
        if not self.answered:
            self.cancelled.set()
            self.refuse(487)

    def _response(self, status: int, reason: str | None, body: bytes) -> Response:
        leg = self.leg
        response = make_response(
            self.request, status, reason, to_tag=leg.dialog.local_tag, record_route=True
        )
        if 100 < status < 300:
            response.headers.append("Contact", leg.contact)
            response.headers.append("Allow", ALLOW)
        if body:
            response.headers.append("Content-Type", SDP)
            response.body = body
        return response


async def call(
    node: SipNode,
    invite: Request,
    account: Account | None,
    exchange: Exchange,
    ringing: Callable[[Response], None],
) -> Accepted:
    """See an INVITE of ours through to its 2xx; cancelling the caller's scope sends CANCEL.

    Raises:
        CallFailed: it was refused, or nobody answered.
    """
    while True:
        provisional = False
        try:
            while True:
                response = await exchange.response()
                if response.status >= 200:
                    break
                provisional = True
                ringing(response)
        except trio.Cancelled:
            await _give_up(node, exchange, provisional)
            raise
        retry = account and account.prove(
            invite, response, node.via(exchange.flow.transport, node.branch()), node.token()
        )
        if not retry:
            break
        invite = retry
        exchange = node.send(invite, exchange.flow)
    if response.status >= 300:
        raise CallFailed(response.status, response.reason)
    return _accepted(node, exchange, response, account)


def _accepted(
    node: SipNode, exchange: Exchange, response: Response, account: Account | None
) -> Accepted:
    try:
        dialog = Dialog.from_response(exchange.request, response, exchange.flow)
    except ParseError as error:
        raise CallFailed(502, f"unusable 2xx: {error.reason}") from error
    leg = Leg(node, dialog, exchange.request.headers.first("contact") or "")
    leg.account = account
    return Accepted(leg, exchange, response)


async def _give_up(node: SipNode, exchange: Exchange, provisional: bool) -> None:
    """CANCEL once that is allowed, and hang up if the call was answered meanwhile.

    Spec: RFC 3261 §9.1: not before a provisional response.
    """
    with trio.CancelScope(shield=True), trio.move_on_after(_CANCEL_PATIENCE_S):
        response = None if provisional else await exchange.response()
        if response is None or response.status < 200:
            node.send(_cancel(exchange.request), exchange.flow)
            response = await exchange.final()
        if response.status < 300:
            with suppress(CallFailed):
                accepted = _accepted(node, exchange, response, None)
                accepted.acknowledge()
                await accepted.leg.hang_up()
        return
    node.abandon(exchange)


def _cancel(invite: Request) -> Request:
    cancel = Request("CANCEL", invite.uri_text)
    for name, key in (
        ("Via", "via"),
        ("From", "from"),
        ("To", "to"),
        ("Call-ID", "call-id"),
        ("Route", "route"),
    ):
        for value in invite.headers.all(key):
            cancel.headers.append(name, value)
    cancel.headers.append("CSeq", f"{invite.cseq.number} CANCEL")
    cancel.headers.append("Max-Forwards", "70")
    return cancel
