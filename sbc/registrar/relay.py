"""REGISTER relayed to the registrar behind us: modes relay and cache.

The registrar decides: credentials pass through to it, and only its 2xx makes, moves or ends a
binding. A cache differs in what it tells: a short life to the phone, so that its NAT stays open, a
long one to the registrar; and refreshes within the life that was granted end here (`Credit` says
which). A phone that wants to leave is never kept from it.

Spec: RFC 3261 §10, RFC 3327, RFC 3608, RFC 5626, RFC 5853 §3.4.
"""

from collections.abc import Mapping, Sequence

from sbc.policy.refusal import Refusal
from sbc.registrar import answering
from sbc.registrar.binding import Binding
from sbc.registrar.claims import Claim, routes_of, supports
from sbc.registrar.commands import AnsweredInNeed, Command
from sbc.registrar.credit import Credit, asked_besides_expires, proofs_of
from sbc.registrar.grants import granted_by, user_of
from sbc.registrar.lives import MAX_BINDINGS, Lives
from sbc.registrar.pending import Pending, PendingRegisters, binding_of
from sbc.registrar.relaying import Pseudonyms, face_of, forwarded, restored
from sbc.routing.facing import contact_of, listener_of
from sbc.routing.model import Listener, Settings
from sbc.routing.spread import Spread
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.fields.retry_after import retry_after_of
from sbc.sip.flow import Flow
from sbc.sip.grammar import Params, join_params
from sbc.sip.message import Response
from sbc.sip.timers import TIMEOUT
from sbc.sip.user import SendRequest

MAX_CONTACTS = 10
"""Contacts in one REGISTER, above which it is refused: a phone has one or two."""
MOST_TRIES = 4
"""Registrars that one REGISTER is sent to: more would not answer while the phone still listens."""
GRACE_S = TIMEOUT
"""How long after the life that was told a phone is still there: its refresh may be under way."""


