"""Scripted phones without I/O: honest SIP user agents that obey RFC 3261 and a script.

A phone speaks through the product's transaction layer, writes its messages itself
(`phone_writing.py`),
and does what it is told at the times it is told. It knows one call at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from sbc.sip.flow import Address, Flow
from sbc.sip.message import Request, Response, make_response
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.timers import T1, T2, Deadlines
from sbc.sip.transaction.events import (
    AckArrived,
    Output,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    Transmit,
)
from sbc.sip.transaction.layer import TransactionLayer
from tests.kit.phone_writing import Dialog, Habits, Writer

Posts = list[tuple[str, bytes]]


class Phase(Enum):
    """Where a phone's one call is."""

    IDLE = "idle"
    CALLING = "calling"
    """INVITE sent."""
    RINGING = "ringing"
    """INVITE received."""
    UP = "up"
    DONE = "done"


@dataclass(slots=True)
class Waiting:
    """A 2xx that is repeated until its ACK."""

    key: str
    response: Response
    cseq: int
    interval_s: float
    give_up_at: float


class Phone:
    """One user agent."""

    def __init__(
        self, name: str, address: Address, border: Address, *, habits: Habits | None = None
    ) -> None:
        self.name = name
        self.habits = habits or Habits()
        self.flow = Flow(name, "udp", address, border)
        self._writer = Writer(name, self.flow, self.habits)
        self.layer = TransactionLayer()
        self.phase = Phase.IDLE
        self.dialog: Dialog | None = None
        self.received: list[Request | Response] = []
        self.rejected: list[int] = []
        """Final statuses that its requests got."""
        self.phrase: str | None = None
        """Reason phrase of its refusals, in place of the registered one."""
        self.complaints: list[str] = []
        """What the border did that no border may do."""
        self._plan: Deadlines[int] = Deadlines()
        self._deeds: dict[int, str] = {}
        self._count = 0
        self._out: Posts = []
        self._invite: Request | None = None
        """Our own first INVITE."""
        self._invite_key = ""
        self._incoming: tuple[str, Request] | None = None
        """The INVITE that we have not answered finally, and its transaction."""
        self._provisional = False
        self._wants_cancel = False
        self._gave_up = False
        self._tag = ""
        self._waiting: Waiting | None = None
        self._acks: dict[tuple[str, int], Request] = {}
        self._pending: dict[str, Request] = {}
        self._cancelled: set[int] = set()
        self._numbers: set[int] = set()
        """CSeq numbers that the other side has used in our dialog."""
        self._early: str = ""
        """To value of an early dialog of our INVITE."""

    # -- endpoint of the network -------------------------------------------------------------

    def receive(self, source: str, payload: bytes, now: float) -> Posts:
        """Take one datagram."""
        message = parse_message_untrusted(payload)
        self.received.append(message)
        return self._handle(self.layer.receive(message, self.flow, now), now)

    def handle_timeout(self, now: float) -> Posts:
        """Let timers and the script happen."""
        posts = self._handle(self.layer.handle_timeout(now), now)
        for number in self._plan.pop_due(now):
            deed = self._deeds.pop(number)
            getattr(self, f"_do_{deed.replace('-', '_')}")(now)
            posts += self._taken()
        return posts

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted."""
        times = [at for at in (self.layer.next_timeout(), self._plan.next()) if at is not None]
        return min(times, default=None)

    def at(self, when: float, deed: str) -> None:
        """Do something later; what makes no sense then is left undone."""
        self._count += 1
        self._deeds[self._count] = deed
        self._plan.set(self._count, when)

    @property
    def idle(self) -> bool:
        """Whether no call and no transaction is left."""
        return (
            self.phase in (Phase.IDLE, Phase.DONE)
            and self._waiting is None
            and self._incoming is None
            and self.layer.counts.clients == 0
            and self.layer.counts.servers == 0
        )

    @property
    def settled(self) -> bool:
        """Whether its call is up and no offer is open."""
        return self.phase is Phase.UP and not self._negotiating()

    # -- deeds -------------------------------------------------------------------------------

    def _do_invite(self, now: float) -> None:
        self._tag = f"{self.name}-from"
        self.phase = Phase.CALLING
        self._invite = self._writer.request(
            "INVITE",
            uri=f"sip:600@{self.flow.remote[0]}",
            local=f"<sip:{self.name}@{self.flow.local[0]}>;tag={self._tag}",
            remote=f"<sip:600@{self.flow.remote[0]}>",
            call_id=f"{self.name}-call-id",
            cseq=1,
            sdp=not self.habits.late_offer,
        )
        self._invite_key = self._send(self._invite, now)

    def _do_cancel(self, now: float) -> None:
        if self.phase is not Phase.CALLING or self._invite is None:
            return
        self._gave_up = True
        self._wants_cancel = not self._provisional
        if self._provisional:
            self._cancel(self._invite, now)

    def _do_cancel_reinvite(self, now: float) -> None:
        for request in self._pending.values():
            if request.method == "INVITE":
                self._cancel(request, now)

    def _do_bye(self, now: float) -> None:
        """Hang up: BYE where there is a dialog; an unanswered incoming call is refused."""
        if self.phase is Phase.UP and self.dialog is not None:
            self._send(self._writer.inside("BYE", self.dialog), now)
            if self._incoming is not None:
                self._final(487, now)
            self._hung_up()
        elif self.phase is Phase.RINGING and self._incoming is not None:
            self._final(486, now)
        elif self.phase is Phase.CALLING and self._early and self._invite is not None:
            dialog = self._writer.dialog_of(self._invite, self._early, self._invite.uri_text, [])
            self._send(self._writer.inside("BYE", dialog), now)
        elif self.phase is Phase.CALLING:
            self._do_cancel(now)

    def _do_reinvite(self, now: float) -> None:
        if self.phase is Phase.UP and self.dialog is not None and not self._negotiating():
            self._pend(
                self._writer.inside("INVITE", self.dialog, sdp=not self.habits.late_offer), now
            )

    def _do_hold(self, now: float) -> None:
        if self.phase is Phase.UP and self.dialog is not None and not self._negotiating():
            request = self._writer.inside("INVITE", self.dialog, sdp=True)
            request.body = request.body + b"a=sendonly\r\n"
            self._pend(request, now)

    def _do_update(self, now: float) -> None:
        if self.phase is Phase.UP and self.dialog is not None and not self._negotiating():
            self._pend(self._writer.inside("UPDATE", self.dialog, sdp=True), now)

    def _do_info(self, now: float) -> None:
        if self.phase is Phase.UP and self.dialog is not None:
            self._pend(self._writer.inside("INFO", self.dialog), now)

    def _do_answer(self, now: float) -> None:
        if self._incoming is not None and self.phase is Phase.RINGING:
            self._final(self.habits.status, now)

    def _do_fail(self, now: float) -> None:
        if self._incoming is not None and self.phase is Phase.RINGING:
            self._final(503, now)

    def _do_ring(self, now: float) -> None:
        if self._incoming is not None and self.phase is Phase.RINGING:
            self._provisional_response(180, now)

    def _do_answer_reinvite(self, now: float) -> None:
        if self._incoming is not None and self.phase is Phase.UP:
            self._final(self.habits.reinvite_status, now)

    def _do_repeat(self, now: float) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        if now >= waiting.give_up_at:
            self._waiting = None
            self._do_bye(now)
            return
        self._send_outputs(self.layer.respond(waiting.key, waiting.response, now))
        waiting.interval_s = min(2 * waiting.interval_s, T2)
        self.at(now + waiting.interval_s, "repeat")

    # -- what the layer tells ----------------------------------------------------------------

    def _handle(self, outputs: Iterable[Output], now: float) -> Posts:
        for output in outputs:
            if isinstance(output, Transmit):
                self._out.append(("border", output.data))
            elif isinstance(output, RequestArrived):
                self._request_arrived(output, now)
            elif isinstance(output, AckArrived):
                self._ack_arrived(output.request)
            elif isinstance(output, ResponseArrived):
                self._response_arrived(output, now)
            elif isinstance(output, RequestFailed):
                self._request_failed(output.key)
        return self._taken()

    def _taken(self) -> Posts:
        posts, self._out = self._out, []
        return posts

    def _request_arrived(self, arrived: RequestArrived, now: float) -> None:
        request, key = arrived.request, arrived.key
        if request.method == "CANCEL":
            status = 200 if arrived.cancels else 481
            self._respond(key, make_response(request, status, to_tag=self._tag or "x"), now)
            if self._incoming is not None and self._incoming[0] == arrived.cancels:
                self._final(487, now)
        elif self.habits.challenges and not self._writer.takes(request):
            self._respond(key, self._writer.challenge(request), now)
        elif request.to_tag is None:
            self._called(key, request, now)
        elif self.dialog is None or request.call_id != self.dialog.call_id:
            self._respond(key, make_response(request, 481), now)
        elif self.phase is not Phase.UP:
            if request.method == "BYE":
                self._respond(key, make_response(request, 200), now)
            else:
                self._respond(key, make_response(request, 481), now)
        else:
            self._asked(key, request, now)

    def _called(self, key: str, request: Request, now: float) -> None:
        if request.method != "INVITE":
            self._respond(key, make_response(request, 200, to_tag="x"), now)
            return
        if self.phase in (Phase.UP, Phase.RINGING, Phase.CALLING):
            self._respond(key, make_response(request, 486, to_tag="busy"), now)
            return
        self.phase = Phase.RINGING
        self._incoming = (key, request)
        self._tag = f"{self.name}-to"
        self.dialog = Dialog(
            call_id=request.call_id,
            local=f"{request.headers.first('to')};tag={self._tag}",
            remote=request.headers.first("from") or "",
            target=str(request.contact.uri) if request.contact else "",
            routes=request.headers.values("record-route"),
            cseq=100,
            remote_cseq=request.cseq.number,
        )
        if self.habits.trying:
            self._respond(key, make_response(request, 100), now)
        for number, status in enumerate(self.habits.rings):
            if status != 100:
                self.at(now + 0.02 * number, "ring")
        if self.habits.answers_after_s is not None:
            self.at(now + self.habits.answers_after_s, "answer")

    def _asked(self, key: str, request: Request, now: float) -> None:
        assert self.dialog is not None
        number = request.cseq.number
        if number in self._numbers:
            self.complaints.append(f"CSeq {number} of {request.method} was used before")
        self._numbers.add(number)
        if number <= self.dialog.remote_cseq and request.method != "BYE":
            # Overtaken on the way (RFC 3261 §12.2.2).
            self._respond(key, make_response(request, 500), now)
            return
        self.dialog.remote_cseq = max(self.dialog.remote_cseq, number)
        if request.method == "BYE":
            if self.habits.answers_bye:
                self._respond(key, make_response(request, 200), now)
            if self._incoming is not None:
                self._final(487, now)
            self._hung_up()
        elif request.method == "INVITE":
            self._reinvited(key, request, now)
        elif request.method == "UPDATE":
            status = 491 if request.body and self._negotiating() else self.habits.update_status
            self._respond(key, self._writer.with_sdp(make_response(request, status), request), now)
        else:
            self._respond(key, make_response(request, 200), now)

    def _reinvited(self, key: str, request: Request, now: float) -> None:
        if self._incoming is not None:
            self.complaints.append("a re-INVITE while another one is open")
        if self._negotiating():
            self._respond(key, make_response(request, 491), now)
            return
        self._incoming = (key, request)
        self._respond(key, make_response(request, 100), now)
        if self.habits.reinvite_delay_s:
            self.at(now + self.habits.reinvite_delay_s, "answer-reinvite")
        else:
            self._final(self.habits.reinvite_status, now)

    def _ack_arrived(self, ack: Request) -> None:
        waiting = self._waiting
        if waiting is not None and ack.cseq.number == waiting.cseq:
            self._waiting = None

    def _response_arrived(self, arrived: ResponseArrived, now: float) -> None:
        response = arrived.response
        if arrived.key == self._invite_key:
            self._invite_response(response, now)
            return
        request = self._pending.get(arrived.key)
        if request is None:
            return
        if request.method == "INVITE" and 200 <= response.status < 300:
            self._acknowledge(request, response, now)
        if response.status >= 200:
            self._pending.pop(arrived.key)
            if response.status >= 300:
                self.rejected.append(response.status)
            if response.status in (408, 481) and self.phase is Phase.UP:
                self._do_bye(now)

    def _invite_response(self, response: Response, now: float) -> None:
        assert self._invite is not None
        if response.status < 200:
            self._provisional = True
            if response.to_tag:
                self._early = response.headers.first("to") or ""
            if self._wants_cancel:
                self._wants_cancel = False
                self._cancel(self._invite, now)
            return
        if response.status >= 300:
            self.rejected.append(response.status)
            self.phase = Phase.DONE
            return
        first = self.dialog is None
        self._acknowledge(self._invite, response, now)
        if not first:
            return
        self.phase = Phase.UP
        if self._gave_up:
            # The CANCEL came too late (RFC 3261 §9.1): the call is up and must be ended.
            self._do_bye(now)

    def _request_failed(self, key: str) -> None:
        request = self._pending.pop(key, None)
        if key == self._invite_key and self.phase is Phase.CALLING:
            self.phase = Phase.DONE
        elif request is not None and request.method != "INFO" and self.phase is Phase.UP:
            self._hung_up()

    # -- building ----------------------------------------------------------------------------

    def _acknowledge(self, request: Request, response: Response, now: float) -> None:
        if self.dialog is None:
            contact = str(response.contact.uri) if response.contact else request.uri_text
            routes = response.headers.values("record-route")[::-1]
            to = response.headers.first("to") or ""
            self.dialog = self._writer.dialog_of(request, to, contact, routes)
        known = self._acks.get((response.to_tag or "", request.cseq.number))
        if known is None:
            late = not request.body
            if late and not response.body:
                self.complaints.append("a 2xx to an INVITE without offer brings none")
            known = self._writer.inside("ACK", self.dialog, cseq=request.cseq.number, sdp=late)
            self._acks[response.to_tag or "", request.cseq.number] = known
        if self.habits.acks:
            self._send_outputs(self.layer.send_ack(known, self.flow))

    def _hung_up(self) -> None:
        self.phase = Phase.DONE
        self._waiting = None

    def _negotiating(self) -> bool:
        """Whether an offer of ours is out, or one of theirs is not settled."""
        return (
            self._incoming is not None
            or self._waiting is not None
            or any(request.method in ("INVITE", "UPDATE") for request in self._pending.values())
        )

    def _final(self, status: int, now: float) -> None:
        assert self._incoming is not None
        key, request = self._incoming
        self._incoming = None
        response = make_response(request, status, self.phrase if status >= 300 else None, self._tag)
        self._writer.own_headers(response.headers)
        if status >= 300:
            if self.phase is Phase.RINGING:
                self.phase = Phase.DONE
            self._respond(key, response, now)
            return
        self._writer.with_sdp(response, request)
        self.phase = Phase.UP
        self._waiting = Waiting(key, response, request.cseq.number, T1, now + 64 * T1)
        self.at(now + T1, "repeat")
        self._respond(key, response, now)

    def _provisional_response(self, status: int, now: float) -> None:
        assert self._incoming is not None
        key, request = self._incoming
        response = make_response(request, status, to_tag=self._tag)
        if self.habits.early_media and request.body:
            self._writer.with_sdp(response, request)
        self._respond(key, response, now)

    def _cancel(self, invite: Request, now: float) -> None:
        if invite.cseq.number not in self._cancelled:
            self._cancelled.add(invite.cseq.number)
            self._send(self._writer.cancel(invite), now)

    def _pend(self, request: Request, now: float) -> None:
        self._pending[self._send(request, now)] = request

    def _send(self, request: Request, now: float) -> str:
        key, outputs = self.layer.send_request(request, self.flow, now)
        self._send_outputs(outputs)
        return key

    def _respond(self, key: str, response: Response, now: float) -> None:
        self._send_outputs(self.layer.respond(key, response, now))

    def _send_outputs(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._out.append(("border", output.data))
