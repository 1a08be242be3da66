"""What comes of those who are in already: CANCEL, ACK, and requests in a dialog.

Spec: RFC 3261 §9.2, §12.2.2, §13.3.1.4.
"""

from sbc.b2bua.events import AckReceived, CancelReceived, RequestReceived
from sbc.driver.calls import Calls
from sbc.driver.edges import Wire
from sbc.driver.reception import Reception
from sbc.driver.tally import Tally
from sbc.policy.refusal import Refusal
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.transaction import events as tx
from sbc.sip.transaction.events import TransactionKey


class Participants:
    """Finds the call of whatever belongs to one."""

    def __init__(self, calls: Calls, reception: Reception, wire: Wire, tally: Tally) -> None:
        self._calls = calls
        self._reception = reception
        self._wire = wire
        self._tally = tally

    def prove(self, key: TransactionKey, flow: Flow) -> None:
        """Let the stream of a call live on, though nothing but 100 may leave by it for long."""
        if flow.reliable and self._calls.by_invite(key) is not None:
            self._wire.prove(flow)

    def within(self, output: tx.RequestArrived, now: float) -> bool:
        """Take a request in a dialog; false when its call broke over it and is gone.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        key, request, flow = output.key, output.request, output.flow
        found = self._calls.by_dialog(request)
        if found is None:
            self._reception.refuse(key, request, flow, Refusal(481, "no such dialog"), now)
            return True
        call, side = found
        if flow.reliable:
            self._wire.prove(flow)
        call.journal.note(now, "sip", "", side.value, "in", request.raw)
        return self._calls.tell(call, RequestReceived(side, key, request, flow), now)

    def cancel(self, output: tx.RequestArrived, now: float) -> bool:
        """Take a CANCEL; false when its call broke over it and is gone.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        invite = output.cancels or ""
        call = self._calls.by_invite(invite)
        side = None
        if call is not None:
            side = call.a.side
        elif invite:
            found = self._calls.by_dialog(output.request) if output.request.to_tag else None
            if found is not None:
                call, side = found
        if call is None or side is None:
            key, request, flow = output.key, output.request, output.flow
            if invite:
                self._reception.accept(key, request, flow, now)
            else:
                refusal = Refusal(481, "no such transaction")
                self._reception.refuse(key, request, flow, refusal, now)
            return True
        call.journal.note(now, "sip", "", side.value, "in", output.request.raw)
        return self._calls.tell(call, CancelReceived(side, output.key, output.request, invite), now)

    def ack(self, output: tx.AckArrived, now: float) -> None:
        """Take the ACK of a 2xx."""
        try:
            found = self._calls.by_dialog(output.request)
        except ParseError:
            found = None
        if found is None:
            self._tally.stray += 1
            return
        call, side = found
        call.journal.note(now, "sip", "", side.value, "in", output.request.raw)
        self._calls.tell(call, AckReceived(side, output.request, output.flow), now)
