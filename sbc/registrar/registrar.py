"""REGISTER relayed to the registrar behind us, and the bindings that come of it.

The registrar sees our Contact with a token; the phone sees its own. Credentials pass through
untouched: the registrar decides, and a binding exists only after its 2xx. Calls to a token leave
by the flow that the phone registered on.

Spec: RFC 3261 §10, RFC 5853 §3.4, RFC 5626 §3.5 (keep-alive), RFC 7362.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from hashlib import blake2s
from typing import TypeVar

from sbc.policy.topology import NIL_UUID, carry, identity, session_id, session_uuid
from sbc.registrar.binding import Binding, nat_evidence
from sbc.registrar.commands import BindingChanged, Command, Ping
from sbc.routing.facing import bracketed, contact_of, listener_of, sent_by
from sbc.routing.model import Network, Settings
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response, make_response
from sbc.sip.timers import Deadlines
from sbc.sip.uri import parse_uri_untrusted
from sbc.sip.user import Respond, SendRequest

DEFAULT_EXPIRES_S = 3600
_K = TypeVar("_K", bound=Hashable)
MAX_CONTACTS = 10
"""Contacts in one REGISTER, above which it is refused: a phone has one or two."""
MAX_BINDINGS = 100_000
MAX_PENDING = 10_000
"""REGISTERs under way, above which further ones get 503."""
MISSED_LIMIT = 3
"""Unanswered keep-alives in a row before a phone counts as unreachable."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The registrar a REGISTER is relayed to."""

    peer: str
    flow: Flow
    host: str
    """Domain or address that stands in its Request-URI, From and To."""
    port: int | None
    """Port of the Request-URI; None for a domain or the default."""


@dataclass(frozen=True, slots=True)
class _Face:
    """The phone or the registrar, as topology hiding needs to know it."""

    trusted: bool
    our_host: str
    sent_by: str
    hidden: tuple[str, ...]

    def secrets(self) -> Iterable[str]:
        return self.hidden


@dataclass(slots=True)
class _Pending:
    """A REGISTER that waits for the registrar's word."""

    key: str
    request: Request
    flow: Flow
    upstream: Upstream
    endpoints: str
    contacts: dict[str, NameAddr]
    """The phone's contacts by our token for each."""