class RegisterRelay:
    """The REGISTERs under way to the registrars behind us, and what comes of them."""

    def __init__(self, settings: Settings, lives: Lives, names: Pseudonyms, spread: Spread) -> None:
        self._settings = settings
        self._lives = lives
        self._bindings = lives.bindings
        self._names = names
        self._spread = spread
        self._pending = PendingRegisters()
        self.absorbed = 0
        """REGISTERs answered without asking the registrar, since start."""

    def configure(self, settings: Settings) -> None:
        """Use new settings from now on."""
        self._settings = settings

    @property
    def pending(self) -> int:
        """How many REGISTERs wait for a registrar."""
        return len(self._pending)

    # -- on the way in ----------------------------------------------------------------------

    def register(self, asked: Pending, now: float) -> list[Command]:
        """Relay a REGISTER that policy let in, or answer it where a cache may.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        refusal = self._refusal(asked)
        if refusal is not None:
            return self._refuse(asked, refusal)
        # What is under way for the same user may change what the registrar believes.
        alone = not self._pending.of_same_user(asked.request)
        binding = self._covering(asked, now) if alone else None
        if binding is not None:
            assert binding.credit is not None
            if binding.credit.has_enough(now):
                return self._absorb(asked, binding, now)
            asked.in_need = True
        # Malformed now rather than when the registrar has said yes.
        routes_of(asked.request, "path")
        known = self._bindings.has_source(asked.flow)
        trusted = self._settings.network(asked.flow.network).trusted
        if self._pending.has_room(known or trusted) and self._has_room(asked.claims):
            return self._ask(asked, now)
        if binding is None:
            return self._refuse(asked, self._busy())
        return self._help(asked, binding, now)

    def _refusal(self, asked: Pending) -> Refusal | None:
        """Why a REGISTER is not even asked about."""
        if self._pending.has_twin(asked.request):
            return Refusal(482, "this REGISTER came another way already")
        if len(asked.claims) > MAX_CONTACTS:
            return Refusal(403, f"more than {MAX_CONTACTS} contacts in one REGISTER")
        if answering.lacks_outbound(asked.request, asked.claims.values()):
            return answering.NO_OUTBOUND
        return None

    def _busy(self) -> Refusal:
        wait_s = self._spread.later(answering.BUSY_S)
        return Refusal(503, "too many registrations", retry_after_s=wait_s)

    def _has_room(self, claims: Mapping[str, Claim]) -> bool:
        """Whether there is room for all that this REGISTER, and those under way, may become."""
        if all(claim.key in self._bindings for claim in claims.values()):
            return True
        promised = MAX_CONTACTS * (len(self._pending) + 1)
        return len(self._bindings) + promised <= MAX_BINDINGS

    def _ask(self, pending: Pending, now: float) -> list[Command]:
        """Send a REGISTER to the registrar at its position."""
        upstream = pending.upstream
        inside = self._settings.network(upstream.flow.network)
        listener = listener_of(inside, upstream.flow)
        registrar = face_of(inside, listener, upstream.flow, upstream.host)
        if pending.refs:
            pending.ref = f"{next(iter(pending.refs))}-{pending.position}"
        asked = forwarded(
            pending.request,
            upstream,
            [self._contact(pending, claim, listener) for claim in pending.claims.values()],
            pending.ref,
            extras=_extras_upstream(pending, listener),
            phone=pending.phone,
            registrar=registrar,
            names=self._names,
            server_header=self._settings.server_header,
            manipulation=pending.manipulation,
        )
        self._pending.ask(pending, registrar, now)
        return [SendRequest(pending.ref, upstream.flow, asked), *pending.changes()]

    def _contact(self, pending: Pending, claim: Claim, listener: Listener) -> str:
        """A contact as the registrar is told it: ours, with our token."""
        ours = contact_of(listener, claim.token, claim.contact.uri.scheme)
        return ours + join_params(self._said(pending, claim))

    def _said(self, pending: Pending, claim: Claim) -> Params:
        """The parameters of a contact that the registrar is told."""
        contact = claim.contact
        expires = contact.param("expires")
        if pending.registration.mode == "cache" and claim.asked_s > 0:
            expires = str(pending.registration.registrar_expires_s)
        q, instance = contact.param("q"), contact.param("+sip.instance")
        if not supports(pending.request, "gruu"):
            instance = None
        said = (("q", q), ("expires", expires), ("+sip.instance", instance))
        return tuple((name, value) for name, value in said if value is not None)

    # -- what a cache answers ---------------------------------------------------------------

    def _covering(self, asked: Pending, now: float) -> Binding | None:
        """The binding whose credit covers a REGISTER; None when the registrar must be asked."""
        if asked.registration.mode != "cache" or len(asked.claims) != 1:
            return None
        (claim,) = asked.claims.values()
        binding = self._bindings.by_key(claim.key)
        if binding is None or binding.credit is None or claim.asked_s < 1:
            return None
        same = (
            binding.flow == asked.flow
            and binding.contact == str(claim.contact.uri)
            and binding.registrar in {upstream.peer for upstream in asked.upstreams}
            and binding.path == routes_of(asked.request, "path")
        )
        covered = same and binding.credit.covers(asked.request, claim.contact, now)
        return binding if covered else None

    def _absorb(self, asked: Pending, binding: Binding, now: float) -> list[Command]:
        """Answer a refresh from what the registrar granted, never beyond it."""
        (claim,) = asked.claims.values()
        credit = binding.credit
        assert credit is not None
        left = int(credit.until - now)
        told = min(self._told(asked, claim), left)
        credit.use(asked.request)
        binding.expires_at = min(now + told + GRACE_S, credit.until)
        binding.reachable, binding.missed = True, 0
        self.absorbed += 1
        contacts = [answering.contact_told(binding, told, credit.told)]
        contacts += self._others(binding, now)
        extras = answering.success_extras(asked.request, asked.flow, asked.claims.values())
        out = self._lives.accept(binding, now)
        said = answering.accept(
            asked,
            contacts,
            extras,
            names=self._names,
            server_header=self._settings.server_header,
        )
        return [*out, *said]

    def _told(self, asked: Pending, claim: Claim) -> int:
        """The short life that a cache tells a phone."""
        return min(claim.asked_s, self._spread.shortened(asked.registration.phone_expires_s))

    def _others(self, mine: Binding, now: float) -> list[NameAddr]:
        """The other contacts of a user that the registrar has through us."""
        lives = [
            (other, int(min(other.expires_at, other.credit.until) - now))
            for other in self._bindings.of_user(mine.user)
            if (other.aor, other.registrar) == (mine.aor, mine.registrar)
            and other is not mine
            and other.credit is not None
        ]
        return [answering.contact_told(other, life_s) for other, life_s in lives if life_s > 0]

    # -- what the registrar says ------------------------------------------------------------

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """A registrar answered."""
        pending = self._pending.find(ref)
        if pending is None or response.status < 200:
            return []
        pending.heard(ref, response)
        if response.status == 503:
            if pending.ref != ref:
                return []
            instead = self._ask_next(pending, now)
            if instead is not None:
                return instead
        self._pending.over(pending)
        pending.position = pending.refs[ref].position
        out: list[Command] = []
        contacts: list[NameAddr] = []
        extras: list[tuple[str, str]] = []
        if response.status < 300:
            try:
                contacts = self._accepted(pending, response, now, out)
                claims = pending.claims.values()
                extras = answering.success_extras(pending.request, pending.flow, claims)
            except ParseError as error:
                said = "the registrar's answer cannot be read"
                unread = Refusal(502, said, f"{said}: {error.reason}")
                return out + self._refuse(pending, unread)
        elif response.status == 503:
            extras = [("Retry-After", str(self._later(response)))]
        return [*out, *self._respond(pending, ref, response, contacts, extras)]

    def failed(self, ref: str, why: str, now: float) -> list[Command]:
        """A registrar that was asked cannot be reached (``"transport"``) or kept silent."""
        pending = self._pending.find(ref)
        if pending is None or pending.ref != ref:
            return []
        instead = self._ask_next(pending, now)
        if instead is not None:
            return instead
        self._pending.over(pending)
        status, said = 503, "the registrar is unreachable"
        if why == "timeout":
            status, said = 504, "the registrar did not answer"
        upstream = pending.upstream
        text = f"{said}: peer {upstream.peer!r} at {upstream.flow.remote[0]}"
        wait_s = self._spread.later(answering.BUSY_S)
        return self._refuse(pending, Refusal(status, said, text, retry_after_s=wait_s))

    def cut_off(self, flow: Flow) -> None:
        """A phone's connection is gone."""
        self._pending.cut_off(flow)

    def _ask_next(self, pending: Pending, now: float) -> list[Command] | None:
        """Ask the next registrar, or answer in need; None when there is neither."""
        if not pending.in_need:
            self._doubt(pending, now)
        there = {network.name for network in self._settings.networks}
        while pending.has_next:
            pending.position += 1
            if pending.upstream.flow.network in there:
                return self._ask(pending, now)
        alone = self._pending.of_same_user(pending.request) == 1
        binding = self._covering(pending, now) if pending.in_need and alone else None
        if binding is None:
            return None
        self._pending.over(pending)
        return self._help(pending, binding, now)

    def _help(self, asked: Pending, binding: Binding, now: float) -> list[Command]:
        """Answer from the credit what the registrar should have answered, and have it logged."""
        news = AnsweredInNeed(binding, asked.upstream.peer)
        return [*self._absorb(asked, binding, now), news]

    def _doubt(self, pending: Pending, now: float) -> None:
        """Rely less on what was granted to a user when something said of him is not answered.

        What the phone itself said, a goodbye perhaps, may well have been done. What somebody else
        said may be a stranger's, who shall not take away what helps while the registrar is silent.
        """
        to = pending.request.to.uri
        for binding in self._bindings.of_user(user_of(to)):
            if binding.aor == to.address_of_record and binding.credit is not None:
                binding.credit.doubtful = True
                if binding.flow == pending.flow:
                    binding.credit.until = min(binding.credit.until, now)

    def _later(self, response: Response) -> int:
        """When phones may try again that an overloaded registrar turned away: not all at once."""
        return self._spread.later(retry_after_of(response) or answering.BUSY_S)

    def _respond(
        self,
        pending: Pending,
        ref: str,
        response: Response,
        contacts: Sequence[NameAddr],
        extras: Sequence[tuple[str, str]],
    ) -> list[Command]:
        answer = restored(
            pending.request,
            response,
            contacts,
            extras=extras,
            phone=pending.phone,
            registrar=pending.refs[ref].face,
            names=self._names,
            server_header=self._settings.server_header,
        )
        return pending.pass_back(ref, answer, response)

    def _accepted(
        self, pending: Pending, response: Response, now: float, out: list[Command]
    ) -> list[NameAddr]:
        """Take over what the registrar now has; give back its contacts as the phone knows them."""
        if pending.request.contact_is_star:
            for binding in self._bindings.of_user(user_of(pending.request.to.uri)):
                if binding.registrar == pending.upstream.peer:
                    out += self._lives.end(binding.key, "unregistered")
            return []
        plain = {token: claim.contact for token, claim in pending.claims.items()}
        granted = granted_by(pending.request, plain, response)
        listed = {contact.uri.user or "": contact for contact in response.contacts}
        if listed:
            self._believe(pending, granted, now)
        service_route = routes_of(response, "service-route")
        told: list[NameAddr] = []
        for token, claim in pending.claims.items():
            expires = granted.pop(token, 0)
            if expires < 1:
                out += self._lives.end(claim.key, "unregistered")
                for flow in self._bindings.of_token(token):
                    if flow.credit is not None:
                        flow.credit.until = now
                continue
            binding = binding_of(
                pending,
                claim,
                now + expires,
                registrar=pending.upstream.peer,
                service_route=service_route,
            )
            more: Params = ()
            if token in listed:
                more = answering.gruus_told(listed[token], binding.host)
            told.append(self._take_in(pending, claim, binding, expires, more, now, out))
        return told + self._known(granted)

    def _take_in(
        self,
        pending: Pending,
        claim: Claim,
        binding: Binding,
        expires: int,
        more: Params,
        now: float,
        out: list[Command],
    ) -> NameAddr:
        """Take in a contact that was granted; how its phone is told."""
        life = self._spread.shortened(expires)
        if pending.registration.mode == "cache":
            life = min(self._told(pending, claim), expires)
            binding.expires_at = min(now + life + GRACE_S, now + expires)
            binding.credit = Credit(
                until=now + expires,
                granted_s=expires,
                call_id=binding.call_id,
                cseq=binding.cseq,
                asked=asked_besides_expires(claim.contact),
                told=more,
                proofs=proofs_of(pending.request) or (),
            )
        out += self._lives.accept(binding, now)
        kept = claim.contact.with_param("expires", str(life))
        return NameAddr(kept.display, kept.uri, (*kept.params, *more))

    def _believe(self, pending: Pending, granted: Mapping[str, int], now: float) -> None:
        """Keep no credit that the registrar's list of the user's contacts does not bear out."""
        aor = pending.request.to.uri.address_of_record
        for binding in self._bindings.of_user(user_of(pending.request.to.uri)):
            if (binding.aor, binding.registrar) != (aor, pending.upstream.peer):
                continue
            left = granted.get(binding.token, 0)
            if binding.credit is not None:
                binding.credit.until = min(binding.credit.until, now + left)

    def _known(self, granted: Mapping[str, int]) -> list[NameAddr]:
        """The contacts of the user's other devices, as those devices wrote them.

        What did not register through us names a machine behind us, and is nobody's business
        outside.
        """
        told = []
        for token, expires in granted.items():
            flows = self._bindings.of_token(token)
            if flows and expires > 0:
                told.append(answering.contact_told(flows[-1], expires))
        return told

    # -- time and refusals ------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        return self._pending.next_timeout()

    def handle_timeout(self, now: float) -> list[Command]:
        """Turn from registrars that keep silent to the next ones."""
        out: list[Command] = []
        for pending in self._pending.silent(now):
            out += self._ask_next(pending, now) or []
        return out

    def _refuse(self, pending: Pending, refusal: Refusal) -> list[Command]:
        server = self._settings.server_header
        return answering.refuse(pending, refusal, names=self._names, server_header=server)


def _extras_upstream(pending: Pending, listener: Listener) -> list[tuple[str, str]]:
    """What we say to the registrar besides contacts: what the phone can do, and our Path."""
    options = ["gruu"] if supports(pending.request, "gruu") else []
    extras: list[tuple[str, str]] = []
    if pending.registration.path:
        options.append("path")
        for claim in pending.claims.values():
            path = answering.our_path(claim.token, listener, ob=claim.reg_id > 0)
            extras.append(("Path", path))
    if options:
        extras.append(("Supported", ", ".join(options)))
    return extras
