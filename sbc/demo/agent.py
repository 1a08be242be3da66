"""A SIP user agent: a node that knows dialogs.

Spec: RFC 3261 §8.2 (UAS), §11 (OPTIONS), §13 (INVITE), §9.2 (CANCEL).
"""

from collections.abc import Awaitable, Callable
from random import Random

import trio

from sbc.demo.account import Account
from sbc.demo.leg import ALLOW, SDP, Accepted, Invitation, Leg, call
from sbc.demo.node import SipNode
from sbc.sdp.errors import SdpError
from sbc.sip.dialog import Dialog, DialogId
from sbc.sip.errors import ParseError, SipError
from sbc.sip.flow import Address, Flow
from sbc.sip.message import Request, Response, make_response
from sbc.sip.transaction.events import RequestArrived, TransactionKey


class UserAgent:
    """Makes and takes calls on one node."""

    def __init__(
        self, bind: Address, *, user: str, product: str, claims: Address | None, entropy: Random
    ) -> None:
        """Prepare; `run` binds.

        Args:
            user: the user part of our Contact.
            claims: what a phone behind a NAT takes for its address.
        """
        self.node = SipNode(bind, product=product, claims=claims, entropy=entropy)
        self.node.on_request = self._receive
        self.node.on_ack = self._receive_ack
        self.user = user
        self.on_invite: Callable[[Invitation], Awaitable[None]] = _busy
        """Answers an INVITE outside of a dialog."""
        self.on_other: Callable[[RequestArrived], None] = self._refuse
        """Answers what is neither INVITE, CANCEL nor OPTIONS, outside of a dialog."""
        self.legs: dict[DialogId, Leg] = {}
        self._invitations: dict[TransactionKey, Invitation] = {}
        self._nursery: trio.Nursery | None = None

    async def run(
        self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; reports the bound address."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            address = await nursery.start(self.node.run)
            task_status.started(address)

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task as long as we serve."""
        if self._nursery is None:
            raise RuntimeError("the user agent does not run")
        self._nursery.start_soon(task)

    async def invite(
        self,
        uri: str,
        flow: Flow,
        *,
        sender: str,
        body: bytes,
        account: Account | None = None,
        ringing: Callable[[Response], None] = lambda _response: None,
    ) -> Accepted:
        """Call a URI; cancelling the caller's scope sends CANCEL.

        Args:
            uri: whom to call; also the To address.
            flow: where to send it.
            sender: the From value, without a tag.
            body: the offer; empty to have the other end make it.
            ringing: told of each provisional response.

        Returns:
            The 2xx, still to be acknowledged.

        Raises:
            CallFailed: it was refused, or nobody answered.
        """
        node = self.node
        request = node.request(
            "INVITE",
            uri,
            sender=f"{sender};tag={node.token()}",
            to=f"<{uri}>",
            call_id=node.token(),
            cseq=1,
            transport=flow.transport,
        )
        request.headers.append("Contact", node.contact(self.user, flow.transport))
        request.headers.append("Allow", ALLOW)
        if body:
            request.headers.append("Content-Type", SDP)
            request.body = body
        accepted = await call(node, request, account, node.send(request, flow), ringing)
        self._keep(accepted.leg)
        return accepted

    def _keep(self, leg: Leg) -> None:
        """Give a leg the requests of its dialog, until it ends."""
        name = leg.dialog.dialog_id

        async def forget_when_over() -> None:
            await leg.ended.wait()
            self.legs.pop(name, None)

        self.legs[name] = leg
        self.start_soon(forget_when_over)

    def _receive(self, arrived: RequestArrived) -> None:
        request = arrived.request
        if request.method == "CANCEL":
            invitation = self._invitations.get(arrived.cancels or "")
            self.node.reply(arrived, 481 if arrived.cancels is None else 200)
            if invitation is not None:
                invitation.cancel()
        elif request.to_tag is not None:
            self._receive_in_dialog(arrived)
        elif request.method == "INVITE":
            self._receive_invite(arrived)
        elif request.method == "OPTIONS":
            response = make_response(request, 200, to_tag=self.node.token())
            response.headers.append("Allow", ALLOW)
            response.headers.append("Accept", SDP)
            self.node.respond(arrived.key, response)
        else:
            self.on_other(arrived)

    def _receive_in_dialog(self, arrived: RequestArrived) -> None:
        leg = self._leg_of(arrived.request)
        if leg is None:
            self.node.reply(arrived, 481)
        elif arrived.request.method != "INVITE":
            self.start_soon(lambda: leg.receive(arrived))
        elif not leg.dialog.accepts_cseq(arrived.request.cseq.number):
            self.node.reply(arrived, 500, "CSeq out of order")
        elif leg.waits_for_ack or leg.on_invite is None:
            self.node.reply(arrived, 491 if leg.waits_for_ack else 488)
        else:
            self._invited(Invitation(arrived, leg), leg.on_invite)

    def _receive_invite(self, arrived: RequestArrived) -> None:
        transport = arrived.flow.transport
        try:
            dialog = Dialog.from_request(arrived.request, arrived.flow, self.node.token())
        except ParseError as error:
            self.node.reply(arrived, error.status, error.reason)
            return
        leg = Leg(self.node, dialog, self.node.contact(self.user, transport))
        self._keep(leg)
        self._invited(Invitation(arrived, leg), self.on_invite)

    def _invited(
        self, invitation: Invitation, answer: Callable[[Invitation], Awaitable[None]]
    ) -> None:
        leg, is_first = invitation.leg, invitation.request.to_tag is None

        async def see_through() -> None:
            try:
                if not is_first:
                    leg.dialog.refresh_target(invitation.request)
                await answer(invitation)
            except (SipError, SdpError) as error:
                invitation.refuse(error.status, error.reason)
            finally:
                self._invitations.pop(invitation.key, None)
                if is_first and not invitation.accepted:
                    leg.end()

        self._invitations[invitation.key] = invitation
        invitation.ring(100)
        self.start_soon(see_through)

    def _receive_ack(self, ack: Request, _flow: Flow) -> None:
        leg = self._leg_of(ack)
        if leg is not None:
            leg.accept_ack(ack)

    def _leg_of(self, request: Request) -> Leg | None:
        return self.legs.get((request.call_id, request.to_tag or "", request.from_tag or ""))

    def _refuse(self, arrived: RequestArrived) -> None:
        response = make_response(arrived.request, 405, to_tag=self.node.token())
        response.headers.append("Allow", ALLOW)
        self.node.respond(arrived.key, response)


async def _busy(invitation: Invitation) -> None:
    invitation.refuse(486)