class Registrar:
    """The bindings of one process and the REGISTERs under way."""

    def __init__(self, settings: Settings, secret: bytes, jitter_seed: int) -> None:
        """Start without bindings.

        Args:
            settings: Networks and the Server header in force.
            secret: Keys the tokens, so that they say nothing of the phone; 16 bytes or more.
            jitter_seed: Spreads keep-alives so that phones are not pinged in one burst.
        """
        self._secret = secret
        self._jitter = jitter_seed
        self._bindings: dict[str, Binding] = {}
        self._by_flow: dict[Flow, set[str]] = {}
        self._by_aor: dict[str, set[str]] = {}
        self._pending: dict[str, _Pending] = {}
        self._pings: dict[str, str] = {}
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Use new settings from now on; bindings stay."""
        self._settings = settings
        self._networks: dict[str, Network] = {n.name: n for n in settings.networks}

    # -- what others ask --------------------------------------------------------------------

    @property
    def bindings(self) -> list[Binding]:
        """Every binding, oldest first."""
        return list(self._bindings.values())

    def by_token(self, token: str) -> Binding | None:
        """The binding that a Request-URI of the registrar names."""
        return self._bindings.get(token)

    def by_flow(self, flow: Flow) -> Binding | None:
        """A binding that was registered on exactly this flow."""
        tokens = self._by_flow.get(flow)
        return self._bindings[next(iter(tokens))] if tokens else None

    def by_user(self, user: str, network: str) -> Binding | None:
        """The newest reachable binding of a user on a network, for routes straight to phones."""
        found = [self._bindings[token] for token in self._by_aor.get(user.lower(), ())]
        here = [b for b in found if b.flow.network == network and b.reachable]
        return here[-1] if here else None

    def restore(self, bindings: Iterable[Binding], now: float) -> None:
        """Take over exported bindings, for example those of a process before this one."""
        for binding in bindings:
            if binding.expires_at > now:
                self._store(binding, now)

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
    ) -> list[Command]:
        """Relay a REGISTER that policy let in.

        Args:
            key: Its server transaction.
            endpoints: Configured peer that phones on this network belong to, or ``""``.
            ref: Branch for our request.
        """
        if len(self._pending) >= MAX_PENDING:
            return [self._answer(key, request, 503, (("Retry-After", "10"),))]
        try:
            contacts = self._contacts(request)
            forwarded = self._forwarded(request, flow, upstream, contacts, ref)
        except ParseError as error:
            return [self._answer(key, request, 400, (_warning(error.reason),))]
        if len(contacts) > MAX_CONTACTS:
            text = f"more than {MAX_CONTACTS} contacts in one REGISTER"
            return [self._answer(key, request, 403, (_warning(text),))]
        self._pending[ref] = _Pending(key, request, flow, upstream, endpoints, contacts)
        return [SendRequest(ref, upstream.flow, forwarded)]

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """The registrar, or a phone that was pinged, answered."""
        token = self._pings.pop(ref, None)
        if token is not None:
            return self._pong(token)
        pending = self._pending.get(ref)
        if pending is None or response.status < 200:
            return []
        del self._pending[ref]
        out: list[Command] = []
        if response.status < 300:
            try:
                restored = self._accepted(pending, response, now, out)
            except ParseError as error:
                return [
                    *out,
                    self._answer(pending.key, pending.request, 502, (_warning(error.reason),)),
                ]
        else:
            restored = []
        out.append(Respond(pending.key, self._restored(pending, response, restored)))
        return out

    def failed(self, ref: str, why: str) -> list[Command]:
        """A relayed REGISTER or a ping got no answer."""
        token = self._pings.pop(ref, None)
        if token is not None:
            return self._missed(token)
        pending = self._pending.pop(ref, None)
        if pending is None:
            return []
        status = 504 if why == "timeout" else 503
        text = (
            "the registrar did not answer" if why == "timeout" else "the registrar is unreachable"
        )
        return [self._answer(pending.key, pending.request, status, (_warning(text),))]

    def flow_closed(self, flow: Flow) -> list[Command]:
        """A connection is gone: its phones cannot be called until they register again."""
        out: list[Command] = []
        for token in list(self._by_flow.get(flow, ())):
            binding = self._bindings[token]
            if binding.reachable:
                binding.reachable = False
                out.append(BindingChanged("unreachable", binding))
        return out

    # -- time -------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        return self._deadlines.next()

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Expire bindings and keep pinholes open.

        Args:
            branches: Fresh branches, one for each OPTIONS that leaves.
        """
        out: list[Command] = []
        fresh = iter(branches)
        for kind, token in self._deadlines.pop_due(now):
            binding = self._bindings.get(token)
            if binding is None:
                continue
            if kind == "expiry":
                self._remove(token)
                out.append(BindingChanged("expired", binding))
            else:
                out += self._ping(binding, now, fresh)
        return out

    def _ping(self, binding: Binding, now: float, fresh: Iterable[str]) -> list[Command]:
        keepalive = self._networks[binding.flow.network].keepalive
        if keepalive.method == "off":
            return []
        self._deadlines.set(("ping", binding.token), now + keepalive.interval_s)
        if keepalive.method == "crlf" or binding.flow.reliable:
            return [Ping(binding.flow)]
        ref = next(iter(fresh))
        self._pings[ref] = binding.token
        return [SendRequest(ref, binding.flow, self._options(binding, ref))]

    def _options(self, binding: Binding, ref: str) -> Request:
        """An OPTIONS whose only purpose is that the phone answers through its NAT."""
        listener = listener_of(self._networks[binding.flow.network], binding.flow)
        ours = sent_by(listener)
        headers = Headers()
        transport = binding.flow.transport.upper()
        headers.append("Via", f"SIP/2.0/{transport} {ours};branch={ref};rport")
        headers.append("Max-Forwards", "70")
        headers.append("From", f"<sip:keepalive@{ours}>;tag={self._hash(ref)}")
        headers.append("To", f"<sip:{binding.user}@{bracketed(binding.host)}>")
        headers.append("Call-ID", self._hash("options", ref) + self._hash("id", ref))
        headers.append("CSeq", "1 OPTIONS")
        headers.append("Contact", contact_of(listener))
        if self._settings.server_header:
            headers.append("User-Agent", self._settings.server_header)
        return Request("OPTIONS", binding.contact, headers)

    def _pong(self, token: str) -> list[Command]:
        """Any response, whatever its status, came through the pinhole."""
        binding = self._bindings.get(token)
        if binding is None:
            return []
        binding.missed = 0
        if binding.reachable:
            return []
        binding.reachable = True
        return [BindingChanged("reachable", binding)]

    def _missed(self, token: str) -> list[Command]:
        binding = self._bindings.get(token)
        if binding is None:
            return []
        binding.missed += 1
        if binding.missed != MISSED_LIMIT or not binding.reachable:
            return []
        binding.reachable = False
        return [BindingChanged("unreachable", binding)]

    # -- bindings ---------------------------------------------------------------------------

    def _contacts(self, request: Request) -> dict[str, NameAddr]:
        aor = request.to.uri.address_of_record
        contacts: dict[str, NameAddr] = {}
        for contact in request.contacts:
            if contact.uri.scheme not in ("sip", "sips"):
                raise ParseError(f"cannot relay a {contact.uri.scheme}: contact")
            contacts[self._hash("token", aor, str(contact.uri))] = contact
        return contacts

    def _accepted(
        self, pending: _Pending, response: Response, now: float, out: list[Command]
    ) -> list[NameAddr]:
        """Take over what the registrar now has; give back its contacts as the phone knows them."""
        request = pending.request
        if request.contact_is_star:
            self._forget_all(request.to.uri.address_of_record, pending.flow.network, out)
            return []
        granted: dict[str, tuple[NameAddr, int]] = {}
        fallback = DEFAULT_EXPIRES_S
        for said in (request.expires, response.expires):
            fallback = fallback if said is None else said
        for contact in response.contacts:
            expires = _seconds(contact.param("expires"), fallback)
            granted[contact.uri.user or ""] = (contact, expires)
        restored: list[NameAddr] = []
        for token, contact in pending.contacts.items():
            if token in granted and granted[token][1] > 0:
                expires = granted.pop(token)[1]
                out += self._accept(pending, token, now + expires, now)
                restored.append(contact.with_param("expires", str(expires)))
            elif token in self._bindings:
                out.append(BindingChanged("unregistered", self._remove(token)))
        for token, (_, expires) in granted.items():
            known = self._bindings.get(token)
            if known is not None:
                address = NameAddr(
                    "", parse_uri_untrusted(known.contact), (("expires", str(expires)),)
                )
                restored.append(address)
        return restored

    def _accept(
        self, pending: _Pending, token: str, expires_at: float, now: float
    ) -> list[Command]:
        request, flow = pending.request, pending.flow
        contact = pending.contacts[token]
        known = self._bindings.get(token)
        if known is None and len(self._bindings) >= MAX_BINDINGS:
            return []
        what = "registered"
        if known is not None:
            what = "refreshed" if known.flow == flow else "moved"
            self._remove(token)
        binding = Binding(
            token=token,
            aor=request.to.uri.address_of_record,
            contact=str(contact.uri),
            flow=flow,
            endpoints=pending.endpoints,
            registrar=pending.upstream.peer,
            expires_at=expires_at,
            nat=nat_evidence(request, flow, contact.uri.host, contact.uri.port),
            user_agent=request.headers.first("user-agent") or "",
        )
        self._store(binding, now)
        return [BindingChanged(what, binding)]

    def _store(self, binding: Binding, now: float) -> None:
        self._bindings[binding.token] = binding
        self._by_flow.setdefault(binding.flow, set()).add(binding.token)
        self._by_aor.setdefault(binding.user.lower(), set()).add(binding.token)
        self._deadlines.set(("expiry", binding.token), binding.expires_at)
        keepalive = self._networks[binding.flow.network].keepalive
        if keepalive.method != "off":
            self._jitter = (self._jitter * 1103515245 + 12345) % 2**31
            share = 0.5 + self._jitter / 2**32
            self._deadlines.set(("ping", binding.token), now + keepalive.interval_s * share)

    def _remove(self, token: str) -> Binding:
        binding = self._bindings.pop(token)
        _discard(self._by_flow, binding.flow, token)
        _discard(self._by_aor, binding.user.lower(), token)
        self._deadlines.cancel(("expiry", token))
        self._deadlines.cancel(("ping", token))
        return binding

    def _forget_all(self, aor: str, network: str, out: list[Command]) -> None:
        out.extend(
            BindingChanged("unregistered", self._remove(binding.token))
            for binding in self.bindings
            if binding.aor == aor and binding.flow.network == network
        )

    # -- messages ---------------------------------------------------------------------------

    def _forwarded(
        self,
        request: Request,
        flow: Flow,
        upstream: Upstream,
        contacts: dict[str, NameAddr],
        ref: str,
    ) -> Request:
        listener = listener_of(self._networks[upstream.flow.network], upstream.flow)
        headers = Headers()
        transport = upstream.flow.transport.upper()
        headers.append("Via", f"SIP/2.0/{transport} {sent_by(listener)};branch={ref};rport")
        headers.append("Max-Forwards", str((request.max_forwards or 70) - 1))
        tag = self._hash("tag", request.call_id, request.from_tag or "")
        headers.append("From", identity(_text(request, "from"), upstream.host, tag))
        headers.append("To", identity(_text(request, "to"), upstream.host, None))
        # The same Call-ID for the same phone keeps CSeq order meaningful (RFC 3261 §10.2.4).
        call_id = self._hash("call-id", request.call_id) + self._hash("id", request.call_id)
        headers.append("Call-ID", call_id)
        headers.append("CSeq", f"{request.cseq.number} REGISTER")
        if request.contact_is_star:
            headers.append("Contact", "*")
        for token, contact in contacts.items():
            ours = contact_of(listener, token)
            kept = "".join(
                f";{name}={value}"
                for name, value in contact.params
                if name in ("expires", "q") and value is not None
            )
            headers.append("Contact", ours + kept)
        phone = self._face(flow, ())
        registrar = self._face(upstream.flow, ())
        carry(request, headers, phone, registrar)
        uuid = session_uuid(request) or self._hash("uuid", request.call_id) * 2
        headers.append("Session-ID", session_id(uuid, NIL_UUID))
        if self._settings.server_header:
            headers.append("User-Agent", self._settings.server_header)
        port = f":{upstream.port}" if upstream.port else ""
        return Request("REGISTER", f"sip:{bracketed(upstream.host)}{port}", headers)

    def _restored(
        self, pending: _Pending, response: Response, contacts: list[NameAddr]
    ) -> Response:
        tag = self._hash("to", pending.request.call_id)
        answer = make_response(pending.request, response.status, response.reason, tag)
        for contact in contacts:
            answer.headers.append("Contact", str(contact))
        registrar = self._face(pending.upstream.flow, (pending.upstream.host,))
        phone = self._face(pending.flow, ())
        carry(response, answer.headers, registrar, phone)
        if self._settings.server_header:
            answer.headers.append("Server", self._settings.server_header)
        return answer

    def _answer(
        self, key: str, request: Request, status: int, extra: tuple[tuple[str, str], ...]
    ) -> Respond:
        response = make_response(request, status, None, self._hash("to", request.call_id))
        for name, value in extra:
            response.headers.append(name, value)
        if self._settings.server_header:
            response.headers.append("Server", self._settings.server_header)
        return Respond(key, response)

    def _face(self, flow: Flow, hidden: tuple[str, ...]) -> _Face:
        network = self._networks[flow.network]
        listener = listener_of(network, flow)
        return _Face(
            network.trusted,
            listener.advertise,
            sent_by(listener),
            (flow.remote[0], listener.advertise, *hidden),
        )

    def _hash(self, *parts: str) -> str:
        """16 hexadecimal digits that depend on the parts and mean nothing without the secret."""
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return blake2s(text, digest_size=8, key=self._secret).hexdigest()


def _discard(index: dict[_K, set[str]], key: _K, token: str) -> None:
    tokens = index.get(key)
    if tokens is not None:
        tokens.discard(token)
        if not tokens:
            del index[key]


def _seconds(text: str | None, fallback: int) -> int:
    """A contact's expires; malformed counts as the fallback (RFC 3261 §10.2.1.1)."""
    if text is None or not text.isascii() or not text.isdigit():
        return fallback
    return min(int(text[:10]), 2**31)


def _text(message: Message, name: str) -> str:
    return message.headers.first(name) or ""


def _warning(text: str) -> tuple[str, str]:
    quoted = text.replace("\\", "").replace('"', "'")
    return ("Warning", f'399 sbc "{quoted}"')
