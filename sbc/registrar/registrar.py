"""REGISTER relayed to the registrar behind us, and the bindings that come of it.

The registrar decides: credentials pass through to it, and only its 2xx makes, moves or ends a
binding. Calls to a binding leave by the flow that the phone registered on.

Spec: RFC 3261 §10, RFC 5853 §3.4, RFC 5626 §3.5 (keep-alive), RFC 7362.
"""

from collections.abc import Iterable, Mapping

from sbc.policy.refusal import Refusal, refused
from sbc.registrar.binding import Binding, nat_evidence
from sbc.registrar.commands import Command, RegisterRefused
from sbc.registrar.grants import granted_by, user_of
from sbc.registrar.lives import MAX_BINDINGS, Lives
from sbc.registrar.pending import MAX_PENDING, Pending, PendingRegisters
from sbc.registrar.relaying import (
    Pseudonyms,
    Upstream,
    face_of,
    forwarded,
    restored,
)
from sbc.routing.facing import listener_of
from sbc.routing.model import Settings
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri, parse_uri_untrusted
from sbc.sip.user import Respond, SendRequest

MAX_CONTACTS = 10
"""Contacts in one REGISTER, above which it is refused: a phone has one or two."""


class Registrar:
    """The bindings of one process and the REGISTERs under way."""

    def __init__(self, settings: Settings, secret: bytes, jitter_seed: int) -> None:
        """Start without bindings.

        Args:
            settings: Networks and the Server header in force.
            secret: Keys the tokens, so that they say nothing of the phone; 16 to 32 bytes.
            jitter_seed: Spreads keep-alives so that phones are not pinged in one burst.
        """
        self._names = Pseudonyms(secret)
        self._lives = Lives(settings, self._names, jitter_seed)
        self._bindings = self._lives.bindings
        self._pending = PendingRegisters()
        self._settings = settings

    def configure(self, settings: Settings, now: float) -> list[Command]:
        """Use new settings from now on; a binding on a network that is no more ends."""
        self._settings = settings
        return self._lives.configure(settings, now)

    # -- what others ask --------------------------------------------------------------------

    @property
    def bindings(self) -> list[Binding]:
        """Every binding, oldest first."""
        return list(self._bindings)

    @property
    def pending(self) -> int:
        """How many REGISTERs wait for the registrar, for leak checks."""
        return len(self._pending)

    def by_token(self, token: str) -> Binding | None:
        """The binding that a Request-URI of the registrar names."""
        return self._bindings.by_token(token)

    def by_flow(self, flow: Flow) -> list[Binding]:
        """What was registered on exactly this flow: one, or the lines of one phone."""
        return self._bindings.on_flow(flow)

    def by_user(self, user: str, network: str) -> list[Binding]:
        """The reachable bindings of an unescaped user part on a network, the newest first."""
        found = self._bindings.of_user(user)
        return [b for b in reversed(found) if b.flow.network == network and b.reachable]

    def has_source(self, flow: Flow) -> bool:
        """Whether anything is registered from the source of a flow."""
        return self._bindings.has_source(flow)

    def export(self, now: float) -> list[dict[str, object]]:
        """Every binding as plain data."""
        return [binding.to_data(now) for binding in self._bindings]

    def use_secret(self, secret: bytes) -> None:
        """Make tokens with the key of the process before this one, so that they stay the same."""
        self._names.use(secret)

    def restore(
        self, exported: Iterable[Mapping[str, object]], now: float, origin: float | None = None
    ) -> list[Command]:
        """Take over exported bindings, for example those of the process before this one.

        Those that expired meanwhile, and those on networks that are no more, are left out. A
        connection does not outlive its process, so phones on one are unreachable until they
        register again.

        Args:
            origin: What the spans in the data count from, on this clock; `now` when None.

        Raises:
            ValueError: the data is no such export; what came before the fault is taken over.
        """
        return self._lives.restore(exported, now, now if origin is None else origin)

    # -- REGISTER ---------------------------------------------------------------------------

    def register(
        self,
        key: str,
        request: Request,
        flow: Flow,
        upstream: Upstream,
        *,
        endpoints: str,
        ref: str,
        now: float,
    ) -> list[Command]:
        """Relay a REGISTER that policy let in.

        Args:
            key: Its server transaction.
            endpoints: Configured peer that phones on this network belong to, or ``""``.
            ref: Branch for our request.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        contacts = self._contacts(request)
        network = self._settings.network(flow.network)
        phone = face_of(network, listener_of(network, flow), flow)
        agent = phone.sent_by
        if self._pending.has_twin(request):
            merged = Refusal(482, "this REGISTER came another way already")
            return self._refuse(key, request, flow, agent, merged)
        if len(contacts) > MAX_CONTACTS:
            many = Refusal(403, f"more than {MAX_CONTACTS} contacts in one REGISTER")
            return self._refuse(key, request, flow, agent, many)
        if not self._has_room(contacts):
            return self._refuse(key, request, flow, agent, Refusal(503, "too many registrations"))
        inside = self._settings.network(upstream.flow.network)
        listener = listener_of(inside, upstream.flow)
        registrar = face_of(inside, listener, upstream.flow, upstream.host)
        relayed = forwarded(
            request,
            upstream,
            contacts,
            ref,
            phone=phone,
            registrar=registrar,
            listener=listener,
            names=self._names,
            server_header=self._settings.server_header,
        )
        pending = Pending(key, request, flow, upstream, endpoints, contacts, phone, registrar)
        self._pending.add(ref, pending, now)
        return [SendRequest(ref, upstream.flow, relayed)]

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """The registrar, or a phone that was pinged, answered."""
        ponged = self._lives.answered(ref)
        if ponged is not None:
            return ponged
        pending = self._pending.take(ref) if response.status >= 200 else None
        if pending is None:
            return []
        out: list[Command] = []
        contacts: list[NameAddr] = []
        if response.status < 300:
            try:
                contacts = self._accepted(pending, response, now, out)
            except ParseError as error:
                said = "the registrar's answer cannot be read"
                unread = Refusal(502, said, f"{said}: {error.reason}")
                return out + self._refuse_late(pending, unread)
        answer = restored(
            pending.request,
            response,
            contacts,
            phone=pending.phone,
            registrar=pending.registrar,
            names=self._names,
            server_header=self._settings.server_header,
        )
        return [*out, Respond(pending.key, answer)]

    def failed(self, ref: str, why: str, now: float) -> list[Command]:
        """A relayed REGISTER (``"timeout"`` or ``"transport"``), or a ping, got no answer."""
        del now
        missed = self._lives.failed(ref)
        if missed is not None:
            return missed
        pending = self._pending.take(ref)
        if pending is None:
            return []
        status, said = 503, "the registrar is unreachable"
        if why == "timeout":
            status, said = 504, "the registrar did not answer"
        upstream = pending.upstream
        text = f"{said}: peer {upstream.peer!r} at {upstream.flow.remote[0]}"
        silent = Refusal(status, said, text)
        return self._refuse_late(pending, silent)

    def flow_closed(self, flow: Flow) -> list[Command]:
        """A connection is gone: its phones cannot be called until they register again."""
        self._pending.cut_off(flow)
        return self._lives.cut_off(flow)

    # -- time -------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        mine, theirs = self._pending.next_timeout(), self._lives.next_timeout()
        if mine is None or theirs is None:
            return mine if theirs is None else theirs
        return min(mine, theirs)

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Expire bindings and keep pinholes open; what is too much for one turn stays due.

        Args:
            branches: Fresh branches, one for each OPTIONS that leaves.
        """
        self._pending.forget_overdue(now)
        return self._lives.handle_timeout(now, branches)

    # -- contacts ---------------------------------------------------------------------------

    def _contacts(self, request: Request) -> dict[str, NameAddr]:
        """The phone's contacts, each by the token that the registrar has or will have for it."""
        expires = request.expires
        if request.contact_is_star:
            if expires != 0:
                raise ParseError("Contact * without Expires 0 (RFC 3261 §10.3 step 6)")
            return {}
        aor = request.to.uri
        contacts: dict[str, NameAddr] = {}
        for contact in request.contacts:
            if contact.uri.scheme not in ("sip", "sips"):
                raise ParseError(f"cannot relay a {contact.uri.scheme}: contact")
            contacts[self._token(aor, str(contact.uri))] = contact
        return contacts

    def _token(self, aor: Uri, contact: str) -> str:
        """The token of a contact: the one it has, which may come from another process' secret."""
        name = aor.address_of_record
        for binding in self._bindings.of_user(user_of(aor)):
            if binding.contact == contact and binding.aor == name:
                return binding.token
        return self._names.of("token", name, contact)

    def _has_room(self, contacts: Mapping[str, NameAddr]) -> bool:
        """Whether there is room for all that this REGISTER, and those under way, may become."""
        if len(self._pending) >= MAX_PENDING:
            return False
        if all(token in self._bindings for token in contacts):
            return True
        promised = MAX_CONTACTS * (len(self._pending) + 1)
        return len(self._bindings) + promised <= MAX_BINDINGS

    def _accepted(
        self, pending: Pending, response: Response, now: float, out: list[Command]
    ) -> list[NameAddr]:
        """Take over what the registrar now has; give back its contacts as the phone knows them."""
        if pending.request.contact_is_star:
            for binding in self._bindings.of_user(user_of(pending.request.to.uri)):
                if binding.registrar == pending.upstream.peer:
                    out += self._lives.end(binding.token, "unregistered")
            return []
        granted = granted_by(pending.request, pending.contacts, response)
        told: list[NameAddr] = []
        for token, contact in pending.contacts.items():
            expires = granted.pop(token, 0)
            if expires > 0:
                out += self._lives.accept(_binding(pending, token, contact.uri, now + expires), now)
                told.append(contact.with_param("expires", str(expires)))
            else:
                out += self._lives.end(token, "unregistered")
        # Contacts of the user's other devices: known ones as those devices wrote them. What did
        # not register through us names a machine behind us, and is nobody's business outside.
        for token, expires in granted.items():
            known = self._bindings.by_token(token)
            if known is not None and expires > 0:
                uri = parse_uri_untrusted(known.contact)
                told.append(NameAddr("", uri, (("expires", str(expires)),)))
        return told

    def _refuse_late(self, pending: Pending, refusal: Refusal) -> list[Command]:
        """Refuse a REGISTER that was relayed, on whose network there may be nobody any more."""
        agent = pending.phone.sent_by
        return self._refuse(pending.key, pending.request, pending.flow, agent, refusal)

    def _refuse(
        self, key: str, request: Request, flow: Flow, agent: str, refusal: Refusal
    ) -> list[Command]:
        tag = self._names.of("to", request.call_id)
        response = refused(request, refusal, tag, agent, self._settings.server_header)
        return [Respond(key, response), RegisterRefused(request, flow, refusal)]


def _binding(pending: Pending, token: str, contact: Uri, expires_at: float) -> Binding:
    request, flow = pending.request, pending.flow
    aor = request.to.uri
    return Binding(
        token=token,
        aor=aor.address_of_record,
        user=user_of(aor),
        host=aor.host,
        contact=str(contact),
        flow=flow,
        endpoints=pending.endpoints,
        registrar=pending.upstream.peer,
        expires_at=expires_at,
        nat=nat_evidence(request, flow, contact.host, contact.port),
        user_agent=request.headers.first("user-agent") or "",
        reachable=not pending.cut_off,
    )
